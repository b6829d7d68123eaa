"""Kill the daemon at every step of a pull; the next passes must end right (design §6).

An exception that nothing catches stands for kill -9: what the process would have done afterwards
does not happen, and what lies on the medium and in the index stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from alpenhorn import db
from alpenhorn.db.queries import checks, pending, transfers
from alpenhorn.io.default.jobs import landing, pull, report, tidy
from alpenhorn.io.default.tree import Tree

pytestmark = pytest.mark.slow  # hundreds of passes

FILES = ["2025/02/21/meta.txt", "2025/02/21/23/1324.dat", "other/x"]
DATA = {path: f"the bytes of {path}".encode() for path in FILES}


class Chain:
    """src -> dst, with auto-sync from dst to offsite and auto-clean of src."""

    def __init__(self, site: Any, kind: str) -> None:
        self.site = site
        self.source = site.node("src")
        self.io = site.node("dst", storage_type=kind)
        self.group = site.group(self.io)
        offsite = site.make.group("offsite")
        edge = db.StorageTransferAction
        edge.create(node_from=self.io.node, group_to=offsite, autosync=True)
        edge.create(node_from=self.source.node, group_to=self.io.node.group, autoclean=True)
        for path in FILES:
            site.put(self.source, path, DATA[path])
            site.make.request(path, self.source.node, "dst")

    def a_pass(self, fails: bool = False) -> None:
        """What the daemon does with this node and group in one pass."""
        for request, _ in pending.close_satisfied(self.group.group, 100):
            assert request.id
        self.io.check_many(checks.suspect(self.io.node, 100))
        requests = pending.ready(self.group.group, 100)
        if requests:
            self.group.search_many(requests)
        self.site.run(fails)

    def lies(self) -> list[str]:
        """Files that the index calls present without the right bytes being there."""
        return [
            path
            for path, state in self.site.make.states(self.io.node).items()
            if state[0] == "Y" and self.site.read(self.io, path) != DATA[path]
        ]

    def assert_all_is_well(self) -> None:
        states = self.site.make.states(self.io.node)
        assert states == dict.fromkeys(FILES, "YY")
        assert self.lies() == []
        pending = db.ArchiveFileCopyRequest.select().where(
            db.ArchiveFileCopyRequest.completed == False,  # noqa: E712
            db.ArchiveFileCopyRequest.cancelled == False,  # noqa: E712
        )
        onward = sorted((str(r.file.path), r.node_from.name, r.group_to.name) for r in pending)
        assert onward == sorted((path, "dst", "offsite") for path in FILES), "auto-sync, once each"
        assert set(self.site.make.states(self.source.node).values()) == {"YN"}, "auto-clean"
        assert db.ArchiveFileCopyRequest.select().count() == 2 * len(FILES)


def moved_but_not_told(killed: type[BaseException]) -> Callable[..., Any]:
    """All bytes are staged, then the end."""
    move = pull.move

    def then_die(*args: Any) -> Any:
        list(move(*args))
        raise killed

    return then_die


def before(killed: type[BaseException]) -> Callable[..., Any]:
    def die(*args: Any, **kwargs: Any) -> Any:
        raise killed

    return die


def after(function: Callable[..., Any]) -> Callable[[type[BaseException]], Callable[..., Any]]:
    def make(killed: type[BaseException]) -> Callable[..., Any]:
        def do_and_die(*args: Any, **kwargs: Any) -> Any:
            function(*args, **kwargs)
            raise killed

        return do_and_die

    return make


STEPS: dict[str, tuple[Any, str, Callable[[type[BaseException]], Callable[..., Any]]]] = {
    "directories made": (pull, "move", before),
    "staged": (pull, "move", moved_but_not_told),
    "before flush": (landing, "flush_batch", before),
    "flushed": (landing, "flush_batch", after(landing.flush_batch)),
    "before read-back": (landing, "_is_good", before),
    "read back": (landing, "_is_good", after(landing._is_good)),
    "installed": (landing, "_install", after(landing._install)),
    "before directory flush": (Tree, "flush_parents", before),
    "directories flushed": (Tree, "flush_parents", after(Tree.flush_parents)),
    "before recording": (transfers, "finish", before),
    "recorded": (transfers, "finish", after(transfers.finish)),
    "before telling": (report, "succeeded", before),
}


@pytest.mark.parametrize("kind", ["A", "F"])
@pytest.mark.parametrize("step", STEPS)
def test_a_kill_leaves_no_lie_and_the_next_passes_end_right(
    site: Any,
    monkeypatch: pytest.MonkeyPatch,
    killed: type[BaseException],
    step: str,
    kind: str,
) -> None:
    chain = Chain(site, kind)
    where, name, make = STEPS[step]
    with monkeypatch.context() as patch:
        patch.setattr(where, name, make(killed))
        chain.a_pass(fails=True)
        assert all(isinstance(failure, killed) for failure in site.failures)
        assert site.failures, "the kill has happened"
    assert chain.lies() == []
    assert site.reserved() == 0
    for _ in range(3):
        chain.a_pass()
        assert chain.lies() == []
    chain.assert_all_is_well()
    tidy.tidy_job(None, chain.io, True)  # type: ignore[arg-type]
    left = sorted(path.name for path in Path(chain.io.node.root).iterdir())
    assert left == ["2025", "ALPENHORN_NODE", "other"]


@pytest.mark.parametrize("step", STEPS)
def test_a_kill_while_a_corrupt_copy_is_replaced_ends_right(
    site: Any, monkeypatch: pytest.MonkeyPatch, killed: type[BaseException], step: str
) -> None:
    chain = Chain(site, "A")
    for path in FILES:
        site.make.copy(path, chain.io.node, "X")
        site.write(chain.io, path, b"corrupt")
    where, name, make = STEPS[step]
    with monkeypatch.context() as patch:
        patch.setattr(where, name, make(killed))
        chain.a_pass(fails=True)
    assert chain.lies() == []
    for path in FILES:
        assert site.read(chain.io, path) in (b"corrupt", DATA[path]), "never something in between"
    chain.a_pass()
    chain.assert_all_is_well()


def test_a_kill_that_leaves_wrong_bytes_under_the_final_name_is_found_out(
    site: Any, monkeypatch: pytest.MonkeyPatch, killed: type[BaseException]
) -> None:
    """A power cut may lose the content of a file whose name survived."""
    chain = Chain(site, "A")
    with monkeypatch.context() as patch:
        patch.setattr(transfers, "finish", before(killed))
        chain.a_pass(fails=True)
    for path in FILES:
        Path(chain.io.node.root, path).write_bytes(b"")
    for _ in range(3):
        chain.a_pass()
        assert chain.lies() == []
    chain.assert_all_is_well()


def test_leftovers_in_the_staging_directory_are_never_taken_for_the_file(
    site: Any, monkeypatch: pytest.MonkeyPatch, killed: type[BaseException]
) -> None:
    chain = Chain(site, "A")
    with monkeypatch.context() as patch:
        patch.setattr(pull, "move", moved_but_not_told(killed))
        chain.a_pass(fails=True)
    staged = [p for p in Path(chain.io.node.root).glob(".alpenhorn-*/**/*") if p.is_file()]
    assert len(staged) == len(FILES)
    for path in staged:
        path.write_bytes(bytes(path.stat().st_size))
    chain.a_pass()
    chain.assert_all_is_well()


def test_a_killed_batch_ends_right_too(
    site: Any, monkeypatch: pytest.MonkeyPatch, killed: type[BaseException]
) -> None:
    """Half of a large batch is in place when the daemon dies."""
    chain = Chain(site, "A")
    for n in range(20):
        path = f"many/{n}"
        DATA[path] = b"%d" % n
        monkeypatch.setitem(DATA, path, DATA.pop(path))
        site.put(chain.source, path, DATA[path])
        site.make.request(path, chain.source.node, "dst")
    install = Tree.install

    def die_at_the_tenth(*args: Any) -> Iterator[Any]:
        for number, result in enumerate(install(*args)):
            if number == 9:
                raise killed
            yield result

    with monkeypatch.context() as patch:
        patch.setattr(Tree, "install", die_at_the_tenth)
        chain.a_pass(fails=True)
    assert site.make.states(chain.io.node) == {}
    for _ in range(3):
        chain.a_pass()
        assert chain.lies() == []
    assert set(site.make.states(chain.io.node).values()) == {"YY"}
    assert len(site.make.states(chain.io.node)) == 23
    onward = db.ArchiveFileCopyRequest.select().where(
        db.ArchiveFileCopyRequest.node_from == chain.io.node
    )
    assert onward.count() == 23
