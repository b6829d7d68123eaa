"""Work for a node that is busy: what is new is taken up, what is in hand not handed out again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from alpenhorn import db, events
from alpenhorn.daemon.jobs import checks, deletions, lookahead, pulls, requests
from alpenhorn.daemon.patience import Patience
from alpenhorn.daemon.routes import Routes
from alpenhorn.db.queries import pending
from alpenhorn.db.queries.evidence import DeletionEvidence
from alpenhorn.errors import FailureClass
from alpenhorn.extensions import IOClassExtension, loader
from alpenhorn.io.default import DefaultNodeIO
from alpenhorn.io.default.tree import Tree
from alpenhorn.scheduler import Task

MD5 = hashlib.md5(b"data").hexdigest()
LONG_S = 10_000.0
"""Longer than any pause after which something is tried again."""


def a_check(daemon: Any, n: int) -> None:
    daemon.make.file(f"acq/check{n}", md5sum=MD5)
    daemon.make.copy(f"acq/check{n}", db.StorageNode.get(name="node"), has="M")
    daemon.write(f"acq/check{n}")


def a_deletion(daemon: Any, n: int) -> None:
    for name in ("node", "arc1", "arc2"):
        wants = "N" if name == "node" else "Y"
        daemon.make.copy(f"acq/deletion{n}", db.StorageNode.get(name=name), wants=wants)
    daemon.write(f"acq/deletion{n}")


def a_pull(daemon: Any, n: int) -> None:
    source = db.StorageNode.get(name="source")
    daemon.make.file(f"acq/pull{n}", md5sum=MD5)
    daemon.make.copy(f"acq/pull{n}", source)
    daemon.write(f"acq/pull{n}", node="source")
    daemon.make.request(f"acq/pull{n}", source, "node")


def an_import(daemon: Any, n: int) -> None:
    daemon.ask(f"acq/import{n}")
    daemon.write(f"acq/import{n}")


def a_scan(daemon: Any, n: int) -> None:
    daemon.ask(f"scan{n}", recurse=True)
    daemon.write(f"scan{n}/acq/file")


WORKS = [a_check, a_deletion, a_pull, an_import, a_scan]


def tasks(daemon: Any) -> list[str]:
    return [name for name in daemon.tasks() if not name.startswith("Tidy up")]


@pytest.fixture
def busy(daemon: Any) -> Any:
    """A node that is never done, with a source and two archives."""
    daemon.node()
    daemon.node("source")
    for n in (1, 2):
        daemon.make.node(f"arc{n}", storage_type="A", host=f"host{n}", root="/far")
    daemon.settle()
    return daemon


@pytest.mark.parametrize("work", WORKS)
def test_what_comes_while_a_node_is_busy_does_not_wait(
    busy: Any, work: Callable[[Any, int], None]
) -> None:
    work(busy, 1)
    busy.tick()
    assert not (busy.live().idle and busy.loop.groups["node"].idle)
    work(busy, 2)
    busy.tick()
    first, second = tasks(busy)
    assert first != second
    assert 'Updating node "node".' in busy.said


@pytest.mark.parametrize("work", WORKS)
def test_what_is_in_hand_is_not_handed_out_again(
    busy: Any, clock: Any, work: Callable[[Any, int], None]
) -> None:
    work(busy, 1)
    busy.tick()
    for _ in range(3):
        clock.advance(LONG_S)
        busy.tick()
    assert len(tasks(busy)) == 1


@pytest.mark.parametrize("work", WORKS)
def test_what_was_thrown_away_is_handed_out_again(
    busy: Any, clock: Any, work: Callable[[Any, int], None]
) -> None:
    work(busy, 1)
    busy.tick()
    active = db.StorageNode.update(active=False).where(db.StorageNode.name == "node")
    active.execute()
    busy.tick()
    assert tasks(busy) == []
    db.StorageNode.update(active=True).where(db.StorageNode.name == "node").execute()
    clock.advance(LONG_S)
    busy.tick()
    assert len(tasks(busy)) == 1


def test_the_file_of_a_pull_is_asked_for_once_whoever_asks(busy: Any) -> None:
    a_pull(busy, 1)
    busy.tick()
    other = busy.node("other")
    busy.make.copy("acq/pull1", other)
    busy.make.request("acq/pull1", other, "node")
    db.StorageNode.update(active=False).where(db.StorageNode.name == "source").execute()
    busy.tick()
    assert tasks(busy) == ["Pre-pull search for acq/pull1 in node"]


def test_a_file_is_in_hand_from_the_search_to_the_end_of_its_pull(busy: Any, clock: Any) -> None:
    a_pull(busy, 1)
    busy.tick()
    busy.work(1)
    clock.advance(LONG_S)
    busy.tick()
    assert tasks(busy) == ["AFCR#1: source -> node"]
    busy.work()
    assert not busy.loop.groups["node"].in_hand(("pulls", 1))


def test_a_scan_is_not_made_again_while_its_imports_wait(busy: Any, clock: Any) -> None:
    a_scan(busy, 1)
    busy.tick()
    busy.work(1)
    clock.advance(LONG_S)
    busy.tick()
    assert tasks(busy) == ["Import scan1/acq/file on node"]


def test_a_deletion_that_runs_keeps_its_claim(busy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass ends the claims that a kill has left; those of tasks that run are not among them."""
    a_deletion(busy, 1)
    seen = []
    unlink = Tree.unlink

    def tick_and_unlink(tree: Tree, path: str) -> bool:
        db.ArchiveFileCopy.update(wants_file="Y").where(
            db.ArchiveFileCopy.node == busy.live().db
        ).execute()
        busy.tick()
        seen.append(DeletionEvidence.get().given_back)
        return unlink(tree, path)

    monkeypatch.setattr(Tree, "unlink", tick_and_unlink)
    busy.tick()
    busy.work(1)
    assert seen == [None]


@pytest.mark.parametrize(
    ("module", "work"),
    [(checks, a_check), (deletions, a_deletion), (pulls, a_pull), (requests, an_import)],
)
def test_what_is_in_hand_is_bounded(
    busy: Any, monkeypatch: pytest.MonkeyPatch, module: Any, work: Callable[[Any, int], None]
) -> None:
    monkeypatch.setattr(lookahead, "LOOKAHEAD", 2)
    monkeypatch.setattr(module, "LOOKAHEAD", 2)
    for n in range(9):
        work(busy, n)
    for _ in range(4):
        busy.tick()
    # Deletions share a task.
    assert sum(len(busy.queue.in_hand.of(kind)) for kind in busy.queue.in_hand._counts) <= 4 + 1
    assert 0 < len(tasks(busy)) <= 4


def test_a_huge_file_that_is_on_its_way_holds_up_nothing(
    busy: Any, settings: dict[str, Any]
) -> None:
    """Weakness 19 of the public program."""
    settings |= {"num_workers": 1, "batch_bytes": 1}
    a_pull(busy, 1)
    busy.tick()
    a_pull(busy, 2)
    busy.tick()
    assert len(tasks(busy)) == 1, "it waits for a worker, and is more than two batches"
    busy.work(1)
    task, _ = busy.queue.get(timeout=0)
    assert str(task) == "AFCR#1: source -> node"
    busy.tick()
    assert tasks(busy) == ["Pre-pull search for acq/pull2 in node"]


def test_what_is_in_hand_counts_by_its_bytes(busy: Any, settings: dict[str, Any]) -> None:
    settings |= {"num_workers": 1, "batch_bytes": 10}
    for n in range(30):
        a_pull(busy, n)
    busy.tick()
    busy.tick()
    assert len(tasks(busy)) == 5, "5 × 4 bytes are two batches of 10"


def test_a_route_on_trial_gets_no_second_request_while_the_first_is_in_hand(
    busy: Any, clock: Any
) -> None:
    for n in range(3):
        a_pull(busy, n)
    source, group = db.StorageNode.get(name="source").id, db.StorageGroup.get(name="node").id
    busy.loop.routes.close()
    busy.loop.routes = Routes(Patience(first=5, longest=60, clock=clock, jitter=0))
    events.emit(events.TransferEnded(1, source, group, "source", "node", 4, FailureClass.ROUTE))
    clock.advance(6)
    for _ in range(3):
        busy.tick()
    assert tasks(busy) == ["Pre-pull search for acq/pull0 in node"]
    busy.work()
    busy.tick()
    assert len(tasks(busy)) == 2


def test_a_class_that_makes_tasks_of_its_own_is_left_alone_while_it_is_busy(
    busy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows what its tasks work on: it would get the same again."""

    class Own(DefaultNodeIO):
        def check(self, copy: db.ArchiveFileCopy) -> None:
            Task(lambda task: None, queue=self._queue, key=self.fifo, name=f"Own {copy.id}")

    extension = IOClassExtension("Own", "1.0", io_class_name="Own", node_class=Own)
    extension.full_name = "tests.Own"
    loader.init_extensions([extension], stage=2)
    db.StorageNode.update(io_class="Own").where(db.StorageNode.name == "node").execute()
    busy.settle()
    a_check(busy, 1)
    busy.tick()
    a_check(busy, 2)
    busy.forget()
    busy.tick()
    assert len(tasks(busy)) == 1
    assert 'Skipping update of node "node": busy.' in busy.said
    assert 'Skipping update of group "node": busy.' in busy.said
    busy.settle_once()
    busy.tick()
    assert tasks(busy) == ["Own 2"]


def test_while_a_group_is_busy_its_backlog_is_looked_through_now_and_then(
    busy: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look costs as much as there are pending requests; new ones are taken up at once."""
    count = pending.blocked

    def slow(group: Any) -> Any:
        clock.advance(2)
        return count(group)

    monkeypatch.setattr(pending, "blocked", slow)
    a_pull(busy, 1)
    busy.tick()
    busy.make.copy("acq/pull2", db.StorageNode.get(name="source"))
    busy.make.copy("acq/pull2", db.StorageNode.get(name="node"))
    over = busy.make.request("acq/pull2", db.StorageNode.get(name="source"), "node")
    a_pull(busy, 3)
    busy.tick()
    assert len(tasks(busy)) == 2
    assert not type(over).get_by_id(over.id).cancelled
    clock.advance(20)
    busy.tick()
    assert type(over).get_by_id(over.id).cancelled
