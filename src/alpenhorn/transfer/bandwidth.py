"""Keeping to limits: how fast a transfer may be, and how many there are at a time.

A bandwidth limit holds for all transfers from or to a node that one daemon carries out together.
Each transfer is a process that knows nothing of the others, so while a limit holds they take turns.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Hashable, Mapping
from datetime import datetime

from alpenhorn.transfer.timetable import Timetable


def strictest(now: datetime, *timetables: Timetable) -> int | None:
    """Return the lowest limit at a local time in bytes per second; None: there is none."""
    rates = [timetable.rate_at(now) for timetable in timetables]
    return min((rate for rate in rates if rate is not None), default=None)


class Turns:
    """Who is transferring under a limit; nobody is ever kept waiting in here."""

    def __init__(self) -> None:
        self._taken: Counter[Hashable] = Counter()
        self._lock = threading.Lock()

    def take(self, limits: Mapping[Hashable, int]) -> bool:
        """Take a turn at each of some things.

        Args:
            limits: how many may have a turn at a time, by what they have it at (a node, a route).

        Returns:
            False, and none is taken, if one of them is out.
        """
        with self._lock:
            if any(self._taken[what] >= most for what, most in limits.items()):
                return False
            self._taken.update(limits.keys())
            return True

    def give_back(self, limits: Mapping[Hashable, int]) -> None:
        """Let others take these turns."""
        with self._lock:
            self._taken.subtract(limits.keys())
            self._taken += Counter()  # forgets what nobody has
