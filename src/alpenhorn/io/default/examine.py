"""Reading the files of a batch that are to be imported: each is opened once (daemon.md §9.7)."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence

from alpenhorn.common.hashing import md5_of
from alpenhorn.errors import InvalidName
from alpenhorn.io.base import Examined, Reading
from alpenhorn.io.default.tree import Tree
from alpenhorn.io.default.writers import Writers
from alpenhorn.transfer.directories import Directories


def examine(tree: Tree, paths: Sequence[str], writers: Writers) -> Iterator[Examined]:
    """Read files completely, one after the other.

    Args:
        tree: where they are.
        paths: the files.
        writers: knows whether somebody is writing them.

    Yields:
        For each path what `BaseNodeIO.examine_many` promises.
    """
    with Directories(tree.root) as directories:
        for path in paths:
            try:
                yield _examine(directories, tree.relative(path), writers)
            except (OSError, InvalidName) as error:
                yield error


def locked(tree: Tree, paths: Sequence[str]) -> set[str]:
    """Return those paths beside which there is a regular file ``.<name>.lock``."""
    with Directories(tree.root) as directories:
        return {path for path in paths if _is_locked(directories, tree, path)}


def _is_locked(directories: Directories, tree: Tree, path: str) -> bool:
    directory, slash, name = path.rpartition("/")
    try:
        lock = tree.relative(f"{directory}{slash}.{name}.lock")
        return stat.S_ISREG(directories.stat(lock).st_mode)
    except (OSError, InvalidName):
        return False


def _examine(directories: Directories, path: str, writers: Writers) -> Reading | None:
    fd = directories.open(path)
    try:
        before = os.fstat(fd)
        if not stat.S_ISREG(before.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        if writers.busy(path, fd):
            return None
        md5, size = md5_of(fd)
    finally:
        os.close(fd)
    after = directories.stat(path)  # by its name: another file may be there now
    same = fingerprint(before) == fingerprint(after) and size == after.st_size
    return Reading(size, md5, after.st_blocks * 512, same)


def fingerprint(status: os.stat_result) -> tuple[int, int, int]:
    """Return length, modification time and inode."""
    return status.st_size, status.st_mtime_ns, status.st_ino
