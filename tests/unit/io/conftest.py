"""A host named "here" with real directories as nodes, and a queue that the test runs by hand."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from alpenhorn import db, events
from alpenhorn.common import config
from alpenhorn.common.obstacles import Obstacles
from alpenhorn.db import connection
from alpenhorn.io.default import DefaultGroupIO, DefaultNodeIO, space
from alpenhorn.io.default.jobs import pull, report
from alpenhorn.scheduler import FairMultiFIFOQueue, Task, TaskRunner, run_one


class Killed(BaseException):
    """Stands for kill -9 at a certain line: no handler of ours may catch it."""


@pytest.fixture
def killed() -> type[Killed]:
    return Killed


@pytest.fixture(autouse=True)
def clean_process(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """What lives as long as a daemon process begins afresh: news, reservations, configuration."""
    caplog.set_level(logging.DEBUG, logger="alpenhorn")
    for module in (pull, report):
        monkeypatch.setattr(module, "_obstacles", Obstacles(module.log))
    space._reserved.clear()
    configure(monkeypatch)


def configure(monkeypatch: pytest.MonkeyPatch, **daemon: object) -> None:
    monkeypatch.setattr(config, "_config", {"base": {"hostname": "here"}, "daemon": daemon})


@dataclass
class Lines:
    """The log of the test."""

    caplog: pytest.LogCaptureFixture

    def __call__(self, *levels: str) -> list[str]:
        """The texts of one or several levels; all without a level."""
        return [
            record.getMessage()
            for record in self.caplog.records
            if record.name.startswith("alpenhorn.io") and (not levels or record.levelname in levels)
        ]

    def clear(self) -> None:
        self.caplog.clear()


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    return Lines(caplog)


class Site:
    """Makes nodes that are directories, files with their rows, and runs what was queued."""

    def __init__(self, tmp: Path, make: Any) -> None:
        self.tmp = tmp
        self.make = make
        self.queue = FairMultiFIFOQueue()
        self.failures: list[BaseException] = []

    def node(
        self,
        name: str,
        group: str | None = None,
        cls: type[DefaultNodeIO] = DefaultNodeIO,
        **values: Any,
    ) -> DefaultNodeIO:
        """Make an initialised node below the test's directory."""
        root = self.tmp / name
        root.mkdir(exist_ok=True)
        values.setdefault("root", str(root))
        row = self.make.node(name, group, **values)
        (root / "ALPENHORN_NODE").write_text(f"{name}\n")
        return cls(row, {}, self.queue, name)

    def group(self, *nodes: DefaultNodeIO, cls: type[DefaultGroupIO] = DefaultGroupIO) -> Any:
        """Make the I/O of the group of these nodes, and give it the nodes."""
        group = cls(nodes[0].node.group, {}, self.queue, f"group {nodes[0].node.group.name}")
        group.nodes = [SimpleNamespace(name=io.node.name, db=io.node, io=io) for io in nodes]
        return group

    def file(self, path: str, data: bytes = b"data") -> db.ArchiveFile:
        """Register a file with its true length and MD5."""
        md5 = hashlib.md5(data).hexdigest()
        file: db.ArchiveFile = self.make.file(path, len(data), md5)
        return file

    def put(
        self,
        io: DefaultNodeIO,
        path: str,
        data: bytes = b"data",
        has: str = "Y",
        wants: str = "Y",
        really: bytes | None = None,
        **values: Any,
    ) -> db.ArchiveFileCopy:
        """Register a file with a copy, and write its bytes (or `really` instead) to the medium."""
        self.file(path, data)
        self.write(io, path, data if really is None else really)
        values.setdefault("ready", True)
        copy: db.ArchiveFileCopy = self.make.copy(path, io.node, has, wants, **values)
        return copy

    def write(self, io: DefaultNodeIO, path: str, data: bytes) -> Path:
        place = Path(io.node.root or "", path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return place

    def read(self, io: DefaultNodeIO, path: str) -> bytes | None:
        place = Path(io.node.root or "", path)
        return place.read_bytes() if place.is_file() else None

    def protect(self, path: str, *archives: DefaultNodeIO) -> None:
        """Record good copies on archive nodes."""
        for io in archives:
            self.make.copy(path, io.node)

    def archives(self, count: int = 2) -> list[DefaultNodeIO]:
        """Make archive nodes, each on a host of its own."""
        return [self.node(f"arc{n}", storage_type="A", host=f"far{n}") for n in range(count)]

    def state(self, io: DefaultNodeIO, path: str) -> str | None:
        """The two letters of a copy; None without a row."""
        return self.make.states(io.node).get(path)

    def row(self, io: DefaultNodeIO, path: str) -> Any:
        """The copy as it is in the index now."""
        return db.ArchiveFileCopy.get(node=io.node, file=self.make.file(path))

    def run(self, fails: bool = False) -> int:
        """Run all tasks; returns how many there were. A task that fails breaks the test."""
        self.failures = []

        def note(task: Task, failure: BaseException | None) -> None:
            self.failures.extend([failure] if failure else [])

        runner = TaskRunner(on_finish=note)
        count = 0
        while run_one(self.queue, runner, timeout=0):
            count += 1
        if not fails and self.failures:
            raise self.failures[0]
        return count

    def reserved(self) -> int:
        """Bytes that are reserved on all file systems together."""
        return sum(space._reserved.values())


@pytest.fixture
def site(tmp_path: Path, make: Any) -> Site:
    return Site(tmp_path, make)


@pytest.fixture
def daemon_config(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set keys below ``daemon``."""
    return lambda **values: configure(monkeypatch, **values)


@pytest.fixture
def statements(index: Any, index_path: Path) -> Callable[..., Any]:
    """``with statements() as seen:`` collects the SQL, transactions' ends included; SQLite only."""

    @contextmanager
    def collect() -> Iterator[list[str]]:
        seen: list[str] = []
        driver = connection.database_proxy.connection()
        driver.set_trace_callback(seen.append)
        try:
            yield seen
        finally:
            driver.set_trace_callback(None)

    return collect


@pytest.fixture
def heard() -> Iterator[list[Any]]:
    """The events of transfers, requests, checks and deletions."""
    seen: list[Any] = []
    kinds = (
        events.RequestEnded,
        events.TransferEnded,
        events.PullRunning,
        events.CheckBegun,
        events.FileDeleted,
    )
    ends = [events.subscribe(kind, seen.append) for kind in kinds]
    yield seen
    for end in ends:
        end()
