"""What the index knows of one file (spec: cli.md §7.7)."""

from __future__ import annotations

from typing import Any

import peewee as pw

from alpenhorn.db.acquisition import ArchiveFile
from alpenhorn.db.archive import ArchiveFileCopy, ArchiveFileCopyRequest
from alpenhorn.db.queries.group_states import best_copy
from alpenhorn.db.storage import StorageGroup, StorageNode


def copy_of(file: ArchiveFile, node: StorageNode) -> ArchiveFileCopy | None:
    """Return the copy record of a file on a node."""
    found: ArchiveFileCopy | None = ArchiveFileCopy.get_or_none(
        ArchiveFileCopy.file == file, ArchiveFileCopy.node == node
    )
    return found


def copies(file: ArchiveFile) -> list[ArchiveFileCopy]:
    """Return the copy records of a file with their nodes, by id."""
    query = ArchiveFileCopy.select(ArchiveFileCopy, StorageNode).join(StorageNode)
    return list(query.where(ArchiveFileCopy.file == file).order_by(ArchiveFileCopy.id))


def group_states(file: ArchiveFile) -> list[tuple[str, str | None, str | None]]:
    """Return (group, state, node that gives it) for groups with any record of a file, by id.

    State and node are None if the file is absent from the group.
    """
    best, giver = ArchiveFileCopy.alias(), StorageNode.alias()
    recorded = (
        StorageNode.select(StorageNode.group)
        .join(ArchiveFileCopy)
        .where(ArchiveFileCopy.file == file)
    )
    query: Any = (
        StorageGroup.select(StorageGroup.name, best.has_file, giver.name)
        .join(best, pw.JOIN.LEFT_OUTER, on=(best.id == best_copy(file, StorageGroup.id)))
        .join(giver, pw.JOIN.LEFT_OUTER, on=(best.node == giver.id))
        .where(StorageGroup.id << recorded)
        .order_by(StorageGroup.id)
    )
    return list(query.tuples())


def requests(file: ArchiveFile) -> list[ArchiveFileCopyRequest]:
    """Return all copy requests for a file, done or not, with node and group, by id."""
    request = ArchiveFileCopyRequest
    query = (
        request.select(request, StorageNode, StorageGroup)
        .join(StorageNode)
        .switch(request)
        .join(StorageGroup)
        .where(request.file == file)
    )
    return list(query.order_by(request.id))
