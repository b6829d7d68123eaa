"""Sync, clean and verify over many copies: count them, name them, change them.

A *scope* is a set of rows given by conditions. The same conditions count the rows, list them and
select them in the one statement that changes them (design §3: no lists of ids in between).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import peewee as pw

from alpenhorn.db.acquisition import ArchiveAcq, ArchiveFile
from alpenhorn.db.archive import ArchiveFileCopy
from alpenhorn.db.connection import change, database_proxy, repeat_on_deadlock
from alpenhorn.db.queries import doorbell, releases
from alpenhorn.db.queries.filters import FileFilter


@dataclass(frozen=True)
class Amount:
    """A number of files and their size."""

    count: int = 0
    known: int = 0
    """How many of them have a known size."""
    known_b: int = 0
    """Sum of the known sizes, in bytes."""

    @property
    def size_b(self) -> int | None:
        """The sum; None if the size of any file is unknown."""
        return self.known_b if self.known == self.count else None


def amount_columns(size: Any) -> tuple[Any, Any, Any]:
    """Return the expressions from which `read_amount` makes an `Amount`."""
    return pw.fn.COUNT(pw.SQL("*")), pw.fn.COUNT(size), pw.fn.SUM(size)


def read_amount(count: Any, known: Any, size: Any) -> Amount:
    """Make an `Amount` of what the database returns (perhaps as decimals)."""
    return Amount(int(count), int(known), int(size or 0))


def rows_of(*columns: Any, source: Any) -> Any:
    """Start a query on a derived table."""
    return pw.Select([source], columns).bind(database_proxy.obj).tuples()


def paths_by_acq(query: Any) -> Iterator[tuple[str, list[str]]]:
    """List files for people.

    Args:
        query: joins `ArchiveFile` and `ArchiveAcq`; one row per file to list.

    Yields:
        Acquisition name and the paths in it, both sorted.
    """
    found: dict[str, list[str]] = {}
    names = query.select(ArchiveAcq.name, ArchiveFile.name).tuples()
    for acq, name in names.iterator():
        found.setdefault(acq, []).append(f"{acq}/{name}")
    for acq in sorted(found):
        yield acq, sorted(found[acq])


@dataclass(frozen=True)
class CopyScope:
    """Copies on one node."""

    node_id: int
    states: Any
    """Condition on `ArchiveFileCopy.has_file` and `wants_file`."""
    files: FileFilter

    def query(self) -> Any:
        """Start a query for the copies, with their files."""
        return ArchiveFileCopy.select().join(ArchiveFile).where(*self._conditions())

    def amount(self) -> Amount:
        """Count the copies; one statement."""
        return read_amount(*self.query().select(*amount_columns(ArchiveFile.size_b)).tuples()[0])

    def update(self, values: dict[str, Any]) -> int:
        """Change the copies and wake the node's daemon; one transaction.

        Args:
            values: columns of `ArchiveFileCopy`.

        Returns:
            The number of copies changed.
        """
        return update_copies(self.node_id, self.states, self.query(), values)

    def _conditions(self) -> list[Any]:
        return [ArchiveFileCopy.node == self.node_id, self.states, *self.files.conditions()]


@repeat_on_deadlock
def update_copies(node_id: int, states: Any, chosen: Any, values: dict[str, Any]) -> int:
    """Change copies on a node and wake its daemon; one transaction.

    Args:
        node_id: the node.
        states: condition that a copy must still meet when it is changed, whoever was quicker.
        chosen: query for the copies.
        values: columns of `ArchiveFileCopy`.

    Returns:
        The number of copies changed.
    """
    # A derived table, since MySQL refuses to read the table that it updates in any other way;
    # DISTINCT, so that its optimiser does not merge it away.
    ids = chosen.select(ArchiveFileCopy.id).distinct().alias("chosen")
    meant = (
        (ArchiveFileCopy.node == node_id)
        & states
        & (ArchiveFileCopy.id << pw.Select([ids], [ids.c.id]))
    )
    with change():
        if "wants_file" in values:
            releases.note(meant, values["wants_file"])
        changed = ArchiveFileCopy.update(values).where(meant).execute()
        if changed:
            doorbell.ring_nodes([node_id])
    return int(changed)
