"""How often something dear is done: it gets a tenth of the time at most.

Passes follow each other closely while there is much to do or somebody rings every second. A search
that takes seconds, since hundreds of thousands of rows wait, is then not made in each of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

CHEAP_S = 0.1
"""What takes no longer than so many seconds may be done at any time."""

PAUSE_FACTOR = 10
"""After it was done, it rests for so many times as long as it took."""


class Pace:
    """Of one thing that is done again and again.

    Args:
        clock: gives seconds; only differences count.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._again_at = clock()
        self._asked_in_vain = False

    def is_due(self) -> bool:
        """Tell whether it may be done now; if not, `ends` says when."""
        due = self._clock() >= self._again_at
        self._asked_in_vain = not due
        return due

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Do it in here."""
        began = self._clock()
        yield
        took = self._clock() - began
        self._again_at = self._clock() + (PAUSE_FACTOR * took if took > CHEAP_S else 0)

    def ends(self) -> float | None:
        """Return when it may be done again, by the clock, if somebody has asked in vain."""
        return self._again_at if self._asked_in_vain else None
