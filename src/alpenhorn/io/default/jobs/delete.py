"""Deletion: claim, unlink, record (design §6, daemon.md §13).

The claim is a transaction in which everything is checked again; only what it got is unlinked. A
kill at any point leaves claimed copies (M,N), which the next pass finds and takes up again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpenhorn import events
from alpenhorn.db import ArchiveFileCopy
from alpenhorn.db.queries import deletion, protection
from alpenhorn.errors import InvalidName
from alpenhorn.io.base import DELETE_BATCH
from alpenhorn.io.default.jobs.batching import FEW, Tally, loudness
from alpenhorn.scheduler import Task

if TYPE_CHECKING:
    from alpenhorn.io.default.node import DefaultNodeIO

log = logging.getLogger(__name__)

BATCH = 1000
RECORD_FILES = 100


def queue_deletions(io: DefaultNodeIO, queue: Any, copies: Sequence[ArchiveFileCopy]) -> None:
    """Queue the deletion of copies on the node's FIFO, in batches."""
    size = DELETE_BATCH if len(copies) <= FEW else BATCH
    for start in range(0, len(copies), size):
        batch = list(copies[start : start + size])
        ids = [copy.id for copy in batch]
        what = f"copies {ids}" if size == DELETE_BATCH else f"{len(ids)} copies"
        name = f"Delete {what} from {io.node.name}"
        Task(delete_job, queue=queue, key=io.fifo, name=name, args=(io, ids))


def delete_job(task: Task, io: DefaultNodeIO, copy_ids: Sequence[int]) -> None:
    """Delete those of the copies that may go; the body of the task."""
    if not io.check_init():
        log.warning(f"Not deleting on {io.node.name}: its medium is not there.")
        return
    claim = deletion.claim(io.node.id, copy_ids, io.stores(), protection.configured())
    level = loudness(copy_ids)
    for copy, protecting in claim.refused:
        log.log(
            logging.WARNING if level == logging.INFO else level,
            f"Too few archive copies ({protecting}) to delete {copy.file.path} on {io.node.name}.",
        )
    if claim.refused and level == logging.DEBUG:
        log.info(f"{len(claim.refused)} copies on {io.node.name} stay: too few archive copies.")
    tally = Tally(log, "Deleted", quiet=level == logging.INFO)
    for start in range(0, len(claim.taken), RECORD_FILES):
        _delete_portion(io, claim.taken[start : start + RECORD_FILES], tally, level)
    tally.say()


def _delete_portion(
    io: DefaultNodeIO, claimed: Sequence[deletion.Claimed], tally: Tally, level: int
) -> None:
    gone: list[deletion.Claimed] = []
    failed: list[deletion.Claimed] = []
    for item in claimed:
        (gone if _unlink(io, item.copy, level) else failed).append(item)
    # Before the claims end: after a kill, the next pass deletes again and prunes too.
    for item in gone:
        _prune(io, str(item.copy.file.path), level)
    if gone:
        deletion.removed([item.copy.id for item in gone])
    if failed:
        deletion.give_back(failed)
    for item in gone:
        tally.add(item.copy.file.size_b)
        events.emit(events.FileDeleted(io.node.name, item.copy.file.size_b or 0))


def _unlink(io: DefaultNodeIO, copy: ArchiveFileCopy, level: int) -> bool:
    """Remove one file; returns whether it is certainly gone."""
    path = copy.file.path
    try:
        removed = io.tree.unlink(str(path))
    except (OSError, InvalidName) as error:
        log.warning(f"Cannot delete {path} on {io.node.name}: {error}")
        return False
    if removed:
        log.log(level, f"Removed file copy {path} on {io.node.name}")
        return True
    # "No such file" is proof only while the medium is there.
    if not io.check_init():
        log.warning(f"Not deleting {path} on {io.node.name}: its medium is not there.")
        return False
    log.info(f"File copy {path} was missing on {io.node.name} during its deletion.")
    return True


def _prune(io: DefaultNodeIO, path: str, level: int) -> None:
    """Remove the directories that the file's removal left empty."""

    def tell(directory: Path) -> None:
        log.log(level, f"Removed directory {directory} on {io.node.name}")

    try:
        io.tree.remove_empty_parents(path, tell)
    except OSError as error:
        log.warning(f"Cannot remove an empty directory on {io.node.name}: {error}")
