"""A medium that hangs costs its own node, and nobody else."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from alpenhorn import db
from alpenhorn.daemon import hanging
from alpenhorn.scheduler import FairMultiFIFOQueue, Task, WorkerPool

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
