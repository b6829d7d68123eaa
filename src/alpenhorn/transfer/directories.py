"""Open many files below a directory without following links, each of their directories once.

The same rules as in `below`, for lists: files that follow one another in one directory share the
opening of it. What is opened so lies where the names led to when the first of them was asked for.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from types import TracebackType

from alpenhorn.transfer.below import Root, parent_of

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Directories:
    """The directory of the file that was asked for last; a context manager.

    Args:
        root: an existing directory; what a descriptor of it leads to, cannot be exchanged.
        create: make directories that are missing.
    """

    def __init__(self, root: Root, create: bool = False) -> None:
        self._root = root
        self._create = create
        self._directory: str | None = None
        self._fd = -1
        self._stack = ExitStack()

    def __enter__(self) -> Directories:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def parent(self, path: str) -> tuple[int, str]:
        """Open the directory that holds `path`, unless it is open already.

        Returns:
            Its descriptor, good until the next call, and the last component of `path`.

        Raises:
            OSError: it does not exist, or a component is a link.
        """
        directory, _, name = path.rpartition("/")
        if directory != self._directory:
            self._close()
            self._fd, _ = self._stack.enter_context(parent_of(self._root, path, self._create))
            self._directory = directory
        return self._fd, name

    def open(self, path: str) -> int:
        """Open a file for reading; the caller closes the descriptor.

        Raises:
            OSError: it is not there, is a link, or cannot be opened.
        """
        directory, name = self.parent(path)
        return os.open(name, _FLAGS, dir_fd=directory)

    def stat(self, path: str) -> os.stat_result:
        """Return the status of what is at `path` itself.

        Raises:
            OSError: there is nothing, or it cannot be examined.
        """
        directory, name = self.parent(path)
        return os.stat(name, dir_fd=directory, follow_symlinks=False)

    def names(self, path: str) -> list[str]:
        """Return the names of all that lies beside `path`.

        Raises:
            OSError: its directory is not there, or cannot be listed.
        """
        directory, _ = self.parent(path)
        return os.listdir(directory)  # noqa: PTH208 (a descriptor is no path)

    def _close(self) -> None:
        self._stack.close()
        self._directory = None
