"""How a list of work becomes tasks, and how loud they are."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from alpenhorn.common import config
from alpenhorn.common.units import pretty_bytes, pretty_deltat
from alpenhorn.transfer.batch import split

FEW = 16
"""Up to so many files in a pass are told about one by one."""

_T = TypeVar("_T")


def batches(items: Sequence[_T], size_of: Callable[[_T], int | None]) -> list[list[_T]]:
    """Cut work into tasks: one file each if they are few, else batches (design §5)."""
    if len(items) <= FEW:
        return [[item] for item in items]
    return split(
        items,
        size_of,
        max_files=config.value("daemon.batch_files"),
        max_bytes=config.value("daemon.batch_bytes"),
        alone_above=config.value("daemon.single_file_bytes"),
    )


def loudness(batch: Sequence[object]) -> int:
    """Return the level of per-file log lines: INFO if the batch is small, else DEBUG."""
    return logging.INFO if len(batch) <= FEW else logging.DEBUG


class Tally:
    """Counts files and bytes of a batch and says at its end how it went.

    Args:
        log: where the line goes.
        what: beginning of the line, e.g. ``Checked``.
        quiet: the batch is small and tells about each file itself.
        took: seconds that it took; None: measured from now on.
    """

    def __init__(
        self, log: logging.Logger, what: str, quiet: bool, took: float | None = None
    ) -> None:
        self._log, self._what, self._quiet, self._took = log, what, quiet, took
        self._started = time.monotonic()
        self.files = 0
        self.bytes = 0

    def add(self, size_b: int | None) -> None:
        """Count one file."""
        self.files += 1
        self.bytes += size_b or 0

    def say(self) -> None:
        """Write the line, if the batch does not tell about each file."""
        if self._quiet:
            return
        took = time.monotonic() - self._started if self._took is None else self._took
        rate = pretty_bytes(int(self.bytes / took)) if took > 0 else "-"
        self._log.info(
            f"{self._what} {self.files} files ({pretty_bytes(self.bytes)}) "
            f"in {pretty_deltat(took)} [{rate}/s]"
        )
