"""Pieces that several subjects share: chunks, locks, joins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

import peewee as pw

from alpenhorn.db.acquisition import ArchiveAcq, ArchiveFile
from alpenhorn.db.archive import ArchiveFileCopy
from alpenhorn.db.connection import is_sqlite

CHUNK = 500
"""Ids per statement: well below the parameter limit of every database."""

_T = TypeVar("_T")


def chunks(values: Iterable[_T], size: int = CHUNK) -> Iterator[list[_T]]:
    """Cut `values` into lists of at most `size`."""
    iterator = iter(values)
    while chunk := list(islice(iterator, size)):
        yield chunk


def lock_files(file_ids: Iterable[int]) -> None:
    """Inside `change()`: let nobody else change copies of these files until the commit.

    All actors lock in id order, so they cannot deadlock. On SQLite the transaction holds the
    only write lock already.
    """
    if is_sqlite():
        return
    for chunk in chunks(sorted(set(file_ids))):
        query = ArchiveFile.select(ArchiveFile.id).where(ArchiveFile.id << chunk)
        list(query.order_by(ArchiveFile.id).for_update().tuples())


def lock_copies(copy_ids: Iterable[int]) -> None:
    """Inside `change()`: let nobody else write these copies until the commit.

    For programs that change copies without locking files first; see also `lock_files`.
    """
    if is_sqlite():
        return
    for chunk in chunks(sorted(set(copy_ids))):
        query = ArchiveFileCopy.select(ArchiveFileCopy.id).where(ArchiveFileCopy.id << chunk)
        list(query.order_by(ArchiveFileCopy.id).for_update().tuples())


def copies_with_files() -> Any:
    """Start a query for copies whose file and acquisition come with them, without further reads."""
    return (
        ArchiveFileCopy.select(ArchiveFileCopy, ArchiveFile, ArchiveAcq)
        .join(ArchiveFile)
        .join(ArchiveAcq)
        .switch(ArchiveFileCopy)
    )


def by_ids(query: Any, column: Any, ids: Sequence[int | str]) -> Iterator[Any]:
    """Run `query` for the rows whose `column` is one of `ids`, in chunks; yield the rows."""
    for chunk in chunks(ids):
        yield from query.where(column << chunk)


def by_id(values: Mapping[int, Any]) -> Any:
    """Expression for an update of copies: the value that belongs to the row's id."""
    return pw.Case(ArchiveFileCopy.id, list(values.items()))


def tuples(query: Any) -> Any:
    """Make `query` yield plain tuples."""
    return query.tuples()
