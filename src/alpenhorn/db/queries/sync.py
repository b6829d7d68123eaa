"""Requests in bulk: ask for copies of all that a group lacks, and take requests back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import peewee as pw

from alpenhorn.common.units import utcnow
from alpenhorn.db.acquisition import ArchiveAcq, ArchiveFile
from alpenhorn.db.archive import ArchiveFileCopy, ArchiveFileCopyRequest
from alpenhorn.db.connection import change, is_sqlite, repeat_on_deadlock
from alpenhorn.db.enums import HasFile
from alpenhorn.db.queries import doorbell
from alpenhorn.db.queries.bulk import Amount, amount_columns, read_amount, rows_of
from alpenhorn.db.queries.filters import FileFilter, present_in
from alpenhorn.db.storage import StorageGroup


@dataclass(frozen=True)
class SyncScope:
    """Files that are present on a node and not in a group."""

    node_id: int
    group_id: int
    files: FileFilter

    def amounts(self) -> tuple[Amount, Amount]:
        """Count the files without, and with, a pending request; one statement."""
        scheduled = pw.Case(None, [(self._is_scheduled(), 1)], 0).alias("scheduled")
        rows = self._candidates().select(ArchiveFile.size_b, scheduled).alias("candidates")
        counts = rows_of(rows.c.scheduled, *amount_columns(rows.c.size_b), source=rows)
        found = {flag: read_amount(*rest) for flag, *rest in counts.group_by(rows.c.scheduled)}
        return found.get(0, Amount()), found.get(1, Amount())

    def query(self) -> Any:
        """Start a query for the files that lack a request, with their acquisitions."""
        return self._candidates().join(ArchiveAcq).where(~self._is_scheduled())

    @repeat_on_deadlock
    def request(self) -> int:
        """Make the requests that are missing, and wake the daemons; one transaction.

        The group's row is locked, so that two people cannot both request the same file.

        Returns:
            The number of requests made.
        """
        request = ArchiveFileCopyRequest
        columns = [
            request.file,
            request.node_from,
            request.group_to,
            request.completed,
            request.cancelled,
            request.timestamp,
        ]
        with change():
            _lock_group(self.group_id)
            now = pw.Value(utcnow(), converter=request.timestamp.db_value)
            constants = (self.node_id, self.group_id, False, False)
            rows = self.query().select(ArchiveFile.id, *map(pw.Value, constants), now)
            made = request.insert_from(rows.order_by(ArchiveFile.id), columns)
            count = int(made.as_rowcount().execute())
            if count:
                doorbell.ring_groups([self.group_id])
                doorbell.ring_nodes([self.node_id])
        return count

    def _candidates(self) -> Any:
        return (
            ArchiveFileCopy.select()
            .join(ArchiveFile)
            .where(
                ArchiveFileCopy.node == self.node_id,
                ArchiveFileCopy.has_file == HasFile.PRESENT,
                ~present_in(self.group_id),
                *self.files.conditions(),
            )
        )

    def _is_scheduled(self) -> Any:
        """Condition on `ArchiveFile`: such a request is pending.

        The flags are tested with NOT, which no index serves: otherwise SQLite takes the index of a
        group's pending requests, and reads all of them for each file.
        """
        request = ArchiveFileCopyRequest.alias()
        return pw.fn.EXISTS(
            request.select(pw.SQL("1")).where(
                request.file == ArchiveFile.id,
                request.node_from == self.node_id,
                request.group_to == self.group_id,
                ~request.completed,
                ~request.cancelled,
            )
        )


@dataclass(frozen=True)
class RequestScope:
    """Pending copy requests."""

    node_id: int | None
    """Out of this node; None: any."""
    group_id: int | None
    """Into this group; None: any."""
    files: FileFilter

    def count(self) -> int:
        """Count the requests; one statement."""
        return int(self.query().count())

    def query(self) -> Any:
        """Start a query for the requests, with their files and acquisitions."""
        return (
            ArchiveFileCopyRequest.select()
            .join(ArchiveFile)
            .join(ArchiveAcq)
            .where(*self._pending(), *self.files.conditions())
        )

    @repeat_on_deadlock
    def cancel(self) -> int:
        """Cancel the requests; one transaction, one statement.

        Returns:
            The number of requests cancelled.
        """
        limits = self.files.conditions()
        of_files = [_file_in(limits)] if limits else []
        with change():
            cancelled = (
                ArchiveFileCopyRequest.update(cancelled=True)
                .where(*self._pending(), *of_files)
                .execute()
            )
        return int(cancelled)

    def _pending(self) -> list[Any]:
        request = ArchiveFileCopyRequest
        ends = {request.node_from: self.node_id, request.group_to: self.group_id}
        return [
            request.completed == False,  # noqa: E712
            request.cancelled == False,  # noqa: E712
            *(column == value for column, value in ends.items() if value is not None),
        ]


def _file_in(limits: list[Any]) -> Any:
    files = ArchiveFile.select(ArchiveFile.id).where(*limits)
    return ArchiveFileCopyRequest.file << files


def _lock_group(group_id: int) -> None:
    """Inside `change()`: let nobody else make requests into the group in this way meanwhile."""
    if not is_sqlite():
        query = StorageGroup.select(StorageGroup.id).where(StorageGroup.id == group_id)
        list(query.for_update().tuples())
