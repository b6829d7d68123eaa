"""How much work a pass takes on at most: the rest waits in the index, not in memory (P6).

A node that is busy is left alone. So that what comes meanwhile need not wait for the end of a long
backlog, a pass hands over no more than the workers can do in a few batches.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from alpenhorn.common import config

_T = TypeVar("_T")

FEW = 16
"""Up to so many files in a pass are told about one by one (design §5)."""

LOOKAHEAD = 4000
"""Rows that one chore of one pass looks at: a few batches."""

BATCHES_PER_WORKER = 2
"""Batches' worth of bytes that one chore of one pass hands over for each worker."""


def a_few_batches(work: Sequence[_T], size_of: Callable[[_T], int | None]) -> list[_T]:
    """Return the first of `work`: as much as the workers do in a few batches, one at least.

    Args:
        work: what can be done, in the order in which it is to be done.
        size_of: gives the size in bytes of one of it; None: not known.
    """
    workers = max(1, config.value("daemon.num_workers"))
    left_b = BATCHES_PER_WORKER * workers * config.value("daemon.batch_bytes")
    chosen: list[_T] = []
    for item in work:
        if chosen and left_b <= 0:
            break
        chosen.append(item)
        left_b -= size_of(item) or 0
    return chosen
