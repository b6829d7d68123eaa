"""What reports on groups and nodes are made of (spec: cli.md §8.6, §9.7, §9.11, §9.12)."""

from __future__ import annotations

from alpenhorn.db import StorageGroup, StorageNode
from alpenhorn.db.queries import listing
from alpenhorn.db.queries.listing import (
    NodeFilter,
    actions_from,
    actions_into,
    pending_imports,
    pending_inbound,
    pending_outbound,
)
from alpenhorn.db.queries.stats import NodeStats, node_stats
from alpenhorn.services import lookup

__all__ = [
    "NodeFilter",
    "NodeStats",
    "actions_from",
    "actions_into",
    "all_groups",
    "members",
    "node_stats",
    "nodes",
    "pending_imports",
    "pending_inbound",
    "pending_outbound",
    "select_nodes",
]


def select_nodes(active: bool | None, group: str | None, host: str | None) -> NodeFilter:
    """Build a filter from the options that select nodes.

    Raises:
        NotFound: there is no such group.
    """
    group_id = None if group is None else lookup.group(group).id
    return NodeFilter(active=active, group_id=group_id, host=host)


def all_groups() -> list[StorageGroup]:
    """Return all groups, by id."""
    return listing.groups()


def nodes(selection: NodeFilter) -> list[StorageNode]:
    """Return the selected nodes with their groups, by id."""
    return listing.nodes(selection)


def members(group: StorageGroup) -> NodeFilter:
    """Select the nodes of a group."""
    return NodeFilter(group_id=group.id)
