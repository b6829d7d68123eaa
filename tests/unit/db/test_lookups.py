"""Connections to MariaDB and MySQL look rows up by index, however long the list is."""

from __future__ import annotations

from typing import Any

import peewee as pw
import pytest

from alpenhorn import db
from alpenhorn.db.engines import LooksItUp


class Server(LooksItUp, pw.Database):
    """A connection to a server that answers the setting with an error of a number."""

    def __init__(self, number: int) -> None:
        super().__init__(None)
        self.number = number

    def cursor(self) -> Server:
        return self

    def execute(self, sql: str) -> None:
        raise RuntimeError(self.number, f"error about {sql}")

    def close(self) -> None:  # type: ignore[override]
        pass


def test_a_server_that_always_looks_up_can_be_connected_to() -> None:
    server = Server(1193)
    server._initialize_connection(server)


def test_any_other_error_of_a_server_is_reported() -> None:
    server = Server(1227)
    with pytest.raises(RuntimeError, match="1227"):
        server._initialize_connection(server)


def test_the_setting_is_made(make: Any) -> None:
    database: Any = db.database_proxy.obj
    if not isinstance(database, pw.MySQLDatabase):
        pytest.skip("only MariaDB and MySQL have it")
    [(value,)] = database.execute_sql("SELECT @@eq_range_index_dive_limit").fetchall()
    assert value == 0
