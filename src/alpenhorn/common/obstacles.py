"""Log lines about obstacles: at once when they change, else at growing intervals (K-14).

A request that cannot proceed is looked at in every pass; its reason is worth one line when it
appears or changes, and a reminder now and then, not one line per pass.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

FIRST_REPEAT_S = 60.0
LONGEST_REPEAT_S = 3600.0


@dataclass
class _Said:
    text: str
    again_at: float
    pause: float


class Obstacles:
    """Remembers what was said about what; safe to use from several threads.

    Args:
        log: where lines go.
        clock: gives seconds; only differences count.
    """

    def __init__(self, log: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._said: dict[Hashable, _Said] = {}
        self._lock = threading.Lock()

    def is_news(self, what: Hashable, text: str) -> bool:
        """Tell whether `text` is worth saying about `what` now, and take it as said if so."""
        now = self._clock()
        with self._lock:
            last = self._said.get(what)
            if last is None or last.text != text:
                self._said[what] = _Said(text, now + FIRST_REPEAT_S, FIRST_REPEAT_S)
                return True
            if now < last.again_at:
                return False
            last.pause = min(2 * last.pause, LONGEST_REPEAT_S)
            last.again_at = now + last.pause
            return True

    def say(self, what: Hashable, text: str, level: int = logging.INFO) -> None:
        """Log `text`, if it is news about `what`."""
        if self.is_news(what, text):
            self._log.log(level, text)

    def gone(self, what: Hashable) -> bool:
        """Forget what was said about `what`; returns whether anything was."""
        with self._lock:
            return self._said.pop(what, None) is not None
