"""What the tasks of storage classes and chores hold: see `alpenhorn.scheduler.in_hand`.

One daemon hands out one copy, file or request of a kind once at a time. The functions here name
the kinds, so that who makes a task and who looks for work mean the same.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from alpenhorn.db import ArchiveFileCopy, ArchiveFileCopyRequest, StorageGroup, StorageNode
from alpenhorn.scheduler import Holds

Kind = tuple[str, int]


def checks(node: StorageNode) -> Kind:
    """Copies on a node that are verified."""
    return "checks", int(node.id)


def deletions(node: StorageNode) -> Kind:
    """Copies on a node that are deleted."""
    return "deletions", int(node.id)


def imports(node: StorageNode) -> Kind:
    """Import requests for a node that are carried out."""
    return "imports", int(node.id)


def pulls(group: StorageGroup) -> Kind:
    """Files that are brought into a group."""
    return "pulls", int(group.id)


def sources(group: StorageGroup) -> Kind:
    """Nodes from which files are brought into a group."""
    return "sources", int(group.id)


def of_copies(kind: Kind, copies: Iterable[ArchiveFileCopy]) -> Holds:
    """Return what a task for some copies holds."""
    return {kind: {int(copy.id): copy.file.size_b or 0 for copy in copies}}


def of_pulls(requests: Sequence[ArchiveFileCopyRequest]) -> Holds:
    """Return what a task for requests into one group holds."""
    group = requests[0].group_to
    files = {int(request.file_id): request.file.size_b or 0 for request in requests}
    nodes = {int(request.node_from_id): 0 for request in requests}
    held: dict[Hashable, dict[int, int]] = {pulls(group): files, sources(group): nodes}
    return held


def of_imports(node: StorageNode, request_ids: Iterable[int]) -> Holds:
    """Return what a task for import requests holds; there are none if auto-import is its reason."""
    return {imports(node): dict.fromkeys(request_ids, 0)}
