"""A real medium that is unmounted, exchanged, made read-only or filled while the daemon works.

The tests mount a small tmpfs below their own directory; without the rights they are skipped.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from alpenhorn import db
from alpenhorn.db import operations
from alpenhorn.db.queries import pending
from alpenhorn.io.default.jobs import check
from alpenhorn.io.default.jobs.search import have_checked
from alpenhorn.io.default.tree import Tree
from media import Medium

COUNT = 20


@pytest.fixture
def medium(tmp_path: Path) -> Iterator[Medium]:
    with Medium(tmp_path / "node") as made:
        yield made


def after(count: int, what: Callable[[], None], function: Callable[..., Any]) -> Any:
    """A function that does `what` once, after so many calls."""
    calls = 0

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        result = function(*args, **kwargs)
        calls += 1
        if calls == count:
            what()
        return result

    return wrapped


VANISHING: dict[str, Callable[[Medium], None]] = {
    "unmounted": Medium.unmount,
    "exchanged": lambda medium: medium.exchange("node"),
}


@pytest.mark.parametrize("how", VANISHING)
def test_a_root_that_vanishes_during_verification_makes_nothing_missing(
    site: Any, medium: Medium, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    io = site.node("node")
    copies = [site.put(io, f"acq/{n}", has="M") for n in range(COUNT)]
    monkeypatch.setattr(check, "_examine", after(7, lambda: VANISHING[how](medium), check._examine))
    io.check_many(copies)
    site.run()
    assert set(site.make.states(io.node).values()) == {"MY"}, "nothing at all is concluded"


def test_good_files_on_another_medium_prove_nothing_about_ours(
    site: Any, medium: Medium, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that takes its place holds the same files; ours may be broken."""
    io = site.node("node")
    copies = [site.put(io, f"acq/{n}", has="M") for n in range(COUNT)]
    files = {f"acq/{n}": b"data" for n in range(COUNT)}
    exchange = after(1, lambda: medium.exchange("node", **files), check._examine)
    monkeypatch.setattr(check, "_examine", exchange)
    io.check_many(copies)
    site.run()
    assert set(site.make.states(io.node).values()) == {"MY"}
    io.check_many(copies)
    site.run()
    assert set(site.make.states(io.node).values()) == {"YY"}, "the next check reads these"


def test_a_medium_that_is_covered_for_a_moment_is_read_all_the_same(
    site: Any, medium: Medium, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Away and back between two looks at the root: nobody notices, so nobody may be fooled."""
    io = site.node("node")
    copies = [site.put(io, f"acq/{n}/file", has="M") for n in range(COUNT)]
    examine = after(7, medium.mount, after(12, medium.unmount, check._examine))
    monkeypatch.setattr(check, "_examine", examine)
    io.check_many(copies)
    site.run()
    assert set(site.make.states(io.node).values()) == {"YY"}


def test_a_deletion_removes_nothing_from_a_medium_that_takes_the_place(
    site: Any, medium: Medium, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is exchanged after the daemon has looked, and before it unlinks."""
    io = site.node("node")
    archives = [site.node(f"a{n}", storage_type="A", host=f"h{n}") for n in (1, 2)]
    copy = site.put(io, "acq/0", wants="N")
    site.protect("acq/0", *archives)
    unlink = Tree.unlink

    def too_late(self: Tree, path: str) -> bool:
        medium.exchange("node", **{path: b"of somebody else"})
        return unlink(self, path)

    monkeypatch.setattr(Tree, "unlink", too_late)
    io.delete_many([copy])
    site.run()
    assert site.read(io, "acq/0") == b"of somebody else"


@pytest.mark.parametrize("count", [1, COUNT])
@pytest.mark.parametrize("how", VANISHING)
def test_a_root_that_vanishes_during_a_transfer_makes_nothing_present(
    site: Any, medium: Medium, monkeypatch: pytest.MonkeyPatch, how: str, count: int
) -> None:
    """It vanishes when all is in place, just before it would be recorded."""
    io, source = site.node("node", storage_type="A"), site.node("src")
    group = site.group(io)
    for n in range(count):
        site.put(source, f"acq/{n}")
        site.make.request(f"acq/{n}", source.node, "node")
    flush = after(1, lambda: VANISHING[how](medium), Tree.flush_parents)
    monkeypatch.setattr(Tree, "flush_parents", flush)
    group.pull_many(pending.ready(group.group, 100), did_search=True)
    site.run()
    assert site.make.states(io.node) == {}
    assert {row.failure for row in attempts()} == {"destination"}
    assert set(site.make.states(source.node).values()) == {"YY"}, "the source is not to blame"
    assert len(pending.ready(group.group, 100)) == count


def test_files_on_another_medium_are_not_found_by_a_search(
    site: Any, medium: Medium, monkeypatch: pytest.MonkeyPatch
) -> None:
    io, source = site.node("node"), site.node("src")
    site.put(source, "acq/0")
    site.make.request("acq/0", source.node, "node")
    exists = type(io).exists

    def elsewhere(path: Any) -> bool:
        medium.exchange("node", **{str(path): b"data"})
        return exists(io, path)

    monkeypatch.setattr(io, "exists", elsewhere)
    assert have_checked(io, pending.ready(site.group(io).group, 100)) == set()
    assert site.make.states(io.node) == {}


@pytest.mark.parametrize("how", VANISHING)
def test_a_root_that_vanishes_during_deletion_removes_and_records_nothing_more(
    site: Any, medium: Medium, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    io = site.node("node")
    archives = [site.node(f"a{n}", storage_type="A", host=f"h{n}") for n in (1, 2)]
    copies = [site.put(io, f"acq/{n}", wants="N") for n in range(COUNT)]
    for copy in copies:
        site.protect(str(copy.file.path), *archives)
    monkeypatch.setattr(Tree, "unlink", after(7, lambda: VANISHING[how](medium), Tree.unlink))
    io.delete_many(copies)
    site.run()
    states = list(site.make.states(io.node).values())
    assert states.count("NN") == 7, "those that are certainly gone"
    assert states.count("YN") == COUNT - 7
    assert db.ArchiveFileCopy.select().where(db.ArchiveFileCopy.has_file == "M").count() == 0


@pytest.mark.parametrize("trouble", ["full", "read-only"])
def test_a_disk_in_trouble_is_its_own_fault_and_the_work_is_done_when_it_is_mended(
    site: Any, medium: Medium, trouble: str
) -> None:
    io, source = site.node("node", storage_type="A"), site.node("src")
    group = site.group(io)
    data = {f"acq/{n}": os.urandom(20_000) for n in range(COUNT)}
    for path, content in data.items():
        site.put(source, path, content)
        site.make.request(path, source.node, "node")
    if trouble == "full":
        (medium.root / "ballast").write_bytes(bytes(800_000))
        io.reserve_factor = 0  # somebody else fills the disk after we have reserved
    else:
        medium.remount("ro")

    def a_pass() -> None:
        requests = pending.ready(group.group, 100)
        if requests:
            group.pull_many(requests, did_search=True)
        site.run()

    a_pass()
    failures = {row.failure for row in attempts()}
    assert failures - {None} == {"destination"}
    assert set(site.make.states(source.node).values()) == {"YY"}, "the source is not to blame"
    arrived = {path for path, state in site.make.states(io.node).items() if state == "YY"}
    assert all(site.read(io, path) == data[path] for path in arrived)
    medium.remount("rw,size=4m")
    (medium.root / "ballast").unlink(missing_ok=True)
    a_pass()
    assert site.make.states(io.node) == dict.fromkeys(data, "YY")
    assert all(site.read(io, path) == content for path, content in data.items())


def attempts() -> list[Any]:
    return list(operations.TransferAttempt.select())
