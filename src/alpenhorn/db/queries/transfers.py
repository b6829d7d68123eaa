"""Copy requests: which can proceed, which are over, and how one is completed.

A pass asks only for requests that *can* proceed; what cannot is counted in one statement and
sleeps (design P6).
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import peewee as pw

from alpenhorn.common.units import utcnow
from alpenhorn.db.acquisition import ArchiveAcq, ArchiveFile
from alpenhorn.db.archive import ArchiveFileCopy, ArchiveFileCopyRequest
from alpenhorn.db.connection import change
from alpenhorn.db.enums import HasFile, WantsFile
from alpenhorn.db.operations import TransferAttempt
from alpenhorn.db.queries import autoactions, deletion, doorbell
from alpenhorn.db.queries.common import by_ids, chunks, lock_files, tuples
from alpenhorn.db.storage import StorageGroup, StorageNode

Request = ArchiveFileCopyRequest


@dataclass(frozen=True)
class Arrived:
    """A verified, flushed file at its destination: the evidence on which a copy becomes present."""

    request_id: int
    file_id: int
    size_b: int | None
    """Space used on the medium."""
    started: float
    ended: float
    """Unix times."""


@dataclass(frozen=True)
class Attempt:
    """What came of one attempt at a request; `failure` is None for a success."""

    request_id: int
    failure: str | None
    message: str
    bytes: int | None
    seconds: float


@dataclass(frozen=True)
class Blocked:
    """How many pending requests of a group cannot proceed, by reason."""

    source_inactive: int = 0
    source_suspect: int = 0
    destination_suspect: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.source_inactive + self.source_suspect + self.destination_suspect


def ready(
    group: StorageGroup, limit: int, skip_routes: Collection[int] = (), ids: Sequence[int] = ()
) -> list[Request]:
    """Return requests into a group that can proceed now, oldest first, one per file; one statement.

    Args:
        group: the destination.
        limit: at most so many rows are looked at.
        skip_routes: ids of source nodes whose routes are resting.
        ids: if given, only these requests (at most a batch of them).

    Returns:
        Requests with file, acquisition, source node and group loaded. Of several requests for one
        file only the oldest is among them.
    """
    query = _pending_with_sources(group).where(
        StorageNode.active == True,  # noqa: E712
        ArchiveFileCopy.has_file == HasFile.PRESENT,
        ~_group_has(group, (HasFile.PRESENT, HasFile.SUSPECT)),
    )
    if skip_routes:
        query = query.where(Request.node_from.not_in(sorted(skip_routes)))
    if ids:
        rows = [row for chunk in chunks(ids) for row in query.where(Request.id << chunk)]
    else:
        rows = list(query.order_by(Request.id).limit(limit))
    return _one_per_file(rows)


def blocked(group: StorageGroup) -> Blocked:
    """Count the pending requests of a group that cannot proceed, by reason; one statement."""
    waits_here = _group_has(group, (HasFile.SUSPECT,))
    inactive = StorageNode.active == False  # noqa: E712
    suspect = ArchiveFileCopy.has_file == HasFile.SUSPECT
    row = (
        _pending_with_sources(group)
        .where(~_group_has(group, (HasFile.PRESENT,)), inactive | suspect | waits_here)
        .select(
            _count_if(inactive), _count_if(~inactive & suspect), _count_if(~inactive & ~suspect)
        )
        .tuples()
        .first()
    )
    return Blocked(*(int(value or 0) for value in row)) if row else Blocked()


def close_satisfied(group: StorageGroup, limit: int) -> list[tuple[Request, str | None]]:
    """Cancel pending requests for files that the group has already; one transaction.

    The wish that came later wins (W-7): where the only good copies in the group are released, one
    of them is first turned back to wanted.

    Returns:
        The requests cancelled, each with the name of the node whose copy was revived, or None.
    """
    found = list(_pending(group).where(_group_has(group, (HasFile.PRESENT,))).limit(limit))
    if not found:
        return []
    closed: list[tuple[Request, str | None]] = []
    with change():
        lock_files(request.file_id for request in found)
        for request in found:
            kept = _keep_one(group, request.file_id)
            if kept is not None and _cancel(request.id):
                closed.append((request, kept or None))
    return closed


def close_hopeless(group: StorageGroup, limit: int) -> list[Request]:
    """Cancel pending requests whose source copy is absent or corrupt; one transaction."""
    hopeless = (
        _pending(group)
        .join(ArchiveFileCopy, pw.JOIN.LEFT_OUTER, on=_source_copy())
        .where(
            ArchiveFileCopy.id.is_null()
            | (ArchiveFileCopy.has_file << [HasFile.ABSENT, HasFile.CORRUPT]),
            ~_group_has(group, (HasFile.PRESENT,)),
        )
    )
    found = list(hopeless.limit(limit))
    if not found:
        return []
    with change():
        lock_files(request.file_id for request in found)
        still = {row.id for row in by_ids(hopeless, Request.id, [r.id for r in found])}
        return [request for request in found if request.id in still and _cancel(request.id)]


def cancel(request_ids: Iterable[int]) -> list[int]:
    """Cancel those of the requests that are still pending; one transaction; returns their ids."""
    with change():
        return [request_id for request_id in request_ids if _cancel(request_id)]


def finish(node_to: StorageNode, arrived: Sequence[Arrived]) -> set[int]:
    """Record verified copies, complete their requests, do the auto-actions; one transaction.

    A request that was cancelled meanwhile stays cancelled, though its copy is recorded
    (invariant 22). A copy that is being deleted at this moment is not recorded: its request stays
    pending and is tried again.

    Returns:
        Ids of the requests whose copies were recorded.
    """
    with change():
        lock_files(item.file_id for item in arrived)
        existing = {
            copy.file_id: copy
            for copy in by_ids(
                ArchiveFileCopy.select().where(ArchiveFileCopy.node == node_to),
                ArchiveFileCopy.file,
                [item.file_id for item in arrived],
            )
        }
        good = [item for item in arrived if not _being_deleted(existing.get(item.file_id))]
        _store_copies(node_to, good, existing)
        _complete(good)
        file_ids = [item.file_id for item in good]
        autoactions.apply(node_to, file_ids)
        if node_to.archive:
            deletion.ring_waiting(file_ids)
    return {item.request_id for item in good}


def suspect_sources(requests: Sequence[Request]) -> None:
    """Mark the source copies suspect, where they are present (W-14); one transaction."""
    with change():
        for request in requests:
            ArchiveFileCopy.update(has_file=HasFile.SUSPECT, last_update=utcnow()).where(
                ArchiveFileCopy.file == request.file_id,
                ArchiveFileCopy.node == request.node_from_id,
                ArchiveFileCopy.has_file == HasFile.PRESENT,
            ).execute()
        doorbell.ring_nodes(request.node_from_id for request in requests)


def record_attempts(attempts: Sequence[Attempt]) -> None:
    """Keep what came of attempts, for back-off and explanations; one transaction."""
    if not attempts or not doorbell.available():
        return
    now = utcnow()
    rows = [
        {
            "request_id": attempt.request_id,
            "failure": attempt.failure,
            "message": attempt.message[:255],
            "bytes": attempt.bytes,
            "seconds": attempt.seconds,
            "ended": now,
        }
        for attempt in attempts
    ]
    with change():
        for chunk in chunks(rows, 100):
            TransferAttempt.insert_many(chunk).execute()


def to_make_ready(node: StorageNode, limit: int) -> list[Request]:
    """Return pending requests whose source is a present copy on `node`; one statement."""
    query = (
        Request.select(Request, ArchiveFile, ArchiveAcq)
        .join(ArchiveFile)
        .join(ArchiveAcq)
        .switch(Request)
        .join(ArchiveFileCopy, on=_source_copy())
        .where(*_is_pending(), Request.node_from == node)
        .where(ArchiveFileCopy.has_file == HasFile.PRESENT)
        .order_by(Request.id)
        .limit(limit)
    )
    return list(query)


def pending_among(request_ids: Sequence[int]) -> set[int]:
    """Return those of the requests that are still pending."""
    query = Request.select(Request.id).where(*_is_pending())
    return {row for (row,) in by_ids(tuples(query), Request.id, request_ids)}


def corrupt_on(node: StorageNode, file_ids: Sequence[int]) -> set[int]:
    """Return which of the files are known to be corrupt on a node."""
    query = ArchiveFileCopy.select(ArchiveFileCopy.file).where(
        ArchiveFileCopy.node == node, ArchiveFileCopy.has_file == HasFile.CORRUPT
    )
    return {row for (row,) in by_ids(query.tuples(), ArchiveFileCopy.file, file_ids)}


def _is_pending() -> tuple[Any, Any]:
    return (Request.completed == False, Request.cancelled == False)  # noqa: E712


def _pending(group: StorageGroup) -> Any:
    """Pending requests into a group, with file, acquisition and source node, oldest first."""
    return (
        Request.select(Request, ArchiveFile, ArchiveAcq, StorageNode)
        .join(ArchiveFile)
        .join(ArchiveAcq)
        .switch(Request)
        .join(StorageNode, on=(Request.node_from == StorageNode.id))
        .switch(Request)
        .where(*_is_pending(), Request.group_to == group)
        .order_by(Request.id)
    )


def _pending_with_sources(group: StorageGroup) -> Any:
    return _pending(group).join(ArchiveFileCopy, on=_source_copy()).switch(Request)


def _source_copy() -> Any:
    return (ArchiveFileCopy.file == Request.file) & (ArchiveFileCopy.node == Request.node_from)


def _group_has(group: StorageGroup, states: Sequence[HasFile]) -> Any:
    """Condition: the group has a copy of the request's file in one of the states."""
    copy, holder = ArchiveFileCopy.alias(), StorageNode.alias()
    return pw.fn.EXISTS(
        copy.select(pw.SQL("1"))
        .join(holder, on=(copy.node == holder.id))
        .where(copy.file == Request.file, holder.group == group, copy.has_file << list(states))
    )


def _count_if(condition: Any) -> Any:
    return pw.fn.SUM(pw.Case(None, [(condition, 1)], 0))


def _one_per_file(rows: Iterable[Request]) -> list[Request]:
    first: dict[int, Request] = {}
    for row in rows:
        first.setdefault(row.file_id, row)
    return list(first.values())


def _cancel(request_id: int) -> bool:
    pending = Request.update(cancelled=True).where(Request.id == request_id, *_is_pending())
    return bool(pending.execute())


def _keep_one(group: StorageGroup, file_id: int) -> str | None:
    """Make sure that a good copy in the group stays.

    Returns:
        None if there is no good copy, ``""`` if one is wanted already, else the name of the node
        whose released copy was turned back to wanted.
    """
    copies = list(
        ArchiveFileCopy.select(ArchiveFileCopy, StorageNode)
        .join(StorageNode)
        .where(
            StorageNode.group == group,
            ArchiveFileCopy.file == file_id,
            ArchiveFileCopy.has_file == HasFile.PRESENT,
        )
        .order_by(ArchiveFileCopy.id)
    )
    if not copies:
        return None
    if any(copy.wants_file != WantsFile.RELEASED for copy in copies):
        return ""
    ArchiveFileCopy.update(wants_file=WantsFile.KEEP, last_update=utcnow()).where(
        ArchiveFileCopy.id == copies[0].id,
        ArchiveFileCopy.has_file == HasFile.PRESENT,
        ArchiveFileCopy.wants_file == WantsFile.RELEASED,
    ).execute()
    return str(copies[0].node.name)


def _being_deleted(copy: ArchiveFileCopy | None) -> bool:
    return (
        copy is not None
        and copy.has_file == HasFile.SUSPECT
        and copy.wants_file == WantsFile.RELEASED
    )


def _store_copies(
    node: StorageNode, arrived: Sequence[Arrived], existing: dict[int, ArchiveFileCopy]
) -> None:
    now = utcnow()
    present = {
        "has_file": HasFile.PRESENT.value,
        "wants_file": WantsFile.KEEP.value,
        "ready": True,
        "last_update": now,
    }
    new = [
        {**present, "file": item.file_id, "node": node.id, "size_b": item.size_b}
        for item in arrived
        if item.file_id not in existing
    ]
    for chunk in chunks(new, 100):
        ArchiveFileCopy.insert_many(chunk).execute()
    for item in arrived:
        if item.file_id in existing:
            ArchiveFileCopy.update(size_b=item.size_b, **present).where(
                ArchiveFileCopy.id == existing[item.file_id].id
            ).execute()


def _complete(arrived: Sequence[Arrived]) -> None:
    for item in arrived:
        Request.update(
            completed=True,
            transfer_started=_naive_utc(item.started),
            transfer_completed=_naive_utc(max(item.started, item.ended)),
        ).where(Request.id == item.request_id, *_is_pending()).execute()


def _naive_utc(unix_time: float) -> datetime.datetime:
    moment = datetime.datetime.fromtimestamp(unix_time, tz=datetime.UTC)
    return moment.replace(tzinfo=None)
