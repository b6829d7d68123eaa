"""The medium goes away, or another one takes its place, while files are looked for or imported.

What was seen then proves nothing: nothing is registered, no request is done with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from alpenhorn import db
from alpenhorn.io.default import DefaultNodeIO, examine
from media import Medium


@pytest.fixture
def medium(daemon: Any) -> Iterator[Medium]:
    """The medium of ``node``."""
    daemon.make.node("node", root=str(daemon.root("node")), host="here")
    with Medium(daemon.root("node")) as made:
        (made.root / "ALPENHORN_NODE").write_text("node\n")
        daemon.settle()
        yield made


def unmounted(medium: Medium) -> None:
    medium.unmount()


def exchanged(medium: Medium) -> None:
    medium.exchange("node", **{"acq/other": b"of the other one"})


def moved(medium: Medium) -> None:
    """No mount at all: the directory is renamed and made again."""
    medium.unmount()
    (medium.root / "ALPENHORN_NODE").write_text("node\n")


VANISHING = [unmounted, exchanged, moved]
Vanish = Callable[[Medium], None]


def when_called(
    monkeypatch: pytest.MonkeyPatch, where: Any, name: str, what: Callable[[], None]
) -> None:
    """Do something, once, after a function has done its work."""
    original = getattr(where, name)
    todo = [what]

    def then(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        if todo:
            todo.pop()()
        return result

    monkeypatch.setattr(where, name, then)


def back(daemon: Any, medium: Medium, *paths: str) -> None:
    """The node's own medium is there again, with its files."""
    medium.exchange("node", **dict.fromkeys(paths, b"data"))
    daemon.clock.advance(60)
    daemon.settle()


@pytest.mark.parametrize("vanish", VANISHING)
@pytest.mark.parametrize("step", ["md5_of", "flush_many"])
@pytest.mark.parametrize("count", [1, 20])
def test_nothing_is_registered_if_the_medium_vanishes_during_an_import(
    daemon: Any,
    medium: Medium,
    monkeypatch: pytest.MonkeyPatch,
    vanish: Vanish,
    step: str,
    count: int,
) -> None:
    """One file, and a batch in one task."""
    where = examine if step == "md5_of" else DefaultNodeIO
    paths = [f"acq/{n}" for n in range(count)]
    for path in paths:
        daemon.write(path)
    requests = [daemon.ask(path) for path in paths]
    when_called(monkeypatch, where, step, lambda: vanish(medium))
    daemon.tick()
    daemon.work(1)
    assert not db.ArchiveFile.select().exists()
    assert not any(daemon.done(request) for request in requests)
    daemon.work()
    back(daemon, medium, *paths)
    assert daemon.make.states(db.StorageNode.get()) == dict.fromkeys(paths, "YY")
    assert all(daemon.done(request) for request in requests)


def test_a_file_that_is_not_there_because_the_medium_is_not_stays_asked_for(
    daemon: Any, medium: Medium
) -> None:
    """It is no answer to the request that an empty mount point has no such file."""
    request = daemon.ask("acq/file")
    daemon.tick()
    medium.unmount()
    daemon.work()
    assert not daemon.done(request)
    assert daemon.lines("its medium is not there")
    back(daemon, medium, "acq/file")
    assert daemon.done(request)
    assert daemon.make.states(db.StorageNode.get()) == {"acq/file": "YY"}


@pytest.mark.parametrize("vanish", VANISHING)
def test_no_file_is_called_absent_if_another_medium_took_the_place_meanwhile(
    daemon: Any, medium: Medium, monkeypatch: pytest.MonkeyPatch, vanish: Vanish
) -> None:
    daemon.write("acq/file")
    request = daemon.ask("acq/file")
    monkeypatch.setattr(DefaultNodeIO, "exists", lambda self, path: vanish(medium))
    daemon.tick()
    daemon.work()
    assert not daemon.done(request)


@pytest.mark.parametrize("vanish", VANISHING)
def test_a_scan_that_was_cut_off_by_the_medium_is_made_again(
    daemon: Any, medium: Medium, monkeypatch: pytest.MonkeyPatch, vanish: Vanish
) -> None:
    daemon.write("acq/file")
    request = daemon.ask("acq", recurse=True)
    walk = DefaultNodeIO.file_walk

    def cut_off(self: Any, path: Any) -> Iterator[Path]:
        vanish(medium)
        return iter(walk(self, path))

    with monkeypatch.context() as patch:
        patch.setattr(DefaultNodeIO, "file_walk", cut_off)
        daemon.tick()
        daemon.work(1)
    assert not daemon.done(request)
    daemon.work()
    db.ArchiveFileCopy.delete().execute()  # whatever the other medium had
    back(daemon, medium, "acq/file")
    assert daemon.done(request)
    assert daemon.make.states(db.StorageNode.get())["acq/file"] == "YY"
