"""Verification: read copies, compare them with the index, store what was found (daemon.md §11).

A check changes `has_file` only, and only of copies that are still suspect. What cannot be read is
not corrupt: it stays suspect. Nothing at all is recorded when the medium is not the one any more
that the job began with (design: a vanished root).
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from alpenhorn import events
from alpenhorn.common.hashing import md5_of
from alpenhorn.db import ArchiveFileCopy, HasFile
from alpenhorn.db.queries import checks
from alpenhorn.errors import InvalidName
from alpenhorn.io import holds
from alpenhorn.io.default.jobs.batching import Tally, batches, loudness
from alpenhorn.io.default.tree import Tree
from alpenhorn.scheduler import Task
from alpenhorn.transfer.directories import Directories

if TYPE_CHECKING:
    from alpenhorn.io.default.node import DefaultNodeIO

log = logging.getLogger(__name__)

NO_SUCH_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)

RECORD_FILES = 100
RECORD_SECONDS = 5.0
"""Verdicts are stored after so many files or seconds, so that a kill costs little."""


def queue_checks(io: DefaultNodeIO, queue: Any, copies: Sequence[ArchiveFileCopy]) -> None:
    """Queue the verification of suspect copies on the node's FIFO."""
    for batch in batches(copies, lambda copy: copy.file.size_b):
        name = (
            f"Check file {batch[0].file.path} on {io.node.name}"
            if len(batch) == 1
            else f"Check {len(batch)} files on {io.node.name}"
        )
        held = holds.of_copies(holds.checks(io.node), batch)
        Task(check_job, queue=queue, key=io.fifo, name=name, args=(io, batch), holds=held)


def check_job(
    task: Task, io: DefaultNodeIO, copies: Sequence[ArchiveFileCopy], path: Any = None
) -> None:
    """Check copies one after the other; the body of the task.

    Args:
        task: the task.
        io: node I/O.
        copies: copies on its node.
        path: where a single copy lies, if not at its own path; absolute, below the root.
    """
    with io.medium() as medium:
        if medium is None:
            log.warning(f"Not checking on {io.node.name}: its medium is not there.")
            return
        tally = Tally(log, "Checked", quiet=len(copies) == 1)
        for verdicts in _in_portions(_verdicts(io, medium.tree, copies, tally, path)):
            # Asked when all has been read. What was good says no more than what was bad: the node
            # rests on something else now, whose copies nobody has looked at.
            if not medium.is_there():
                log.warning(f"Not recording checks on {io.node.name}: its medium was taken away.")
                return
            checks.record(io.node, verdicts)
        tally.say()


def _verdicts(
    io: DefaultNodeIO, tree: Tree, copies: Sequence[ArchiveFileCopy], tally: Tally, path: Any
) -> Iterator[checks.Verdict]:
    level = loudness(copies)
    with Directories(tree.base) as directories:
        for copy in copies:
            events.emit(events.CheckBegun(io.node.name))
            verdict = _examine(io, directories, copy, path or copy.file.path, level)
            tally.add(copy.file.size_b)
            if verdict is not None:
                where = f"file {copy.file.path} on node {io.node.name}"
                log.log(level, f"Updating file copy #{copy.id} for {where}.")
                yield verdict


def _examine(
    io: DefaultNodeIO, directories: Directories, copy: ArchiveFileCopy, path: Any, level: int
) -> checks.Verdict | None:
    """Compare one copy with the index; None if it could not be told."""
    file, where = copy.file, f"{copy.file.path} on node {io.node.name}"
    try:
        name = io.tree.relative(path)
        status = _status(directories, name)
        if status is None:
            log.error(f"File {where} is missing!")
            return checks.Verdict(copy.id, HasFile.ABSENT)
        if file.size_b is not None and status.st_size != file.size_b:
            log.error(f"File {where} is corrupt! Size: {status.st_size}; expected: {file.size_b}")
            return checks.Verdict(copy.id, HasFile.CORRUPT)
        fd = directories.open(name)
        try:
            md5, _ = md5_of(fd)
        finally:
            os.close(fd)
    except (OSError, InvalidName) as error:
        log.warning(f"Cannot check {where}: {error}")
        return None
    return _judge(copy, md5, status.st_blocks * 512, where, level)


def _status(directories: Directories, name: str) -> os.stat_result | None:
    """Return the status of a regular file, None if there is none; errors as of `Tree.stat`."""
    try:
        status = directories.stat(name)
    except OSError as error:
        if error.errno in NO_SUCH_FILE:
            return None
        raise
    return status if stat.S_ISREG(status.st_mode) else None


def _judge(copy: ArchiveFileCopy, md5: str, space_b: int, where: str, level: int) -> checks.Verdict:
    expected = (copy.file.md5sum or "").lower()
    if expected and md5 != expected:
        log.error(f"File {where} is corrupt! MD5: {md5}; expected: {expected}")
        return checks.Verdict(copy.id, HasFile.CORRUPT)
    if not expected:
        log.warning(f"File {where} has no MD5 in the index: its content could not be verified.")
    log.log(level, f"File {where} is A-OK!")
    return checks.Verdict(copy.id, HasFile.PRESENT, space_b)


def _in_portions(verdicts: Iterator[checks.Verdict]) -> Iterator[list[checks.Verdict]]:
    """Gather verdicts until there are `RECORD_FILES` or `RECORD_SECONDS` have passed."""
    portion: list[checks.Verdict] = []
    since = time.monotonic()
    for verdict in verdicts:
        portion.append(verdict)
        if len(portion) >= RECORD_FILES or time.monotonic() - since >= RECORD_SECONDS:
            yield portion
            portion, since = [], time.monotonic()
    if portion:
        yield portion
