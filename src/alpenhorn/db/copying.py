"""Move an index from one database to another: make its tables there, copy the rows, compare.

How it stays safe:

* FROM is only read, in transactions that show the state of one moment.
* TO must hold no row. The first thing that is made there is a table `COPY_MARKER`, and a version
  that is there is taken away, so that no program takes TO for an index. The versions come last,
  after every row was read from both sides and compared. A copy that was cut off is known by the
  marker.
* Rows are compared against what FROM holds *then*: who changed it meanwhile is found out.

The rows themselves: `copying_rows`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import peewee as pw

from alpenhorn.db import connection, operations, schema
from alpenhorn.db.connection import change, database_proxy
from alpenhorn.db.data_index import DataIndexVersion, current_version
from alpenhorn.db.schema import COPY_MARKER, table_name
from alpenhorn.errors import NotAllowed

_AT_ONCE = 500


@dataclass(frozen=True)
class Pair:
    """Two databases, both reachable."""

    source: pw.Database
    target: pw.Database


@dataclass(frozen=True)
class LeftOut:
    """What is in FROM and none of alpenhorn's: columns of the site, tables of extensions."""

    tables: tuple[str, ...]
    columns: tuple[str, ...]


@contextmanager
def used(database: pw.Database) -> Iterator[None]:
    """Let `database` be the Data Index of this process for a while."""
    before = database_proxy.obj
    connection.bind(database)
    try:
        yield
    finally:
        connection.bind(before)


def key_fields(model: Any) -> list[Any]:
    """Return the fields of the primary key."""
    return list(model._meta.get_primary_keys())


def models() -> list[Any]:
    """Return the tables that are copied, in an order in which none refers to a later one."""
    return [model for model in schema.in_order() if model is not DataIndexVersion]


def source_tables(pair: Pair) -> list[Any]:
    """Return the tables that FROM has; ours may be missing there."""
    there = set(pair.source.get_tables())
    return [model for model in models() if table_name(model) in there]


def count(database: pw.Database, model: Any) -> int:
    """Return the number of rows of a table."""
    return int(model.select().bind(database).count())


def live_hosts(since: datetime) -> list[str]:
    """Return the hosts whose daemon was seen since some time, in the index that is used."""
    lease: Any = operations.DaemonLease
    query = lease.select(lease.host).where(lease.last_seen >= since).order_by(lease.host)
    return [host for (host,) in query.tuples()]


def left_out(pair: Pair) -> LeftOut:
    """Say what is not copied, since alpenhorn does not know what it means."""
    known = {table_name(model): model for model in schema.in_order()}
    tables = [name for name in pair.source.get_tables() if not name.startswith("sqlite_")]
    columns = [
        f"{name}.{column.name}"
        for name in tables
        if name in known
        for column in pair.source.get_columns(name)
        if column.name not in {field.column_name for field in known[name]._meta.sorted_fields}
    ]
    return LeftOut(tuple(sorted(set(tables) - set(known))), tuple(sorted(columns)))


def prepare(pair: Pair, restart: bool) -> None:
    """Make TO an unfinished copy without rows.

    Args:
        pair: the databases.
        restart: empty TO first if it holds an unfinished copy.

    Raises:
        NotAllowed: TO holds rows, or an unfinished copy, or is FROM.
    """
    target = pair.target
    with used(target):
        if COPY_MARKER not in target.get_tables():
            _refuse_rows(target)
            _mark(pair)
        elif _complete(target):
            target.execute_sql(f"DROP TABLE {COPY_MARKER}")
            raise NotAllowed("TO is a complete copy already: only the last step was cut off.")
        elif not restart and _occupied(target):
            raise NotAllowed(
                "TO holds a copy that was cut off. To empty it and copy again: --restart."
            )
        schema.make_tables()
        with change():
            DataIndexVersion.delete().execute()
        for model in reversed(models()):
            _empty(model)


def finish(pair: Pair) -> None:
    """Say that TO is an index: give it its versions, in one transaction; take the marker away."""
    with used(pair.target):
        with change():
            DataIndexVersion.create(component=schema.COMPONENT, version=current_version)
            DataIndexVersion.create(component=operations.COMPONENT, version=operations.VERSION)
        pair.target.execute_sql(f"DROP TABLE {COPY_MARKER}")
        _learn_sizes(pair.target)


def _learn_sizes(target: pw.Database) -> None:
    """Have the server look at the new tables: until it has, it plans as if they were tiny."""
    if isinstance(target, pw.MySQLDatabase):
        target.execute_sql(f"ANALYZE TABLE {', '.join(map(table_name, models()))}").fetchall()
    else:
        target.execute_sql("ANALYZE")


def _occupied(target: pw.Database) -> str | None:
    """Say where TO holds rows."""
    there = set(target.get_tables())
    for model in models():
        if table_name(model) in there and (rows := count(target, model)):
            return f"{rows} rows in {table_name(model)}"
    return None


def _complete(target: pw.Database) -> bool:
    """Has an unfinished copy all rows, and the versions that come after them?"""
    return schema.found_version(schema.COMPONENT) > 0 and bool(_occupied(target))


def _refuse_rows(target: pw.Database) -> None:
    if rows := _occupied(target):
        raise NotAllowed(
            f"TO holds an index already ({rows}): use an empty database. Nothing was changed."
        )


def _mark(pair: Pair) -> None:
    """Make the marker at TO; if it then is at FROM too, they are the same database."""
    pair.target.execute_sql(f"CREATE TABLE {COPY_MARKER} (id INTEGER PRIMARY KEY)")
    if COPY_MARKER in pair.source.get_tables():
        pair.target.execute_sql(f"DROP TABLE {COPY_MARKER}")
        raise NotAllowed("FROM and TO are the same database.")


def _empty(model: Any) -> None:
    """Delete the rows of a table at TO, page by page."""
    first = key_fields(model)[0]
    while values := [value for (value,) in model.select(first).limit(_AT_ONCE).tuples()]:
        with change():
            model.delete().where(first << values).execute()
