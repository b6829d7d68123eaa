"""Remembers that all requests of a group wait, so that they are not searched in every pass (P6)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from alpenhorn.db import StorageGroup
from alpenhorn.db.queries import standstill
from alpenhorn.db.queries.pending import Blocked
from alpenhorn.db.queries.standstill import Signs

LONGEST_S = 600.0
"""Seconds after which the requests are searched, whatever the signs say."""


COUNT_S = 60.0
"""Seconds after which the requests are counted again: some may have been cancelled, or come back.

Of a hundred thousand, counting takes a database server longer than the rest of an idle pass.
"""


@dataclass(frozen=True)
class _Search:
    """What was to be seen before a search."""

    source_ids: frozenset[int]
    signs: Signs
    pending: int
    at: float
    counted: float
    """When `pending` was read, or was found unchanged."""


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
        signs, pending = standstill.signs(group, source_ids), standstill.count_pending(group)
        now = self._clock()
        self._search = _Search(source_ids, signs, pending, at=now, counted=now)
        self._blocked = None
        return None

    def searched(self, blocked: Blocked) -> None:
        """End a search that found nothing to do, but `blocked`."""
        if self._search is not None and blocked.total == self._search.pending:
            self._blocked = blocked

    def _is_as_it_was(self, group: StorageGroup) -> bool:
        last, now = self._search, self._clock()
        if last is None or self._blocked is None or now - last.at > LONGEST_S:
            return False
        if standstill.signs(group, last.source_ids) != last.signs:
            return False
        if now - last.counted < COUNT_S:
            return True
        self._search = replace(last, counted=now)
        return standstill.count_pending(group) == last.pending
