"""Remembers that all requests of a group wait, so that they are not searched in every pass (P6)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from alpenhorn.db import StorageGroup
from alpenhorn.db.queries import standstill
from alpenhorn.db.queries.pending import Blocked
from alpenhorn.db.queries.standstill import Signs

LONGEST_S = 600.0
"""Seconds after which the requests are searched, whatever the signs say."""


@dataclass(frozen=True)
class _Search:
    """What was to be seen before a search."""

    source_ids: frozenset[int]
    signs: Signs
    at: float


class Standstill:
    """Of one group: what its last search found, if that was nothing to do.

    The signs are taken *before* a search: what changes during it is found by the next one.

    Args:
        clock: gives seconds; only differences count.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._search: _Search | None = None
        self._blocked: Blocked | None = None

    def glance(self, group: StorageGroup) -> Blocked | None:
        """Return which requests wait if all still do; None if a search is due, which begins now."""
        if self._is_as_it_was(group):
            return self._blocked
        source_ids = frozenset(standstill.sources(group))
        signs = standstill.signs(group, source_ids)
        self._search = _Search(source_ids, signs, self._clock())
        self._blocked = None
        return None

    def searched(self, blocked: Blocked) -> None:
        """End a search that found nothing to do, but `blocked`."""
        if self._search is not None and blocked.total == self._search.signs.pending:
            self._blocked = blocked

    def _is_as_it_was(self, group: StorageGroup) -> bool:
        last = self._search
        if last is None or self._blocked is None or self._clock() - last.at > LONGEST_S:
            return False
        return standstill.signs(group, last.source_ids) == last.signs
