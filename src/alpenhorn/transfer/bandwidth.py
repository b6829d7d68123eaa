"""Keeping to bandwidth limits: how fast a transfer may be, and that there is one at a time.

A limit holds for all transfers from or to a node that one daemon carries out together. Each
transfer is a process that knows nothing of the others, so while a limit holds they take turns.
"""

from __future__ import annotations

import threading
from collections.abc import Collection
from datetime import datetime

from alpenhorn.transfer.timetable import Timetable


def strictest(now: datetime, *timetables: Timetable) -> int | None:
    """Return the lowest limit at a local time in bytes per second; None: there is none."""
    rates = [timetable.rate_at(now) for timetable in timetables]
    return min((rate for rate in rates if rate is not None), default=None)


class Turns:
    """Who is transferring under a limit; nobody is ever kept waiting in here."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._lock = threading.Lock()

    def take(self, nodes: Collection[str]) -> bool:
        """Take the turn of all these nodes; False, and none is taken, if one of them is out."""
        with self._lock:
            if not self._taken.isdisjoint(nodes):
                return False
            self._taken.update(nodes)
            return True

    def give_back(self, nodes: Collection[str]) -> None:
        """Let others take the turn of these nodes."""
        with self._lock:
            self._taken.difference_update(nodes)
