"""Rows on their way from one database to another: read, stored, compared; see `copying`.

Ids are kept. Rows go in pages of `PAGE` in the order of their keys; no table is held in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any

import peewee as pw

from alpenhorn.db.copying import Pair, count, key_fields, models, source_tables, used
from alpenhorn.db.retry import in_one_line
from alpenhorn.db.schema import table_name
from alpenhorn.errors import IndexProblem

PAGE = 500

# MariaDB's manual, error codes: out of range, truncated, incorrect value or string, CHECK failed
_ABOUT_VALUES = {1264, 1265, 1292, 1366, 3819, 4025}

Row = tuple[Any, ...]
Report = Callable[[str, str, int], None]
"""Told of progress: what is done (``copy`` or ``compare``), the table, rows since the last time."""


@contextmanager
def moment(database: pw.Database) -> Iterator[None]:
    """Read from `database` the state of one moment, whatever others write.

    Sources: MariaDB's manual, START TRANSACTION; PostgreSQL's, BEGIN; sqlite.org/isolation.html.
    """
    database.connect(reuse_if_open=True)
    with database.manual_commit():  # and nothing is repeated on a new connection
        for statement in _beginning(database):
            database.execute_sql(statement)
        try:
            yield
        finally:
            with suppress(pw.PeeweeException):  # a lost connection has ended it too
                database.execute_sql("ROLLBACK")


def copy_rows(pair: Pair, report: Report) -> None:
    """Copy all rows, as they were at one moment; each page is a transaction.

    Raises:
        IndexProblem: a row cannot be stored at TO; the text names it.
    """
    with used(pair.target), moment(pair.source):
        for model in source_tables(pair):
            for page in _pages(pair.source, model):
                _store(pair.target, model, page)
                report("copy", table_name(model), len(page))
    for model in models():
        _continue_ids(pair.target, model)


def compare_rows(pair: Pair, report: Report) -> None:
    """Read every row from both sides.

    Raises:
        IndexProblem: TO differs from what FROM holds now; the text names the first difference.
    """
    with moment(pair.source):
        for model in source_tables(pair):
            for page in _pages(pair.source, model):
                _compare(pair.target, model, page)
                report("compare", table_name(model), len(page))
            here, there = count(pair.source, model), count(pair.target, model)
            if here != there:
                raise _changed(f"{table_name(model)} has {here} rows at FROM and {there} at TO")


def _beginning(database: pw.Database) -> tuple[str, ...]:
    if isinstance(database, pw.PostgresqlDatabase):
        return ("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",)
    if isinstance(database, pw.MySQLDatabase):
        isolation = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"
        return isolation, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
    return ("BEGIN",)


def _pages(database: pw.Database, model: Any) -> Iterator[list[Row]]:
    """Yield all rows of a table as tuples in the order of the model's fields."""
    key = key_fields(model)
    query = model.select(*model._meta.sorted_fields).order_by(*key).limit(PAGE)
    page = list(query.bind(database).tuples())
    while page:
        yield page
        last = _key_of(model, page[-1])
        page = list(query.where(_beyond(key, last)).bind(database).tuples())


def _key_of(model: Any, row: Row) -> Row:
    """Return a row's values of the primary key."""
    names = model._meta.sorted_field_names  # fields do not compare as other objects do
    return tuple(row[names.index(field.name)] for field in key_fields(model))


def _beyond(key: Sequence[Any], last: Row) -> Any:
    """Condition: the key comes after `last`."""
    first, *others = key
    if not others:
        return first > last[0]
    return (first > last[0]) | ((first == last[0]) & _beyond(others, last[1:]))


def _store(target: pw.Database, model: Any, page: Sequence[Row]) -> None:
    try:
        _insert(target, model, page)
    except (pw.DatabaseError, ValueError, OverflowError) as error:
        if isinstance(error, pw.OperationalError) and error.args[0] not in _ABOUT_VALUES:
            raise  # the server, not the rows
        _name_the_bad_one(target, model, page)
        raise IndexProblem(f"{table_name(model)}: {in_one_line(error)}") from error


def _name_the_bad_one(target: pw.Database, model: Any, page: Sequence[Row]) -> None:
    """Store row by row, to find out which one cannot be stored."""
    for row in page:
        try:
            _insert(target, model, [row])
        except (pw.DatabaseError, ValueError, OverflowError) as error:
            raise IndexProblem(
                f"TO cannot hold {_named(model, _key_of(model, row))}: "
                f"{in_one_line(error)}. Mend it at FROM (`alpenhorn db check`), and repeat this "
                "with --restart."
            ) from error


def _insert(target: pw.Database, model: Any, page: Sequence[Row]) -> None:
    """Store rows in one transaction, by a statement that peewee would take too long to make."""
    fields = model._meta.sorted_fields
    columns = ", ".join(_quoted(target, field.column_name) for field in fields)
    marks = f"({', '.join([target.param] * len(fields))})"
    table = _quoted(target, table_name(model))
    sql = f"INSERT INTO {table} ({columns}) VALUES {', '.join([marks] * len(page))}"
    values = [
        field.db_value(value)
        for row in page
        for field, value in zip(fields, _as_stored(target, row), strict=True)
    ]
    with target.atomic():
        target.execute_sql(sql, values)


def _quoted(database: Any, name: str) -> str:
    before, after = database.quote
    return f"{before}{name}{after}"


def _as_stored(target: pw.Database, row: Row) -> Row:
    """Return a row as the target can hold it: MySQL has whole seconds (data-index.md §4)."""
    if not isinstance(target, pw.MySQLDatabase):
        return row
    return tuple(
        value.replace(microsecond=0) if isinstance(value, datetime) else value for value in row
    )


def _compare(target: pw.Database, model: Any, page: Iterable[Row]) -> None:
    wanted = {_key_of(model, row): _as_stored(target, row) for row in page}
    fields = model._meta.sorted_fields
    query = model.select(*fields).where(key_fields(model)[0] << sorted({key[0] for key in wanted}))
    found = {_key_of(model, row): row for row in query.bind(target).tuples()}
    for key, row in wanted.items():
        other = found.get(key)
        if other is None:
            raise _changed(f"{_named(model, key)} is not at TO")
        for field, here, there in zip(fields, row, other, strict=True):
            if here != there:
                raise _changed(
                    f"{field.column_name} of {_named(model, key)} is {here!r} at FROM and "
                    f"{there!r} at TO"
                )


def _named(model: Any, key: Row) -> str:
    return f"the row of {table_name(model)} with key {', '.join(map(str, key))}"


def _changed(difference: str) -> IndexProblem:
    return IndexProblem(
        f"The copy is not the same: {difference}. Somebody has changed one of them meanwhile: stop "
        "all daemons and whatever else uses FROM, and repeat this with --restart."
    )


def _continue_ids(target: pw.Database, model: Any) -> None:
    """On PostgreSQL let new ids come after those copied; other databases see to it themselves."""
    key = model._meta.primary_key
    if not isinstance(target, pw.PostgresqlDatabase) or not isinstance(key, pw.AutoField):
        return
    last = model.select(pw.fn.MAX(key)).bind(target).scalar()
    if last is not None:
        table = table_name(model)
        sequence = f"pg_get_serial_sequence('{table}', '{key.column_name}')"
        target.execute_sql(f"SELECT setval({sequence}, %s)", (last,))
