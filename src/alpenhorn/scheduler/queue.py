"""A thread-safe queue of many FIFOs with a fair choice between them (spec: daemon.md §8.1).

What it promises:

* Inside a FIFO order is never broken. Between FIFOs, the one with the fewest items in progress
  comes first; among equals, the one least recently used.
* An exclusive item runs alone in its FIFO. It cannot be starved: what is behind it waits too.
* A deferred item enters its FIFO when it is due, in the order of due times (and of puts, for
  equal ones); a waiting consumer wakes for it.
* Nobody waits with the lock held, and no wake-up is lost. One lock guards everything. A consumer
  that leaves `get`, for whatever reason, wakes the next one while there is something to take, and
  every consumer sleeps no longer than until the earliest due time.

The lock is re-entrant, so a signal handler may call `wake` (and only that) at any moment.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Hashable, Iterable
from typing import Any

from alpenhorn.scheduler.fifo import DeferredItems, FairOrder, Fifo, FifoCounts
from alpenhorn.scheduler.in_hand import InHand

log = logging.getLogger(__name__)


def _never() -> bool:
    return False


class FairMultiFIFOQueue:
    """An unbounded multi-producer, multi-consumer queue of FIFOs named by hashable keys.

    Args:
        clock: gives the time in seconds that deferred puts are measured with. Time-outs of `get`
            and `join` are always real time. Whoever advances a clock of their own calls `wake`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.in_hand = InHand()
        """What the tasks hold that were put in and have not ended."""
        self._clock = clock
        self._lock = threading.RLock()
        self._work = threading.Condition(self._lock)
        """Consumers wait here for something to take."""
        self._progress = threading.Condition(self._lock)
        """`join` waits here for everything to be done."""
        self._fifos: dict[Hashable, Fifo] = {}
        self._closed: set[Hashable] = set()
        self._ready = FairOrder()
        self._deferred = DeferredItems()
        self._joins = 0
        self._count = itertools.count()

    # Putting

    def put(self, item: Any, key: Hashable, exclusive: bool = False, wait: float = 0) -> bool:
        """Append an item to a FIFO, now or later.

        Args:
            item: anything. If it has a method ``discarded()``, that is called should the item
                be thrown away by `clear_fifo` or `join`.
            key: the FIFO; it comes into being on first use.
            exclusive: run the item alone within its FIFO.
            wait: seconds after which the item enters its FIFO; at once if not positive.

        Returns:
            False if the item was dropped: it is deferred and a `join` is in progress.

        Raises:
            KeyError: the FIFO is closed.
        """
        with self._lock:
            fifo = self._fifo(key)
            if not wait > 0:
                self._append(fifo, item, exclusive)
                self._work.notify()
                return True
            if self._joins:
                return False
            self._defer(fifo, item, exclusive, self._clock() + wait)
            return True

    def _fifo(self, key: Hashable) -> Fifo:
        if key in self._closed:
            raise KeyError(f"FIFO is closed: {key}")
        if key not in self._fifos:
            self._fifos[key] = Fifo(key, created=next(self._count))
        return self._fifos[key]

    def _append(self, fifo: Fifo, item: Any, exclusive: bool) -> None:
        with self._ready.changing(fifo):
            fifo.items.append((item, exclusive))

    def _defer(self, fifo: Fifo, item: Any, exclusive: bool, due: float) -> None:
        earliest = self._deferred.next_due
        self._deferred.push(due, fifo, item, exclusive)
        if earliest is None or due < earliest:  # all consumers sleep for longer: tell them
            self._work.notify_all()

    # Getting

    def get(
        self, timeout: float | None = None, cancelled: Callable[[], bool] = _never
    ) -> tuple[Any, Hashable] | None:
        """Take the next item, in fair choice; `task_done` must follow.

        Args:
            timeout: seconds to wait for an item; None for ever.
            cancelled: asked before each look and after each `wake`, with the lock held (so it
                must be quick); once it says True nothing is taken.

        Returns:
            The item and its FIFO's key; None after the time-out or when cancelled.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            try:
                while not cancelled():
                    next_due = self._admit_due()
                    if self._ready:
                        return self._take()
                    remaining = None if deadline is None else deadline - time.monotonic()
                    if remaining is not None and remaining <= 0:
                        return None
                    self._work.wait(_shortest(remaining, next_due))
                return None
            finally:
                if self._ready:
                    self._work.notify()

    def _admit_due(self) -> float | None:
        """Move due items into their FIFOs; return the seconds until the next one is due."""
        now = self._clock()
        for entry in self._deferred.pop_due(now):
            self._append(entry.fifo, entry.item, entry.exclusive)
        due = self._deferred.next_due
        return None if due is None else due - now

    def _take(self) -> tuple[Any, Hashable]:
        fifo = self._ready.first
        with self._ready.changing(fifo):
            item, exclusive = fifo.items.popleft()
            fifo.running += 1
            fifo.locked = exclusive
            fifo.last_used = next(self._count)
        return item, fifo.key

    def task_done(self, key: Hashable) -> None:
        """Report that an item taken from a FIFO is done.

        Raises:
            ValueError: nothing of that FIFO is in progress.
        """
        with self._lock:
            fifo = self._fifos.get(key)
            if fifo is None or not fifo.running:
                raise ValueError(f"no task of FIFO {key} is in progress")
            with self._ready.changing(fifo):
                fifo.running -= 1
                fifo.locked = False
                fifo.last_used = next(self._count)
            if fifo.ready:
                self._work.notify()
            self._forget_if_over(fifo)
            self._progress.notify_all()

    def wake(self) -> None:
        """Let all waiting consumers look again at the clock and at their `cancelled`."""
        with self._lock:
            self._work.notify_all()

    # Clearing and joining

    def clear_fifo(self, key: Hashable, keep_clear: bool = False) -> tuple[int, int]:
        """Throw away the queued and deferred items of a FIFO; running ones stay.

        Args:
            key: the FIFO; an unknown one is fine.
            keep_clear: close the FIFO for good.

        Returns:
            How many queued, and how many deferred items were thrown away.
        """
        with self._lock:
            if keep_clear:
                self._closed.add(key)
            fifo = self._fifos.get(key)
            if fifo is None:
                return 0, 0
            queued = [item for item, _ in fifo.items]
            with self._ready.changing(fifo):
                fifo.items.clear()
            deferred = self._deferred.remove(fifo)
            self._forget_if_over(fifo)
            self._progress.notify_all()
        _discard(queued + deferred)
        return len(queued), len(deferred)

    def _forget_if_over(self, fifo: Fifo) -> None:
        """Keep no more of a closed FIFO than its key once it has run dry."""
        if fifo.key in self._closed and not fifo.running:
            self._fifos.pop(fifo.key, None)

    def join(self, timeout: float | None = None) -> bool:
        """Throw away all deferred items, then wait until nothing is queued or running.

        Deferred puts made while this waits are dropped.

        Args:
            timeout: seconds to wait; None for ever.

        Returns:
            Whether everything is done.
        """
        with self._lock:
            self._joins += 1
        try:
            with self._lock:
                dropped = self._deferred.remove()
            _discard(dropped)
            with self._lock:
                return self._progress.wait_for(self._is_idle, timeout)
        finally:
            with self._lock:
                self._joins -= 1

    def _is_idle(self) -> bool:
        return not any(fifo.items or fifo.running for fifo in self._fifos.values())

    # Sizes and labels

    @property
    def qsize(self) -> int:
        """Items queued in all FIFOs, without deferred ones."""
        with self._lock:
            return sum(len(fifo.items) for fifo in self._fifos.values())

    @property
    def inprogress_size(self) -> int:
        """Items taken and not yet reported done."""
        with self._lock:
            return sum(fifo.running for fifo in self._fifos.values())

    @property
    def deferred_size(self) -> int:
        """Deferred items that no consumer has seen fall due yet."""
        with self._lock:
            return len(self._deferred)

    def fifo_size(self, key: Hashable) -> int:
        """Items of one FIFO, queued and in progress, without deferred ones; 0 if unknown."""
        with self._lock:
            fifo = self._fifos.get(key)
            return len(fifo.items) + fifo.running if fifo else 0

    def queued(self, key: Hashable) -> int:
        """Items of one FIFO that wait to be taken, without deferred ones; 0 if unknown."""
        with self._lock:
            fifo = self._fifos.get(key)
            return len(fifo.items) if fifo else 0

    def label_fifo(self, key: Hashable, label: str) -> None:
        """Give a FIFO the name that metrics and status use; nothing happens if it is closed."""
        with self._lock:
            if key not in self._closed:
                self._fifo(key).label = label

    def label(self, key: Hashable) -> str:
        """The label of a FIFO; the text form of the key if it has none."""
        with self._lock:
            fifo = self._fifos.get(key)
            return fifo.label if fifo else str(key)

    def snapshot(self) -> dict[str, FifoCounts]:
        """The counts of every FIFO by label, at one moment; equal labels are added up."""
        counts: dict[str, FifoCounts] = {}
        with self._lock:
            for fifo in self._fifos.values():
                counts[fifo.label] = fifo.counts.plus(counts.get(fifo.label, FifoCounts()))
        return counts


def _shortest(*seconds: float | None) -> float | None:
    """The shortest of some waits, within what a lock can wait; None is for ever."""
    known = [value for value in seconds if value is not None]
    return min([*known, threading.TIMEOUT_MAX]) if known else None


def _discard(items: Iterable[Any]) -> None:
    """Tell thrown-away items so. The lock must not be held: they may do anything."""
    for item in items:
        hook = getattr(item, "discarded", None)
        if callable(hook):
            try:
                hook()
            except Exception:
                log.exception(f"Clean-up of discarded task {item} failed.")
