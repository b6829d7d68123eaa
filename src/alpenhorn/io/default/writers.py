"""Is somebody writing a file? Ask for a read lease: the kernel refuses it while a writer is there.

The lease is given back at once. A writer that opens the file in that moment breaks it, which raises
SIGIO: the daemon ignores that signal (fcntl(2), "Leases").
"""

from __future__ import annotations

import errno
import fcntl
import os
import time

SETTLE_S = 2.0
"""Where there are no leases, a file counts as being written until it is unchanged for so long."""


def has_writer(fd: int) -> bool:
    """Tell whether a file is open for writing anywhere.

    Args:
        fd: a descriptor of it, open for reading only.
    """
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        if error.errno == errno.EAGAIN:
            return True
        # Not our file, or a file system without leases: judge by the time of the last change.
        return time.time() - os.fstat(fd).st_mtime < SETTLE_S
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
