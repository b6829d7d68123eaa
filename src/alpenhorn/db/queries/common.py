"""Pieces that several subjects share: chunks, locks, joins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

import peewee as pw

from alpenhorn.db.acquisition import ArchiveAcq, ArchiveFile
from alpenhorn.db.archive import ArchiveFileCopy
from alpenhorn.db.connection import database_proxy, is_sqlite
from alpenhorn.db.data_index import DataIndexVersion

CHUNK = 500
"""Ids per statement: well below the parameter limit of every database."""

MOST_PARAMETERS = 900
"""Values per statement: SQLite took 999 until version 3.32 (https://sqlite.org/limits.html)."""

CASES = MOST_PARAMETERS // 3
"""Rows per statement that gives each a value of its own (`by_id`)."""

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
    _lock(ArchiveFile, file_ids)


def lock_copies(copy_ids: Iterable[int]) -> None:
    """Inside `change()`: let nobody else write these copies until the commit.

    For programs that change copies without locking files first; see also `lock_files`.
    """
    _lock(ArchiveFileCopy, copy_ids)


def lock_acquisitions(acq_ids: Iterable[int]) -> None:
    """Inside `change()`: let nobody else add files to these acquisitions until the commit.

    Taken before locks on files.
    """
    _lock(ArchiveAcq, acq_ids)


def lock_new_acquisitions() -> None:
    """Inside `change()`: let nobody else add acquisitions until the commit.

    Locks the row of the index itself. Taken before all other locks.
    """
    if not is_sqlite():
        query = DataIndexVersion.select(DataIndexVersion.version)
        list(query.where(DataIndexVersion.component == "alpenhorn").for_update().tuples())


def _lock(model: Any, ids: Iterable[int]) -> None:
    """Lock rows in id order; on SQLite the transaction holds the only write lock already."""
    if is_sqlite():
        return
    for chunk in chunks(sorted(set(ids))):
        query = model.select(model.id).where(one_of(model.id, chunk))
        list(query.order_by(model.id).for_update().tuples())


def copies_with_files() -> Any:
    """Start a query for copies whose file and acquisition come with them, without further reads.

    Databases can only begin with the copies: as soon as it knew too little about the tables,
    MariaDB went from each acquisition through all files of the index.
    """
    copy, file, acq = ArchiveFileCopy, ArchiveFile, ArchiveAcq
    return (
        copy.select(copy, file, acq)
        .join(file, on=(copy.file + 0 == file.id), attr="file")
        .join(acq, on=(file.acq + 0 == acq.id), attr="acq")
        .switch(copy)
    )


def found_by_file(copy: Any, holder: Any) -> Any:
    """Condition of a join: the node of a copy that is to be found by its file.

    Databases cannot go the other way, through all copies of all nodes that are asked for.
    """
    return copy.node + 0 == holder.id


def any_row(query: Any) -> Any:
    """Condition: a query about the current row finds something.

    Not by EXISTS: MariaDB answers that for many rows at once, from the whole table.
    """
    return query.select(pw.fn.COUNT(pw.SQL("*"))) > 0


def by_ids(query: Any, column: Any, ids: Sequence[int | str]) -> Iterator[Any]:
    """Run `query` for the rows whose `column` is one of `ids`, in chunks; yield the rows."""
    for chunk in chunks(ids):
        yield from query.where(one_of(column, chunk))


def one_of(column: Any, values: Sequence[int | str]) -> Any:
    """Condition: `column` is one of `values`, of which there is one at least.

    The same as ``column << values``, whose SQL takes peewee longer to write than the database to
    execute: it makes an object for each value.
    """
    marks = ", ".join([database_proxy.obj.param] * len(values))
    return pw.Expression(column, pw.OP.IN, _Plain(f"({marks})", [*map(column.db_value, values)]))


def by_id(column: Any, values: Mapping[int, Any]) -> Any:
    """Expression for an update of copies: the value that belongs to the row's id.

    Other rows would keep what they have; that also tells PostgreSQL the type of the values.
    """
    convert, param = column.db_value, database_proxy.obj.param
    plain = [part for key, value in values.items() for part in (key, convert(value))]
    whens = _Plain(" ".join([f"WHEN {param} THEN {param}"] * len(values)), plain)
    case = pw.NodeList((pw.SQL("CASE"), ArchiveFileCopy.id, whens, pw.SQL("ELSE"), column))
    return pw.NodeList((case, pw.SQL("END")))


def insert_rows(model: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows that have the same keys, which are names of fields; the others get defaults.

    The same as `insert_many`, whose SQL takes peewee longer to write than the database to execute.
    """
    for query in _inserts(model, rows):
        query.execute()


def insert_missing(model: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows as `insert_rows` does, but for those whose unique key is there already.

    On MySQL this is no INSERT IGNORE, which would also cut what is too long for its column.
    """
    for query in _inserts(model, rows):
        if isinstance(database_proxy.obj, pw.MySQLDatabase):
            key = model._meta.primary_key
            query.on_conflict(update={key: key}).execute()
        else:
            query.on_conflict_ignore().execute()


def _inserts(model: Any, rows: Sequence[Mapping[str, Any]]) -> Iterator[Any]:
    """Make the statements that insert rows, none with too many parameters."""
    if not rows:
        return
    given = {model._meta.combined[name]: name for name in rows[0]}
    defaults = {
        field: field.db_value(value() if callable(value) else value)
        for field, value in model._meta.defaults.items()
        if field not in given
    }
    columns = [(field.db_value, name) for field, name in given.items()]
    marks = f"({', '.join([database_proxy.obj.param] * (len(given) + len(defaults)))})"
    for chunk in chunks(rows, MOST_PARAMETERS // (len(given) + len(defaults))):
        values: list[Any] = []
        for row in chunk:
            values += [convert(row[name]) for convert, name in columns]
            values += defaults.values()
        text = f"VALUES {', '.join([marks] * len(chunk))}"
        yield model.insert_from(_Plain(text, values), [*given, *defaults]).as_rowcount()


class _Plain(pw.SQL):
    """SQL with values that the driver takes as they are: `pw.SQL` looks at each of them."""

    def __sql__(self, ctx: Any) -> Any:
        ctx._values.extend(self.params)
        return ctx.literal(self.sql)


def tuples(query: Any) -> Any:
    """Make `query` yield plain tuples."""
    return query.tuples()
