"""Which copies on a node a clean would release, mark or keep (spec: cli.md §9.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import peewee as pw

from alpenhorn.db.acquisition import ArchiveFile
from alpenhorn.db.archive import ArchiveFileCopy
from alpenhorn.db.enums import HasFile, WantsFile
from alpenhorn.db.queries.bulk import Amount, amount_columns, read_amount, rows_of, update_copies
from alpenhorn.db.queries.filters import FileFilter

_CANDIDATES = {
    WantsFile.REMOVABLE: (WantsFile.KEEP,),
    WantsFile.RELEASED: (WantsFile.KEEP, WantsFile.REMOVABLE),
    WantsFile.KEEP: (WantsFile.REMOVABLE, WantsFile.RELEASED),
}


@dataclass(frozen=True)
class CleanScope:
    """Copies on a node whose `wants_file` is to become `goal`."""

    node_id: int
    goal: WantsFile
    files: FileFilter
    include_bad: bool = False
    """Also suspect and corrupt copies."""
    limit_b: int | None = None
    """Stop once this many bytes are scheduled, those at the goal already included."""

    @property
    def candidates(self) -> tuple[WantsFile, ...]:
        """Values of `wants_file` that are changed; other copies are left alone."""
        return _CANDIDATES[self.goal]

    def amounts(self) -> dict[WantsFile, Amount]:
        """Count the copies by `wants_file`; with a limit also those at the goal; one statement."""
        rows = self._walked()
        query = rows_of(rows.c.wants_file, *amount_columns(rows.c.size_b), source=rows)
        query = query.where(self._within(rows)).group_by(rows.c.wants_file)
        return {WantsFile(wants): read_amount(*rest) for wants, *rest in query}

    def update(self) -> int:
        """Set `wants_file` to the goal and wake the node's daemon; one transaction.

        Returns:
            The number of copies changed.
        """
        chosen = self._selected(self.candidates)
        if self.limit_b is not None:
            rows = self._walked()
            within = pw.Select([rows], [rows.c.id]).where(self._within(rows))
            chosen = chosen.where(ArchiveFileCopy.id << within)
        states = self._present() & (ArchiveFileCopy.wants_file << list(self.candidates))
        return update_copies(self.node_id, states, chosen, {"wants_file": self.goal})

    def _walked(self) -> Any:
        """A derived table of the copies that are gone through, with the bytes before each."""
        size = pw.fn.COALESCE(ArchiveFile.size_b, 0)
        columns = [ArchiveFileCopy.id, ArchiveFileCopy.wants_file, ArchiveFile.size_b]
        if self.limit_b is None:
            return self._selected(self.candidates).select(*columns).alias("walked")
        up_to_here = pw.fn.SUM(size).over(
            order_by=[ArchiveFileCopy.id],
            start=pw.Window.preceding(),
            end=pw.Window.CURRENT_ROW,
        )
        query = self._selected(list(WantsFile))
        return query.select(*columns, (up_to_here - size).alias("before_b")).alias("walked")

    def _within(self, rows: Any) -> Any:
        """Condition on the derived table: the walk gets this far."""
        if self.limit_b is None:
            return rows.c.id.is_null(False)
        return rows.c.before_b < self.limit_b

    def _selected(self, wants: Sequence[WantsFile]) -> Any:
        return (
            ArchiveFileCopy.select()
            .join(ArchiveFile)
            .where(
                ArchiveFileCopy.node == self.node_id,
                self._present(),
                ArchiveFileCopy.wants_file << list(wants),
                *self.files.conditions(),
            )
        )

    def _present(self) -> Any:
        if self.include_bad:
            return ArchiveFileCopy.has_file != HasFile.ABSENT
        return ArchiveFileCopy.has_file == HasFile.PRESENT


def any_file(files: FileFilter) -> bool:
    """Tell whether there is any file within the limits."""
    return bool(ArchiveFile.select().where(*files.conditions()).exists())
