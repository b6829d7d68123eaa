"""Takes the place of rsync: runs the real one, then flips a bit in every file that has arrived.

Usage: flipping_rsync.py RSYNC ARGUMENT...   The times of the files stay as rsync has set them.
"""

import os
import subprocess
import sys
import time
from pathlib import Path


def main() -> int:
    """Run rsync, and spoil what it brought if it is the receiver."""
    began_ns = time.time_ns() - 20_000_000  # the clock of inodes lags by a tick
    status = subprocess.call(sys.argv[1:])
    target = Path(sys.argv[-1])
    if "--server" in sys.argv or ":" in str(target) or not target.exists():
        return status
    for path in [target] if target.is_file() else target.rglob("*"):
        if path.is_file() and path.name != "ALPENHORN_NODE":
            flip_new(path, began_ns)
    return status


def flip_new(path: Path, began_ns: int) -> None:
    """Flip a bit in the middle of a file, if it is new and has contents."""
    status = path.stat()
    if status.st_ctime_ns < began_ns or not status.st_size:
        return
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


if __name__ == "__main__":
    sys.exit(main())
