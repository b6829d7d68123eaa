"""The internal copy: local files, read and written by this process.

The kernel copies the bytes (sendfile(2)), and holes stay holes. copy_file_range(2) is left alone on
purpose: on Btrfs and XFS it may make both files share their blocks, and then one bad sector
destroys what the index counts as two copies.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from alpenhorn.errors import FailureClass
from alpenhorn.transfer.batch import Endpoint, Item, Limits, Outcome
from alpenhorn.transfer.below import locate, opened, parent_of
from alpenhorn.transfer.failures import (
    TransferFailed,
    at_destination,
    at_source,
    not_regular,
    on_either_side,
    require_root,
)

CHUNK = 32 * 2**20
"""Bytes between two looks at the clock."""

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_SENDFILE = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}


class CopyMover:
    """Copies local files, with their modification times and modes."""

    name = "internal"

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock

    def move(
        self, items: Sequence[Item], source: Endpoint, staging: Path, limits: Limits
    ) -> Iterator[Outcome]:
        """See `Mover.move`."""
        check_time = self._deadline(limits.timeout)
        for item in items:
            try:
                with _source(item, source.root) as origin:
                    _stage(origin, item, staging, check_time)
            except TransferFailed as failed:
                yield failed.outcome(item.key)
            else:
                yield Outcome(item.key)

    def _deadline(self, timeout: float | None) -> Callable[[], None]:
        """Return a function that raises TransferFailed when `timeout` seconds have passed."""
        end = float("inf") if timeout is None else self._clock() + timeout

        def check_time() -> None:
            if self._clock() > end:
                message = f"stopped after the time limit of {timeout:.0f} s"
                raise TransferFailed(FailureClass.ROUTE, message)

        return check_time


@contextmanager
def _source(item: Item, root: str) -> Iterator[int]:
    """Open the source for reading; errors become TransferFailed."""
    require_root(root)
    try:
        with opened(*locate(root, item.source)) as fd:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise not_regular()
            yield fd
    except OSError as error:
        raise at_source(error) from error


def _stage(origin: int, item: Item, staging: Path, check_time: Callable[[], None]) -> None:
    """Copy an open file to its place in the staging directory, or leave nothing there."""
    try:
        with parent_of(staging, item.path, create=True) as (directory, name):
            # A leftover may be a hard link to the source: never write into it.
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=directory)
            target = os.open(name, _CREATE, 0o600, dir_fd=directory)
            try:
                _copy(origin, target, check_time)
            except BaseException:
                os.unlink(name, dir_fd=directory)
                raise
            finally:
                os.close(target)
    except OSError as error:
        raise at_destination(error) from error


def _copy(origin: int, target: int, check_time: Callable[[], None]) -> None:
    """Copy bytes and metadata; raises TransferFailed if the source changes meanwhile."""
    before = os.fstat(origin)
    try:
        for start, end in _extents(origin, before.st_size):
            _copy_extent(origin, target, start, end, check_time)
        os.ftruncate(target, before.st_size)
    except OSError as error:
        raise on_either_side(error) from error
    after = os.fstat(origin)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise TransferFailed(FailureClass.ROUTE, "the source changed while it was copied")
    _copy_metadata(before, target)


def _copy_metadata(status: os.stat_result, target: int) -> None:
    """Give `target` the permissions, times and, if we are root, the owner of the source."""
    if os.geteuid() == 0:
        with suppress(OSError):  # not on every file system
            os.fchown(target, status.st_uid, status.st_gid)
    os.fchmod(target, status.st_mode & 0o777)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _extents(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the parts of a file that hold data, as (start, end), from lseek(2)'s SEEK_DATA."""
    end = 0
    while end < size:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole from here on
                return
            yield end, size  # the file system does not know holes
            return
        end = os.lseek(fd, start, os.SEEK_HOLE)
        yield start, min(end, size)


def _copy_extent(
    origin: int, target: int, start: int, end: int, check_time: Callable[[], None]
) -> None:
    """Copy the bytes from `start` to `end`; ends early where the file was cut meanwhile."""
    os.lseek(target, start, os.SEEK_SET)
    while start < end:
        check_time()
        moved = _copy_chunk(origin, target, start, min(end - start, CHUNK))
        if not moved:
            return
        start += moved


def _copy_chunk(origin: int, target: int, offset: int, count: int) -> int:
    """Copy up to `count` bytes to the target's position; returns how many, 0 at the end."""
    try:
        return os.sendfile(target, origin, offset, count)
    except OSError as error:
        if error.errno not in _NO_SENDFILE:
            raise
    return os.write(target, os.pread(origin, min(count, 2**20), offset))
