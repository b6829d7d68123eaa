"""A Data Index, read and filled past the programs, by SQL: one schema fits both of them.

Works for SQLite and MariaDB alike; statements are written with question marks for values.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import peewee as pw
from playhouse import db_url

NOW = "2025-02-21 12:00:00"
"""When everything was registered."""

PATIENCE_S = 60
"""Seconds to wait for a lock of SQLite."""


class Records:
    """Rows of one index.

    Args:
        url: ``database.url`` of the configuration.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        sqlite = url.startswith("sqlite")
        self._database = db_url.connect(url, **({"timeout": PATIENCE_S} if sqlite else {}))
        self._mark = "?" if sqlite else "%s"

    def close(self) -> None:
        """End the connection."""
        self._database.close()

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """Ask; what others have committed until now is seen."""
        with self._database.atomic():
            return list(self._database.execute_sql(self._marked(sql), values).fetchall())

    def value(self, sql: str, *values: Any) -> Any:
        """Ask for one value."""
        return self.rows(sql, *values)[0][0]

    def change(self, sql: str, *values: Any, tries: int = 10) -> None:
        """Change rows, in one transaction; again if it met a lock or a deadlock."""
        try:
            with self._database.atomic():
                self._database.execute_sql(self._marked(sql), values)
        except pw.OperationalError:
            if tries == 1:
                raise
            self.change(sql, *values, tries=tries - 1)

    def insert(self, table: str, columns: str, rows: Iterable[Sequence[Any]]) -> None:
        """Insert rows, in one transaction; `columns` are separated by commas."""
        marks = ", ".join("?" * len(columns.split(",")))
        sql = self._marked(f"INSERT INTO {table} ({columns}) VALUES ({marks})")
        with self._database.atomic():
            self._database.cursor().executemany(sql, list(rows))

    def _marked(self, sql: str) -> str:
        """Write parameters as the database's driver wants them."""
        return sql.replace("?", self._mark)
