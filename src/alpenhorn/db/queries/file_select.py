"""Which files `file list` selects, and what it shows of them (spec: cli.md §7.5).

The sets are made by the database: each place is one condition on `ArchiveFile`.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any

import peewee as pw

from alpenhorn.db.acquisition import ArchiveAcq, ArchiveFile
from alpenhorn.db.archive import ArchiveFileCopy
from alpenhorn.db.queries import copy_states
from alpenhorn.db.queries.group_states import best_copy
from alpenhorn.db.queries.streaming import in_byte_order, joined, stream
from alpenhorn.db.storage import StorageGroup, StorageNode

HEALTHY = ("healthy",)

Rows = Iterator[tuple[Any, ...]]


@dataclass(frozen=True)
class FileSelection:
    """Files chosen by where they are, and where not."""

    acq_ids: tuple[int, ...] = ()
    """Only files of these acquisitions; empty: of all."""
    at: tuple[StorageNode | StorageGroup, ...] = ()
    """Places with a copy in any of `states`."""
    states: tuple[str, ...] = HEALTHY
    absent: tuple[StorageNode | StorageGroup, ...] = ()
    """Places without a healthy copy."""
    every_place: bool = False
    """All places must be satisfied, instead of at least one."""
    sync: tuple[StorageNode, StorageGroup] | None = None
    """Only files that are healthy on the node and not in the group."""

    def conditions(self) -> list[Any]:
        """Return the conditions on `ArchiveFile`; all must hold."""
        places = [
            *(has_copy_at(place, self.states) for place in self.at),
            *(~has_copy_at(place, HEALTHY) for place in self.absent),
        ]
        terms: list[Any] = []
        if places:
            terms.append(reduce(operator.and_ if self.every_place else operator.or_, places))
        if self.sync:
            source, dest = self.sync
            terms += [has_copy_at(source, HEALTHY), ~has_copy_at(dest, HEALTHY)]
        if self.acq_ids:
            terms.append(ArchiveFile.acq << self.acq_ids)
        return terms


def has_copy_at(place: StorageNode | StorageGroup, states: tuple[str, ...]) -> Any:
    """Condition on `ArchiveFile`: one copy at the place is in any of the states."""
    copy, holder = ArchiveFileCopy.alias(), StorageNode.alias()
    query = copy.select(pw.SQL("1")).where(
        copy.file == ArchiveFile.id, copy_states.any_of(states, copy)
    )
    if isinstance(place, StorageNode):
        return pw.fn.EXISTS(query.where(copy.node == place.id))
    query = query.join(holder, on=(copy.node == holder.id))
    return pw.fn.EXISTS(query.where(holder.group == place.id))


def paths(selection: FileSelection) -> Iterator[str]:
    """Yield the path of each file; one column, since converting values is what takes the time."""
    path = joined(ArchiveAcq.name, "/", ArchiveFile.name)
    return (text for (text,) in stream(_ordered(selection, path)))


def details(selection: FileSelection) -> Rows:
    """Yield acquisition, file name, size in bytes, MD5, time of registration."""
    return stream(_select(selection, *_DETAILS))


def details_on_node(selection: FileSelection, node: StorageNode) -> Rows:
    """Yield the details, and `has_file`, `wants_file` and `size_b` of the copy on a node.

    These are None where there is no record (D8).
    """
    copy = ArchiveFileCopy.alias()
    columns = (copy.has_file, copy.wants_file, copy.size_b)
    query = _select(selection, *_DETAILS, *columns).join_from(
        ArchiveFile,
        copy,
        pw.JOIN.LEFT_OUTER,
        on=(copy.file == ArchiveFile.id) & (copy.node == node.id),
    )
    return stream(query)


def details_in_group(selection: FileSelection, group: StorageGroup) -> Rows:
    """Yield the details, the state in a group (None: absent) and the node that gives it."""
    copy, holder = ArchiveFileCopy.alias(), StorageNode.alias()
    query = (
        _select(selection, *_DETAILS, copy.has_file, holder.name)
        .join_from(
            ArchiveFile, copy, pw.JOIN.LEFT_OUTER, on=(copy.id == best_copy(ArchiveFile, group.id))
        )
        .join_from(copy, holder, pw.JOIN.LEFT_OUTER, on=(copy.node == holder.id))
    )
    return stream(query)


_DETAILS = (ArchiveFile.size_b, ArchiveFile.md5sum, ArchiveFile.registered)


def _select(selection: FileSelection, *columns: Any) -> Any:
    return _ordered(selection, ArchiveAcq.name, ArchiveFile.name, *columns)


def _ordered(selection: FileSelection, *columns: Any) -> Any:
    query: Any = ArchiveFile.select(*columns).join(ArchiveAcq)
    for condition in selection.conditions():
        query = query.where(condition)
    return query.order_by(in_byte_order(ArchiveAcq.name), in_byte_order(ArchiveFile.name))
