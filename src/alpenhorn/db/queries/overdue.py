"""Archive copies that would protect a released copy, if they had been verified recently."""

from __future__ import annotations

from typing import Any

import peewee as pw

from alpenhorn.common.units import utcnow
from alpenhorn.db.archive import ArchiveFileCopy
from alpenhorn.db.connection import change, repeat_on_deadlock
from alpenhorn.db.enums import HasFile, WantsFile
from alpenhorn.db.queries import doorbell, verification
from alpenhorn.db.queries.common import by_ids, chunks, one_of, tuples
from alpenhorn.db.queries.protection import (
    Protection,
    asked_since,
    counts,
    protecting,
    verified_since,
)
from alpenhorn.db.storage import StorageNode


@repeat_on_deadlock
def put_up_for_check(node: StorageNode, rule: Protection, limit: int) -> int:
    """Have archive copies checked whose age keeps released copies of a node; one transaction.

    Copies on inactive nodes are left alone: nobody could check them. A copy that was put up is not
    put up again for `max_age_days`, even if its storage class keeps no record of its checks.

    Args:
        node: the node with the released copies.
        rule: what must be left elsewhere; nothing is done if age does not matter.
        limit: most released copies that are looked at.

    Returns:
        The number of copies put up.
    """
    if rule.max_age_days is None or not doorbell.available():
        return 0
    days = rule.max_age_days
    files = _kept_by_age(node, rule, days, limit)
    if not files:
        return 0
    copy = ArchiveFileCopy
    query = copy.select(copy.id, copy.node).join(StorageNode)
    query = query.where(*_overdue(copy, StorageNode, rule, days)).order_by(copy.id)
    with change():
        found = list(by_ids(tuples(query), copy.file, files))
        ids = [copy_id for copy_id, _ in found]
        for chunk in chunks(ids):
            ArchiveFileCopy.update(has_file=HasFile.SUSPECT, last_update=utcnow()).where(
                one_of(ArchiveFileCopy.id, chunk),
                ArchiveFileCopy.has_file == HasFile.PRESENT,
                ArchiveFileCopy.wants_file != WantsFile.RELEASED,
            ).execute()
        verification.asked(ids)
        doorbell.ring_nodes(node_id for _, node_id in found)
    return len(ids)


def _kept_by_age(node: StorageNode, rule: Protection, days: int, limit: int) -> list[int]:
    """Return files of released copies that could go if old archive copies proved to be good.

    Only files of which some copy can be put up: else those that cannot be helped would hide others.
    """
    other, holder = ArchiveFileCopy.alias(), StorageNode.alias()
    can_be_put_up = (
        other.select(pw.SQL("1"))
        .join(holder, on=(other.node == holder.id))
        .where(other.file == ArchiveFileCopy.file, *_overdue(other, holder, rule, days))
    )
    query = (
        ArchiveFileCopy.select(ArchiveFileCopy.file)
        .where(
            ArchiveFileCopy.node == node,
            ArchiveFileCopy.has_file != HasFile.ABSENT,
            ArchiveFileCopy.wants_file == WantsFile.RELEASED,
            protecting(rule) < rule.copies,
            protecting(rule.whatever_age) >= rule.copies,
            pw.fn.EXISTS(can_be_put_up),
        )
        .order_by(ArchiveFileCopy.id)
        .limit(limit)
    )
    return [file_id for (file_id,) in tuples(query)]


def _overdue(copy: Any, node: Any, rule: Protection, days: int) -> list[Any]:
    """Conditions: an archive copy was not verified recently, nor put up, and can be checked."""
    return [
        *counts(copy, node, rule.whatever_age),
        node.active == True,  # noqa: E712
        ~verified_since(copy, days),
        ~asked_since(copy, days),
    ]
