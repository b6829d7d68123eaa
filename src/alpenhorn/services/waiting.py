"""Follow work that was asked for until the daemons have done it.

What can be followed is in `waiting_work.py`. Each look takes a fixed handful of statements,
whatever the number of files, and nothing is written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

from alpenhorn.db.queries.waiting import NO_FILES, Sums

POLL_S = 1.0


class Outcome(Enum):
    """How the waiting ended; the value is the exit status."""

    DONE = 0
    INTERRUPTED = 1
    FAILED = 3
    TIMED_OUT = 4


@dataclass(frozen=True)
class Stuck:
    """Why some files do not move."""

    reason: str
    count: int
    final: bool = False
    """Nothing that is going on will change it."""


@dataclass(frozen=True)
class Tally:
    """How many files are done, failed and pending, and their bytes."""

    done: Sums = NO_FILES
    failed: Sums = NO_FILES
    pending: Sums = NO_FILES
    total: int | None = None
    """All of them; None if that is not known before the end."""
    failed_as: str = "failed"
    """What has happened to those that failed, in a word."""


class Work(Protocol):
    """Something that daemons were asked for."""

    def begin(self) -> None:
        """The requests are written: what is asked for later is not part of it."""

    def tally(self) -> Tally:
        """Look how far it is."""

    def stuck(self, pending: int) -> list[Stuck]:
        """Say what does not move.

        Args:
            pending: the number of files still to be done.
        """


@dataclass(frozen=True)
class Progress:
    """What one look found."""

    tally: Tally
    seconds: float
    """Since the waiting began."""
    stuck: tuple[Stuck, ...] = ()
    outcome: Outcome | None = None
    """None: go on."""

    @property
    def bytes_per_second(self) -> float:
        """The rate since the waiting began."""
        return self.tally.done[1] / self.seconds if self.seconds > 0 else 0.0

    @property
    def files_per_second(self) -> float:
        """The rate since the waiting began."""
        return self.tally.done[0] / self.seconds if self.seconds > 0 else 0.0


def watch(
    work: Work,
    timeout_s: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Progress]:
    """Look at the work about once a second until it has ended.

    Args:
        work: what to follow; its requests are written.
        timeout_s: give up after so many seconds; None: never.
        clock: the time in seconds.
        pause: waits for so many seconds.

    Yields:
        What each look found; the last one has an outcome.
    """
    began = clock()
    work.begin()
    while True:
        progress = _look(work, clock() - began)
        if progress.outcome is None and timeout_s is not None and progress.seconds >= timeout_s:
            progress = replace(progress, outcome=Outcome.TIMED_OUT)
        yield progress
        if progress.outcome is not None:
            return
        left_s = POLL_S if timeout_s is None else timeout_s - progress.seconds
        pause(min(POLL_S, left_s))


def _look(work: Work, seconds: float) -> Progress:
    tally = work.tally()
    pending = tally.pending[0]
    if not pending:
        outcome = Outcome.FAILED if tally.failed[0] else Outcome.DONE
        return Progress(tally, seconds, outcome=outcome)
    stuck = tuple(work.stuck(pending))
    refused = sum(reason.count for reason in stuck if reason.final)
    return Progress(tally, seconds, stuck, Outcome.FAILED if refused >= pending else None)
