"""A medium that hangs costs its own node, and nobody else."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alpenhorn import db
from alpenhorn.daemon import hanging
from alpenhorn.extensions import loader, stuck
from alpenhorn.scheduler import FairMultiFIFOQueue, Task, WorkerPool
from daemon import detectors

PATIENCE_S = 30.0
"""Reached only if a promise is broken."""


@pytest.fixture(autouse=True)
def short_limit(settings: dict[str, Any]) -> None:
    settings["medium_timeout"] = 0.05
    hanging._stuck.clear()


def make_hang(root: Path) -> Path:
    """Make a medium whose node file is a FIFO: who opens it waits, as on a dead mount."""
    fifo = root / "ALPENHORN_NODE"
    fifo.unlink()
    os.mkfifo(fifo)
    return fifo


def answer(fifo: Path, name: str) -> None:
    """Let who waits go on, and wait until he has."""
    stuck = list(hanging._stuck.values())
    fifo.write_text(f"{name}\n")
    for question in stuck:
        question.result(PATIENCE_S)


@pytest.fixture
def fifo(daemon: Any, make: Any) -> Any:
    """Two nodes with a suspect copy each; the medium of ``node`` hangs."""
    for name in ("node", "other"):
        row = daemon.node(name)
        make.copy("acq/file", row, has="M")
    daemon.tick()
    assert set(daemon.loop.nodes) == {"node", "other"}
    daemon.loop.nodes["node"].stop()
    return make_hang(daemon.root("node"))


def test_a_hanging_medium_is_not_available_and_nothing_is_concluded(
    daemon: Any, make: Any, fifo: Path
) -> None:
    """The pass goes on with the other node; the hanging one keeps its rows as they are."""
    daemon.tick()
    daemon.work()
    assert set(daemon.loop.nodes) == {"other"}
    assert make.states(db.StorageNode.get(name="node")) == {"acq/file": "MY"}
    assert make.states(db.StorageNode.get(name="other")) == {"acq/file": "NY"}
    [line] = daemon.lines("hangs")
    assert line.startswith('Node "node" is not available: its medium hangs, ')
    answer(fifo, "node")


def test_a_hanging_medium_is_asked_once_and_said_once(daemon: Any, fifo: Path) -> None:
    """Not one more thread in each pass."""
    for _ in range(3):
        daemon.tick()
    assert len(daemon.lines("hangs")) == 1
    [question] = hanging._stuck.values()
    daemon.tick()
    assert list(hanging._stuck.values()) == [question]
    answer(fifo, "node")


def test_a_medium_that_answers_again_is_used_again(daemon: Any, fifo: Path) -> None:
    daemon.tick()
    answer(fifo, "node")
    fifo.unlink()
    fifo.write_text("node\n")
    daemon.tick()
    assert set(daemon.loop.nodes) == {"node", "other"}


def test_free_space_that_hangs_costs_its_node_the_pass_only(
    daemon: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.node("node")
    daemon.node("other")
    daemon.tick()
    daemon.work()
    go_on = threading.Event()
    monkeypatch.setattr(
        daemon.live("node").io, "bytes_avail", lambda fast=False: go_on.wait(PATIENCE_S) and None
    )
    daemon.forget()
    daemon.tick()
    assert 'Updating node "other".' in daemon.said
    assert 'Updating node "node".' not in daemon.said
    assert len(daemon.lines("hangs")) == 1
    go_on.set()


def test_a_worker_that_hangs_is_replaced(daemon: Any) -> None:
    """The work of others is done though the only worker hangs in the kernel."""
    daemon.node("node")
    daemon.tick()
    daemon.work()
    queue = FairMultiFIFOQueue()
    pool = WorkerPool(1, queue)
    daemon.loop.pool = pool
    began, done = threading.Event(), threading.Event()
    fifo = make_hang(daemon.root("node"))

    def stuck(task: Task) -> None:
        began.set()
        with fifo.open():
            pass

    try:
        Task(stuck, queue=queue, key=daemon.live("node").io.fifo, name="stuck")
        assert began.wait(PATIENCE_S)
        daemon.tick()
        Task(lambda task: done.set(), queue=queue, key="another", name="of another node")
        assert done.wait(PATIENCE_S)
        assert daemon.lines("Worker #1 hangs: started worker #2 instead.")
        assert len(pool) == 1
    finally:
        fifo.write_text("node\n")  # opens for both who wait
        assert pool.shutdown(PATIENCE_S)


# what third parties' classes and extensions do


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """Not set before the end of the test: who waits for it hangs."""
    event = threading.Event()
    yield event
    event.set()


@pytest.mark.parametrize("hook", ["before_update", "idle_update", "after_update"])
@pytest.mark.parametrize("how", ["hangs", "exits", "raises"])
def test_a_hook_of_a_storage_class_costs_its_own_node_only(
    daemon: Any, monkeypatch: pytest.MonkeyPatch, never: threading.Event, hook: str, how: str
) -> None:
    for name in ("bad", "good"):
        daemon.node(name)
    daemon.settle()
    io = daemon.live("bad").io

    def bad(*args: Any) -> None:
        if how == "hangs":
            never.wait(PATIENCE_S)
        elif how == "exits":
            sys.exit("I have had enough")
        raise ValueError("nonsense")

    monkeypatch.setattr(io, hook, bad)
    for _ in range(3):
        daemon.forget()
        daemon.tick()
        assert 'Updating node "good".' in daemon.said
    told = {"hangs": "does not return", "exits": "called sys.exit", "raises": "Error with node bad"}
    assert not daemon.lines(told[how]), "said at the first pass only"


def test_space_that_cannot_be_reserved_holds_up_its_group_only(
    daemon: Any, make: Any, monkeypatch: pytest.MonkeyPatch, never: threading.Event
) -> None:
    """The medium hangs between the look at it and the reservation for a pull."""
    source = daemon.node("source")
    daemon.write("acq/file", node="source")
    for name in ("bad", "good"):
        daemon.node(name)
    make.copy("acq/file", source, has="Y")
    daemon.tick()
    daemon.work()
    for name in ("bad", "good"):
        make.request("acq/file", source, name)
        daemon.loop.groups[name].io.do_pull_search = False
    monkeypatch.setattr(
        daemon.live("bad").io, "reserve_bytes", lambda *args, **kw: never.wait(PATIENCE_S)
    )
    daemon.forget()
    for _ in range(3):
        daemon.tick()
        daemon.work()
    assert make.states(db.StorageNode.get(name="good")) == {"acq/file": "YY"}
    assert make.states(db.StorageNode.get(name="bad")) == {}
    assert len(daemon.lines("pull_many of group bad does not return")) == 1


def test_an_extension_that_never_returns_costs_one_worker(
    daemon: Any,
    settings: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    never: threading.Event,
) -> None:
    """The only worker hangs in it: another one takes over, and the extension rests."""
    settings["medium_timeout"] = PATIENCE_S
    began = threading.Event()

    def hang(*args: Any) -> tuple[None, None]:
        began.set()
        never.wait(PATIENCE_S)
        return None, None

    detectors.use(hang)
    daemon.node("node")
    daemon.node("other")
    daemon.settle()
    daemon.write("acq/file")
    daemon.ask("acq/file")
    pool = WorkerPool(1, daemon.queue, on_thread_end=db.close)
    daemon.loop.pool = pool
    try:
        daemon.tick()
        assert began.wait(PATIENCE_S)
        monkeypatch.setattr(stuck, "STUCK_S", 0.0)
        daemon.tick()
        done = threading.Event()
        Task(lambda task: done.set(), queue=daemon.queue, key="another", name="other work")
        assert done.wait(PATIENCE_S)
        assert len(daemon.lines("detect hangs for acq/file.")) == 1
        with (
            pytest.raises(stuck.ExtensionHangs),
            stuck.on_record("detect", loaded(), "acq/b", None),
        ):
            pass
    finally:
        never.set()
        assert pool.shutdown(PATIENCE_S)


def loaded() -> Any:
    [extension] = loader.import_detection()
    return extension


@pytest.mark.parametrize("atomic", [False, True])
@pytest.mark.parametrize("what", ["detect", "callback"])
def test_an_extension_that_calls_exit_costs_its_own_file_only(
    daemon: Any, what: str, atomic: bool
) -> None:
    def leave(path: Any, *args: Any) -> Any:
        name = getattr(path, "name", None) or path.file.name
        if name == "bad":
            sys.exit("goodbye")
        return path.parts[0], None

    def leave_later(copy: Any, *args: Any) -> None:
        if copy.file.name == "bad":
            sys.exit("goodbye")

    detectors.use(leave if what == "detect" else detectors.calling(leave_later), atomic)
    row = daemon.node("node")
    daemon.settle()
    for name in ["bad", *map(str, range(20))]:
        daemon.write(f"acq/{name}")
    daemon.ask("acq", recurse=True)
    daemon.tick()
    daemon.work()
    states = daemon.make.states(row)
    kept = what == "callback" and not atomic  # it was imported before it was called
    assert len(states) == 20 + kept
    assert daemon.lines("SystemExit: goodbye")
