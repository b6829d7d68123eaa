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

FEW = 16
"""Of more files than these, their directory is listed instead of asking for each."""


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


def found(tree: Tree, paths: Sequence[str]) -> dict[str, int | None]:
    """Return those paths at which there are regular files, with the bytes of their blocks."""
    sizes: dict[str, int | None] = {}
    with Directories(tree.root) as directories:
        for path in paths:
            try:
                status = directories.stat(tree.relative(path))
            except (OSError, InvalidName):
                continue
            if stat.S_ISREG(status.st_mode):
                sizes[path] = status.st_blocks * 512
    return sizes


def locked(tree: Tree, paths: Sequence[str]) -> set[str]:
    """Return those paths beside which there is a regular file ``.<name>.lock``."""
    by_directory: dict[str, list[str]] = {}
    for path in paths:
        by_directory.setdefault(path.rpartition("/")[0], []).append(path)
    with Directories(tree.root) as directories:
        return {
            path
            for directory, inside in by_directory.items()
            for path in _perhaps_locked(directories, tree, directory, inside)
            if _is_locked(directories, tree, path)
        }


def _perhaps_locked(
    directories: Directories, tree: Tree, directory: str, paths: Sequence[str]
) -> Sequence[str]:
    """Leave out, of many files in a directory, those that have no lock beside them."""
    if len(paths) <= FEW:
        return paths
    try:
        names = set(directories.names(tree.relative(_lock_of(paths[0]))))
    except (OSError, InvalidName):
        return paths
    return [path for path in paths if _lock_of(path).rpartition("/")[2] in names]


def _lock_of(path: str) -> str:
    directory, slash, name = path.rpartition("/")
    return f"{directory}{slash}.{name}.lock"


def _is_locked(directories: Directories, tree: Tree, path: str) -> bool:
    try:
        return stat.S_ISREG(directories.stat(tree.relative(_lock_of(path))).st_mode)
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
        md5, size = md5_of(fd, size_b=before.st_size)
    finally:
        os.close(fd)
    after = directories.stat(path)  # by its name: another file may be there now
    same = fingerprint(before) == fingerprint(after) and size == after.st_size
    return Reading(size, md5, after.st_blocks * 512, same)


def fingerprint(status: os.stat_result) -> tuple[int, int, int]:
    """Return length, modification time and inode."""
    return status.st_size, status.st_mtime_ns, status.st_ino
