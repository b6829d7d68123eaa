"""Deletion with proof: who may go, the claim, and what follows (spec: data-index.md §8.2).

A copy is deleted only if enough *protecting* copies exist (see `protection`). The claim is one
transaction that locks the files, reads everything again, keeps the evidence, and sets the copy to
(M,N); from then on it protects nobody, until the claim has ended, whatever becomes of its state. A
crash leaves (M,N), which the next pass finds and claims again.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from alpenhorn.common.units import utcnow
from alpenhorn.db.archive import ArchiveFileCopy, ArchiveFileCopyRequest
from alpenhorn.db.connection import change, is_sqlite, repeat_on_deadlock
from alpenhorn.db.enums import HasFile, WantsFile
from alpenhorn.db.queries import doorbell, evidence, verification
from alpenhorn.db.queries import stores as published
from alpenhorn.db.queries.common import (
    any_row,
    by_ids,
    chunks,
    copies_with_files,
    lock_copies,
    lock_files,
    one_of,
    tuples,
)
from alpenhorn.db.queries.protection import (
    TWO_COPIES,
    Protection,
    distinct_stores,
    guards,
    perhaps_protecting,
    protecting,
)
from alpenhorn.db.storage import GIB, StorageNode


@dataclass(frozen=True)
class Claimed:
    """A copy that this process may delete now, with its former states."""

    copy: ArchiveFileCopy
    had: str
    wanted: str


@dataclass
class Claim:
    """What a claim got, and what it refused with the number of protecting copies."""

    taken: list[Claimed] = field(default_factory=list)
    refused: list[tuple[ArchiveFileCopy, int]] = field(default_factory=list)


@dataclass(frozen=True)
class Waiting:
    """Released copies of a node that cannot go yet.

    `too_few` counts those with too few archive copies; `rows` holds (copy id, protecting
    copies) of each if they are few, else it is empty; `transfer_pending` counts the sources of
    pending requests; `unverified` those of `too_few` that wait only for the check of archive
    copies which were not verified recently.
    """

    too_few: int
    rows: tuple[tuple[int, int], ...]
    transfer_pending: int
    unverified: int = 0


def deletable(
    node: StorageNode, limit: int, rule: Protection = TWO_COPIES
) -> list[ArchiveFileCopy]:
    """Return copies on a node that may probably be deleted: at most `limit`; one statement.

    Released copies come first, then, if the node is a field or transport node short of space, those
    marked as removable, oldest change first, no more than free the missing space (W-35).
    """
    released = list(
        _candidates(node)
        .where(ArchiveFileCopy.wants_file == WantsFile.RELEASED, _protected(rule))
        .limit(limit)  # not sorted: see `checks.suspect`
    )
    missing_b = _missing_bytes(node) - sum(_bytes(copy) for copy in released)
    if missing_b <= 0 or len(released) >= limit:
        return released
    marked = (
        _candidates(node)
        .where(ArchiveFileCopy.wants_file == WantsFile.REMOVABLE, _protected(rule))
        .order_by(ArchiveFileCopy.last_update, ArchiveFileCopy.id)
        .limit(limit - len(released))
    )
    for copy in marked:
        if missing_b <= 0:
            break
        released.append(copy)
        missing_b -= _bytes(copy)
    return released


def waiting(node: StorageNode, few: int, rule: Protection = TWO_COPIES) -> Waiting:
    """Count the released copies of a node that cannot be deleted yet; a few statements.

    Args:
        node: the node.
        few: up to this many are listed one by one.
        rule: what must be left elsewhere.
    """
    blocked = ArchiveFileCopy.select().where(
        *_may_go(node), ArchiveFileCopy.wants_file == WantsFile.RELEASED, ~_protected(rule)
    )
    released = ArchiveFileCopy.select().where(
        ArchiveFileCopy.node == node,
        _is_there(),
        ArchiveFileCopy.wants_file == WantsFile.RELEASED,
    )
    if not released.exists():
        return Waiting(0, (), 0)
    count = blocked.count()
    rows: tuple[tuple[int, int], ...] = ()
    if 0 < count <= few:
        query = blocked.order_by(ArchiveFileCopy.id)
        query = query.select(ArchiveFileCopy.id, protecting(rule).alias("protecting"))
        rows = tuple(tuples(query))
    old = count and rule.max_age_days is not None
    unverified = blocked.where(perhaps_protecting() >= rule.copies).count() if old else 0
    return Waiting(count, rows, released.where(_is_source()).count(), unverified)


def by_copy_ids(copy_ids: Sequence[int]) -> list[ArchiveFileCopy]:
    """Return copies with their files and acquisitions."""
    return list(by_ids(copies_with_files(), ArchiveFileCopy.id, copy_ids))


@repeat_on_deadlock
def claim(
    node_id: int,
    copy_ids: Sequence[int],
    stores: Mapping[int, object],
    rule: Protection = TWO_COPIES,
) -> Claim:
    """Reserve copies for deletion by this process, in one transaction.

    Everything that allows the deletion is read again under the lock: the copy is still released
    (or still removable and space still short), nothing is to be transferred from it, and enough
    other copies protect the file. Evidence is kept.

    Args:
        node_id: the node.
        copy_ids: copies on it.
        stores: for nodes that this host can see, a key of the physical store that they rest on;
            nodes with one key count once (invariant 3). Of other nodes it is known what their
            daemons have published.
        rule: what must be left elsewhere.
    """
    result = Claim()
    with change():
        node = StorageNode.get_by_id(node_id)
        rows = ArchiveFileCopy.select(ArchiveFileCopy.id, ArchiveFileCopy.file).where(
            ArchiveFileCopy.node + 0 == node_id  # found by their ids, not among all of the node
        )
        files = dict(by_ids(tuples(rows), ArchiveFileCopy.id, copy_ids))
        lock_files(files.values())
        lock_copies(files)
        copies = list(by_ids(copies_with_files(), ArchiveFileCopy.id, list(files)))
        protectors = guards([copy.file_id for copy in copies], rule)
        sources = _pending_sources(node_id, [copy.file_id for copy in copies])
        missing_b = _missing_bytes(node)
        known = published.known(stores)
        for copy in sorted(copies, key=_released_first):
            if not _wants_to_go(copy, missing_b > 0) or copy.file_id in sources:
                continue
            safe = distinct_stores(copy, protectors.get(copy.file_id, []), known)
            if len(safe) < rule.copies:
                result.refused.append((copy, len(safe)))
                continue
            result.taken.append(Claimed(copy, copy.has_file, copy.wants_file))
            missing_b -= _bytes(copy)
        result.taken = _set_claimed(result.taken)
        evidence.keep([item.copy for item in result.taken], protectors)
    return result


@repeat_on_deadlock
def removed(copy_ids: Sequence[int]) -> None:
    """Record that claimed copies are gone from the medium; one transaction.

    Only `has_file` is written, whatever it is meanwhile, since the file is gone: if the operator
    cancelled the cleaning in between, the loss shows as Missing (W-2).
    """
    now = utcnow()
    with change():
        for chunk in chunks(copy_ids):
            ArchiveFileCopy.update(has_file=HasFile.ABSENT, last_update=now).where(
                one_of(ArchiveFileCopy.id, chunk), ArchiveFileCopy.has_file != HasFile.ABSENT
            ).execute()
        evidence.removed(copy_ids)
        verification.over(copy_ids)


def give_back(claimed: Iterable[Claimed]) -> None:
    """Undo claims whose files could not be removed; one transaction."""
    by_state: dict[tuple[str, str], list[int]] = {}
    for item in claimed:
        by_state.setdefault((item.had, item.wanted), []).append(item.copy.id)
    with change():
        evidence.given_back(copy_id for ids in by_state.values() for copy_id in ids)
        for (had, wanted), ids in by_state.items():
            for chunk in chunks(ids):
                ArchiveFileCopy.update(has_file=had, wants_file=wanted, last_update=utcnow()).where(
                    one_of(ArchiveFileCopy.id, chunk),
                    ArchiveFileCopy.has_file == HasFile.SUSPECT,
                    ArchiveFileCopy.wants_file == WantsFile.RELEASED,
                ).execute()


def ring_waiting(file_ids: Sequence[int]) -> None:
    """Wake the daemons that hold released copies of these files: a new archive copy is there."""
    hosts: set[int] = set()
    for chunk in chunks(file_ids):
        query = ArchiveFileCopy.select(ArchiveFileCopy.node).where(
            one_of(ArchiveFileCopy.file, chunk),
            ArchiveFileCopy.has_file != HasFile.ABSENT,
            ArchiveFileCopy.wants_file == WantsFile.RELEASED,
        )
        hosts.update(node_id for (node_id,) in tuples(query))  # DISTINCT would take another index
    doorbell.ring_nodes(hosts)


def _protected(rule: Protection) -> Any:
    return protecting(rule) >= rule.copies


def _candidates(node: StorageNode) -> Any:
    """Copies on the node that are there in some way and that nobody is to be sent."""
    return copies_with_files().where(*_may_go(node))


def _may_go(node: StorageNode) -> list[Any]:
    """Return the conditions of `_candidates`, which need no more than the copies."""
    return [ArchiveFileCopy.node == node, _is_there(), ~_is_source()]


def _is_there() -> Any:
    """Condition: something of the copy is there.

    The states are named: for "not absent" a database looks at all copies of the node instead of
    finding those few that are also released.
    """
    return ArchiveFileCopy.has_file << [HasFile.PRESENT, HasFile.SUSPECT, HasFile.CORRUPT]


def _is_source() -> Any:
    """Condition: a pending request has this copy as its source.

    Node and flags are tested so that only the index of the file serves: SQLite would take that of
    the node, and read every request that the node ever had for each copy.
    """
    request = ArchiveFileCopyRequest.alias()
    return any_row(
        request.select().where(
            request.file == ArchiveFileCopy.file,
            request.node_from + 0 == ArchiveFileCopy.node,
            ~request.completed,
            ~request.cancelled,
        )
    )


def _pending_sources(node_id: int, file_ids: Sequence[int]) -> set[int]:
    """Return the files that are to be transferred from a node; inside `change()`.

    Ended requests are looked at too, and on servers all are locked: a program that locks no files
    may revive one at this moment. A new one has to wait for the lock on its file.
    """
    request = ArchiveFileCopyRequest
    query = request.select(request.file, request.completed, request.cancelled).where(
        request.node_from + 0 == node_id  # found by the file: see `_is_source`
    )
    if not is_sqlite():
        query = query.order_by(request.id + 0).for_update()  # of "id", MariaDB would read all
    rows = by_ids(tuples(query), request.file, sorted(set(file_ids)))
    return {file_id for file_id, completed, cancelled in rows if not (completed or cancelled)}


def _released_first(copy: ArchiveFileCopy) -> tuple[bool, datetime.datetime, int]:
    """Order of deletion: released copies, then removable ones, oldest change first (W-35)."""
    released = copy.wants_file == WantsFile.RELEASED
    return not released, datetime.datetime.min if released else copy.last_update, copy.id


def _wants_to_go(copy: ArchiveFileCopy, may_free: bool) -> bool:
    if copy.has_file == HasFile.ABSENT:
        return False
    if copy.wants_file == WantsFile.RELEASED:
        return True
    return may_free and bool(copy.wants_file == WantsFile.REMOVABLE)


def _set_claimed(wanted: Sequence[Claimed]) -> list[Claimed]:
    """Set copies to (M,N), each only if it still is as it was read; returns those that were."""
    now = utcnow()
    for had, wants in {(item.had, item.wanted) for item in wanted}:
        ids = [i.copy.id for i in wanted if (i.had, i.wanted) == (had, wants)]
        for chunk in chunks(ids):
            ArchiveFileCopy.update(
                has_file=HasFile.SUSPECT, wants_file=WantsFile.RELEASED, last_update=now
            ).where(
                one_of(ArchiveFileCopy.id, chunk),
                ArchiveFileCopy.has_file == had,
                ArchiveFileCopy.wants_file == wants,
            ).execute()
    query = ArchiveFileCopy.select(ArchiveFileCopy.id).where(
        ArchiveFileCopy.has_file == HasFile.SUSPECT,
        ArchiveFileCopy.wants_file == WantsFile.RELEASED,
    )
    rows = by_ids(tuples(query), ArchiveFileCopy.id, [item.copy.id for item in wanted])
    claimed = {copy_id for (copy_id,) in rows}
    return [item for item in wanted if item.copy.id in claimed]


def _missing_bytes(node: StorageNode) -> int:
    """How much space the node wants freed; 0 for archive nodes and if nothing is known."""
    if node.archive or node.avail_gb is None:
        return 0
    return max(0, int((node.min_avail_gb - node.avail_gb) * GIB))


def _bytes(copy: ArchiveFileCopy) -> int:
    return copy.size_b if copy.size_b is not None else (copy.file.size_b or 0)
