"""Transfers: what is recorded of one that came off, and of one that did not.

Which requests there are to work on is the subject of `pending`.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from alpenhorn.common.units import utcnow
from alpenhorn.db.archive import ArchiveFileCopy, ArchiveFileCopyRequest
from alpenhorn.db.connection import change, repeat_on_deadlock
from alpenhorn.db.enums import HasFile, WantsFile
from alpenhorn.db.operations import TransferAttempt
from alpenhorn.db.queries import autoactions, deletion, doorbell, evidence, verification
from alpenhorn.db.queries.common import (
    CASES,
    by_id,
    by_ids,
    chunks,
    insert_rows,
    lock_files,
    one_of,
    tuples,
)
from alpenhorn.db.queries.pending import is_pending
from alpenhorn.db.storage import StorageNode

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
    read: bool = True
    """Were its bytes read at the destination? Not if it was linked."""


@dataclass(frozen=True)
class Finished:
    """What `finish` did; ids of requests."""

    recorded: frozenset[int]
    """The copies of these are present now."""
    completed: frozenset[int]
    """These were pending and are completed now; the others were cancelled meanwhile."""


@dataclass(frozen=True)
class Attempt:
    """What came of one attempt at a request; `failure` is None for a success."""

    request_id: int
    failure: str | None
    message: str
    bytes: int | None
    seconds: float


@repeat_on_deadlock
def finish(node_to: StorageNode, arrived: Sequence[Arrived], since: int | None = None) -> Finished:
    """Record verified copies, complete their requests, do the auto-actions; one transaction.

    A request that was cancelled meanwhile stays cancelled, though its copy is recorded
    (invariant 22). A copy that is being deleted at this moment, or was removed meanwhile, is not
    recorded: its request stays pending and is tried again.

    Args:
        node_to: where the files are.
        arrived: the files.
        since: what `evidence.last_claim` said before anybody looked whether they are wanted;
            None: nobody asked it.

    Returns:
        Which copies were recorded, and which requests were completed.
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
        going = _going(list(existing.values()), since)
        good = [item for item in arrived if item.file_id not in going]
        _store_copies(node_to, good, existing)
        completed = _complete(good)
        file_ids = [item.file_id for item in good]
        unread = [item.file_id for item in good if not item.read]
        verification.added(node_to, file_ids, "pull", unread)
        autoactions.apply(node_to, file_ids)
        if node_to.archive:
            deletion.ring_waiting(file_ids)
    return Finished(frozenset(item.request_id for item in good), completed)


@repeat_on_deadlock
def suspect_sources(requests: Sequence[Request]) -> None:
    """Mark the source copies suspect, where they are present (W-14); one transaction."""
    with change():
        for node_id in {request.node_from_id for request in requests}:
            file_ids = [r.file_id for r in requests if r.node_from_id == node_id]
            for chunk in chunks(file_ids):
                ArchiveFileCopy.update(has_file=HasFile.SUSPECT, last_update=utcnow()).where(
                    one_of(ArchiveFileCopy.file, chunk),
                    ArchiveFileCopy.node + 0 == node_id,  # found by their files
                    ArchiveFileCopy.has_file == HasFile.PRESENT,
                ).execute()
        doorbell.ring_nodes(request.node_from_id for request in requests)


@repeat_on_deadlock
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
        insert_rows(TransferAttempt, rows)


def corrupt_on(node: StorageNode, file_ids: Sequence[int]) -> set[int]:
    """Return which of the files are known to be corrupt on a node."""
    query = ArchiveFileCopy.select(ArchiveFileCopy.file).where(
        ArchiveFileCopy.node == node, ArchiveFileCopy.has_file == HasFile.CORRUPT
    )
    return {row for (row,) in by_ids(query.tuples(), ArchiveFileCopy.file, file_ids)}


def _going(copies: Sequence[ArchiveFileCopy], since: int | None = None) -> set[int]:
    """Return the files of those copies that somebody is deleting, or has removed meanwhile.

    Also of those that are wanted again by now: the removal may have hit, or will hit, the very file
    that has landed.
    """
    ids = [copy.id for copy in copies]
    removed = set() if since is None else evidence.removed_since(since, ids)
    return evidence.claimed(copies) | {copy.file_id for copy in copies if copy.id in removed}


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
    insert_rows(ArchiveFileCopy, new)
    sizes = {existing[i.file_id].id: i.size_b for i in arrived if i.file_id in existing}
    for ids in chunks(sizes, CASES):
        size_b = by_id(ArchiveFileCopy.size_b, {i: sizes[i] for i in ids})
        ArchiveFileCopy.update(size_b=size_b, **present).where(
            one_of(ArchiveFileCopy.id, ids)
        ).execute()


def _complete(arrived: Sequence[Arrived]) -> frozenset[int]:
    """Complete the requests that are pending; files of one batch share their times."""
    pending = Request.select(Request.id).where(*is_pending())
    ids = {row for (row,) in by_ids(tuples(pending), Request.id, [a.request_id for a in arrived])}
    by_times: dict[tuple[float, float], list[int]] = {}
    for item in arrived:
        if item.request_id in ids:
            by_times.setdefault((item.started, item.ended), []).append(item.request_id)
    for (started, ended), request_ids in by_times.items():
        for chunk in chunks(request_ids):
            Request.update(
                completed=True,
                transfer_started=_naive_utc(started),
                transfer_completed=_naive_utc(max(started, ended)),
            ).where(one_of(Request.id, chunk), *is_pending()).execute()
    return frozenset(ids)


def _naive_utc(unix_time: float) -> datetime.datetime:
    moment = datetime.datetime.fromtimestamp(unix_time, tz=datetime.UTC)
    return moment.replace(tzinfo=None)
