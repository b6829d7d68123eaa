"""Copy requests that are pending: which can proceed, which are over, which wait and why.

A pass asks only for requests that *can* proceed; what cannot is counted in one statement and
sleeps (design P6).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import peewee as pw

from alpenhorn.common.units import utcnow
from alpenhorn.db.acquisition import ArchiveAcq, ArchiveFile
from alpenhorn.db.archive import ArchiveFileCopy, ArchiveFileCopyRequest
from alpenhorn.db.connection import change, repeat_on_deadlock
from alpenhorn.db.enums import HasFile, WantsFile
from alpenhorn.db.queries import releases
from alpenhorn.db.queries.common import by_ids, chunks, found_by_file, lock_files, one_of, tuples
from alpenhorn.db.storage import StorageGroup, StorageNode

Request = ArchiveFileCopyRequest


class Order(StrEnum):
    """Which requests come first."""

    OLDEST = "oldest"
    """Those made first."""
    NEWEST = "newest"
    """Those for the files that were registered last."""
    SMALLEST = "smallest"
    """Those for the smallest files."""


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
    group: StorageGroup,
    limit: int,
    skip_routes: Collection[int] = (),
    order: Order = Order.OLDEST,
) -> list[Request]:
    """Return requests into a group that can proceed now, one per file; one statement.

    Args:
        group: the destination.
        limit: at most so many rows are looked at.
        skip_routes: ids of source nodes whose routes are resting.
        order: which come first.

    Returns:
        Requests with file, acquisition, source node and group loaded. Of several requests for one
        file only the first is among them.
    """
    query = _can_proceed(_requests_first(Request.group_to == group), group)
    if skip_routes:
        query = query.where(Request.node_from.not_in(sorted(skip_routes)))
    return _one_per_file(query.order_by(*_order(order), Request.id).limit(limit))


def still_ready(group: StorageGroup, requests: Sequence[Request]) -> list[Request]:
    """Return those of some requests that can still proceed, with their records read again.

    Some time may lie between a search and the work. The same as `ready` for a batch, but what many
    requests share is read once.

    Args:
        group: the destination.
        requests: the requests; they get their files, acquisitions and source nodes.
    """
    query = Request.select(Request.id, *_FILE_FIELDS).join(ArchiveFile)
    query = query.switch(Request).join(StorageNode, on=(Request.node_from == StorageNode.id))
    query = query.switch(Request).join(ArchiveFileCopy, on=_source_copy())
    query = _can_proceed(query.where(*is_pending(), Request.group_to == group), group)
    rows = by_ids(tuples(query), Request.id, [request.id for request in requests])
    files = {request_id: fields for request_id, *fields in rows}
    left = [request for request in requests if request.id in files]
    acqs = _by_id(ArchiveAcq, {files[request.id][1] for request in left})
    sources = _by_id(StorageNode, {request.node_from_id for request in left})
    for request in left:
        file_id, acq_id, name, size_b, md5sum, registered = files[request.id]
        request.file = ArchiveFile(
            id=file_id,
            acq=acqs[acq_id],
            name=name,
            size_b=size_b,
            md5sum=md5sum,
            registered=registered,
        )
        request.node_from, request.group_to = sources[request.node_from_id], group
    return left


_FILE_FIELDS = (
    ArchiveFile.id,
    ArchiveFile.acq,
    ArchiveFile.name,
    ArchiveFile.size_b,
    ArchiveFile.md5sum,
    ArchiveFile.registered,
)


def _by_id(model: Any, ids: Iterable[int]) -> dict[int, Any]:
    return {row.id: row for row in by_ids(model.select(), model.id, sorted(ids))}


def blocked(group: StorageGroup) -> Blocked:
    """Count the pending requests of a group that cannot proceed, by reason; one statement."""
    waits_here, outer = _group_has(group, (HasFile.SUSPECT,)), pw.JOIN.LEFT_OUTER
    inactive = StorageNode.active == False  # noqa: E712
    suspect = pw.fn.COALESCE(ArchiveFileCopy.has_file, "") == HasFile.SUSPECT
    row = tuples(
        Request.select(
            _count_if(inactive), _count_if(~inactive & suspect), _count_if(~inactive & ~suspect)
        )
        .join(StorageNode, outer, on=(Request.node_from == StorageNode.id))  # `_requests_first`
        .join(ArchiveFileCopy, outer, on=_source_copy())
        .where(*is_pending(), Request.group_to == group)
        .where(~_group_has(group, (HasFile.PRESENT,)), inactive | suspect | waits_here)
    ).first()
    return Blocked(*(int(value or 0) for value in row)) if row else Blocked()


@repeat_on_deadlock
def close_satisfied(
    group: StorageGroup, limit: int, ids: Sequence[int] = ()
) -> list[tuple[Request, str | None]]:
    """Cancel pending requests for files that the group has already; one transaction.

    With `ids`, only these requests (a few) are looked at.

    The wish that came later wins (W-7): where the only good copies in the group are released, one
    of them is first turned back to wanted.

    Returns:
        The requests cancelled, each with the name of the node whose copy was revived, or None.
    """
    query = _requests_first(Request.group_to == group).order_by(Request.id).limit(limit)
    query = query.where(_group_has(group, (HasFile.PRESENT,)))
    found = list(query.where(Request.id << list(ids)) if ids else query)
    if not found:
        return []
    with change():
        lock_files(request.file_id for request in found)
        good = _good_copies(group, [request.file_id for request in found])
        closed = _cancel_all([request.id for request in found if request.file_id in good])
        file_ids = {request.file_id for request in found if request.id in closed}
        revived = _revive_released({file_id: good[file_id] for file_id in file_ids})
    return [(request, revived.get(request.file_id)) for request in found if request.id in closed]


@repeat_on_deadlock
def close_hopeless(group: StorageGroup, limit: int) -> list[Request]:
    """Cancel pending requests whose source copy is absent or corrupt; one transaction.

    While the source is inactive, or a copy in the group is to be checked, they wait (§9.4).
    """
    hopeless = _requests_first(Request.group_to == group).where(
        _source_is([HasFile.ABSENT, HasFile.CORRUPT]),
        pw.fn.COALESCE(StorageNode.active, False) == True,  # noqa: E712
        ~_group_has(group, (HasFile.PRESENT, HasFile.SUSPECT)),
    )
    found = list(hopeless.order_by(Request.id).limit(limit))
    if not found:
        return []
    with change():
        lock_files(request.file_id for request in found)
        still = [row.id for row in by_ids(hopeless, Request.id, [r.id for r in found])]
        closed = _cancel_all(still)
    return [request for request in found if request.id in closed]


@repeat_on_deadlock
def cancel(request_ids: Sequence[int]) -> set[int]:
    """Cancel those of the requests that are still pending; one transaction; returns their ids."""
    with change():
        return _cancel_all(request_ids)


def to_make_ready(node: StorageNode, limit: int) -> list[Request]:
    """Return pending requests whose source is a present copy on `node`; one statement."""
    query = _requests_first(Request.node_from == node).where(_source_is([HasFile.PRESENT]))
    return list(query.order_by(Request.id).limit(limit))


def larger_than(size_b: int, request_ids: Sequence[int]) -> set[int]:
    """Return those of the requests that are pending and whose files have more bytes than that."""
    query = (
        Request.select(Request.id)
        .join(ArchiveFile)
        .where(*is_pending(), ArchiveFile.size_b > size_b)
    )
    return {row for (row,) in by_ids(tuples(query), Request.id, request_ids)}


def _order(order: Order) -> list[Any]:
    by = {Order.NEWEST: ArchiveFile.registered.desc(), Order.SMALLEST: ArchiveFile.size_b}
    return [by[order]] if order in by else []


def is_pending() -> tuple[Any, Any]:
    """Return the conditions under which a request is pending."""
    return (Request.completed == False, Request.cancelled == False)  # noqa: E712


def _requests_first(*which: Any) -> Any:
    """Pending requests with all that belongs to them, whatever that is like.

    Outer joins keep their order: the database goes through the requests by their index, which has
    them in order, and can stop when it has enough. Of inner joins MariaDB makes what it likes: it
    would begin with all acquisitions, and sort.
    """
    outer = pw.JOIN.LEFT_OUTER
    return (
        Request.select(Request, ArchiveFile, ArchiveAcq, StorageNode)
        .join(StorageNode, outer, on=(Request.node_from == StorageNode.id))
        .switch(Request)
        .join(ArchiveFileCopy, outer, on=_source_copy())
        .switch(Request)
        .join(ArchiveFile, outer)
        .join(ArchiveAcq, outer)
        .switch(Request)
        .where(*is_pending(), *which)
    )


def _can_proceed(query: Any, group: StorageGroup) -> Any:
    """Leave those requests whose source is there, and whose file the group lacks.

    The conditions are such that outer joins cannot be taken for inner ones: see `_requests_first`.
    """
    return query.where(
        pw.fn.COALESCE(StorageNode.active, False) == True,  # noqa: E712
        _source_is([HasFile.PRESENT]),
        ~_group_has(group, (HasFile.PRESENT, HasFile.SUSPECT)),
    )


def _source_is(states: Sequence[HasFile]) -> Any:
    """Condition: the source copy is in one of the states; if it has no row, it is absent."""
    return pw.fn.COALESCE(ArchiveFileCopy.has_file, HasFile.ABSENT.value) << list(states)


def _source_copy() -> Any:
    return (ArchiveFileCopy.file == Request.file) & (ArchiveFileCopy.node == Request.node_from)


def _group_has(group: StorageGroup, states: Sequence[HasFile]) -> Any:
    """Condition: the group has a copy of the request's file in one of the states."""
    return pw.fn.COALESCE(_one_in(group, states), 0) != 0


def _one_in(group: StorageGroup, states: Sequence[HasFile]) -> Any:
    """Query for one copy of the request's file in a group, in one of the states.

    It is asked for each request, by file and node. Of an EXISTS, MariaDB makes a list of all copies
    in the group first. The nodes are given as a list, not as a join: without
    statistics, SQLite would read all copies of each file where it can look for the pair of file
    and node.
    """
    copy, member = ArchiveFileCopy.alias(), StorageNode.alias()
    members = member.select(member.id).where(member.group == group)
    return (
        copy.select(copy.id)
        .where(copy.file == Request.file, copy.node << members, copy.has_file << list(states))
        .limit(1)
    )


def _count_if(condition: Any) -> Any:
    return pw.fn.SUM(pw.Case(None, [(condition, 1)], 0))


def _one_per_file(rows: Iterable[Request]) -> list[Request]:
    first: dict[int, Request] = {}
    for row in rows:
        first.setdefault(row.file_id, row)
    return list(first.values())


def _cancel_all(request_ids: Sequence[int]) -> set[int]:
    """Cancel those that are pending; inside `change()`; returns their ids."""
    pending = Request.select(Request.id).where(*is_pending())
    ids = {row for (row,) in by_ids(tuples(pending), Request.id, request_ids)}
    for chunk in chunks(ids):
        Request.update(cancelled=True).where(one_of(Request.id, chunk), *is_pending()).execute()
    return ids


def _good_copies(group: StorageGroup, file_ids: Sequence[int]) -> dict[int, list[ArchiveFileCopy]]:
    """Return the present copies of files in a group, by file, oldest row first."""
    query = (
        ArchiveFileCopy.select(ArchiveFileCopy, StorageNode)
        .join(StorageNode, on=found_by_file(ArchiveFileCopy, StorageNode), attr="node")
        .where(StorageNode.group == group, ArchiveFileCopy.has_file == HasFile.PRESENT)
        .order_by(ArchiveFileCopy.id)
    )
    good: dict[int, list[ArchiveFileCopy]] = {}
    for copy in by_ids(query, ArchiveFileCopy.file, file_ids):
        good.setdefault(copy.file_id, []).append(copy)
    return good


def _revive_released(good: dict[int, list[ArchiveFileCopy]]) -> dict[int, str]:
    """Where all good copies of a file are released, turn the oldest back to wanted.

    Returns:
        Names of the nodes whose copies were revived, by file.
    """
    revived = {
        file_id: copies[0]
        for file_id, copies in good.items()
        if all(copy.wants_file == WantsFile.RELEASED for copy in copies)
    }
    for chunk in chunks(copy.id for copy in revived.values()):
        releases.note(one_of(ArchiveFileCopy.id, chunk), WantsFile.KEEP, "request for a copy")
        ArchiveFileCopy.update(wants_file=WantsFile.KEEP, last_update=utcnow()).where(
            one_of(ArchiveFileCopy.id, chunk),
            ArchiveFileCopy.has_file == HasFile.PRESENT,
            ArchiveFileCopy.wants_file == WantsFile.RELEASED,
        ).execute()
    return {file_id: str(copy.node.name) for file_id, copy in revived.items()}
