"""How often the same thing is tried: at once, then after pauses that double (W-13, P5).

A pass asks the index for work; what was handed out and is still there in the next pass did not
come off. Without pauses it would be handed out again and again. Pauses live in memory: after a
restart everything is tried once more.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass

FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 3600.0

MANY = 10_000
"""So many keys are remembered before old ones are looked for."""


@dataclass
class _Try:
    count: int
    again_at: float


class Patience:
    """Remembers tries by key; safe to use from several threads.

    Args:
        first: seconds of the first pause.
        longest: seconds of the longest pause.
        clock: gives seconds; only differences count.
        jitter: pauses are made longer by up to this fraction, so that many do not end together.
    """

    def __init__(
        self,
        first: float = FIRST_PAUSE_S,
        longest: float = LONGEST_PAUSE_S,
        clock: Callable[[], float] = time.monotonic,
        jitter: float = 0.2,
    ) -> None:
        self._first, self._longest = first, longest
        self._clock, self._jitter = clock, jitter
        self._tries: dict[Hashable, _Try] = {}
        self._most = MANY
        self._lock = threading.Lock()

    def ready(self, key: Hashable) -> bool:
        """Tell whether `key` may be tried now."""
        with self._lock:
            known = self._tries.get(key)
            return known is None or self._clock() >= known.again_at

    def tried(self, key: Hashable) -> None:
        """Note a try: the next one is due after a pause."""
        now = self._clock()
        with self._lock:
            count = self._tries[key].count + 1 if key in self._tries else 1
            pause = min(self._first * 2 ** (count - 1), self._longest)
            pause *= 1 + self._jitter * random.random()
            self._tries[key] = _Try(count, now + pause)
            if len(self._tries) > self._most:
                self._forget_old(now)
                # Looked through again when there are twice as many: not for each further key.
                self._most = max(MANY, 2 * len(self._tries))

    def count(self, key: Hashable) -> int:
        """Return how often `key` was tried since it was last forgotten."""
        with self._lock:
            return self._tries[key].count if key in self._tries else 0

    def forget(self, key: Hashable) -> None:
        """Note that `key` came off, or is no longer there."""
        with self._lock:
            self._tries.pop(key, None)

    def keep(self, kind: str, ids: Collection[int]) -> None:
        """Of the keys ``(kind, id)``, forget those that are not among `ids`: they came off."""
        with self._lock:
            over = [
                key
                for key in self._tries
                if isinstance(key, tuple) and key[0] == kind and key[1] not in ids
            ]
            for key in over:
                del self._tries[key]

    def resting(self) -> set[Hashable]:
        """Return the keys that may not be tried now."""
        now = self._clock()
        with self._lock:
            return {key for key, known in self._tries.items() if now < known.again_at}

    def ends(self, keys: Iterable[Hashable] | None = None) -> list[float]:
        """Return when the pauses that run will be over, by the clock.

        Args:
            keys: those that are asked about; None: all.
        """
        now = self._clock()
        with self._lock:
            asked = self._tries if keys is None else keys
            tries = [self._tries[key] for key in asked if key in self._tries]
        return [known.again_at for known in tries if known.again_at > now]

    def _forget_old(self, now: float) -> None:
        """Drop what was not tried again for long after it could have been: it is done."""
        self._tries = {
            key: known for key, known in self._tries.items() if now - known.again_at < self._longest
        }
