"""What is on record about one file: the rows, oldest first; each function is one statement.

Where our own tables are missing, only what version 2 keeps is there.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import peewee as pw

from alpenhorn.db.acquisition import ArchiveFile
from alpenhorn.db.archive import ArchiveFileCopy, ArchiveFileCopyRequest
from alpenhorn.db.operations import DeletionEvidence, Release, TransferAttempt, Verification
from alpenhorn.db.queries import doorbell
from alpenhorn.db.queries.common import tuples
from alpenhorn.db.storage import StorageGroup, StorageNode


@dataclass(frozen=True)
class Attempt:
    """One try of a transfer."""

    ended: datetime
    node_from: str
    group_to: str
    failure: str | None
    message: str
    seconds: float | None


@dataclass(frozen=True)
class Wish:
    """Somebody changed what is wanted of a copy."""

    at: datetime
    node: str
    wants_file: str
    by: str


@dataclass(frozen=True)
class Deletion:
    """A claim to delete a copy, with its evidence, and how it ended."""

    claimed: datetime
    node: str
    protected_by: str
    """JSON, as kept."""
    released: datetime | None
    released_by: str | None
    removed: datetime | None
    given_back: datetime | None


@dataclass(frozen=True)
class Place:
    """A copy as it is now."""

    node: str
    has_file: str
    wants_file: str
    ready: bool
    size_b: int | None
    last_update: datetime
    added: datetime | None
    added_by: str | None
    verified: datetime | None
    failed: datetime | None


def attempts(file: ArchiveFile) -> list[Attempt]:
    """Return all tries of transfers of a file."""
    if not doorbell.available():
        return []
    request, attempt = ArchiveFileCopyRequest, TransferAttempt
    query = (
        attempt.select(
            attempt.ended,
            StorageNode.name,
            StorageGroup.name,
            attempt.failure,
            attempt.message,
            attempt.seconds,
        )
        .join(request, on=(attempt.request_id == request.id))
        .join(StorageNode, on=(request.node_from == StorageNode.id))
        .switch(request)
        .join(StorageGroup, on=(request.group_to == StorageGroup.id))
        .where(request.file == file)
    )
    return [Attempt(*row) for row in tuples(query.order_by(_id(attempt)))]


def wishes(file: ArchiveFile) -> list[Wish]:
    """Return who released copies of a file, or wanted them back."""
    if not doorbell.available():
        return []
    query = Release.select(Release.at, _node_name(), Release.wants_file, Release.by)
    query = _of_nodes(query, Release).where(Release.file_id == file.id)
    return [Wish(*row) for row in tuples(query.order_by(_id(Release)))]


def deletions(file: ArchiveFile) -> list[Deletion]:
    """Return the claims to delete copies of a file."""
    if not doorbell.available():
        return []
    row = DeletionEvidence
    query = row.select(
        row.claimed,
        _node_name(),
        row.protected_by,
        row.released,
        row.released_by,
        row.removed,
        row.given_back,
    )
    query = _of_nodes(query, row).where(row.file_id == file.id)
    return [Deletion(*values) for values in tuples(query.order_by(_id(row)))]


def places(file: ArchiveFile) -> list[Place]:
    """Return the copies of a file as they are now, by id."""
    copy, row = ArchiveFileCopy, Verification
    kept: list[Any] = [row.added, row.added_by, row.verified, row.failed]
    query: Any = copy.select(
        StorageNode.name,
        copy.has_file,
        copy.wants_file,
        copy.ready,
        copy.size_b,
        copy.last_update,
        *(kept if doorbell.available() else [pw.Value(None)] * len(kept)),
    ).join(StorageNode)
    if doorbell.available():
        mine = (row.file_id == copy.file) & (row.node_id == copy.node)
        query = query.switch(copy).join(row, pw.JOIN.LEFT_OUTER, on=mine)
    query = query.where(copy.file == file).order_by(copy.id)
    return [Place(*values) for values in tuples(query)]


def _of_nodes(query: Any, table: Any) -> Any:
    """Join the node; it stays on record when somebody has deleted its row."""
    return query.join(StorageNode, pw.JOIN.LEFT_OUTER, on=(table.node_id == StorageNode.id))


def _node_name() -> Any:
    return pw.fn.COALESCE(StorageNode.name, "(unknown)")


def _id(table: Any) -> Any:
    return table.id
