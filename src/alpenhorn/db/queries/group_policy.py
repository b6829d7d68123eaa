"""What the daemons do for a group by themselves; kept in a table of our own."""

from __future__ import annotations

from alpenhorn.db.connection import change
from alpenhorn.db.operations import GroupPolicy
from alpenhorn.db.queries import doorbell
from alpenhorn.db.queries.common import insert_missing
from alpenhorn.db.storage import StorageGroup


def auto_repaired(group: StorageGroup) -> bool:
    """Tell whether the daemons repair a group by themselves; one statement."""
    if not doorbell.available():
        return False
    row = GroupPolicy.get_or_none(GroupPolicy.group_id == group.id)
    return bool(row and row.auto_repair)


def set_auto_repair(group: StorageGroup, on: bool) -> bool:
    """Let the daemons repair a group by themselves, or no longer; one transaction.

    Returns:
        Whether anything was changed.
    """
    with change():
        insert_missing(GroupPolicy, [{"group_id": group.id, "auto_repair": False}])
        changed = (
            GroupPolicy.update(auto_repair=on)
            .where(GroupPolicy.group_id == group.id, GroupPolicy.auto_repair != on)
            .execute()
        )
        if changed and on:
            doorbell.ring_groups([group.id])
    return bool(changed)
