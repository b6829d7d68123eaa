"""Is this medium the node's? The file ``ALPENHORN_NODE`` at the root says so (io-classes.md §6.1).

It protects against a file system that is not mounted, or the wrong disk at the mount point: then
the node is not available, and nothing is read, written or concluded to be missing.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alpenhorn.io.default.tree import NODE_FILE
from alpenhorn.transfer.flush import flush_directories

log = logging.getLogger(__name__)


def named(root: str | None) -> str | None:
    """Return the name in the node file, None if it cannot be read."""
    if not root:
        return None
    try:  # before each deletion: pathlib and text files would cost as much as the deletion
        fd = os.open(f"{root}/{NODE_FILE}", os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, ValueError):  # ValueError: the row holds a root with a NUL
        return None
    try:
        return os.read(fd, 4096).partition(b"\n")[0].decode(errors="replace").rstrip()
    except OSError:
        return None
    finally:
        os.close(fd)


def check(name: str, root: str | None) -> bool:
    """Tell whether the medium at `root` is the node `name`, with a WARNING if not."""
    found = named(root)
    if found is None:
        log.warning(f'Node file "{root}/{NODE_FILE}" could not be read.')
    elif found != name:
        log.warning(f'Node file "{root}/{NODE_FILE}" names another node: "{found}", not "{name}".')
    return found == name


@contextmanager
def held(root: str | None) -> Iterator[int | None]:
    """Keep the root open, and yield its descriptor; None if it is no directory."""
    try:
        fd = os.open(root or "", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except (OSError, ValueError):  # ValueError: the row holds a root with a NUL
        yield None
        return
    try:
        yield fd
    finally:
        os.close(fd)


def device(root: str | int | None) -> tuple[int, int] | None:
    """Return device and inode of a root (or of what its descriptor leads to), None if unknown."""
    try:
        status = os.stat("" if root is None else root)  # noqa: PTH116 (a descriptor is no path)
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino


def write(name: str, root: str | None) -> bool:
    """Make the node file, never over one that is there (weakness 3).

    Returns:
        Success; a failure is logged with its cause.
    """
    if not root:
        log.warning(f'Cannot initialise node "{name}": it has no root.')
        return False
    path = Path(root, NODE_FILE)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(name + "\n")
            file.flush()
            os.fsync(file.fileno())
        flush_directories([path.parent])
    except FileExistsError:
        log.warning(f'Cannot initialise node "{name}": "{path}" exists already; remove it by hand.')
        return False
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", error)
        log.warning(f'Cannot initialise node "{name}": {cause} ("{path}").')
        return False
    return True
