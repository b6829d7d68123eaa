"""How much work a pass takes on at most: the rest waits in the index, not in memory (P6).

What comes while a node is busy does not wait for the end of its backlog: a pass hands over no more
than the workers can do in a few batches, and the next pass the same, if little of that waits for a
worker by then. What is in hand is not handed over again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from alpenhorn.common import config
from alpenhorn.scheduler import Held

_T = TypeVar("_T")

FEW = 16
"""Up to so many files in a pass are told about one by one (design §5)."""

LOOKAHEAD = 4000
"""Rows that one chore of one pass looks at: a few batches."""

MOST_HELD = 2 * LOOKAHEAD
"""Rows of one kind in hand from which on no more are looked for in any case."""

BATCHES_PER_WORKER = 2
"""Batches' worth of bytes that one chore of one pass hands over for each worker."""


def is_enough(held: Held, queued: bool) -> bool:
    """Tell whether tasks hold so much of one kind of work that no more is to be looked for.

    Args:
        held: what tasks hold.
        queued: does any task of the node or group wait for a worker? If all of them run, or wait
            for something else, further work may go on beside them, however much they move.
    """
    if not queued:
        return len(held) >= MOST_HELD
    return len(held) >= LOOKAHEAD or held.total_b >= _most_bytes()


def a_few_batches(
    work: Sequence[_T], size_of: Callable[[_T], int | None], held_b: int = 0
) -> list[_T]:
    """Return the first of `work`: as much as the workers do in a few batches, one at least.

    Args:
        work: what can be done, in the order in which it is to be done.
        size_of: gives the size in bytes of one of it; None: not known.
        held_b: bytes that wait for a worker already.
    """
    left_b = _most_bytes() - held_b
    chosen: list[_T] = []
    for item in work:
        if chosen and left_b <= 0:
            break
        chosen.append(item)
        left_b -= size_of(item) or 0
    return chosen


def _most_bytes() -> int:
    workers = max(1, config.value("daemon.num_workers"))
    return int(BATCHES_PER_WORKER * workers * config.value("daemon.batch_bytes"))
