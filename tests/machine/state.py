"""What can be seen of a world between two steps: the index, read as it is, and the disks."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

Spot = tuple[str, str]
"""A path, and the name of the node on which it may lie."""


class Copy(NamedTuple):
    """A row of archivefilecopy."""

    id: int
    has: str
    wants: str
    ready: bool

    @property
    def letters(self) -> str:
        return self.has + self.wants


class File(NamedTuple):
    """What a row of archivefile says of the bytes."""

    size_b: int | None
    md5: str | None

    def is_of(self, data: bytes | None) -> bool:
        """Are these the bytes?"""
        if data is None:
            return False
        return self.size_b == len(data) and self.md5 == hashlib.md5(data).hexdigest()


class Request(NamedTuple):
    """A row of archivefilecopyrequest."""

    path: str
    source: str
    group: str
    completed: bool
    cancelled: bool
    began: str | None
    ended: str | None

    @property
    def pending(self) -> bool:
        return not (self.completed or self.cancelled)


class Node(NamedTuple):
    """What counts of a row of storagenode."""

    host: str
    group: str
    kind: str
    active: bool
    avail: float | None
    least: float


class Edge(NamedTuple):
    """A row of storagetransferaction."""

    source: str
    group: str
    sync: bool
    clean: bool


@dataclass(frozen=True)
class Index:
    """The rows."""

    files: dict[str, File]
    copies: dict[Spot, Copy]
    requests: dict[int, Request]
    imports: dict[int, tuple[str, bool]]
    claims: dict[int, Spot]
    """Open claims."""
    nodes: dict[str, Node]
    edges: tuple[Edge, ...]

    def claimed(self) -> set[Spot]:
        """Return the copies that somebody is deleting, or was when it was killed."""
        return set(self.claims.values())


_PATH = "(SELECT a.name || '/' || f.name FROM archivefile f JOIN archiveacq a ON a.id = f.acq_id"
_PATH += " WHERE f.id = {}.file_id)"
_NODE = "(SELECT name FROM storagenode WHERE id = {})"
_GROUP = "(SELECT name FROM storagegroup WHERE id = {})"

_COPIES = f"""SELECT {_PATH.format("c")}, {_NODE.format("c.node_id")},
    c.id, c.has_file, c.wants_file, c.ready FROM archivefilecopy c"""
_FILES = """SELECT a.name || '/' || f.name, f.size_b, f.md5sum
    FROM archivefile f JOIN archiveacq a ON a.id = f.acq_id"""
_REQUESTS = f"""SELECT r.id, {_PATH.format("r")}, {_NODE.format("r.node_from_id")},
    {_GROUP.format("r.group_to_id")}, r.completed, r.cancelled, r.transfer_started,
    r.transfer_completed FROM archivefilecopyrequest r"""
_IMPORTS = f"""SELECT i.id, {_NODE.format("i.node_id")}, i.completed
    FROM archivefileimportrequest i"""
_CLAIMS = f"""SELECT d.id, {_PATH.format("d")}, {_NODE.format("d.node_id")}
    FROM alpenhorn_deletion d
    WHERE d.removed IS NULL AND d.given_back IS NULL"""
_NODES = f"""SELECT n.name, n.host, {_GROUP.format("n.group_id")}, n.storage_type, n.active,
    n.avail_gb, n.min_avail_gb FROM storagenode n"""
_EDGES = f"""SELECT {_NODE.format("e.node_from_id")}, {_GROUP.format("e.group_to_id")},
    e.autosync, e.autoclean FROM storagetransferaction e"""


def read(connection: sqlite3.Connection) -> Index:
    """Read the index at one moment."""

    def rows(sql: str) -> Iterator[tuple[object, ...]]:
        return connection.execute(sql)

    connection.execute("BEGIN")
    try:
        return Index(
            {path: File(*rest) for path, *rest in rows(_FILES)},
            {(path, node): Copy(*rest) for path, node, *rest in rows(_COPIES)},
            {number: Request(*rest) for number, *rest in rows(_REQUESTS)},
            {number: (node, done) for number, node, done in rows(_IMPORTS)},
            {number: (path, node) for number, path, node in rows(_CLAIMS)},
            {name: Node(*rest) for name, *rest in rows(_NODES)},
            tuple(Edge(*rest) for rest in rows(_EDGES)),
        )
    finally:
        connection.execute("COMMIT")
