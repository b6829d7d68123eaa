"""How far some work of the daemons is, and what it waits for.

Everything here only reads. Each function is one statement, whatever the number of rows: sets are
given by conditions, never by lists of ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Any

import peewee as pw

from alpenhorn.db.acquisition import ArchiveFile
from alpenhorn.db.archive import (
    ArchiveFileCopy,
    ArchiveFileCopyRequest,
    ArchiveFileImportRequest,
)
from alpenhorn.db.enums import HasFile, WantsFile
from alpenhorn.db.operations import DaemonLease, TransferAttempt
from alpenhorn.db.queries import doorbell
from alpenhorn.db.queries.bulk import rows_of
from alpenhorn.db.queries.common import tuples
from alpenhorn.db.queries.filters import FileFilter, present_in
from alpenhorn.db.queries.protection import (
    TWO_COPIES,
    Protection,
    perhaps_protecting,
    protecting,
)
from alpenhorn.db.storage import StorageNode

Request = ArchiveFileCopyRequest
Sums = tuple[int, int]
"""A number of files and the sum of their known sizes in bytes."""

NO_FILES: Sums = (0, 0)
_MOST_REASONS = 8


class Fate(IntEnum):
    """What has become of a request."""

    PENDING = 0
    COMPLETED = 1
    SATISFIED = 2
    """Cancelled, but the group has the file."""
    CANCELLED = 3


class Why(IntEnum):
    """Why something does not move; `TURN` if nothing but its turn is missing."""

    TURN = 0
    SOURCE_INACTIVE = 1
    SOURCE_SUSPECT = 2
    SOURCE_LOST = 3
    DESTINATION_SUSPECT = 4
    ATTEMPT_FAILED = 5
    TO_BE_SENT = 6
    ARCHIVE_COPIES_COMING = 7
    TOO_FEW_ARCHIVE_COPIES = 8
    ARCHIVE_COPIES_UNVERIFIED = 9


@dataclass(frozen=True)
class Reason:
    """Why some of the work does not move."""

    why: Why
    count: int
    """Number of files concerned."""
    failure: str = ""
    """Class of the last failure (`alpenhorn.errors.FailureClass`)."""
    message: str = ""


@dataclass(frozen=True)
class Place:
    """A node that is to do the work, and when its daemon was last seen (None: never)."""

    node: str
    host: str | None
    active: bool
    last_seen: datetime | None


@dataclass(frozen=True)
class Files:
    """Which files are meant: those within limits, or exactly one."""

    limits: FileFilter = field(default_factory=FileFilter)
    file_id: int | None = None

    def conditions(self) -> list[Any]:
        """Return the conditions on `ArchiveFile`."""
        one = [] if self.file_id is None else [ArchiveFile.id == self.file_id]
        return [*one, *self.limits.conditions()]


@dataclass(frozen=True)
class Route:
    """Copy requests from a node into a group."""

    node_id: int
    group_id: int
    files: Files

    def first_pending(self) -> int | None:
        """Return the lowest id among the pending requests."""
        query = self._requests().where(~Request.completed, ~Request.cancelled)
        return query.select(pw.fn.MIN(Request.id)).scalar()

    def fates(self, first_id: int, last_id: int) -> dict[Fate, Sums]:
        """Sum up the requests with ids from `first_id` to `last_id` by what became of them."""
        cases = [
            (Request.completed, Fate.COMPLETED.value),
            (Request.cancelled & present_in(self.group_id), Fate.SATISFIED.value),
            (Request.cancelled, Fate.CANCELLED.value),
        ]
        fate = pw.Case(None, cases, Fate.PENDING.value).alias("fate")
        rows = self._between(first_id, last_id).select(fate, ArchiveFile.size_b).alias("work")
        return {Fate(key): sums for key, sums in _sums(rows, rows.c.fate)}

    def reasons(self, first_id: int, last_id: int) -> list[Reason]:
        """Say why pending requests do not move; the most frequent reasons first."""
        query = self._between(first_id, last_id).where(~Request.completed, ~Request.cancelled)
        query = query.join(StorageNode, on=(Request.node_from == StorageNode.id)).switch(Request)
        query = query.join(ArchiveFileCopy, pw.JOIN.LEFT_OUTER, on=_source_copy()).switch(Request)
        blocked = _blocked(self.group_id)
        why = pw.Case(None, blocked, Why.TURN.value)
        failure: Any = pw.SQL("NULL")
        message: Any = pw.SQL("NULL")
        if doorbell.available():
            query = query.join(TransferAttempt, pw.JOIN.LEFT_OUTER, on=_last_attempt())
            failed = (TransferAttempt.failure.is_null(False), Why.ATTEMPT_FAILED.value)
            why = pw.Case(None, [*blocked, failed], Why.TURN.value)
            nothing = [(condition, None) for condition, _ in blocked]
            failure = pw.Case(None, nothing, TransferAttempt.failure)
            message = pw.Case(None, nothing, TransferAttempt.message)
        rows = query.select(
            why.alias("why"), failure.alias("failure"), message.alias("message")
        ).alias("work")
        return _reasons(rows, rows.c.why, rows.c.failure, rows.c.message)

    def _requests(self) -> Any:
        return (
            Request.select()
            .join(ArchiveFile)
            .switch(Request)
            .where(
                Request.node_from == self.node_id,
                Request.group_to == self.group_id,
                *self.files.conditions(),
            )
        )

    def _between(self, first_id: int, last_id: int) -> Any:
        return self._requests().where(Request.id >= first_id, Request.id <= last_id)


@dataclass(frozen=True)
class Shelf:
    """Copies on a node."""

    node_id: int
    files: Files

    def states(self) -> dict[tuple[str, str], Sums]:
        """Sum up the copies by `has_file` and `wants_file`."""
        rows = self._copies().select(
            ArchiveFileCopy.has_file, ArchiveFileCopy.wants_file, ArchiveFile.size_b
        )
        rows = rows.alias("work")
        query = rows_of(rows.c.has_file, rows.c.wants_file, *_columns(rows), source=rows)
        query = query.group_by(rows.c.has_file, rows.c.wants_file)
        return {(has, wants): (int(n), int(size or 0)) for has, wants, n, size in query}

    def clean_reasons(self, rule: Protection = TWO_COPIES) -> list[Reason]:
        """Say why released copies are not removed; the most frequent reasons first.

        Args:
            rule: what must be left elsewhere.
        """
        too_few = protecting(rule) < rule.copies
        perhaps = too_few & (perhaps_protecting() >= rule.copies)
        old = [(perhaps, Why.ARCHIVE_COPIES_UNVERIFIED.value)]
        cases = [
            (_is_requested(from_here=True), Why.TO_BE_SENT.value),
            *(old if rule.max_age_days is not None else []),
            (too_few & _is_requested(), Why.ARCHIVE_COPIES_COMING.value),
            (too_few, Why.TOO_FEW_ARCHIVE_COPIES.value),
        ]
        why = pw.Case(None, cases, Why.TURN.value).alias("why")
        released = self._copies().where(
            ArchiveFileCopy.has_file != HasFile.ABSENT,
            ArchiveFileCopy.wants_file == WantsFile.RELEASED,
        )
        rows = released.select(why).alias("work")
        return _reasons(rows, rows.c.why)

    def _copies(self) -> Any:
        return (
            ArchiveFileCopy.select()
            .join(ArchiveFile)
            .where(ArchiveFileCopy.node == self.node_id, *self.files.conditions())
        )


def last_request() -> int:
    """Return the highest id of a copy request, 0 if there is none."""
    return _highest(Request)


def routes(first_id: int, last_id: int, group_id: int | None) -> list[tuple[int, int]]:
    """Return source node and destination group of copy requests in a range of ids, each once.

    Args:
        first_id: the lowest id.
        last_id: the highest id.
        group_id: only into this group; None: into any.
    """
    query = Request.select(Request.node_from, Request.group_to).distinct()
    query = query.where(Request.id >= first_id, Request.id <= last_id)
    if group_id is not None:
        query = query.where(Request.group_to == group_id)
    return sorted((int(node), int(group)) for node, group in tuples(query))


def last_copy() -> int:
    """Return the highest id of a copy, 0 if there is none."""
    return _highest(ArchiveFileCopy)


def last_import() -> int:
    """Return the highest id of an import request, 0 if there is none."""
    return _highest(ArchiveFileImportRequest)


def pending_imports(node_id: int, path: str, after_id: int, last_id: int) -> int:
    """Count the pending import requests for a path with ids above `after_id` up to `last_id`."""
    request = ArchiveFileImportRequest
    query = request.select().where(
        request.node == node_id,
        request.path == path,
        request.id > after_id,
        request.id <= last_id,
        request.completed == False,  # noqa: E712
    )
    return int(query.count())


def new_copies(node_id: int, after_id: int) -> dict[str, Sums]:
    """Sum up the copies on a node with ids above `after_id` by `has_file`."""
    query = (
        ArchiveFileCopy.select(ArchiveFileCopy.has_file, ArchiveFile.size_b)
        .join(ArchiveFile)
        .where(ArchiveFileCopy.node == node_id, ArchiveFileCopy.id > after_id)
    )
    rows = query.alias("work")
    return dict(_sums(rows, rows.c.has_file))


def place(node_id: int) -> list[Place]:
    """Return a node and its daemon."""
    return _places(StorageNode.id == node_id)


def places_in(group_id: int) -> list[Place]:
    """Return the nodes of a group and their daemons."""
    return _places(StorageNode.group == group_id)


def leases_kept() -> bool:
    """Tell whether the index has a table in which daemons say that they are alive."""
    return doorbell.available()


def _places(condition: Any) -> list[Place]:
    columns = [StorageNode.name, StorageNode.host, StorageNode.active]
    query = StorageNode.select(*columns, pw.SQL("NULL")).where(condition)
    if doorbell.available():
        same_host = StorageNode.host == DaemonLease.host
        query = StorageNode.select(*columns, DaemonLease.last_seen).where(condition)
        query = query.join(DaemonLease, pw.JOIN.LEFT_OUTER, on=same_host)
    rows = tuples(query.order_by(StorageNode.name))
    return [Place(name, host, bool(active), seen) for name, host, active, seen in rows]


def _source_copy() -> Any:
    return (ArchiveFileCopy.file == Request.file) & (ArchiveFileCopy.node == Request.node_from)


def _blocked(group_id: int) -> list[tuple[Any, int]]:
    """What holds a request back, by the states of its ends, each with its reason."""
    has_file = pw.fn.COALESCE(ArchiveFileCopy.has_file, HasFile.ABSENT.value)
    return [
        (StorageNode.active == False, Why.SOURCE_INACTIVE.value),  # noqa: E712
        (has_file == HasFile.SUSPECT.value, Why.SOURCE_SUSPECT.value),
        (has_file != HasFile.PRESENT.value, Why.SOURCE_LOST.value),
        (_suspect_in(group_id), Why.DESTINATION_SUSPECT.value),
    ]


def _suspect_in(group_id: int) -> Any:
    copy, holder = ArchiveFileCopy.alias(), StorageNode.alias()
    return pw.fn.EXISTS(
        copy.select(pw.SQL("1"))
        .join(holder, on=(copy.node == holder.id))
        .where(
            copy.file == Request.file,
            holder.group == group_id,
            copy.has_file == HasFile.SUSPECT,
        )
    )


def _last_attempt() -> Any:
    attempt: Any = TransferAttempt.alias()
    latest = attempt.select(pw.fn.MAX(attempt.id)).where(attempt.request_id == Request.id)
    model: Any = TransferAttempt
    return model.id == latest


def _is_requested(from_here: bool = False) -> Any:
    """Condition: a pending request will bring the copy's file to another place.

    Flags and node are tested so that no index serves: otherwise SQLite takes the index of a node's
    requests instead of that of the file's, and reads all of them for each copy.

    Args:
        from_here: whether this copy is to be the source.
    """
    request = Request.alias()
    ends = [request.node_from + 0 == ArchiveFileCopy.node] if from_here else []
    return pw.fn.EXISTS(
        request.select(pw.SQL("1")).where(
            request.file == ArchiveFileCopy.file, *ends, ~request.completed, ~request.cancelled
        )
    )


def _columns(rows: Any) -> tuple[Any, Any]:
    return pw.fn.COUNT(pw.SQL("*")), pw.fn.SUM(rows.c.size_b)


def _sums(rows: Any, key: Any) -> list[tuple[Any, Sums]]:
    query = rows_of(key, *_columns(rows), source=rows).group_by(key)
    return [(value, (int(count), int(size or 0))) for value, count, size in query]


def _reasons(rows: Any, *columns: Any) -> list[Reason]:
    count = pw.fn.COUNT(pw.SQL("*"))
    query = rows_of(count, *columns, source=rows).group_by(*columns)
    found = query.order_by(count.desc(), *columns).limit(_MOST_REASONS + 1)
    # Not sorted out in the database, which would work the reasons out once more for that.
    reasons = [_reason(*row) for row in found]
    return [reason for reason in reasons if reason.why is not Why.TURN][:_MOST_REASONS]


def _reason(count: int, why: int, *rest: str | None) -> Reason:
    texts: Sequence[str] = [text or "" for text in rest]
    return Reason(Why(why), int(count), *texts)


def _highest(model: Any) -> int:
    return int(model.select(pw.fn.MAX(model.id)).scalar() or 0)
