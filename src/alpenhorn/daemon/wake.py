"""What ends the daemon's sleep between two passes (design §5).

The interval, a request to stop, finished work, an event from a watched tree, or the doorbell: a
counter in the index that our command line and daemons raise with each request, and that is read by
primary key about once a second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

DOORBELL_S = 1.0
"""Seconds between two looks at the doorbell."""

SHORTEST_GAP_S = 0.2
"""Seconds between two passes at least, however often somebody rings."""


class Waker:
    """Lets the main thread sleep until there is a reason to look.

    Args:
        rings: reads the doorbell; None where there is none.
    """

    def __init__(self, rings: Callable[[], int | None]) -> None:
        self._rings = rings
        self._event = threading.Event()
        self._stop = threading.Event()
        self._heard: int | None = None

    def wake(self) -> None:
        """End the sleep: there is something to look at. May be called from any thread."""
        self._event.set()

    def stop(self) -> None:
        """End the sleep, and the daemon. May be called from a signal handler."""
        self._stop.set()
        self._event.set()

    @property
    def stopping(self) -> bool:
        """Was `stop` called?"""
        return self._stop.is_set()

    def listen(self) -> None:
        """Note the doorbell's count before a pass: rings from now on will wake."""
        self._event.clear()
        if self.stopping:
            self._event.set()
        self._heard = self._rings()

    def pause(self, seconds: float) -> None:
        """Sleep for so long; only `stop` ends it early."""
        self._stop.wait(seconds)

    def sleep(self, until: float) -> None:
        """Sleep until `time.monotonic` is `until`, or something wakes us."""
        self._stop.wait(SHORTEST_GAP_S)
        while not self._event.is_set():
            left = until - time.monotonic()
            if left <= 0:
                return
            if self._event.wait(min(DOORBELL_S, left)):
                return
            if left > DOORBELL_S and self._has_rung():
                return

    def _has_rung(self) -> bool:
        count = self._rings()
        return count is not None and count != self._heard
