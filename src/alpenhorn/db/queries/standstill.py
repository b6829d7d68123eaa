"""Whether the requests of a group can still be what they were: a glance instead of a search.

A hundred thousand requests whose source is switched off, or whose copies are to be verified first,
are nothing to look through in every pass. What could let one of them move leaves its trace in a few
numbers; while these are as they were, all of them wait for what they waited for (design P6).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import peewee as pw

from alpenhorn.db.archive import ArchiveFileCopy, ArchiveFileCopyRequest
from alpenhorn.db.enums import HasFile
from alpenhorn.db.queries.common import tuples
from alpenhorn.db.queries.pending import is_pending
from alpenhorn.db.storage import StorageGroup, StorageNode

Request = ArchiveFileCopyRequest


@dataclass(frozen=True)
class Signs:
    """Numbers of which one changes when a request that waits may move, or a new one is there.

    Not among them is the return of a copy that was absent or corrupt in the group, which makes a
    request for it needless: that can wait for the next search. How many requests there are is
    `count_pending`: that is read from all of them.
    """

    last_request: int
    """The highest id of a pending request of the group."""
    nodes: tuple[tuple[Any, ...], ...]
    """Of each source and each node of the group: id, `active`, is it in the group, and if so the
    highest id of a copy on it."""
    suspect: tuple[tuple[int, int, int], ...]
    """Of each of these nodes: number and sum of file ids of suspect copies."""


def sources(group: StorageGroup) -> list[int]:
    """Return the ids of the nodes from which requests into a group are pending; one statement."""
    query = Request.select(Request.node_from).where(*is_pending(), Request.group_to == group)
    return [node_id for (node_id,) in tuples(query.distinct())]


def signs(group: StorageGroup, source_ids: Collection[int]) -> Signs:
    """Take the numbers for a group; three statements, answered from indexes.

    Args:
        group: where the requests are to.
        source_ids: from where, as `sources` has found. A further source shows by its request.
    """
    nodes = _nodes(group, source_ids)
    return Signs(_last_request(group), nodes, _suspect([node[0] for node in nodes]))


def count_pending(group: StorageGroup) -> int:
    """Return how many requests into a group are pending; one statement, answered from an index."""
    return int(Request.select().where(*is_pending(), Request.group_to == group).count())


def _last_request(group: StorageGroup) -> int:
    # Not by MAX, for which MariaDB reads all of them.
    query = Request.select(Request.id).where(*is_pending(), Request.group_to == group)
    last = tuples(query.order_by(Request.id.desc())).first()
    return int(last[0]) if last else 0


def _nodes(group: StorageGroup, source_ids: Collection[int]) -> tuple[tuple[Any, ...], ...]:
    member = StorageNode.group == group
    # Not by MAX, for which MariaDB reads all copies of the node.
    last_copy = (
        ArchiveFileCopy.select(ArchiveFileCopy.id)
        .where(ArchiveFileCopy.node == StorageNode.id)
        .order_by(ArchiveFileCopy.id.desc())
        .limit(1)
    )
    query = (
        StorageNode.select(
            StorageNode.id, StorageNode.active, member, pw.Case(None, [(member, last_copy)], 0)
        )
        .where(member | (StorageNode.id << sorted(source_ids)))
        .order_by(StorageNode.id)
    )
    return tuple(tuples(query))


def _suspect(node_ids: Collection[int]) -> tuple[tuple[int, int, int], ...]:
    copy: Any = ArchiveFileCopy
    query = (
        copy.select(copy.node, pw.fn.COUNT(copy.file), pw.fn.SUM(copy.file))
        .where(copy.node << list(node_ids), copy.has_file == HasFile.SUSPECT)
        .group_by(copy.node)
        .order_by(copy.node)
    )
    return tuple((node, int(count), int(total)) for node, count, total in tuples(query))
