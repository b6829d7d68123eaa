"""Free space, and reservations against it.

Reservations are counted per file system, not per node: nodes that share one see each other's
(weakness 10). They live in this process; a crash takes them with it.
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Hashable
from pathlib import Path

_reserved: dict[Hashable, int] = defaultdict(int)
_lock = threading.Lock()


def available(root: str | None) -> int | None:
    """Return the bytes that an unprivileged user may still write below `root`, None if unknown."""
    try:
        status = os.statvfs(root or "")
    except (OSError, ValueError):  # ValueError: a root with a NUL
        return None
    return status.f_bavail * status.f_frsize


def store_of(root: str | None) -> Hashable:
    """Return a key of the physical store below `root`: its device number, else the path itself."""
    try:
        return ("device", Path(root or "").stat().st_dev)
    except (OSError, ValueError):  # ValueError: a root with a NUL
        return ("root", root)


def lasting_name(root: str | None) -> str | None:
    """Name the file system below `root` so that the name stays, if the file system tells.

    Returns:
        Its id (statvfs(3), `f_fsid`), else its device number; None if it cannot be looked at.
    """
    try:
        number = os.statvfs(root or "").f_fsid
        return f"file system {number:x}" if number else f"device {Path(root or '').stat().st_dev:x}"
    except (OSError, ValueError):  # ValueError: a root with a NUL
        return None


def reserve(store: Hashable, free_b: int | None, wanted_b: int, keep: bool = True) -> bool:
    """Reserve space on a store.

    Args:
        store: key of the file system.
        free_b: free bytes now; None (unknown) never refuses.
        wanted_b: bytes to reserve.
        keep: False: only tell whether it would work.

    Returns:
        Whether there is room besides what is reserved already.
    """
    with _lock:
        if free_b is not None and free_b - _reserved[store] < wanted_b:
            return False
        if keep:
            _reserved[store] += wanted_b
        return True


def release(store: Hashable, wanted_b: int) -> None:
    """Give reserved space back.

    Raises:
        ValueError: more than is reserved.
    """
    with _lock:
        if wanted_b > _reserved[store]:
            raise ValueError(f"released {wanted_b} B of {_reserved[store]} B reserved")
        _reserved[store] -= wanted_b
