"""What reports on groups and nodes show; each function is one statement."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import reduce
from typing import Any

import peewee as pw

from alpenhorn.db.acquisition import ArchiveFile
from alpenhorn.db.archive import (
    NODE_INIT_PATH,
    ArchiveFileCopyRequest,
    ArchiveFileImportRequest,
)
from alpenhorn.db.storage import StorageGroup, StorageNode, StorageTransferAction

_NAMES = 1000


@dataclass(frozen=True)
class NodeFilter:
    """Which nodes a report is about; the limits combine."""

    active: bool | None = None
    group_id: int | None = None
    host: str | None = None
    node_id: int | None = None

    def condition(self) -> Any:
        """Return the condition on `StorageNode`; always true without limits."""
        limits = {
            StorageNode.active: self.active,
            StorageNode.group: self.group_id,
            StorageNode.host: self.host,
            StorageNode.id: self.node_id,
        }
        terms = [column == value for column, value in limits.items() if value is not None]
        return reduce(operator.and_, terms, StorageNode.id.is_null(False))


def groups() -> list[StorageGroup]:
    """Return all groups, by id."""
    return list(StorageGroup.select().order_by(StorageGroup.id))


def nodes(selection: NodeFilter) -> list[StorageNode]:
    """Return nodes with their groups, by id."""
    query = StorageNode.select(StorageNode, StorageGroup).join(StorageGroup)
    return list(query.where(selection.condition()).order_by(StorageNode.id))


def names_from(model: Any, prefix: str) -> list[str]:
    """Return the first names of a model's records that begin with a text, in order.

    What counts as equal is up to the database: some pay no regard to upper and lower case.
    """
    query = model.select(model.name).where(model.name.startswith(prefix))
    return [name for (name,) in query.order_by(model.name).limit(_NAMES).tuples()]


def pending_inbound(group: StorageGroup) -> list[tuple[str, int, int | None]]:
    """Return (source node, requests, bytes) over the pending requests into a group, by name."""
    return _pending(StorageNode, ArchiveFileCopyRequest.group_to == group)


def pending_outbound(node: StorageNode) -> list[tuple[str, int, int | None]]:
    """Return (group, requests, bytes) over the pending requests out of a node, by name."""
    return _pending(StorageGroup, ArchiveFileCopyRequest.node_from == node)


def actions_into(group: StorageGroup) -> list[StorageTransferAction]:
    """Return the edges into a group that do anything, with their nodes, by node id."""
    query = _actions(StorageNode).where(StorageTransferAction.group_to == group)
    return list(query.order_by(StorageNode.id))


def actions_from(node: StorageNode) -> list[StorageTransferAction]:
    """Return the edges from a node that do anything, with their groups, by group id."""
    query = _actions(StorageGroup).where(StorageTransferAction.node_from == node)
    return list(query.order_by(StorageGroup.id))


def pending_imports(node: StorageNode) -> list[ArchiveFileImportRequest]:
    """Return the pending import requests: for initialisation first, each part by time."""
    request = ArchiveFileImportRequest
    others_last = pw.Case(None, [(request.path == NODE_INIT_PATH, 0)], 1)
    query = request.select().where(request.node == node, request.completed == False)  # noqa: E712
    return list(query.order_by(others_last, request.timestamp, request.id))


def _pending(other_end: Any, condition: Any) -> list[tuple[str, int, int | None]]:
    query: Any = (
        ArchiveFileCopyRequest.select(
            other_end.name,
            pw.fn.COUNT(ArchiveFileCopyRequest.id),
            pw.fn.SUM(ArchiveFile.size_b),
        )
        .join(ArchiveFile)
        .switch(ArchiveFileCopyRequest)
        .join(other_end)
        .where(
            condition,
            ArchiveFileCopyRequest.completed == False,  # noqa: E712
            ArchiveFileCopyRequest.cancelled == False,  # noqa: E712
        )
        .group_by(other_end.name)
        .order_by(other_end.name)
        .tuples()
    )
    return [(name, count, None if size is None else int(size)) for name, count, size in query]


def _actions(other_end: Any) -> Any:
    edge = StorageTransferAction
    return edge.select(edge, other_end).join(other_end).where(edge.autosync | edge.autoclean)
