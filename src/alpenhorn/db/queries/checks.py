"""Verification of copies: which are suspect, and what a check found."""

from __future__ import annotations

import datetime
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import peewee as pw

from alpenhorn.common.units import utcnow
from alpenhorn.db.archive import ArchiveFileCopy
from alpenhorn.db.connection import change, repeat_on_deadlock
from alpenhorn.db.enums import HasFile, WantsFile
from alpenhorn.db.queries import autoactions, verification
from alpenhorn.db.queries.common import (
    CASES,
    by_id,
    by_ids,
    chunks,
    copies_with_files,
    insert_rows,
    lock_files,
    one_of,
)
from alpenhorn.db.queries.protection import being_deleted
from alpenhorn.db.storage import StorageNode


@dataclass(frozen=True)
class Verdict:
    """What a check of one copy found; `size_b` is the space used, set for good copies only."""

    copy_id: int
    has_file: HasFile
    size_b: int | None = None

    @property
    def good(self) -> bool:
        """Are the bytes those that the index knows?"""
        return self.has_file is HasFile.PRESENT


def suspect(node: StorageNode, limit: int) -> list[ArchiveFileCopy]:
    """Return at most `limit` suspect, not released copies on a node; one statement.

    Which ones, if there are more, is left to the database: told to sort them by id, SQLite and
    MariaDB would read all copies of the node to find a few.
    """
    query = copies_with_files().where(
        ArchiveFileCopy.node == node,
        ArchiveFileCopy.has_file == HasFile.SUSPECT,
        ArchiveFileCopy.wants_file << [WantsFile.KEEP, WantsFile.REMOVABLE],
    )
    return sorted(query.limit(limit), key=lambda copy: int(copy.id))


@repeat_on_deadlock
def record(node: StorageNode, verdicts: Sequence[Verdict]) -> int:
    """Store what checks found, in one transaction.

    Only `has_file`, `last_update` and, for good copies, `size_b` are written, and only where the
    copy is still suspect: what anybody else decided meanwhile stands (invariants 10, 11). Nothing
    is recorded of a copy that is being deleted, even if it is wanted again: it was read before it
    went, and after a kill nothing would tell that it is gone (invariant 8).

    A good copy that is not `ready` was found on the medium by a search and has never been present
    before (C5). It counts as added now: it becomes ready, and its auto-actions are done, so that
    a chain that a crash has cut off goes on.

    Returns:
        How many rows were changed.
    """
    now = utcnow()
    changed = 0
    with change():
        added = _never_present([v.copy_id for v in verdicts if v.good])
        lock_files(added.values())
        for state in HasFile:
            found = {v.copy_id: v.size_b for v in verdicts if v.has_file == state}
            for ids in chunks(found, CASES):
                values: dict[str, Any] = {"has_file": state, "last_update": now}
                if state == HasFile.PRESENT:
                    values["size_b"] = by_id(ArchiveFileCopy.size_b, {i: found[i] for i in ids})
                changed += _update_suspect(ids, values)
        _add(node, added)
        verification.verified(v.copy_id for v in verdicts if v.good)
        verification.failed(v.copy_id for v in verdicts if not v.good)
    return changed


def ask_for_check(node: StorageNode, found: Iterable[tuple[int, int | None]]) -> int:
    """Record that untracked files were found on a node and must be checked (C5).

    Args:
        node: where the files are.
        found: (file id, space used) of each.

    Returns:
        How many copies were made or changed. A copy that is known to be there is left alone.
        One transaction.
    """
    sizes = dict(found)
    with change():
        lock_files(sizes)
        query = ArchiveFileCopy.select().where(ArchiveFileCopy.node == node)
        known = {copy.file_id: copy for copy in by_ids(query, ArchiveFileCopy.file, list(sizes))}
        absent = [copy.id for copy in known.values() if copy.has_file == HasFile.ABSENT]
        for ids in chunks(absent):
            ArchiveFileCopy.update(**_found()).where(
                one_of(ArchiveFileCopy.id, ids), ArchiveFileCopy.has_file == HasFile.ABSENT
            ).execute()
        new = [
            {"file": file_id, "node": node.id, "size_b": size, **_found()}
            for file_id, size in sizes.items()
            if file_id not in known
        ]
        insert_rows(ArchiveFileCopy, new)
    return len(absent) + len(new)


def _found() -> dict[str, Any]:
    """Column values of a copy that was found on a medium and is to be checked."""
    return {
        "has_file": HasFile.SUSPECT.value,
        "wants_file": WantsFile.KEEP.value,
        "ready": False,
        "last_update": utcnow(),
    }


def random_start(node: StorageNode) -> int:
    """Return an id somewhere among the copies of a node; 0 if there is none."""
    low, high = (
        ArchiveFileCopy.select(pw.fn.MIN(ArchiveFileCopy.id), pw.fn.MAX(ArchiveFileCopy.id))
        .where(ArchiveFileCopy.node == node, ArchiveFileCopy.has_file != HasFile.ABSENT)
        .scalar(as_tuple=True)
    )
    return random.randint(low, high) - 1 if high is not None else 0


@repeat_on_deadlock
def stale(node: StorageNode, after_id: int, count: int, min_days: int) -> tuple[list[int], int]:
    """Pick the next copies for auto-verify and mark the old ones suspect (C9); one transaction.

    Args:
        node: the node.
        after_id: the cursor: id of the last copy looked at; 0 starts at the beginning.
        count: how many copies to look at, in id order.
        min_days: copies whose `last_update` is not more than this many days ago are skipped.

    Returns:
        Ids of the copies marked, and the new cursor (0 after the end was reached).
    """
    before = utcnow() - datetime.timedelta(days=min_days)
    with change():
        rows = list(
            ArchiveFileCopy.select(
                ArchiveFileCopy.id, ArchiveFileCopy.last_update, ArchiveFileCopy.wants_file
            )
            .where(
                ArchiveFileCopy.node == node,
                ArchiveFileCopy.has_file != HasFile.ABSENT,
                ArchiveFileCopy.id > after_id,
            )
            .order_by(ArchiveFileCopy.id)
            .limit(count)
        )
        ids = [
            row.id
            for row in rows
            if row.last_update < before and row.wants_file != WantsFile.RELEASED
        ]
        for chunk in chunks(ids):
            ArchiveFileCopy.update(has_file=HasFile.SUSPECT, last_update=utcnow()).where(
                one_of(ArchiveFileCopy.id, chunk),
                ArchiveFileCopy.has_file != HasFile.ABSENT,
                ArchiveFileCopy.wants_file != WantsFile.RELEASED,
            ).execute()
    return ids, rows[-1].id if rows and len(rows) == count else 0


def _update_suspect(copy_ids: list[int], values: dict[str, Any]) -> int:
    return int(
        ArchiveFileCopy.update(values)
        .where(
            one_of(ArchiveFileCopy.id, copy_ids),
            ArchiveFileCopy.has_file == HasFile.SUSPECT,
            ArchiveFileCopy.wants_file != WantsFile.RELEASED,
            ~being_deleted(ArchiveFileCopy),
        )
        .execute()
    )


def _never_present(copy_ids: Sequence[int]) -> dict[int, int]:
    """Return the file ids of those copies that a search has found, by copy id."""
    query = ArchiveFileCopy.select().where(
        ArchiveFileCopy.has_file == HasFile.SUSPECT,
        ArchiveFileCopy.wants_file == WantsFile.KEEP,
        ArchiveFileCopy.ready == False,  # noqa: E712
        ~being_deleted(ArchiveFileCopy),
    )
    return {copy.id: copy.file_id for copy in by_ids(query, ArchiveFileCopy.id, copy_ids)}


def _add(node: StorageNode, added: dict[int, int]) -> None:
    for chunk in chunks(added):
        ArchiveFileCopy.update(ready=True).where(
            one_of(ArchiveFileCopy.id, chunk), ArchiveFileCopy.has_file == HasFile.PRESENT
        ).execute()
    autoactions.apply(node, list(added.values()))
