"""How much is on the nodes (spec: cli.md §9.11); two statements however many nodes there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import peewee as pw

from alpenhorn.db.acquisition import ArchiveFile
from alpenhorn.db.archive import ArchiveFileCopy
from alpenhorn.db.enums import HasFile, WantsFile
from alpenhorn.db.queries.listing import NodeFilter, nodes
from alpenhorn.db.storage import GIB, StorageNode


@dataclass(frozen=True)
class NodeStats:
    """Figures of one node; only copies that are wanted (``wants_file=Y``) count."""

    node: StorageNode
    files: int = 0
    size_b: int | None = None
    """Sum of the lengths of the present files; None if no length is known."""
    corrupt: int = 0
    suspect: int = 0
    missing: int = 0

    @property
    def percent_full(self) -> float | None:
        """Share of the node's maximum that is used; None without files or maximum."""
        limit = self.node.max_total_gb
        if not self.size_b or not limit or limit <= 0:
            return None
        return 100 * self.size_b / (limit * GIB)


def node_stats(selection: NodeFilter) -> list[NodeStats]:
    """Return the figures of the selected nodes, by node id."""
    found: dict[int, dict[str, tuple[int, int | None]]] = {}
    for node_id, state, count, size in _figures(selection):
        found.setdefault(node_id, {})[state] = int(count), None if size is None else int(size)
    return [_stats(node, found.get(node.id, {})) for node in nodes(selection)]


def _stats(node: StorageNode, by_state: dict[str, tuple[int, int | None]]) -> NodeStats:
    present, corrupt, suspect, missing = (
        by_state.get(state, (0, None))
        for state in (HasFile.PRESENT, HasFile.CORRUPT, HasFile.SUSPECT, HasFile.ABSENT)
    )
    return NodeStats(node, *present, corrupt[0], suspect[0], missing[0])


def _figures(selection: NodeFilter) -> Any:
    """Count per node and state.

    In this form the index of a node's copies by their states gives the groups, and nothing has to
    be worked out for a row but the sum. The outer join finds no other rows than an inner one would;
    it keeps MariaDB from beginning with the files and looking up the copies of each.
    """
    copy = ArchiveFileCopy
    selected = StorageNode.select(StorageNode.id).where(selection.condition())
    return (
        copy.select(copy.node, copy.has_file, pw.fn.COUNT(copy.id), pw.fn.SUM(ArchiveFile.size_b))
        .join(ArchiveFile, pw.JOIN.LEFT_OUTER)
        .where(copy.wants_file == WantsFile.KEEP, copy.node << selected)
        .group_by(copy.node, copy.has_file)
        .tuples()
    )
