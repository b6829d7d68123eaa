"""Acquisitions: make one, and what is in them and where (spec: cli.md §6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import peewee as pw

from alpenhorn.db.acquisition import ArchiveAcq, ArchiveFile
from alpenhorn.db.archive import ArchiveFileCopy
from alpenhorn.db.connection import change
from alpenhorn.db.enums import HasFile, WantsFile
from alpenhorn.db.queries.group_states import best_copy
from alpenhorn.db.queries.streaming import stream
from alpenhorn.db.storage import StorageGroup, StorageNode
from alpenhorn.errors import AlreadyExists

Rows = Iterator[tuple[Any, ...]]


@dataclass(frozen=True)
class Holding:
    """Present copies of an acquisition's files on a node."""

    group: str
    node: str
    count: int
    size_b: int | None
    """Sum of the known file sizes; None if none is known."""


def create(name: str) -> None:
    """Add an acquisition; one transaction.

    Raises:
        AlreadyExists: the name is taken.
    """
    try:
        with change():
            ArchiveAcq.create(name=name)
    except pw.IntegrityError:
        raise AlreadyExists(f'Acquisition "{name}" already exists.') from None


def file_counts() -> list[tuple[str, int]]:
    """Return the name and number of files of every acquisition, by id; one statement."""
    query = ArchiveAcq.select(ArchiveAcq.name, pw.fn.COUNT(ArchiveFile.id)).join(
        ArchiveFile, pw.JOIN.LEFT_OUTER
    )
    return _by_acq(query)


def copy_counts(place: StorageNode | StorageGroup) -> list[tuple[str, int]]:
    """Return the name and number of present copies at a place, by id of the acquisition.

    Acquisitions without any are left out; one statement.
    """
    query = (
        ArchiveAcq.select(ArchiveAcq.name, pw.fn.COUNT(ArchiveFileCopy.id))
        .join(ArchiveFile)
        .join(ArchiveFileCopy)
        .join(StorageNode)
        .where(ArchiveFileCopy.has_file == HasFile.PRESENT, _at(place))
    )
    return _by_acq(query)


def totals(acq: ArchiveAcq) -> tuple[int, int | None]:
    """Return the number of files and the sum of the known sizes (None: none is known)."""
    query = ArchiveFile.select(pw.fn.COUNT(ArchiveFile.id), pw.fn.SUM(ArchiveFile.size_b))
    count, size = query.where(ArchiveFile.acq == acq).tuples()[0]
    return int(count), _int_or_none(size)


def holdings(acq: ArchiveAcq) -> list[Holding]:
    """Return what is where, by names of group and node; one statement."""
    query: Any = (
        ArchiveFileCopy.select(
            StorageGroup.name,
            StorageNode.name,
            pw.fn.COUNT(ArchiveFileCopy.id),
            pw.fn.SUM(ArchiveFile.size_b),
        )
        .join(ArchiveFile)
        .switch(ArchiveFileCopy)
        .join(StorageNode)
        .join(StorageGroup)
        .where(ArchiveFile.acq == acq, ArchiveFileCopy.has_file == HasFile.PRESENT)
        .group_by(StorageGroup.name, StorageNode.name)
    )
    rows = sorted(query.tuples(), key=lambda row: row[:2])
    return [Holding(group, node, int(n), _int_or_none(size)) for group, node, n, size in rows]


def files(acq: ArchiveAcq) -> Rows:
    """Yield name, size and MD5 of all files, by id."""
    columns = (ArchiveFile.name, ArchiveFile.size_b, ArchiveFile.md5sum)
    query = ArchiveFile.select(*columns).where(ArchiveFile.acq == acq)
    return stream(query.order_by(ArchiveFile.id))


def files_on_node(acq: ArchiveAcq, node: StorageNode, removed: bool) -> Rows:
    """Yield name, size, MD5, and `has_file`, `wants_file`, `size_b` of the copies on a node.

    Args:
        acq: the acquisition.
        node: the node.
        removed: also copies that are removed.
    """
    copy = ArchiveFileCopy
    query = (
        copy.select(
            ArchiveFile.name,
            ArchiveFile.size_b,
            ArchiveFile.md5sum,
            copy.has_file,
            copy.wants_file,
            copy.size_b,
        )
        .join(ArchiveFile)
        .where(ArchiveFile.acq == acq, copy.node == node)
    )
    if not removed:
        there = (copy.has_file != HasFile.ABSENT) | (copy.wants_file == WantsFile.KEEP)
        query = query.where(there)
    return stream(query.order_by(ArchiveFile.id))


def files_in_group(acq: ArchiveAcq, group: StorageGroup, removed: bool) -> Rows:
    """Yield name, size, MD5, group state (None: absent) and the node that gives it.

    Args:
        acq: the acquisition.
        group: the group; only files that have any copy record in it.
        removed: also files that are absent from the group.
    """
    copy, holder = ArchiveFileCopy.alias(), StorageNode.alias()
    query: Any = (
        ArchiveFile.select(
            ArchiveFile.name,
            ArchiveFile.size_b,
            ArchiveFile.md5sum,
            copy.has_file,
            holder.name,
        )
        .join(copy, pw.JOIN.LEFT_OUTER, on=(copy.id == best_copy(ArchiveFile, group.id)))
        .join(holder, pw.JOIN.LEFT_OUTER, on=(copy.node == holder.id))
        .where(ArchiveFile.acq == acq)
    )
    query = query.where(_recorded_in(group) if removed else copy.id.is_null(False))
    return stream(query.order_by(ArchiveFile.id))


def _recorded_in(group: StorageGroup) -> Any:
    copy, holder = ArchiveFileCopy.alias(), StorageNode.alias()
    return pw.fn.EXISTS(
        copy.select(pw.SQL("1"))
        .join(holder, on=(copy.node == holder.id))
        .where(copy.file == ArchiveFile.id, holder.group == group)
    )


def _at(place: StorageNode | StorageGroup) -> Any:
    if isinstance(place, StorageNode):
        return ArchiveFileCopy.node == place
    return StorageNode.group == place


def _by_acq(query: Any) -> list[tuple[str, int]]:
    grouped = query.group_by(ArchiveAcq.id, ArchiveAcq.name).order_by(ArchiveAcq.id)
    return [(name, int(count)) for name, count in grouped.tuples()]


def _int_or_none(value: Any) -> int | None:
    return None if value is None else int(value)
