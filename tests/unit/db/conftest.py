"""Fixtures of the db room: several actors at once, a count of statements, other processes."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from alpenhorn import db, events
from alpenhorn.db import connection
from alpenhorn.db.queries import deletion

PATIENCE_S = 60
"""How long a test waits for threads and processes before it fails."""


@pytest.fixture
def together(index: Any) -> Callable[..., list[Any]]:
    """Run functions in threads of their own that start at the same moment; return the results."""

    def run(*actors: Callable[[], Any]) -> list[Any]:
        barrier = threading.Barrier(len(actors), timeout=PATIENCE_S)

        def act(actor: Callable[[], Any]) -> Any:
            index.connect(reuse_if_open=True)
            try:
                barrier.wait()
                return actor()
            finally:
                index.close()

        with ThreadPoolExecutor(len(actors)) as pool:
            return [f.result(PATIENCE_S) for f in [pool.submit(act, actor) for actor in actors]]

    return run


class Statements(list[str]):
    """The SQL statements that ran, without those that begin and end transactions."""

    @property
    def writes(self) -> list[str]:
        """Those that are no questions."""
        return [sql for sql in self if not sql.startswith(("SELECT", "PRAGMA"))]


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """``with statements() as seen:`` collects what runs against the index."""

    @contextmanager
    def collect() -> Iterator[Statements]:
        database, seen = connection.database_proxy.obj, Statements()
        run = database.execute_sql

        def execute_sql(sql: str, *args: Any) -> Any:
            if not sql.startswith(("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")):
                seen.append(sql)
            return run(sql, *args)

        with monkeypatch.context() as patch:
            patch.setattr(database, "execute_sql", execute_sql)
            yield seen

    return collect


_PRELUDE = """
import os, sys
from alpenhorn import db
from alpenhorn.db import connection, engines, schema
from alpenhorn.db.queries import autoactions, checks, deletion, imports, transfers
connection.bind(engines.make({"url": sys.argv[1]}))

def wait_for_start():
    print("ready", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def process(database_url: str) -> Callable[[str], subprocess.Popen[str]]:
    """Start another program that works on the same index; it gets its code as text.

    The code may call `wait_for_start()`: it then goes on after it got a line.
    """
    started = []

    def start(code: str) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, "-c", _PRELUDE + textwrap.dedent(code), database_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(child)
        return child

    yield start  # type: ignore[misc]
    for child in started:
        child.kill()
        child.communicate()


@pytest.fixture
def heard() -> Iterator[list[Any]]:
    """The events that the room emitted."""
    seen: list[Any] = []
    ends = [
        events.subscribe(kind, seen.append) for kind in (events.RequestEnded, events.TransferEnded)
    ]
    yield seen
    for end in ends:
        end()


@pytest.fixture
def archives(make: Any) -> list[db.StorageNode]:
    """Four archive nodes, each in a group and on a host of its own."""
    return [make.node(f"arc{n}", storage_type="A", host=f"host{n}") for n in range(4)]


@pytest.fixture
def reread() -> Callable[[Any], Any]:
    """Read a record again."""
    return lambda row: type(row).get_by_id(row.id)


@pytest.fixture
def source(make: Any) -> db.StorageNode:
    """A node to copy from."""
    return make.node("source")


@pytest.fixture
def dest(make: Any) -> db.StorageNode:
    """A node to copy to, of the group ``target``."""
    return make.node("dest", group="target")


@pytest.fixture
def claimed(make: Any, archives: Any) -> Callable[[str, db.StorageNode], db.ArchiveFileCopy]:
    """Make a copy that a daemon is deleting: archive copies protect the file."""

    def claim(path: str, node: db.StorageNode) -> db.ArchiveFileCopy:
        for archive in archives[:2]:
            make.copy(path, archive)
        copy = make.copy(path, node, "Y", "N")
        assert deletion.claim(node.id, [copy.id], {}).taken
        return db.ArchiveFileCopy.get_by_id(copy.id)

    return claim


@pytest.fixture
def edge(index: Any) -> Callable[..., db.StorageTransferAction]:
    """Make an edge from a node to a group."""

    def make(node: db.StorageNode, group: db.StorageGroup, **flags: bool) -> Any:
        return db.StorageTransferAction.create(node_from=node, group_to=group, **flags)

    return make
