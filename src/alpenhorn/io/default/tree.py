"""A directory tree below a root: every name is opened without following links (design P9).

`Tree` is what the jobs of the Default class do to a file system. Paths are relative to the root,
in POSIX form; a path that could leave the root is refused before anything is opened.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePath

from alpenhorn.common.names import invalid_import_path
from alpenhorn.errors import InvalidName
from alpenhorn.io.default.updownlock import UpDownLock
from alpenhorn.transfer.below import Root, opened, parent_of
from alpenhorn.transfer.directories import Directories
from alpenhorn.transfer.flush import flush_directories

STAGING_PREFIX = ".alpenhorn-"
"""Directories at the root that begin so are ours: pulls stage files in them."""

NODE_FILE = "ALPENHORN_NODE"


class Tree:
    """The files of one node.

    Args:
        root: absolute path of the node's root; may itself be reached through links.
        lock: keeps the making and the removing of directories apart.
        held: a descriptor of the root, good as long as the tree is used. Nothing but what it leads
            to is then looked at or changed, whatever is at the path meanwhile.
    """

    def __init__(self, root: str, lock: UpDownLock, held: int | None = None) -> None:
        self.root = root
        self.lock = lock
        self.base: Root = root if held is None else held
        """Where names begin."""

    def relative(self, path: PurePath | str) -> str:
        """Vet a path, relative or absolute below the root, and return it relative to the root.

        Raises:
            InvalidName: it is not below the root, or not a proper path.
        """
        text = str(path)
        if not _refusal(text):
            return text
        pure = PurePath(path)
        if pure.is_absolute():
            if not pure.is_relative_to(self.root):
                raise InvalidName(f"{pure} is not below the node root {self.root}")
            pure = pure.relative_to(self.root)
        text = str(pure)
        if reason := _refusal(text):
            raise InvalidName(f"{text!r}: {reason}")
        return text

    def stat(self, path: PurePath | str) -> os.stat_result | None:
        """Return the status of a regular file, None if there is none at `path`.

        Raises:
            OSError: it cannot be told whether there is one.
        """
        try:
            with parent_of(self.base, self.relative(path)) as (directory, name):
                status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG):
                return None
            raise
        return status if stat.S_ISREG(status.st_mode) else None

    def open(self, path: PurePath | str) -> int:
        """Open a regular file for reading; the caller closes the descriptor.

        Raises:
            OSError: it is not there, not regular, or cannot be read.
        """
        with opened(self.base, self.relative(path)) as fd:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise OSError(errno.EINVAL, "not a regular file", str(path))
            return os.dup(fd)

    def make_parents(self, path: str) -> bool:
        """Make the directory that is to hold `path`; returns whether it was missing.

        Raises:
            InvalidName: `path` could leave the root.
            OSError: it cannot be made, or is reached through a link.
        """
        path = self.relative(path)
        directory = Path(self.root, path).parent
        missing = not directory.is_dir()
        with self.lock.up, parent_of(self.base, path, create=True):
            return missing

    def install(self, staging: str, paths: Iterable[str]) -> Iterator[tuple[str, OSError | None]]:
        """Move staged files to their final names, replacing what is there.

        No directory is removed meanwhile. Of what could not be moved, the former file, if any, is
        still there.

        Args:
            staging: name of the staging directory, relative to the root.
            paths: the files, relative to the staging directory and to the root alike.

        Yields:
            Each path, and what went wrong with it.

        Raises:
            InvalidName: a path could leave the root.
        """
        with (
            self.lock.up,
            Directories(self.base) as staged,
            Directories(self.base, create=True) as final,
        ):
            for path in map(self.relative, paths):
                try:
                    from_fd, name = staged.parent(f"{staging}/{path}")
                    to_fd, _ = final.parent(path)
                    os.rename(name, name, src_dir_fd=from_fd, dst_dir_fd=to_fd)
                except OSError as error:
                    yield path, error
                else:
                    yield path, None

    def flush_parents(self, paths: Sequence[str]) -> None:
        """Flush the directories that hold `paths`, and theirs, up to the root."""
        holders = {path.rpartition("/")[0] for path in paths}
        parents = {str(parent) for holder in holders for parent in PurePath(holder, "x").parents}
        for parent in parents:
            with parent_of(self.base, "x" if parent == "." else f"{parent}/x") as (directory, _):
                flush_directories([directory])

    def unlink(self, path: str) -> bool:
        """Remove a file; returns False if it was gone already.

        Raises:
            OSError: it could not be removed.
        """
        try:
            with parent_of(self.base, self.relative(path)) as (directory, name):
                os.unlink(name, dir_fd=directory)
        except FileNotFoundError:
            return False
        return True

    def remove_empty_parents(self, path: str, removed: Callable[[Path], None]) -> None:
        """Remove the directory of `path` if it is empty, then its parents, never the root.

        Args:
            path: a file that was removed.
            removed: called with each directory that was removed, as an absolute path.

        Raises:
            InvalidName: `path` could leave the root.
            OSError: a directory could not be removed for another reason than being in use.
        """
        with self.lock.down:
            for parent in PurePath(self.relative(path)).parents[:-1]:
                try:
                    with parent_of(self.base, str(parent)) as (directory, name):
                        os.rmdir(name, dir_fd=directory)
                except FileNotFoundError:
                    continue  # somebody else has removed it
                except OSError as error:
                    if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY):
                        return
                    raise
                removed(Path(self.root, parent))

    def walk(self, path: PurePath | str) -> Iterator[str]:
        """Yield the regular files at or below `path`, sorted by name within a directory.

        No link is followed, and our own staging directories are left out. A directory that is not
        there, or disappears meanwhile, is passed over.

        Raises:
            InvalidName: `path` could leave the root.
            OSError: a directory cannot be read.
        """
        if str(path) in (".", ""):
            yield from self._walk_directory("")
            return
        relative = self.relative(path)
        if self.stat(relative) is not None:
            yield relative
            return
        yield from self._walk_directory(relative)

    def _walk_directory(self, relative: str) -> Iterator[str]:
        """Walk with a stack of our own, so that depth has no limit."""
        stack = [relative]
        while stack:
            current = stack.pop()
            files, directories = self._list(current)
            yield from files
            stack.extend(reversed(directories))

    def _list(self, relative: str) -> tuple[list[str], list[str]]:
        files: list[str] = []
        directories: list[str] = []
        prefix = f"{relative}/" if relative else ""
        with (
            suppress(FileNotFoundError, NotADirectoryError),
            parent_of(self.base, f"{prefix}x") as (fd, _),
            os.scandir(fd) as entries,
        ):
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    files.append(prefix + entry.name)
                elif entry.is_dir(follow_symlinks=False) and not is_staging(prefix, entry.name):
                    directories.append(prefix + entry.name)
        return sorted(files), sorted(directories)


def _refusal(path: str) -> str | None:
    """Tell why nothing below a root can have that path."""
    return invalid_import_path(path) or ("NUL in the path" if "\0" in path else None)


def is_staging(prefix: str, name: str) -> bool:
    """Tell whether a directory `name` below `prefix` is one of our staging directories."""
    return not prefix and name.startswith(STAGING_PREFIX)
