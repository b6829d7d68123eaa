"""The Default node: a directory tree on a POSIX file system (spec: io-classes.md §6).

A file of acquisition ``2025/02/21`` with name ``23/1324.dat`` lies at
``<root>/2025/02/21/23/1324.dat``. Everything below the root is reached without following links.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import IO, Any, ClassVar

from watchdog.observers import Observer

from alpenhorn.common.hashing import md5_of
from alpenhorn.db import ArchiveFileCopy, ArchiveFileCopyRequest, StorageNode
from alpenhorn.db.queries import nodes as node_queries
from alpenhorn.errors import InvalidName
from alpenhorn.io.base import BaseNodeIO, Examined
from alpenhorn.io.default import examine, identity, space
from alpenhorn.io.default.jobs.check import queue_checks
from alpenhorn.io.default.jobs.delete import queue_deletions
from alpenhorn.io.default.jobs.pull import queue_pulls
from alpenhorn.io.default.jobs.tidy import queue_tidy
from alpenhorn.io.default.medium import HeldMedium
from alpenhorn.io.default.remote import DefaultNodeRemote
from alpenhorn.io.default.tree import Tree
from alpenhorn.io.default.updownlock import UpDownLock
from alpenhorn.io.default.writers import Writers
from alpenhorn.scheduler import FairMultiFIFOQueue
from alpenhorn.transfer.flush import flush_batch
from alpenhorn.transfer.options import read_options

log = logging.getLogger(__name__)

TIDY_EVERY = 400
"""Idle opportunities between two tidy-ups."""


class DefaultNodeIO(BaseNodeIO):
    """Node I/O for ordinary file systems."""

    remote_class = DefaultNodeRemote
    observer = Observer
    reserve_factor: ClassVar[int] = 2
    takes_more = True

    def __init__(
        self,
        node: StorageNode,
        config: Mapping[str, Any],
        queue: FairMultiFIFOQueue,
        fifo: Hashable,
    ) -> None:
        super().__init__(node, config, queue, fifo)
        self.tree_lock = UpDownLock()
        self.writers = Writers()
        self._tidy_count = 0
        self._expected: set[str] = set()
        self._expected_lock = threading.Lock()

    @classmethod
    def check_config(cls, config: Mapping[str, Any]) -> None:
        """See `BaseNodeIO.check_config`."""
        read_options(config)

    @property
    def tree(self) -> Tree:
        """The files below the root, as the record says it now."""
        return Tree(os.path.normpath(self.node.root or "/"), self.tree_lock)

    # identity and space

    def check_init(self) -> bool:
        """Tell whether ``ALPENHORN_NODE`` at the root names this node."""
        return identity.check(self.node.name, self.node.root)

    @contextmanager
    def medium(self) -> Iterator[HeldMedium | None]:
        """Hold on to the medium for the time of a job; see `BaseNodeIO.medium`."""
        with identity.held(self.node.root) as fd:
            if fd is None:
                yield None
                return
            medium = HeldMedium(fd, self.tree.root, self.tree_lock, self.check_init)
            yield medium if medium.is_there() else None

    def init(self) -> bool:
        """Make ``ALPENHORN_NODE``; never over one that is there."""
        return self.check_init() or identity.write(self.node.name, self.node.root)

    def bytes_avail(self, fast: bool = False) -> int | None:
        """Return the bytes that an unprivileged user may still write."""
        return space.available(self.node.root)

    def reserve_bytes(self, size: int, check_only: bool = False) -> bool:
        """Reserve `reserve_factor` times `size` bytes for a pull.

        Args:
            size: bytes to come.
            check_only: only tell whether it would work.
        """
        free = self.bytes_avail(fast=True)
        return space.reserve(self._store, free, self.reserve_factor * size, keep=not check_only)

    def release_bytes(self, size: int) -> None:
        """Give a reservation of `size` bytes back.

        Raises:
            ValueError: more than is reserved.
        """
        space.release(self._store, self.reserve_factor * size)

    def fits(self, size_b: int) -> bool:
        """Tell whether a file of that size could be reserved now."""
        return self.reserve_bytes(size_b, check_only=True)

    @property
    def _store(self) -> Hashable:
        # Fixed at first use: a reservation must be given back where it was made.
        if not hasattr(self, "_store_key"):
            self._store_key = space.store_of(self.node.root)
        return self._store_key

    def stores(self) -> dict[int, Hashable]:
        """Return the physical stores of the nodes of this host, by node id.

        Two nodes on one file system count as one where copies protect a file (invariant 3).
        """
        return {
            node.id: space.store_of(node.root)
            for node in node_queries.on_host(self.node.host)
            if identity.named(node.root) == node.name
        }

    def store_name(self) -> str | None:
        """Name the file system that the node rests on."""
        return space.lasting_name(self.node.root)

    # verbs

    def exists(self, path: PurePath | str) -> bool:
        """Tell whether a regular file is at `path`; an unreadable place has none."""
        try:
            return self.tree.stat(path) is not None
        except (OSError, InvalidName):
            return False

    def filesize(self, path: PurePath | str) -> int:
        """Return the length in bytes.

        Raises:
            OSError: there is no such file, or it cannot be examined.
        """
        return self._status(path).st_size

    def fingerprint(self, path: PurePath | str) -> tuple[Any, ...]:
        """Return length, modification time and inode."""
        return examine.fingerprint(self._status(path))

    def being_written(self, path: PurePath | str) -> bool:
        """Ask the kernel whether a writer has the file open; see `Writers`."""
        try:
            fd = self.tree.open(path)
        except (OSError, InvalidName):
            return False
        try:
            return self.writers.busy(str(path), fd)
        finally:
            os.close(fd)

    def examine_many(self, paths: Sequence[str]) -> Iterator[Examined]:
        """See `BaseNodeIO.examine_many`; every file is opened once."""
        return examine.examine(self.tree, paths, self.writers)

    def find_many(self, paths: Sequence[str]) -> dict[str, int | None]:
        """See `BaseNodeIO.find_many`."""
        return examine.found(self.tree, paths)

    def locked_many(self, paths: Sequence[str]) -> set[str]:
        """See `BaseNodeIO.locked_many`."""
        return examine.locked(self.tree, paths)

    def flush_many(self, paths: Sequence[str]) -> None:
        """Flush files and their directories, up to the root.

        Raises:
            OSError: the medium reports an error.
        """
        flush_batch(Path(self.tree.root), paths)
        self.tree.flush_parents(paths)

    def storage_used(self, path: PurePath | str) -> int | None:
        """Return the bytes of the blocks that the file takes, None if it cannot be examined."""
        try:
            return self._status(path).st_blocks * 512
        except OSError:
            return None

    def _status(self, path: PurePath | str) -> os.stat_result:
        status = self.tree.stat(path)
        if status is None:
            raise FileNotFoundError(f"no such file: {path}")
        return status

    def open(self, path: PurePath | str, binary: bool = True) -> IO[Any]:
        """Open a file for reading.

        Raises:
            ValueError: `path` is absolute.
            OSError: it cannot be opened.
        """
        if PurePath(path).is_absolute():
            raise ValueError("path must be relative to the node root")
        return os.fdopen(self.tree.open(path), "rb" if binary else "r")

    def md5(self, path: PurePath | str, *segments: str) -> str | None:
        """Return the MD5, None (with a WARNING) if it cannot be computed."""
        full = PurePath(path, *segments)
        try:
            fd = self.tree.open(full)
            try:
                return md5_of(fd)[0]
            finally:
                os.close(fd)
        except (OSError, InvalidName) as error:
            log.warning(f"MD5 of {full} on {self.node.name} cannot be computed: {error}")
            return None

    def file_walk(self, path: PurePath | str) -> Iterable[PurePath]:
        """Yield absolute paths of the regular files at or below `path`; no link is followed.

        Raises:
            ValueError: `path` is absolute.
        """
        if PurePath(path).is_absolute():
            raise ValueError("path must be relative to the node root")
        root = Path(self.tree.root)
        for relative in self.tree.walk(path):
            yield root / relative

    def locked(self, path: PurePath | str) -> bool:
        """Tell whether ``.<name>.lock`` is beside the file."""
        pure = PurePath(path)
        return self.exists(pure.with_name(f".{pure.name}.lock"))

    def ready_path(self, path: PurePath | str) -> bool:
        """Return True."""
        return True

    # files on their way in: not to be imported by the watcher before they are recorded

    def expect(self, path: str) -> None:
        """Note that a pull is about to rename a file to `path`."""
        with self._expected_lock:
            self._expected.add(path)

    def forget_expected(self, paths: Iterable[str]) -> None:
        """Note that pulls of these paths have ended."""
        with self._expected_lock:
            self._expected.difference_update(paths)

    def expected(self, path: str) -> bool:
        """Tell whether a running pull is about to record `path`."""
        with self._expected_lock:
            return path in self._expected

    # jobs

    def check(self, copy: ArchiveFileCopy) -> None:
        """Queue the verification of one copy."""
        # Not by way of `check_many`, which calls us in classes that override `check`.
        queue_checks(self, self._queue, [copy])

    def check_many(self, copies: Sequence[ArchiveFileCopy]) -> None:
        """Queue the verification of copies."""
        queue_checks(self, self._queue, copies)

    def delete(self, copies: Sequence[ArchiveFileCopy]) -> None:
        """Queue the deletion of copies."""
        queue_deletions(self, self._queue, copies)

    def delete_many(self, copies: Sequence[ArchiveFileCopy]) -> None:
        """Queue the deletion of copies, in batches."""
        queue_deletions(self, self._queue, copies)

    def pull(self, req: ArchiveFileCopyRequest, did_search: bool) -> None:
        """Queue the transfer of one file onto this node."""
        queue_pulls(self, self._queue, [req], did_search)

    def pull_many(self, requests: Sequence[ArchiveFileCopyRequest], did_search: bool) -> None:
        """Queue the transfer of files onto this node."""
        queue_pulls(self, self._queue, requests, did_search)

    def ready_pull(self, req: ArchiveFileCopyRequest) -> None:
        """Do nothing: files are always ready."""

    def idle_update(self, newly_idle: bool) -> None:
        """Queue a tidy-up at the first opportunity and at every 400th after it."""
        if not newly_idle:
            return
        if self._tidy_count % TIDY_EVERY == 0:
            queue_tidy(self, self._queue, thorough=self._tidy_count == 0)
        self._tidy_count += 1

    stages = False
