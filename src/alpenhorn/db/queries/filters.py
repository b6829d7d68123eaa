"""Which files an operation is limited to, as SQL conditions.

All conditions are on `ArchiveFile`, so that they can stand in any statement that joins it, also in
the sub-selects of INSERT and UPDATE.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import peewee as pw

from alpenhorn.db.acquisition import ArchiveFile
from alpenhorn.db.archive import ArchiveFileCopy
from alpenhorn.db.connection import base_model, change
from alpenhorn.db.enums import HasFile, WantsFile
from alpenhorn.db.queries.common import insert_rows
from alpenhorn.db.storage import StorageNode


class SelectedFile(base_model):
    """Files of a file list: a temporary table that only this connection sees."""

    file_id = pw.IntegerField(primary_key=True)

    class Meta:
        """Temporary; gone when the connection closes."""

        table_name = "alpenhorn_selected_file"
        temporary = True


@dataclass(frozen=True)
class FileFilter:
    """Limits on the files of an operation; all must hold."""

    acq_ids: tuple[int, ...] = ()
    """Only files of any of these acquisitions; empty: no limit."""
    listed: bool = False
    """Only files given to `select_files`."""
    registered_before: datetime | None = None
    """Only files registered earlier (UTC)."""
    healthy_in_all: tuple[int, ...] = ()
    """Only files that are healthy in every one of these groups."""
    healthy_in_none: tuple[int, ...] = ()
    """Only files that are healthy in none of these groups."""

    def conditions(self) -> list[Any]:
        """Return the conditions on `ArchiveFile`; an empty list means no limit."""
        terms: list[Any] = []
        if self.acq_ids:
            terms.append(ArchiveFile.acq << self.acq_ids)
        if self.listed:
            terms.append(ArchiveFile.id << SelectedFile.select(SelectedFile.file_id))
        if self.registered_before is not None:
            terms.append(ArchiveFile.registered < self.registered_before)
        terms.extend(healthy_in(group) for group in self.healthy_in_all)
        terms.extend(~healthy_in(group) for group in self.healthy_in_none)
        return terms


def select_files(file_ids: Iterable[int]) -> None:
    """Fill the temporary table that `FileFilter.listed` refers to; forgets earlier ones."""
    SelectedFile.create_table(safe=True)
    with change():
        SelectedFile.delete().execute()
        insert_rows(SelectedFile, [{"file_id": file_id} for file_id in sorted(set(file_ids))])


def present_in(group_id: int) -> Any:
    """Condition on `ArchiveFile`: some node of the group has the file, wanted or not."""
    return _in_group(group_id)


def healthy_in(group_id: int) -> Any:
    """Condition on `ArchiveFile`: some node of the group has the file, and it is not released."""
    return _in_group(group_id, lambda copy: copy.wants_file != WantsFile.RELEASED)


def _in_group(group_id: int, *extra: Any) -> Any:
    copy, holder = ArchiveFileCopy.alias(), StorageNode.alias()
    return pw.fn.EXISTS(
        copy.select(pw.SQL("1"))
        .join(holder, on=(copy.node == holder.id))
        .where(
            copy.file == ArchiveFile.id,
            copy.has_file == HasFile.PRESENT,
            holder.group == group_id,
            *(condition(copy) for condition in extra),
        )
    )
