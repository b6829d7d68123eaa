"""The parts of the queue: one FIFO, the fair order among FIFOs, and the items of later.

Plain data structures without locks; `queue.py` holds its lock whenever it touches them.
"""

from __future__ import annotations

import heapq
import itertools
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple


class FifoCounts(NamedTuple):
    """The state of one FIFO, or of all that share a label, for metrics and status."""

    queued: int = 0
    deferred: int = 0
    in_progress: int = 0
    locked: bool = False

    def plus(self, other: FifoCounts) -> FifoCounts:
        """The two together; locked if one of them is."""
        return FifoCounts(
            self.queued + other.queued,
            self.deferred + other.deferred,
            self.in_progress + other.in_progress,
            self.locked or other.locked,
        )


class Fifo:
    """One FIFO: what waits in it, and what of it is in progress."""

    def __init__(self, key: Hashable, created: int) -> None:
        self.key = key
        self.label = str(key)
        self.items: deque[tuple[Any, bool]] = deque()
        """The queued items, each with its exclusive flag."""
        self.deferred = 0
        self.running = 0
        self.locked = False
        self.last_used = created

    @property
    def ready(self) -> bool:
        """Whether its first item may be taken now."""
        if not self.items or self.locked:
            return False
        first_is_exclusive = self.items[0][1]
        return not (first_is_exclusive and self.running)

    @property
    def counts(self) -> FifoCounts:
        """The sizes of this FIFO."""
        return FifoCounts(len(self.items), self.deferred, self.running, self.locked)


def _rank(fifo: Fifo) -> tuple[int, int]:
    """The place of a FIFO in the choice; the smallest is next. No two are equal."""
    return fifo.running, fifo.last_used


class FairOrder:
    """The FIFOs that can give an item now, sorted by rank.

    Finding a place takes a logarithmic number of steps, however many FIFOs there are.
    """

    def __init__(self) -> None:
        self._ready: list[Fifo] = []

    def __bool__(self) -> bool:
        return bool(self._ready)

    @property
    def first(self) -> Fifo:
        """The FIFO whose turn it is."""
        return self._ready[0]

    @contextmanager
    def changing(self, fifo: Fifo) -> Iterator[None]:
        """Keep the order right while the state of a FIFO changes."""
        if fifo.ready:
            del self._ready[bisect_left(self._ready, _rank(fifo), key=_rank)]
        yield
        if fifo.ready:
            insort(self._ready, fifo, key=_rank)


class Deferred(NamedTuple):
    """A deferred put. `order` is unique, so comparisons never reach the fields behind it."""

    due: float
    order: int
    fifo: Fifo
    item: Any
    exclusive: bool


class DeferredItems:
    """The deferred puts of all FIFOs; equal due times keep the order of the puts."""

    def __init__(self) -> None:
        self._heap: list[Deferred] = []
        self._order = itertools.count()

    def __len__(self) -> int:
        return len(self._heap)

    @property
    def next_due(self) -> float | None:
        """The earliest due time; None if there is nothing."""
        return self._heap[0].due if self._heap else None

    def push(self, due: float, fifo: Fifo, item: Any, exclusive: bool) -> None:
        """Add an item that enters its FIFO at the time `due`."""
        heapq.heappush(self._heap, Deferred(due, next(self._order), fifo, item, exclusive))
        fifo.deferred += 1

    def pop_due(self, now: float) -> Iterator[Deferred]:
        """Remove and give the items that are due, in order."""
        while self._heap and self._heap[0].due <= now:
            entry = heapq.heappop(self._heap)
            entry.fifo.deferred -= 1
            yield entry

    def remove(self, fifo: Fifo | None = None) -> list[Any]:
        """Remove and return the items of one FIFO, or all."""
        removed = sorted(entry for entry in self._heap if fifo in (None, entry.fifo))
        self._heap = [entry for entry in self._heap if fifo not in (None, entry.fifo)]
        heapq.heapify(self._heap)
        for entry in removed:
            entry.fifo.deferred -= 1
        return [entry.item for entry in removed]
