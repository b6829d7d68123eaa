"""Deletion: claim, unlink, record (design §6, daemon.md §13).

The claim is a transaction in which everything is checked again; only what it got is unlinked. It is
made for a few files at a time, so that a deletion can be cancelled while it goes on. A
kill at any point leaves claimed copies (M,N), which the next pass finds and takes up again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpenhorn import events
from alpenhorn.db import ArchiveFileCopy
from alpenhorn.db.queries import deletion, protection
from alpenhorn.errors import InvalidName
from alpenhorn.io import holds
from alpenhorn.io.base import DELETE_BATCH
from alpenhorn.io.default.jobs.batching import FEW, Tally, loudness
from alpenhorn.io.default.medium import HeldMedium
from alpenhorn.io.default.tree import Tree
from alpenhorn.scheduler import Task

if TYPE_CHECKING:
    from alpenhorn.io.default.node import DefaultNodeIO

log = logging.getLogger(__name__)

BATCH = 1000
FIRST_PORTION = 4
PORTION_S = 0.5
"""A claim cannot be cancelled: as many files are claimed at once as are removed in this time."""


def queue_deletions(io: DefaultNodeIO, queue: Any, copies: Sequence[ArchiveFileCopy]) -> None:
    """Queue the deletion of copies on the node's FIFO, in batches."""
    size = DELETE_BATCH if len(copies) <= FEW else BATCH
    for start in range(0, len(copies), size):
        batch = list(copies[start : start + size])
        ids = [copy.id for copy in batch]
        what = f"copies {ids}" if size == DELETE_BATCH else f"{len(ids)} copies"
        name = f"Delete {what} from {io.node.name}"
        held = holds.of_copies(holds.deletions(io.node), batch)
        Task(delete_job, queue=queue, key=io.fifo, name=name, args=(io, ids), holds=held)


def delete_job(task: Task, io: DefaultNodeIO, copy_ids: Sequence[int]) -> None:
    """Delete those of the copies that may go; the body of the task."""
    with io.medium() as medium:
        if medium is None:
            log.warning(f"Not deleting on {io.node.name}: its medium is not there.")
        else:
            _delete(io, medium, copy_ids)


def _delete(io: DefaultNodeIO, medium: HeldMedium, copy_ids: Sequence[int]) -> None:
    """Claim the copies portion by portion, and remove what was claimed from the medium."""
    level = loudness(copy_ids)
    tally = Tally(log, "Deleted", quiet=level == logging.INFO)
    stores, rule = io.stores(), protection.configured()
    start, size, refused = 0, FIRST_PORTION, 0
    while start < len(copy_ids):
        if not medium.is_there():
            log.warning(f"Not deleting on {io.node.name}: its medium is not there any more.")
            break
        began = time.monotonic()
        claim = deletion.claim(io.node.id, copy_ids[start : start + size], stores, rule)
        _tell_refused(io, claim.refused, level)
        _delete_portion(io, medium, claim.taken, tally, level)
        refused += len(claim.refused)
        start += size
        size = size * 2 if time.monotonic() - began < PORTION_S / 2 else max(1, size // 2)
    if refused and level == logging.DEBUG:
        log.info(f"{refused} copies on {io.node.name} stay: too few archive copies.")
    tally.say()


def _tell_refused(
    io: DefaultNodeIO, refused: Sequence[tuple[ArchiveFileCopy, int]], level: int
) -> None:
    for copy, protecting in refused:
        log.log(
            logging.WARNING if level == logging.INFO else level,
            f"Too few archive copies ({protecting}) to delete {copy.file.path} on {io.node.name}.",
        )


def _delete_portion(
    io: DefaultNodeIO,
    medium: HeldMedium,
    claimed: Sequence[deletion.Claimed],
    tally: Tally,
    level: int,
) -> None:
    gone: list[deletion.Claimed] = []
    failed: list[deletion.Claimed] = []
    for item in claimed:
        (gone if _unlink(io, medium, item.copy, level) else failed).append(item)
    # Before the claims end: after a kill, the next pass deletes again and prunes too.
    holders = {path.parent: str(path) for path in (item.copy.file.path for item in gone)}
    for path in holders.values():
        _prune(io, medium.tree, path, level)
    if gone:
        deletion.removed([item.copy.id for item in gone])
    if failed:
        deletion.give_back(failed)
    for item in gone:
        tally.add(item.copy.file.size_b)
        events.emit(events.FileDeleted(io.node.name, item.copy.file.size_b or 0))


def _unlink(io: DefaultNodeIO, medium: HeldMedium, copy: ArchiveFileCopy, level: int) -> bool:
    """Remove one file from the medium, and from no other; returns whether it is certainly gone."""
    path = copy.file.path
    if not _may_go(io, medium, copy):
        return False
    try:
        removed = medium.tree.unlink(str(path))
    except (OSError, InvalidName) as error:
        log.warning(f"Cannot delete {path} on {io.node.name}: {error}")
        return False
    if removed:
        log.log(level, f"Removed file copy {path} on {io.node.name}")
        return True
    if not _may_go(io, medium, copy):  # "no such file" is proof only while it is
        return False
    log.info(f"File copy {path} was missing on {io.node.name} during its deletion.")
    return True


def _may_go(io: DefaultNodeIO, medium: HeldMedium, copy: ArchiveFileCopy) -> bool:
    """Tell whether the medium is still the one that the task began with."""
    if medium.is_there():
        return True
    log.warning(f"Not deleting {copy.file.path} on {io.node.name}: its medium is not there.")
    return False


def _prune(io: DefaultNodeIO, tree: Tree, path: str, level: int) -> None:
    """Remove the directories that the file's removal left empty."""

    def tell(directory: Path) -> None:
        log.log(level, f"Removed directory {directory} on {io.node.name}")

    try:
        tree.remove_empty_parents(path, tell)
    except OSError as error:
        log.warning(f"Cannot remove an empty directory on {io.node.name}: {error}")
