"""Hard links: the quickest way for a local source on the same file system.

A hard link shares its source's bytes, so it must never count as a second copy: the caller may use
this mover only where neither node is an archive node (design principle P2).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from alpenhorn.errors import FailureClass
from alpenhorn.transfer.batch import Endpoint, Item, Limits, Outcome
from alpenhorn.transfer.below import locate
from alpenhorn.transfer.directories import Directories
from alpenhorn.transfer.failures import (
    TransferFailed,
    at_destination,
    at_source,
    cause,
    not_regular,
    require_root,
)

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


class LinkMover:
    """Makes hard links. What cannot be linked (another file system, ...) is left to a fallback."""

    name = "link"

    def move(
        self, items: Sequence[Item], source: Endpoint, staging: Path, limits: Limits
    ) -> Iterator[Outcome]:
        """See `Mover.move`. `limits` are of no use here: a link moves no bytes."""
        with Directories(staging, create=True) as staged, ExitStack() as stack:
            origins = _Origins(stack, source.root)
            for item in items:
                try:
                    _link(item, origins, staged)
                except TransferFailed as failed:
                    yield failed.outcome(item.key)
                else:
                    yield Outcome(item.key)


class _Origins:
    """The directories of sources; files that follow one another in one directory share it.

    Args:
        stack: closes what is opened.
        root: the root of the source node.
    """

    def __init__(self, stack: ExitStack, root: str) -> None:
        self.root = root
        self._stack = stack
        self._base: str | None = None

    def parent(self, source: str) -> tuple[int, str]:
        """Open the directory that holds a source, as `Directories.parent` does."""
        base, path = locate(self.root, source)
        if base != self._base:
            self._stack.close()
            self._directories = self._stack.enter_context(Directories(base))
            self._base = base
        return self._directories.parent(path)


def _link(item: Item, origins: _Origins, staged: Directories) -> None:
    """Link one file; raises TransferFailed."""
    require_root(origins.root)
    try:
        to, name = staged.parent(item.path)
        _link_into(to, name, origins, item.source)
    except OSError as error:
        raise at_destination(error) from error


def _link_into(to: int, name: str, origins: _Origins, source: str) -> None:
    """Link a source as `name` in the open directory `to`, where nothing may be in its way."""
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=to)
    try:
        origin, source_name = origins.parent(source)
        if not _is_regular(source_name, origin):
            raise not_regular()
        _make_link(origin, source_name, to, name)
    except OSError as error:
        raise at_source(error) from error
    if not _is_regular(name, to):  # somebody exchanged the source in between
        os.unlink(name, dir_fd=to)
        raise not_regular()


def _make_link(origin: int, source_name: str, to: int, name: str) -> None:
    """Call linkat(2); raises TransferFailed with `fallback` if only linking is impossible."""
    try:
        os.link(source_name, name, src_dir_fd=origin, dst_dir_fd=to, follow_symlinks=False)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in _FULL:
            raise at_destination(error) from error
        message = f"cannot make a hard link: {cause(error)}"
        raise TransferFailed(FailureClass.DESTINATION, message, fallback=True) from error


def _is_regular(name: str, directory: int) -> bool:
    status = os.stat(name, dir_fd=directory, follow_symlinks=False)
    return stat.S_ISREG(status.st_mode)
