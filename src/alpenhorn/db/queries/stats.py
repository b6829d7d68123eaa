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
    figures = {node_id: rest for node_id, *rest in _figures(selection)}
    return [_stats(node, figures.get(node.id)) for node in nodes(selection)]


def _stats(node: StorageNode, figures: list[Any] | None) -> NodeStats:
    if figures is None:
        return NodeStats(node)
    files, size, *others = figures
    return NodeStats(node, int(files), None if size is None else int(size), *map(int, others))


def _figures(selection: NodeFilter) -> Any:
    copy = ArchiveFileCopy
    states = (HasFile.CORRUPT, HasFile.SUSPECT, HasFile.ABSENT)
    length = pw.Case(None, [(copy.has_file == HasFile.PRESENT, ArchiveFile.size_b)], None)
    return (
        copy.select(
            copy.node, _count(HasFile.PRESENT), pw.fn.SUM(length), *(_count(s) for s in states)
        )
        .join(ArchiveFile)
        .switch(copy)
        .join(StorageNode)
        .where(copy.wants_file == WantsFile.KEEP, selection.condition())
        .group_by(copy.node)
        .tuples()
    )


def _count(state: HasFile) -> Any:
    return pw.fn.SUM(pw.Case(None, [(ArchiveFileCopy.has_file == state, 1)], 0))
