"""Open names below a directory without ever following a link on the way.

Names come from rows that anybody may have written, and directories may be writable by others:
a link planted below a root must not lead reads or writes elsewhere (design principle P9). The
root itself is the operator's choice and may be reached through links.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class LinkedDirectory(NotADirectoryError):
    """A directory on the way is a link, which is not followed; says nothing about the file."""

    def __init__(self, name: str) -> None:
        super().__init__(errno.ENOTDIR, "a directory on the way is a link", name)


Root = str | Path | int
"""An existing directory: its path, or a descriptor, which may be of ``O_PATH`` (open(2))."""


def open_root(root: Root) -> int:
    """Open a directory for reading; the caller closes the descriptor.

    Raises:
        OSError: there is none, or it cannot be opened.
    """
    if isinstance(root, int):
        return os.open(".", _DIRECTORY, dir_fd=root)
    return os.open(root, _DIRECTORY)


@contextmanager
def parent_of(root: Root, path: str, create: bool = False) -> Iterator[tuple[int, str]]:
    """Open the directory that holds `path`.

    Args:
        root: an existing directory. A descriptor of it leads to the same place even if something
            else is mounted or moved to its path meanwhile.
        path: relative to `root`, without ``.`` and ``..`` components.
        create: make missing directories on the way.

    Yields:
        A descriptor of the directory, closed afterwards, and the last component of `path`.

    Raises:
        LinkedDirectory: a directory on the way is a link.
        OSError: it does not exist, or a component is no directory.
    """
    *parents, name = path.split("/")
    fd = open_root(root)
    try:
        for part in parents:
            if create:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=fd)
            deeper = _deeper(fd, part)
            os.close(fd)
            fd = deeper
        yield fd, name
    finally:
        os.close(fd)


def _deeper(fd: int, part: str) -> int:
    """Open a directory in an open directory."""
    try:
        return os.open(part, _DIRECTORY | os.O_NOFOLLOW, dir_fd=fd)
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):
            raise
        if stat.S_ISLNK(os.stat(part, dir_fd=fd, follow_symlinks=False).st_mode):
            raise LinkedDirectory(part) from error
        raise


@contextmanager
def opened(root: Root, path: str, flags: int = os.O_RDONLY) -> Iterator[int]:
    """Open `path` below `root`; arguments and errors as for `parent_of`.

    A link is not followed (``ELOOP``), and opening a FIFO does not wait for a writer.
    """
    with parent_of(root, path) as (directory, name):
        fd = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    try:
        yield fd
    finally:
        os.close(fd)


def locate(root: str, source: str) -> tuple[str, str]:
    """Divide an absolute path into a trusted directory and the part to walk without links.

    A source below `root` is walked from there; any other is taken to lie in the directory that
    the caller chose for it.
    """
    prefix = root.rstrip("/") + "/"
    if source.startswith(prefix) and not {"", ".", ".."} & set(source[len(prefix) :].split("/")):
        return prefix, source[len(prefix) :]
    directory, _, name = source.rpartition("/")
    return directory or "/", name
