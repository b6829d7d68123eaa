"""Put bytes and names onto the medium, so that what was verified survives a power cut.

Design principle P2: a copy becomes present only after its bytes, and the directory entry that
leads to them, were flushed.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from alpenhorn.transfer.below import opened

MANY = 8
"""From this number of files on, the file system is first flushed as a whole."""


def flush_batch(staging: Path, paths: Sequence[str]) -> None:
    """Flush staged files to the medium.

    Many files are flushed together by syncfs(2), which costs one journal commit. fsync(2) follows
    for each in any case: it is cheap for a clean file, and before Linux 5.8 the only one of the two
    that reports a failed write.

    Args:
        staging: the staging directory.
        paths: staged files, relative to it.

    Raises:
        OSError: a file cannot be opened, or the medium reports a failed write.
    """
    if len(paths) >= MANY:
        _flush_file_system(staging)
    for path in paths:
        with opened(staging, path) as fd:
            os.fsync(fd)


def flush_directories(directories: Iterable[Path]) -> None:
    """Flush directory entries, i.e. what was renamed into or out of these directories.

    Args:
        directories: existing directories; each is flushed once.

    Raises:
        OSError: a directory cannot be opened or flushed.
    """
    for directory in set(directories):
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _fsync_directory(fd)
        finally:
            os.close(fd)


def _fsync_directory(fd: int) -> None:
    """Flush a directory; some file systems cannot, and say EINVAL (fsync(2))."""
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise


def _flush_file_system(directory: Path) -> None:
    """Call syncfs(2) for the file system of `directory`, where the C library has it."""
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        return
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if syncfs(fd) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), os.fspath(directory))
    finally:
        os.close(fd)
