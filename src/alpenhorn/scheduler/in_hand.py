"""What the tasks that have not ended work on, so that nothing is handed out twice.

A task says which rows it holds when it is made (`Task`, `holds`); it lets go of them when it ends,
fails or is thrown away. Several tasks may hold one row: the one that searched for a file, say, and
the one that pulls it.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Mapping

Holds = Mapping[Hashable, Mapping[int, int]]
"""By the kind of work: the ids of the rows, each with the bytes that there are to be dealt with."""


class Held:
    """What of one kind was held at one moment.

    Args:
        sizes: bytes by id.
    """

    def __init__(self, sizes: Mapping[int, int]) -> None:
        self._sizes = sizes
        self.total_b = sum(sizes.values())

    def __contains__(self, row_id: int) -> bool:
        return row_id in self._sizes

    def __len__(self) -> int:
        return len(self._sizes)


class InHand:
    """Counts how many tasks hold each row; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[Hashable, dict[int, int]] = {}
        self._sizes: dict[Hashable, dict[int, int]] = {}

    def take(self, holds: Holds) -> None:
        """Note that a task holds these rows."""
        with self._lock:
            for kind, sizes in holds.items():
                counts = self._counts.setdefault(kind, {})
                self._sizes.setdefault(kind, {}).update(sizes)
                for row_id in sizes:
                    counts[row_id] = counts.get(row_id, 0) + 1

    def give_back(self, holds: Holds) -> None:
        """Note that a task that held these rows has ended."""
        with self._lock:
            for kind, sizes in holds.items():
                for row_id in sizes:
                    self._give_back(kind, row_id)

    def _give_back(self, kind: Hashable, row_id: int) -> None:
        counts = self._counts[kind]
        counts[row_id] -= 1
        if not counts[row_id]:
            del counts[row_id], self._sizes[kind][row_id]
        if not counts:
            del self._counts[kind], self._sizes[kind]

    def of(self, kind: Hashable) -> Held:
        """Return what is held of one kind.

        To be asked *before* the index is asked for work: what ends in between is done by then.
        """
        with self._lock:
            return Held(dict(self._sizes.get(kind, {})))
