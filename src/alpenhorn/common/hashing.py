"""MD5 sums of files, with a time limit per chunk so that a dead medium cannot hold a worker.

A file is read through a descriptor that the caller has opened and vetted, from its beginning and
without moving its offset. Large reads: on a 2-core machine blocks of 256 KiB to 1 MiB give about
540 MB/s, which is the speed of MD5 itself; 64 KiB give 460 MB/s.

What the kernel has in memory is read first, by the calling thread: that cannot hang
(``RWF_NOWAIT``, preadv2(2)). Only what must come from the medium is read in a thread that can be
given up. A thread per file would cost ten times as much as the reading of a small one.
"""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from io import FileIO
from typing import Protocol

from alpenhorn.common.processes import timeout_call

BLOCK_BYTES = 2**20

# Each so many bytes must arrive within so many seconds (spec: io-classes.md, daemon.md: MD5).
CHUNK_BYTES = 32 * 2**20
CHUNK_SECONDS = 600.0

# Not in memory; or a file system, or a kernel, that cannot tell.
_NOT_AT_ONCE = {errno.EAGAIN, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


_running = 0
_lock = threading.Lock()


class HasFileno(Protocol):
    """An open file."""

    def fileno(self) -> int:
        """Return its descriptor."""


def md5_of(
    source: int | HasFileno,
    chunk_seconds: float | None = CHUNK_SECONDS,
    size_b: int | None = None,
) -> tuple[str, int]:
    """Compute the MD5 sum of an open regular file.

    Args:
        source: a file descriptor, or an object that has one. It stays open, its offset unmoved.
        chunk_seconds: time limit for each 32 MiB, in seconds; None: no limit, which saves a
            thread per chunk.
        size_b: its length in bytes, if that is known; all of it is read whatever it is.

    Returns:
        The sum in lower-case hexadecimal digits, and the number of bytes that it was made of.

    Raises:
        TimeoutError: the medium is too slow or hangs.
        OSError: it cannot be read.
    """
    _count(+1)
    try:
        reader = _Reader(source if isinstance(source, int) else source.fileno(), size_b)
        if chunk_seconds is None:
            while reader.read_chunk():
                pass
        else:
            while reader.read_cached() and timeout_call(
                reader.detached().read_chunk, chunk_seconds
            ):
                pass
        reader.close()
        return reader.md5.hexdigest(), reader.length
    finally:
        _count(-1)


def running() -> int:
    """Return how many MD5 sums are being computed in this process."""
    return _running


def _count(change: int) -> None:
    global _running
    with _lock:
        _running += change


def md5sum_file(path: str | os.PathLike[str]) -> str | None:
    """Compute the MD5 sum of a file (spec: extensions.md §9.1).

    Args:
        path: where it is; links are followed.

    Returns:
        The sum in lower-case hexadecimal digits; None if 32 MiB take longer than ten minutes.

    Raises:
        OSError: it cannot be read.
    """
    try:
        fd = timeout_call(os.open, CHUNK_SECONDS, path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return md5_of(fd)[0]
        finally:
            os.close(fd)
    except TimeoutError:
        return None


class _Reader:
    """Reads one file, chunk by chunk."""

    def __init__(self, fd: int, size_b: int | None = None) -> None:
        self.md5 = hashlib.md5(usedforsecurity=False)
        self.length = 0
        self._fd = fd
        self._file: FileIO | None = None
        # A fresh MiB costs more than all the rest of a small file.
        size = os.fstat(fd).st_size if size_b is None else size_b
        self._block = memoryview(bytearray(min(max(size, 4096), BLOCK_BYTES)))

    def detached(self) -> _Reader:
        """Get ready for a thread that may be given up.

        From now on there is a duplicate of the descriptor: a read that hangs and was given up must
        not, when it comes back, continue in whatever file got the number meanwhile. The file
        object closes the duplicate when the last thread lets go of it.
        """
        if self._file is None:
            self._file = open(os.dup(self._fd), "rb", buffering=0)  # noqa: SIM115, PTH123
            self._fd = self._file.fileno()
        return self

    def read_cached(self) -> bool:
        """Read what the kernel has in memory; tell whether the end is still ahead."""
        try:
            while self._read(os.RWF_NOWAIT):
                pass
        except OSError as error:
            if error.errno not in _NOT_AT_ONCE:
                raise
            return True
        return False

    def read_chunk(self) -> bool:
        """Read up to 32 MiB more; tell whether the end is still ahead."""
        end = self.length + CHUNK_BYTES
        while self.length < end:
            if not self._read():
                return False
        return True

    def _read(self, flags: int = 0) -> int:
        """Read one block more; returns its length, 0 at the end."""
        count = os.preadv(self._fd, [self._block], self.length, flags)
        if count:
            self.md5.update(self._block[:count])
            self.length += count
        return count

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
