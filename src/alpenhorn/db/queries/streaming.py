"""Rows one by one, for results that may be larger than memory.

SQLite hands out rows as it finds them. The drivers of servers fetch whole results unless they are
asked for a cursor that lives on the server.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import peewee as pw

from alpenhorn.db.connection import database_proxy

_FETCH = 1000
_MYSQL_DRIVERS = ("pymysql", "MySQLdb")

# The driver is used directly here; callers know the exceptions of peewee.
_peewee_errors: Any = getattr(pw, "__exception_wrapper__")  # noqa: B009


def stream(query: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a query as tuples; no more than about a thousand are held at a time.

    Until the last row is out, nothing else may use this thread's connection.
    """
    cursor = _server_side_cursor(database_proxy.obj)
    if cursor is None:
        yield from query.tuples().iterator()
        return
    sql, params = query.sql()
    with _peewee_errors, closing(cursor):
        cursor.execute(sql, params)
        while rows := cursor.fetchmany(_FETCH):
            yield from rows


def in_byte_order(text: Any) -> Any:
    """Sort by code points, whatever the database's collation."""
    database = database_proxy.obj
    if isinstance(database, pw.PostgresqlDatabase):
        return text.collate('"C"')
    return text.cast("BINARY") if isinstance(database, pw.MySQLDatabase) else text


def joined(*texts: Any) -> Any:
    """Concatenate text in the database."""
    if isinstance(database_proxy.obj, pw.MySQLDatabase):
        return pw.fn.CONCAT(*texts)  # || means "or" there, unless the server is told otherwise
    first, *others = texts
    for text in others:
        first = first.concat(text)
    return first


def _server_side_cursor(database: Any) -> Any:
    """Return a cursor of the server; None where there is no need, or no way known to us."""
    if isinstance(database, pw.PostgresqlDatabase):
        # With hold: the server keeps the result, so that no transaction stays open while
        # somebody pages through it.
        return database.connection().cursor(name="alpenhorn_stream", withhold=True)
    if isinstance(database, pw.MySQLDatabase):
        connection = database.connection()
        driver = type(connection).__module__.partition(".")[0]
        if driver in _MYSQL_DRIVERS:
            return connection.cursor(importlib.import_module(f"{driver}.cursors").SSCursor)
    return None
