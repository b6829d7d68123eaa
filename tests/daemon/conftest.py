"""A daemon that is ticked by hand: real queue, real index, real files, no threads, a fake clock."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from alpenhorn import db, events
from alpenhorn.common import config
from alpenhorn.common.obstacles import Obstacles
from alpenhorn.daemon import group as group_module
from alpenhorn.daemon import node as node_module
from alpenhorn.daemon import watch
from alpenhorn.daemon.loop import Loop
from alpenhorn.daemon.node import UpdateableNode
from alpenhorn.daemon.pace import Pace
from alpenhorn.daemon.patience import Patience
from alpenhorn.daemon.standstill import Standstill
from alpenhorn.db import connection
from alpenhorn.extensions import failures, loader
from alpenhorn.scheduler import EmptyPool, FairMultiFIFOQueue, global_abort
from alpenhorn.scheduler.runner import run_one
from daemon import detectors

HOST = "here"


class Clock:
    """A clock that stands still until told otherwise."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def clean_process(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No state of one test is seen by the next."""
    caplog.set_level(logging.DEBUG, logger="alpenhorn")
    global_abort.clear()
    loader.reset()
    failures.reset()
    yield
    watch.stop_all()
    global_abort.clear()
    loader.reset()
    failures.reset()


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The section ``daemon`` of the configuration; change it to configure the test."""
    daemon: dict[str, Any] = {}
    monkeypatch.setattr(config, "_config", {"base": {"hostname": HOST}, "daemon": daemon})
    return daemon


class Daemon:
    """A loop with its queue, and the files below its nodes."""

    def __init__(self, make: Any, tmp_path: Path, clock: Clock, log: Any) -> None:
        self.make = make
        self.path = tmp_path
        self.clock = clock
        self.queue = FairMultiFIFOQueue(clock=clock)
        self.loop = Loop(HOST, self.queue, EmptyPool(), clock)
        self._log = log

    # the world

    def root(self, node: str) -> Path:
        return self.path / node

    def node(self, name: str = "node", *, initialised: bool = True, **values: Any) -> Any:
        """Make a node row, and its directory."""
        values.setdefault("host", HOST)
        row = self.make.node(name, root=str(self.root(name)), **values)
        self.root(name).mkdir()
        if initialised:
            (self.root(name) / "ALPENHORN_NODE").write_text(f"{name}\n")
        return row

    def write(self, path: str, data: bytes = b"data", node: str = "node") -> Path:
        target = self.root(node) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        return target

    def ask(self, path: str, node: Any = None, register: bool = True, recurse: bool = False) -> Any:
        """Make an import request."""
        row = node or db.StorageNode.get(name="node")
        return db.ArchiveFileImportRequest.create(
            node=row, path=path, register=register, recurse=recurse
        )

    # time

    def tick(self) -> None:
        """Make one pass, without running tasks."""
        self.loop.tick()

    def work(self, tasks: float = float("inf")) -> int:
        """Run queued tasks and due deferred ones; all, or so many. Returns how many it ran."""
        count = 0
        while count < tasks and run_one(self.queue, timeout=0):
            count += 1
        return count

    def settle_once(self) -> None:
        """Make one pass, and do what it has found."""
        self.tick()
        self.work()

    def settle(self) -> None:
        """Make passes until nothing is queued."""
        for _ in range(10):
            self.tick()
            if not self.queue.qsize:
                return
            self.work()
        raise AssertionError("the daemon does not come to rest")

    def live(self, name: str = "node") -> UpdateableNode:
        return self.loop.nodes[name]

    # what came of it

    @property
    def said(self) -> list[str]:
        """All lines so far, DEBUG left out."""
        return [r.getMessage() for r in self._log.records if r.levelno > logging.DEBUG]

    def lines(self, part: str) -> list[str]:
        return [line for line in self.said if part in line]

    def level_of(self, text: str) -> str:
        return next(r.levelname for r in self._log.records if r.getMessage() == text)

    def forget(self) -> None:
        """Forget what was said so far."""
        self._log.clear()

    def done(self, request: Any) -> bool:
        return bool(type(request).get_by_id(request.id).completed)

    def tasks(self) -> list[str]:
        """Names of the queued tasks."""
        with self.queue._lock:
            return [str(item) for f in self.queue._fifos.values() for item, _ in f.items]


@pytest.fixture
def daemon(
    make: Any,
    settings: dict[str, Any],
    tmp_path: Path,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Daemon]:
    for module in (node_module, group_module):
        monkeypatch.setattr(module, "Patience", partial(Patience, clock=clock, jitter=0))
        monkeypatch.setattr(module, "Obstacles", lambda log: Obstacles(log, clock))
    monkeypatch.setattr(group_module, "Standstill", partial(Standstill, clock))
    for module in (node_module, group_module):
        monkeypatch.setattr(module, "Pace", partial(Pace, clock))
    detectors.use()
    made = Daemon(make, tmp_path, clock, caplog)
    yield made
    made.loop.close()


@pytest.fixture
def ended() -> Iterator[list[events.RequestEnded]]:
    """The ends of requests, as metrics hear of them."""
    heard: list[events.RequestEnded] = []
    stop = events.subscribe(events.RequestEnded, heard.append)
    yield heard
    stop()


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """``with statements() as seen:`` collects the SQL statements that run against the index."""

    @contextmanager
    def collect() -> Iterator[list[str]]:
        database, seen = connection.database_proxy.obj, []
        run = database.execute_sql

        def execute_sql(sql: str, *args: Any) -> Any:
            seen.append(sql)
            return run(sql, *args)

        with monkeypatch.context() as patch:
            patch.setattr(database, "execute_sql", execute_sql)
            yield seen

    return collect
