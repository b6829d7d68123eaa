"""On which physical store of its host a node rests, as its daemon has said; a table of our own.

Copies of one file on two nodes that share a store can be lost together (invariant 3). A daemon sees
the stores of its own host only; what those of other hosts have published tells it of theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alpenhorn.db.connection import change
from alpenhorn.db.operations import NodeStore
from alpenhorn.db.queries import doorbell
from alpenhorn.db.queries.common import insert_missing, tuples
from alpenhorn.db.storage import StorageNode


def publish(node: StorageNode, store: str) -> None:
    """Say on which store a node rests; one transaction, and nothing is written twice.

    Args:
        node: the node.
        store: a text that the nodes of its host have in common if they share a file system.
    """
    if not doorbell.available():
        return
    with change():
        insert_missing(NodeStore, [{"node_id": node.id, "host": node.host, "store": store}])
        NodeStore.update(host=node.host, store=store).where(
            NodeStore.node_id == node.id,
            (NodeStore.host != node.host) | (NodeStore.store != store),
        ).execute()


def known(seen: Mapping[int, object]) -> dict[int, object]:
    """Return a key of the store of each node of which one is known, by node id; one statement.

    A node that has moved to another host since it was published is left out: nobody knows.

    Args:
        seen: keys of the stores that this host sees at this moment, by node id. A node of this
            host that it does not see (its medium is not there) counts as resting where it did
            when it was seen last: on the store of those that were there too.
    """
    if not doorbell.available():
        return dict(seen)
    query: Any = (
        NodeStore.select(NodeStore.node_id, NodeStore.host, NodeStore.store)
        .join(StorageNode, on=(StorageNode.id == NodeStore.node_id))
        .where(NodeStore.host == StorageNode.host)
    )
    places = {node_id: (host, store) for node_id, host, store in tuples(query)}
    now = {places[node_id]: key for node_id, key in seen.items() if node_id in places}
    return {**{node_id: now.get(place, place) for node_id, place in places.items()}, **seen}
