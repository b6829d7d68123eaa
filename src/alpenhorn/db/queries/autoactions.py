"""Auto-sync and auto-clean: what follows when a verified copy was added (spec: data-index.md §11).

`apply` runs inside the transaction that made the copies present, so it happens exactly once, also
if the process dies right afterwards (invariant 26).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from alpenhorn.common.units import utcnow
from alpenhorn.db.acquisition import ArchiveFile
from alpenhorn.db.archive import ArchiveFileCopy, ArchiveFileCopyRequest
from alpenhorn.db.enums import HasFile, WantsFile
from alpenhorn.db.queries import doorbell, releases
from alpenhorn.db.queries.common import chunks, found_by_file, insert_rows, one_of, tuples
from alpenhorn.db.storage import StorageNode, StorageTransferAction


def apply(node: StorageNode, file_ids: Sequence[int]) -> None:
    """Do the auto-actions of files that were just added to a node.

    Args:
        node: where the verified copies are.
        file_ids: the files.

    Must be called inside `change()`, with the files locked.
    """
    if not file_ids:
        return
    for group_id in _sync_targets(node):
        for chunk in chunks(file_ids):
            _request_missing(node, group_id, chunk)
        doorbell.ring_groups([group_id])
    sources = _clean_sources(node)
    for source_id in sources:
        for chunk in chunks(file_ids):
            _release(source_id, chunk, f"auto-clean: added to {node.name}")
    doorbell.ring_nodes(sources)


def _sync_targets(node: StorageNode) -> list[int]:
    edges = StorageTransferAction.select(StorageTransferAction.group_to).where(
        StorageTransferAction.node_from == node,
        StorageTransferAction.autosync == True,  # noqa: E712
        StorageTransferAction.group_to != node.group_id,
    )
    return [group_id for (group_id,) in tuples(edges)]


def _clean_sources(node: StorageNode) -> list[int]:
    edges = (
        StorageTransferAction.select(StorageTransferAction.node_from)
        .join(StorageNode, on=StorageTransferAction.node_from)
        .where(
            StorageTransferAction.group_to == node.group_id,
            StorageTransferAction.autoclean == True,  # noqa: E712
            StorageNode.group != node.group_id,
        )
    )
    return [node_id for (node_id,) in tuples(edges)]


def _request_missing(node: StorageNode, group_id: int, file_ids: Iterable[int]) -> None:
    """Ask for copies of the files that the group lacks and that nobody has asked for yet.

    A released copy counts as absent: it is about to go (W-7).
    """
    there = (
        ArchiveFileCopy.select(ArchiveFileCopy.file)
        .join(StorageNode, on=found_by_file(ArchiveFileCopy, StorageNode))
        .where(
            StorageNode.group == group_id,
            ArchiveFileCopy.has_file == HasFile.PRESENT,
            ArchiveFileCopy.wants_file != WantsFile.RELEASED,
        )
    )
    pending = ArchiveFileCopyRequest.select(ArchiveFileCopyRequest.file).where(
        ArchiveFileCopyRequest.group_to + 0 == group_id,
        ArchiveFileCopyRequest.node_from + 0 == node.id,
        ~ArchiveFileCopyRequest.completed,  # by the index of the file: see `deletion`
        ~ArchiveFileCopyRequest.cancelled,
    )
    ids = list(file_ids)
    missing = ArchiveFile.select(ArchiveFile.id).where(
        one_of(ArchiveFile.id, ids),
        ArchiveFile.id.not_in(there.where(one_of(ArchiveFileCopy.file, ids))),
        ArchiveFile.id.not_in(pending.where(one_of(ArchiveFileCopyRequest.file, ids))),
    )
    now = utcnow()
    rows = [
        {
            "file": file_id,
            "group_to": group_id,
            "node_from": node.id,
            "completed": False,
            "cancelled": False,
            "timestamp": now,
        }
        for (file_id,) in tuples(missing.order_by(ArchiveFile.id))
    ]
    insert_rows(ArchiveFileCopyRequest, rows)


def _release(node_id: int, file_ids: list[int], by: str) -> None:
    """Release the healthy, wanted copies of the files on a node."""
    chosen = (
        (ArchiveFileCopy.node == node_id)
        & one_of(ArchiveFileCopy.file, file_ids)
        & (ArchiveFileCopy.has_file == HasFile.PRESENT)
        & (ArchiveFileCopy.wants_file == WantsFile.KEEP)
    )
    releases.note(chosen, WantsFile.RELEASED, by)
    ArchiveFileCopy.update(wants_file=WantsFile.RELEASED, last_update=utcnow()).where(
        chosen
    ).execute()
