"""The state of a file in a group (spec: cli.md §3.7): that of its best copy there."""

from __future__ import annotations

from typing import Any

import peewee as pw

from alpenhorn.db.archive import ArchiveFileCopy
from alpenhorn.db.enums import HasFile
from alpenhorn.db.storage import StorageNode


def best_copy(file: Any, group_id: Any) -> Any:
    """Return a sub-select: the id of the copy that gives the group its state, or NULL.

    Present beats suspect beats corrupt; the oldest of equal ones wins.

    Args:
        file: `ArchiveFile`, or an alias of it, in the outer statement.
        group_id: an id, or a column of the outer statement.
    """
    copy, holder = ArchiveFileCopy.alias(), StorageNode.alias()
    rank = pw.Case(copy.has_file, [(HasFile.PRESENT.value, 0), (HasFile.SUSPECT.value, 1)], 2)
    return (
        copy.select(copy.id)
        .join(holder, on=(copy.node == holder.id))
        .where(
            copy.file == file.id, holder.group == group_id, copy.has_file != HasFile.ABSENT.value
        )
        .order_by(rank, copy.id)
        .limit(1)
    )
