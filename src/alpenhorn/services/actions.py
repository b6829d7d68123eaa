"""Turn auto-actions on and off (spec: cli.md §8.1, §9.2)."""

from __future__ import annotations

from alpenhorn.db import StorageGroup, StorageNode
from alpenhorn.db.queries import storage_edits
from alpenhorn.errors import NotAllowed


def set_autosync(node: StorageNode, group: StorageGroup, on: bool) -> bool:
    """Sync files that are added to a node into a group, from now on or no longer.

    Returns:
        Whether anything changed.

    Raises:
        NotAllowed: to be turned on, and the node is a member of the group.
    """
    return _set(node, group, "autosync", on)


def set_autoclean(node: StorageNode, group: StorageGroup, on: bool) -> bool:
    """Release files on a node that are added to a group, from now on or no longer.

    Returns:
        Whether anything changed.

    Raises:
        NotAllowed: to be turned on, and the node is a member of the group.
    """
    return _set(node, group, "autoclean", on)


def _set(node: StorageNode, group: StorageGroup, action: str, on: bool) -> bool:
    if on and node.group_id == group.id:
        raise NotAllowed(
            f'{action} can\'t be enabled: Node "{node.name}" is in Group "{group.name}".'
        )
    return storage_edits.set_action(node, group, action, on)
