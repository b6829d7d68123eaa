"""Is somebody writing a file? Ask for a read lease: the kernel refuses it while a writer is there.

The lease is given back at once. A writer that opens the file in that moment breaks it, which raises
SIGIO: the daemon ignores that signal (fcntl(2), "Leases"). Where there are no leases (a file of
another user, a network file system), a file must be closed, as far as events tell, and must not
change for a while.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import time
from collections.abc import Callable

from alpenhorn.transfer.flush import type_of

SETTLE_S = 2.0
"""Without leases, a file counts as being written until we saw it unchanged for so long."""

LONG_AGO_S = 300.0
"""A file that was changed so long ago is not looked at twice: no two clocks differ by so much."""

OPEN_S = 600.0
"""A file that was changed and not closed counts as open for so long: events may get lost."""

MOST = 100_000
"""Files that are remembered at most."""

NO_LEASES = ("nfs", "cifs", "smb", "9p", "ceph", "lustre", "fuse", "afs", "gpfs", "beegfs")
"""How the types of file systems begin that refuse leases as if there were a writer (NFSv4 does)."""


def has_writer(fd: int) -> bool | None:
    """Tell whether a file is open for writing anywhere; None if the kernel cannot tell.

    Args:
        fd: a descriptor of it, open for reading only.
    """
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        if error.errno != errno.EAGAIN:
            return None
        kind = type_of(os.fstat(fd).st_dev) or ""
        return None if kind.startswith(NO_LEASES) else True
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


class Writers:
    """What is known of the writers of a node's files; safe to use from several threads.

    Args:
        clock: gives seconds; only differences count.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[str, float] = {}
        """When a file was last changed by a writer who has not closed it since."""
        self._seen: dict[str, tuple[tuple[int, ...], float]] = {}
        """How a file looked, and since when."""

    def changed(self, path: str) -> None:
        """Note an event: somebody has written to a file."""
        with self._lock:
            if len(self._open) >= MOST:
                self._open.clear()
            self._open[path] = self._clock()

    def closed(self, path: str) -> None:
        """Note an event: a file was closed by its writer, or is no longer there."""
        with self._lock:
            self._open.pop(path, None)

    def busy(self, path: str, fd: int) -> bool:
        """Tell whether a file is still being written, as far as that can be known.

        Args:
            path: the file, relative to the root.
            fd: a descriptor of it, open for reading only.
        """
        writer = has_writer(fd)
        return not self._settled(path, os.fstat(fd)) if writer is None else writer

    def _settled(self, path: str, status: os.stat_result) -> bool:
        now = self._clock()
        look = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        with self._lock:
            if now - self._open.get(path, -OPEN_S) < OPEN_S:
                return False
            if max(status.st_mtime, status.st_ctime) < time.time() - LONG_AGO_S:
                return True
            before, since = self._seen.get(path, (None, now))
            if before == look and now - since >= SETTLE_S:
                del self._seen[path]
                return True
            if len(self._seen) >= MOST:
                self._seen.clear()
            self._seen[path] = look, since if before == look else now
        return False
