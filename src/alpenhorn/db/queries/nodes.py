"""Questions about nodes and groups that a daemon asks in each pass."""

from __future__ import annotations

from collections.abc import Iterable

from alpenhorn.db.archive import NODE_INIT_PATH, ArchiveFileImportRequest
from alpenhorn.db.storage import StorageGroup, StorageNode


def active_on(host: str) -> list[StorageNode]:
    """Return the active nodes of a host with their groups, by id; one statement."""
    query = (
        StorageNode.select(StorageNode, StorageGroup)
        .join(StorageGroup)
        .where(StorageNode.host == host, StorageNode.active == True)  # noqa: E712
        .order_by(StorageNode.id)
    )
    return _exactly(host, query)


def on_host(host: str | None) -> list[StorageNode]:
    """Return all nodes of a host, active or not; one statement."""
    return _exactly(host, StorageNode.select().where(StorageNode.host == host))


def _exactly(host: str | None, nodes: Iterable[StorageNode]) -> list[StorageNode]:
    """Drop what only MySQL takes for the same name, in an index made by another program (W-29)."""
    return [node for node in nodes if node.host == host]


def still_active(node_id: int) -> bool:
    """Tell whether a node is active at this moment."""
    query = StorageNode.select().where(StorageNode.id == node_id, StorageNode.active == True)  # noqa: E712
    return bool(query.exists())


def init_request(node: StorageNode) -> ArchiveFileImportRequest | None:
    """Return the oldest pending request to initialise a node."""
    return (
        ArchiveFileImportRequest.select()
        .where(
            ArchiveFileImportRequest.node == node,
            ArchiveFileImportRequest.path == NODE_INIT_PATH,
            ArchiveFileImportRequest.completed == False,  # noqa: E712
        )
        .order_by(ArchiveFileImportRequest.id)
        .first()
    )
