"""Wanted copies that are corrupt or missing, and the copies from which they can be replaced.

A copy is repaired by a request for its file from the best good copy into its group. The transfer
never looks at the bytes that are there: it stages the file anew and renames it over them.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import peewee as pw

from alpenhorn.common.units import utcnow
from alpenhorn.db.acquisition import ArchiveAcq, ArchiveFile
from alpenhorn.db.archive import ArchiveFileCopy, ArchiveFileCopyRequest
from alpenhorn.db.connection import change, is_sqlite, repeat_on_deadlock
from alpenhorn.db.enums import HasFile, StorageType, WantsFile
from alpenhorn.db.queries import doorbell
from alpenhorn.db.queries.bulk import Amount, amount_columns, read_amount, rows_of
from alpenhorn.db.queries.common import tuples
from alpenhorn.db.queries.filters import FileFilter
from alpenhorn.db.storage import StorageGroup, StorageNode

Request = ArchiveFileCopyRequest

Place: Any = StorageNode.alias("place")
"""The node of the current copy, by a name of its own: it is spoken of inside the columns too."""

BAD = (HasFile.CORRUPT, HasFile.ABSENT)

CANCELLED_PAUSE = datetime.timedelta(days=1)
"""A daemon does not ask for a transfer again that was cancelled so recently."""


class Case(StrEnum):
    """What can be done about a bad copy."""

    REPAIRABLE = "repairable"
    REQUESTED = "requested"
    """A request that can proceed is pending."""
    ELSEWHERE = "elsewhere"
    """Another node of the group has the file: no transfer into the group would be made."""
    HOPELESS = "hopeless"
    """There is no good copy, from which one could be made."""


@dataclass(frozen=True)
class RepairScope:
    """Copies that should be there and are corrupt or missing."""

    node_id: int | None = None
    """On this node,"""
    group_id: int | None = None
    """on the nodes of this group; both None: anywhere."""
    files: FileFilter = field(default_factory=FileFilter)
    patient: bool = False
    """Leave out sources from which the transfer was cancelled a short time ago."""

    def amounts(self) -> dict[tuple[str, Case], Amount]:
        """Count the copies by node and by what can be done; one statement."""
        rows = self._bad().select(Place.name, self._case().alias("case_"), ArchiveFile.size_b)
        rows = rows.alias("bad")
        keys = (rows.c.name, rows.c.case_)
        query = rows_of(*keys, *amount_columns(rows.c.size_b), source=rows)
        found = query.group_by(*keys).order_by(*keys)
        return {(name, Case(case)): read_amount(*rest) for name, case, *rest in found}

    def listed(self, case: Case) -> Iterator[tuple[str, str, str]]:
        """Yield node, path and `has_file` of the copies in this case, sorted; one statement."""
        query = (
            self._bad()
            .where(self._case() == case.value)
            .select(Place.name, ArchiveAcq.name, ArchiveFile.name, ArchiveFileCopy.has_file)
            .order_by(Place.name, ArchiveAcq.name, ArchiveFile.name)
        )
        for node, acq, name, has_file in tuples(query).iterator():
            yield node, f"{acq}/{name}", has_file

    def count_bad(self) -> int:
        """Count the copies, whatever can be done about them; cheap if there are few."""
        return int(self._bad().count())

    @repeat_on_deadlock
    def request(self) -> int:
        """Ask for the transfers that repair what can be repaired; one transaction.

        Groups are locked, so that two people do not request the same file.

        Returns:
            The number of requests made.
        """
        with change():
            _lock_groups(self._groups())
            last = int(Request.select(pw.fn.MAX(Request.id)).scalar() or 0)
            count = int(self._insert().as_rowcount().execute())
            if count:
                self._wake(last)
        return count

    def _insert(self) -> Any:
        now = pw.Value(utcnow(), converter=Request.timestamp.db_value)
        rows = (
            self._bad()
            .where(self._case() == Case.REPAIRABLE.value)
            .select(
                ArchiveFileCopy.file,
                self._best_source(),
                Place.group,
                pw.Value(False),
                pw.Value(False),
                now,
            )
            .order_by(ArchiveFileCopy.id)
        )
        if self.node_id is None:
            rows = self._one_per_group(rows)
        columns = [Request.file, Request.node_from, Request.group_to]
        columns += [Request.completed, Request.cancelled, Request.timestamp]
        return Request.insert_from(rows, columns)

    def _one_per_group(self, rows: Any) -> Any:
        """Of bad copies of one file on several nodes of a group, take the first."""
        copy, node = ArchiveFileCopy.alias(), StorageNode.alias()
        earlier = (
            copy.select(pw.SQL("1"))
            .join(node, on=(copy.node == node.id))
            .where(
                copy.file == ArchiveFileCopy.file,
                node.group == Place.group,
                copy.has_file << list(BAD),
                copy.wants_file == WantsFile.KEEP,
                copy.id < ArchiveFileCopy.id,
            )
        )
        return rows.where(~pw.fn.EXISTS(earlier))

    def _bad(self) -> Any:
        """Start a query for the copies, with node, file and acquisition."""
        places = {Place.id: self.node_id, Place.group: self.group_id}
        return (
            ArchiveFileCopy.select()
            .join(Place, on=(ArchiveFileCopy.node == Place.id))
            .switch(ArchiveFileCopy)
            .join(ArchiveFile)
            .join(ArchiveAcq)
            .where(
                ArchiveFileCopy.has_file << list(BAD),
                ArchiveFileCopy.wants_file == WantsFile.KEEP,
                *(column == value for column, value in places.items() if value is not None),
                *self.files.conditions(),
            )
        )

    def _groups(self) -> list[int]:
        query = self._bad().select(Place.group).distinct()
        return sorted(group_id for (group_id,) in tuples(query))

    def _case(self) -> Any:
        """Expression: the `Case` of the current copy."""
        return pw.Case(
            None,
            [
                (_group_has_file(), Case.ELSEWHERE.value),
                (_is_requested(), Case.REQUESTED.value),
                (~self._has_source(), Case.HOPELESS.value),
            ],
            Case.REPAIRABLE.value,
        )

    def _sources(self, copy: Any, node: Any) -> Any:
        """Start a query, of aliases of both, for good copies of the current copy's file."""
        return (
            copy.select(copy.node)
            .join(node, on=(copy.node == node.id))
            .where(
                copy.file == ArchiveFileCopy.file,
                copy.has_file == HasFile.PRESENT,
                copy.wants_file != WantsFile.RELEASED,
                node.active == True,  # noqa: E712
                node.group != Place.group,
                *([~_cancelled_lately(copy)] if self.patient else []),
            )
        )

    def _has_source(self) -> Any:
        return pw.fn.EXISTS(self._sources(ArchiveFileCopy.alias(), StorageNode.alias()))

    def _best_source(self) -> Any:
        """Expression: id of the node with the best good copy of the current copy's file, or NULL.

        Nodes that can be reached come first, then archive nodes, then copies that nobody marked.
        """
        return pw.fn.COALESCE(self._first_source(reachable=True), self._first_source())

    def _first_source(self, reachable: bool = False) -> Any:
        copy, node = ArchiveFileCopy.alias(), StorageNode.alias()
        query = self._sources(copy, node)
        if reachable:  # no part of the order: SQLite knows no outer columns there
            query = query.where(
                (node.host == Place.host) | (pw.fn.COALESCE(node.address, "") != "")
            )
        return query.order_by(
            pw.Case(None, [(node.storage_type == StorageType.ARCHIVE, 0)], 1),
            pw.Case(None, [(copy.wants_file == WantsFile.KEEP, 0)], 1),
            copy.id,
        ).limit(1)

    def _wake(self, after_id: int) -> None:
        made = Request.select(Request.group_to, Request.node_from).where(Request.id > after_id)
        ends = list(tuples(made.distinct()))
        doorbell.ring_groups(group_id for group_id, _ in ends)
        doorbell.ring_nodes(node_id for _, node_id in ends)


def _group_has_file() -> Any:
    """Condition: some node of the current copy's group has the file."""
    copy, node = ArchiveFileCopy.alias(), StorageNode.alias()
    return pw.fn.EXISTS(
        copy.select(pw.SQL("1"))
        .join(node, on=(copy.node == node.id))
        .where(
            copy.file == ArchiveFileCopy.file,
            copy.has_file == HasFile.PRESENT,
            node.group == Place.group,
        )
    )


def _is_requested() -> Any:
    """Condition: a request into the group is pending, whose source is good and active.

    The flags are tested with NOT, which no index serves: see `sync`.
    """
    request, copy, node = Request.alias(), ArchiveFileCopy.alias(), StorageNode.alias()
    return pw.fn.EXISTS(
        request.select(pw.SQL("1"))
        .join(node, on=(request.node_from == node.id))
        .join(copy, on=((copy.file == request.file) & (copy.node == request.node_from)))
        .where(
            request.file == ArchiveFileCopy.file,
            request.group_to == Place.group,
            ~request.completed,
            ~request.cancelled,
            node.active == True,  # noqa: E712
            copy.has_file << [HasFile.PRESENT, HasFile.SUSPECT],
        )
    )


def _cancelled_lately(copy: Any) -> Any:
    """Condition: a request from this copy into the current copy's group was cancelled lately."""
    request = Request.alias()
    return pw.fn.EXISTS(
        request.select(pw.SQL("1")).where(
            request.file == copy.file,
            request.node_from == copy.node,
            request.group_to == Place.group,
            request.cancelled,
            request.timestamp > utcnow() - CANCELLED_PAUSE,
        )
    )


def _lock_groups(group_ids: list[int]) -> None:
    """Inside `change()`: let nobody else make requests into the groups in this way meanwhile."""
    if group_ids and not is_sqlite():
        query = StorageGroup.select(StorageGroup.id).where(StorageGroup.id << group_ids)
        list(query.order_by(StorageGroup.id).for_update().tuples())
