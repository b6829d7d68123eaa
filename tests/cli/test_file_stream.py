"""Long lists: printed as they come from the database, in little memory."""

from __future__ import annotations

import itertools
import sys
import tempfile
import tracemalloc
import types
from collections.abc import Iterator
from typing import Any

import peewee as pw
import pytest

from alpenhorn.cli import render, stream
from alpenhorn.cli.render import Column
from alpenhorn.db import ArchiveAcq, ArchiveFile
from alpenhorn.db.queries import file_select, streaming
from alpenhorn.db.queries.file_select import FileSelection
from alpenhorn.errors import AlpenhornError

COLUMNS = (Column("name", "Name"), Column("note", "Quite a long heading"))
MIB = 2**20


def rows(count: int) -> Iterator[dict[str, Any]]:
    return ({"name": f"{number:0200d}", "note": None} for number in range(count))


@pytest.fixture
def printed(monkeypatch: Any) -> list[str]:
    """What is printed, in pieces."""
    pieces: list[str] = []
    monkeypatch.setattr(stream, "echo", pieces.append)
    return pieces


@pytest.mark.parametrize("count", [1, 2, 999, 1000, 1001])
def test_the_layout_is_that_of_other_tables(printed: list[str], count: int) -> None:
    values = ["1e5", " spaces ", "0012", "", None, "ünïcode", "long " * 9]
    notes = itertools.cycle(values)
    made = [{"name": f"n{number}", "note": next(notes)} for number in range(count)]
    stream.print_table(COLUMNS, made)
    assert "\n".join(printed) == render.table(COLUMNS, made)


@pytest.mark.slow
def test_a_large_table_needs_little_memory(monkeypatch: Any) -> None:
    """20,000 rows of 200 characters are 4 MB; more than the spool is never held."""
    length = 0

    def count(text: str) -> None:
        nonlocal length
        length += len(text)

    monkeypatch.setattr(stream, "echo", count)
    tracemalloc.start()
    try:
        stream.print_table(COLUMNS, rows(20_000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert length > 4_000_000
    assert peak < stream.SPOOL_BYTES * 3


def test_paths_are_printed_before_the_last_one_is_known(printed: list[str]) -> None:
    def endless() -> Iterator[str]:
        yield from (str(number) for number in range(1500))
        assert printed[0].startswith("0\n1\n")
        yield "last"

    stream.print_lines(endless())
    assert printed[-1].endswith("\nlast")


@pytest.mark.slow
def test_rows_are_fetched_one_by_one(index: Any) -> None:
    acq = ArchiveAcq.create(name="a")
    chunk = [{"acq": acq, "name": f"{number:0200d}"} for number in range(20_000)]
    with index.atomic():
        for start in range(0, len(chunk), 100):
            ArchiveFile.insert_many(chunk[start : start + 100]).execute()
    del chunk
    tracemalloc.start()
    try:
        count = sum(1 for _ in file_select.details(FileSelection()))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 20_000
    assert peak < MIB


def test_no_room_for_temporary_files(monkeypatch: Any, printed: list[str]) -> None:
    class Full:
        def __init__(self, *args: Any, **kwargs: Any) -> None: ...

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *args: object) -> None: ...

        def write(self, text: str) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", Full)
    with pytest.raises(AlpenhornError, match="No space left on device"):
        stream.print_table(COLUMNS, rows(1))
    assert printed == []


class FakeServer:
    """Stands for a MySQL or PostgreSQL driver: counts the rows that are held at a time."""

    def __init__(self, count: int) -> None:
        self.left = list(range(count))
        self.calls: list[Any] = []
        self.closed = False

    def execute(self, sql: str, params: Any) -> None:
        self.calls.append((sql, params))

    def fetchmany(self, size: int) -> list[tuple[int]]:
        some, self.left = self.left[:size], self.left[size:]
        self.calls.append(len(some))
        return [(number,) for number in some]

    def close(self) -> None:
        self.closed = True


def test_servers_are_asked_for_a_cursor_of_theirs(index: Any, monkeypatch: Any) -> None:
    server = FakeServer(2500)
    monkeypatch.setattr(streaming.database_proxy, "obj", object())
    monkeypatch.setattr(streaming, "_server_side_cursor", lambda database: server)

    class Query:
        def sql(self) -> tuple[str, list[str]]:
            return "SELECT", ["p"]

    assert [row[0] for row in streaming.stream(Query())] == list(range(2500))
    assert server.calls == [("SELECT", ["p"]), 1000, 1000, 500, 0]
    assert server.closed


@pytest.mark.parametrize("driver", ["pymysql", "MySQLdb", "mysql.connector"])
def test_cursors_of_mysql_drivers(monkeypatch: Any, driver: str) -> None:
    """Of a driver that we do not know nothing special is asked."""
    monkeypatch.setitem(sys.modules, driver, types.ModuleType(driver))
    cursors = types.ModuleType(f"{driver}.cursors")
    cursors.SSCursor = object()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, f"{driver}.cursors", cursors)

    class Connection:
        def cursor(self, kind: object) -> object:
            return kind

    Connection.__module__ = f"{driver}.connections"
    database = pw.MySQLDatabase(None)
    monkeypatch.setattr(database, "connection", Connection)
    expected = None if driver == "mysql.connector" else cursors.SSCursor
    assert streaming._server_side_cursor(database) is expected


def test_cursors_of_postgresql(monkeypatch: Any) -> None:
    class Connection:
        def cursor(self, **kwargs: object) -> object:
            return kwargs

    database = pw.PostgresqlDatabase(None)
    monkeypatch.setattr(database, "connection", Connection)
    asked = streaming._server_side_cursor(database)
    assert asked["withhold"] is True and asked["name"]


@pytest.mark.parametrize(
    ("database", "order"),
    [
        (pw.MySQLDatabase(None), "ORDER BY CAST(`t1`.`name` AS BINARY)"),
        (pw.PostgresqlDatabase(None), 'ORDER BY "t1"."name" COLLATE "C"'),
        (pw.SqliteDatabase(None), 'ORDER BY "t1"."name"'),
    ],
)
def test_order_does_not_depend_on_the_collation(
    monkeypatch: Any, database: pw.Database, order: str
) -> None:
    monkeypatch.setattr(streaming.database_proxy, "obj", database)
    name = ArchiveAcq.name
    sql, _ = ArchiveAcq.select(name).order_by(streaming.in_byte_order(name)).bind(database).sql()
    assert sql.endswith(order)


@pytest.mark.parametrize(
    ("database", "text"),
    [
        (pw.MySQLDatabase(None), "CONCAT(`t1`.`name`, %s)"),
        (pw.SqliteDatabase(None), '("t1"."name" || ?)'),
    ],
)
def test_concatenation(monkeypatch: Any, database: pw.Database, text: str) -> None:
    monkeypatch.setattr(streaming.database_proxy, "obj", database)
    sql, _ = ArchiveAcq.select(streaming.joined(ArchiveAcq.name, "/")).bind(database).sql()
    assert f"SELECT {text} FROM" in sql
