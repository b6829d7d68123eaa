"""What is moved, from where, within which limits, and what came of it.

Movers and their callers share these words and nothing else. The *staging directory* is private to
one batch, lies on the destination's file system, and is made and removed by the caller.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from alpenhorn.common.names import invalid_import_path
from alpenhorn.errors import FailureClass, InvalidName
from alpenhorn.transfer.options import NO_OPTIONS, RouteOptions

T = TypeVar("T")

MAX_FILES = 1000
"""Files in one batch (design §5)."""
MAX_BYTES = 4 * 2**30
"""Bytes in one batch (design §5)."""
ALONE_ABOVE = 256 * 2**20
"""A file larger than this, in bytes, is a batch of its own, so that workers share the load."""


@dataclass(frozen=True)
class Item:
    """One file of a batch.

    Args:
        key: the caller's number for it, given back in the outcome.
        path: where it is staged: relative to the staging directory, POSIX.
        source: absolute path at the source.
        size_b: length in bytes that the index holds, None if unknown.
        md5: MD5 that the index holds, in hexadecimal, None if unknown.

    Raises:
        InvalidName: `path` could leave the staging directory, or `source` is not absolute.
    """

    key: int
    path: str
    source: str
    size_b: int | None = None
    md5: str | None = None

    def __post_init__(self) -> None:
        """Refuse names that no file below the staging directory can have (principle P9)."""
        reason = invalid_import_path(self.path)
        if reason or "\0" in self.path:
            raise InvalidName(f"cannot transfer {self.path!r}: {reason or 'NUL in the path'}")
        if "\0" in self.source or not self.source.startswith("/"):
            raise InvalidName(f"cannot transfer {self.source!r}: not an absolute path")
        try:
            os.fsencode(self.path + self.source)
        except UnicodeEncodeError as error:
            raise InvalidName(f"cannot transfer {self.path!r}: not a file name here") from error


@dataclass(frozen=True)
class Endpoint:
    """Where a batch comes from.

    Args:
        local: the source is a directory on this host.
        address: ``user@host`` for a remote source, else None.
        root: absolute path of the source node's root.
        options: what the source node's I/O config says about the way to it.
    """

    local: bool
    address: str | None
    root: str
    options: RouteOptions = NO_OPTIONS


@dataclass(frozen=True)
class Outcome:
    """What came of one item.

    `failure` is None for a success. `fallback` marks the failure of a mover that cannot do this
    file at all, through nobody's fault: another mover may. `method` names the mover.
    """

    key: int
    failure: FailureClass | None = None
    message: str = ""
    fallback: bool = False
    method: str = ""

    @property
    def ok(self) -> bool:
        """Whether the file is staged. Its bytes are still to be verified."""
        return self.failure is None


@dataclass(frozen=True)
class Limits:
    """What a batch may cost.

    Args:
        timeout: seconds for the whole batch, None for no limit (see `time_limit`).
        remote_shell: command that logs in to the source's host; ``("ssh",)`` is OpenSSH with our
            options (see `ssh`), any other is used as it stands.
        bwlimit: bytes per second, None for no limit.
        silence: seconds without any data after which a connection counts as lost.
    """

    timeout: float | None = None
    remote_shell: tuple[str, ...] = ("ssh",)
    bwlimit: int | None = None
    silence: int = 600


class Mover(Protocol):
    """One way to bring files into the staging directory."""

    @property
    def name(self) -> str:
        """The mover's word in logs and metrics: ``rsync``, ``bbcp``, ``link`` or ``internal``."""

    def move(
        self, items: Sequence[Item], source: Endpoint, staging: Path, limits: Limits
    ) -> Iterator[Outcome]:
        """Move `items` into `staging`; yields exactly one outcome for each, in any order.

        Leftovers of an earlier attempt in `staging` are resumed or replaced, never trusted.
        Nothing but a bug is raised.
        """


def time_limit(size_b: int, base: float, bytes_per_second: float) -> float | None:
    """Return the seconds that a transfer may take (spec: daemon.md §10.8).

    Args:
        size_b: bytes of the whole batch.
        base: ``daemon.pull_timeout_base``, in seconds.
        bytes_per_second: ``daemon.pull_bytes_per_second``; 0 means no limit.
    """
    return base + size_b / bytes_per_second if bytes_per_second else None


def split(
    items: Iterable[T],
    size_of: Callable[[T], int | None],
    max_files: int = MAX_FILES,
    max_bytes: int = MAX_BYTES,
    alone_above: int = ALONE_ABOVE,
) -> list[list[T]]:
    """Cut a list of work into batches (design §5).

    Args:
        items: the work, most urgent first.
        size_of: gives the length of an item in bytes; None (unknown) counts as 0.
        max_files: most items in a batch.
        max_bytes: most bytes in a batch.
        alone_above: an item of more bytes travels alone.

    Returns:
        Non-empty batches in the order of their first items; order is kept inside each.
    """
    batches: list[list[T]] = []
    current: list[T] = []
    used = 0
    for item in items:
        size = size_of(item) or 0
        if size > alone_above:
            batches.append([item])
            continue
        if not current or len(current) >= max_files or used + size > max_bytes:
            current, used = [], 0
            batches.append(current)
        current.append(item)
        used += size
    return batches
