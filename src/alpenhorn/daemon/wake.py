"""What ends the daemon's sleep between two passes (design §5).

The interval, the end of a pause after a failed transfer, a request to stop, finished work, an event
from a watched tree, or the doorbell: a counter in the index that our command line and daemons raise
with each request, and that is read by primary key about once a second.
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
        alive: called at least once per `slice_s` of any sleep.
        slice_s: seconds, see `alive`; None: no need.
    """

    def __init__(
        self,
        rings: Callable[[], int | None],
        alive: Callable[[], None] = lambda: None,
        slice_s: float | None = None,
    ) -> None:
        self._rings = rings
        self._alive = alive
        self._slice_s = DOORBELL_S if slice_s is None else min(slice_s, DOORBELL_S)
        # Re-entrant: a signal handler may interrupt us while we hold it. (With an Event, whose lock
        # is not, the handler would wait for ever.)
        self._changed = threading.Condition(threading.RLock())
        self._woken = False
        self._stopping = False
        self._heard: int | None = None

    def wake(self) -> None:
        """End the sleep: there is something to look at. May be called from any thread."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def stop(self) -> None:
        """End the sleep, and the daemon. May be called from a signal handler, as `wake` may."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    @property
    def stopping(self) -> bool:
        """Was `stop` called?"""
        return self._stopping

    def listen(self) -> None:
        """Note the doorbell's count before a pass: rings from now on will wake."""
        self._woken = False
        self._heard = self._rings()

    def pause(self, seconds: float) -> None:
        """Sleep for so long; only `stop` ends it early."""
        self._wait(seconds, lambda: self._stopping)

    def sleep(self, until: float) -> None:
        """Sleep until `time.monotonic` is `until`, or something wakes us."""
        self._wait(SHORTEST_GAP_S, lambda: self._stopping)
        while not self._is_woken():
            left = until - time.monotonic()
            if left <= 0 or self._wait(min(DOORBELL_S, left), self._is_woken):
                return
            if left > DOORBELL_S and self._has_rung():
                return

    def _wait(self, seconds: float, over: Callable[[], bool]) -> bool:
        """Wait until `over`, at most for so long, and tell whether it is.

        A signal handler that runs between the test and the wait notifies nobody: what it set is
        seen at the end of the slice.
        """
        end = time.monotonic() + seconds
        with self._changed:
            while not over() and (left := end - time.monotonic()) > 0:
                self._alive()
                self._changed.wait(min(left, self._slice_s))
            return over()

    def _is_woken(self) -> bool:
        return self._woken or self._stopping

    def _has_rung(self) -> bool:
        count = self._rings()
        return count is not None and count != self._heard
