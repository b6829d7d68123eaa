"""Single copies and requests that people change; each function is one transaction.

The daemons that may have something to do now are woken in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import peewee as pw

from alpenhorn.common.units import utcnow
from alpenhorn.db.acquisition import ArchiveFile
from alpenhorn.db.archive import ArchiveFileCopy, ArchiveFileCopyRequest
from alpenhorn.db.connection import change, repeat_on_deadlock
from alpenhorn.db.enums import HasFile, WantsFile
from alpenhorn.db.queries import doorbell, releases
from alpenhorn.db.queries.common import lock_files, tuples
from alpenhorn.db.queries.file_report import copy_of
from alpenhorn.db.storage import StorageGroup, StorageNode
from alpenhorn.errors import NotAllowed

Decide = Callable[[ArchiveFileCopy | None], Mapping[str, Any]]
"""From a copy record, or None, to the wished values; no values mean: leave it as it is."""


@repeat_on_deadlock
def edit(file: ArchiveFile, node: StorageNode, decide: Decide) -> bool:
    """Change the record of one copy, or make it.

    Args:
        file: the file.
        node: the node.
        decide: looks at the record as it is inside the transaction; if it raises, nothing is
            written.

    Returns:
        Whether anything was written.
    """
    with change():
        lock_files([file.id])
        copy = copy_of(file, node)
        values = decide(copy)
        changed = _update(copy, values) if copy else _insert(file, node, values)
        if changed:
            doorbell.ring_nodes([node.id])
    return changed


@repeat_on_deadlock
def set_wants(file: ArchiveFile, node: StorageNode | None, wants: WantsFile) -> int:
    """Set `wants_file` of a file's copies, where it differs.

    Args:
        file: the file.
        node: only the copy there; None: all copies.
        wants: the new value. `KEEP` is not for copies that are gone: it would make them missing
            (D17).

    Returns:
        The number of copies changed.
    """
    copy = ArchiveFileCopy
    chosen = (copy.file == file.id) & (copy.wants_file != wants)
    if node is not None:
        chosen &= copy.node == node.id
    if wants is WantsFile.KEEP:
        chosen &= copy.has_file != HasFile.ABSENT
    with change():
        lock_files([file.id])
        nodes = [node_id for (node_id,) in tuples(copy.select(copy.node).where(chosen))]
        releases.note(chosen, wants)
        changed = copy.update(wants_file=wants).where(chosen).execute()
        doorbell.ring_nodes(nodes)
    return int(changed)


@dataclass(frozen=True)
class SyncAnswer:
    """What came of the wish to copy a file into a group."""

    holder: str | None = None
    """The node of the group that has the file already: nothing was done."""
    source_good: bool = True
    requested: bool = False


@repeat_on_deadlock
def request_copy(
    file: ArchiveFile, node: StorageNode, group: StorageGroup, force: bool
) -> SyncAnswer:
    """Ask for a copy, unless the group has the file or (without `force`) the node has it not."""
    with change():
        lock_files([file.id])
        state, holder = group.state_on_node(file)
        if state == HasFile.PRESENT and holder:
            return SyncAnswer(holder=holder.name)
        copy = copy_of(file, node)
        good = copy is not None and copy.has_file == HasFile.PRESENT
        if not (good or force):
            return SyncAnswer(source_good=False)
        ArchiveFileCopyRequest.create(file=file, node_from=node, group_to=group, timestamp=utcnow())
        doorbell.ring_groups([group.id])
        doorbell.ring_nodes([node.id])
    return SyncAnswer(source_good=good, requested=True)


@repeat_on_deadlock
def cancel_requests(file: ArchiveFile, node: StorageNode | None, group: StorageGroup | None) -> int:
    """Cancel the pending requests for a file; None means any node, any group.

    Returns:
        The number of requests cancelled.
    """
    request = ArchiveFileCopyRequest
    chosen = [
        request.file == file.id,
        request.completed == False,  # noqa: E712
        request.cancelled == False,  # noqa: E712
    ]
    if node is not None:
        chosen.append(request.node_from == node.id)
    if group is not None:
        chosen.append(request.group_to == group.id)
    with change():
        return int(request.update(cancelled=True).where(*chosen).execute())


def _update(copy: ArchiveFileCopy, values: Mapping[str, Any]) -> bool:
    new = {column: value for column, value in values.items() if getattr(copy, column) != value}
    if not new:
        return False
    # Other programs do not take our lock: what we decided on must still be true.
    as_read = (ArchiveFileCopy.has_file == copy.has_file) & (
        ArchiveFileCopy.wants_file == copy.wants_file
    )
    if "wants_file" in new:
        releases.note(ArchiveFileCopy.id == copy.id, WantsFile(new["wants_file"]))
    query = ArchiveFileCopy.update(new).where(ArchiveFileCopy.id == copy.id, as_read)
    if not query.execute():
        raise _overtaken()
    return True


def _insert(file: ArchiveFile, node: StorageNode, values: Mapping[str, Any]) -> bool:
    if not values:
        return False
    try:
        ArchiveFileCopy.create(file=file, node=node, **values)
    except pw.IntegrityError:
        raise _overtaken() from None
    return True


def _overtaken() -> NotAllowed:
    return NotAllowed("The copy was changed by somebody else at this moment; please try again.")
