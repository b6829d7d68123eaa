"""Copies all over the index, for `file find` (spec: cli.md §7.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import peewee as pw

from alpenhorn.db.acquisition import ArchiveAcq, ArchiveFile
from alpenhorn.db.archive import ArchiveFileCopy
from alpenhorn.db.queries import copy_states
from alpenhorn.db.queries.streaming import in_byte_order, joined, stream
from alpenhorn.db.storage import StorageNode

_BELOW_ALL_NAMES = "\x01"


def find(
    acq_ids: Sequence[int],
    node_ids: Sequence[int],
    group_ids: Sequence[int],
    states: Sequence[str],
) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield acquisition, file name, node, `has_file` and `wants_file` of copies.

    Sorted by path, component by component, then by node.

    Args:
        acq_ids: only of these acquisitions; empty: of all.
        node_ids: only on these nodes, or on nodes of the groups; both empty: on all.
        group_ids: see `node_ids`.
        states: only in any of these states.
    """
    query: Any = (
        ArchiveFileCopy.select(
            ArchiveAcq.name,
            ArchiveFile.name,
            StorageNode.name,
            ArchiveFileCopy.has_file,
            ArchiveFileCopy.wants_file,
        )
        .join(ArchiveFile)
        .join(ArchiveAcq)
        .switch(ArchiveFileCopy)
        .join(StorageNode)
        .where(copy_states.any_of(states))
    )
    if acq_ids:
        query = query.where(ArchiveFile.acq << list(acq_ids))
    if node_ids or group_ids:
        at_node = ArchiveFileCopy.node << list(node_ids)
        query = query.where(at_node | (StorageNode.group << list(group_ids)))
    query = query.order_by(in_byte_order(_by_component()), in_byte_order(StorageNode.name))
    return stream(query)


def _by_component() -> Any:
    """A sort key: with the slash below all other characters, ``a/b`` comes before ``a-b``."""
    path = joined(ArchiveAcq.name, "/", ArchiveFile.name)
    return pw.fn.REPLACE(path, "/", _BELOW_ALL_NAMES)
