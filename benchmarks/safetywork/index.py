"""The Data Index of a scenario, read and filled by SQL: one schema fits both programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import peewee as pw
from playhouse import db_url

NOW = "2025-02-21 12:00:00"


class Index:
    """Rows of one index.

    Args:
        url: ``database.url`` of the configuration.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._database = db_url.connect(url, **({"timeout": 60} if "sqlite" in url else {}))
        self._mark = "?" if "sqlite" in url else "%s"

    def close(self) -> None:
        """End the connection."""
        self._database.close()

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """Ask; what others have committed until now is seen."""
        with self._database.atomic():
            return list(self._database.execute_sql(self._with_marks(sql), values).fetchall())

    def value(self, sql: str, *values: Any) -> Any:
        """Ask for one value."""
        return self.rows(sql, *values)[0][0]

    def change(self, sql: str, tries: int = 10) -> None:
        """Change rows, in one transaction; again if it met a lock or a deadlock."""
        try:
            with self._database.atomic():
                self._database.execute_sql(sql)
        except pw.OperationalError:
            if tries == 1:
                raise
            self.change(sql, tries - 1)

    def files(self, acq: str, files: Iterable[tuple[str, int, str]]) -> None:
        """Register files of a new acquisition: name, length and MD5 of each."""
        self._insert("archiveacq", "name", [(acq,)])
        number = self.value("SELECT id FROM archiveacq WHERE name = ?", acq)
        rows = [(number, *file, NOW) for file in files]
        self._insert("archivefile", "acq_id, name, size_b, md5sum, registered", rows)

    def copies(self, node: str, acq: str) -> None:
        """Add healthy copies of all files of an acquisition."""
        number = self.value("SELECT id FROM storagenode WHERE name = ?", node)
        files = self.rows(
            "SELECT f.id, f.size_b FROM archivefile f JOIN archiveacq a ON f.acq_id = a.id"
            " WHERE a.name = ?",
            acq,
        )
        columns = "file_id, node_id, has_file, wants_file, ready, size_b, last_update"
        rows = [(file, number, "Y", "Y", 1, size, NOW) for file, size in files]
        self._insert("archivefilecopy", columns, rows)

    def states(self, node: str, acq: str = "%") -> dict[str, str]:
        """The letters of `has_file` and `wants_file` of a node's copies, by path."""
        rows = self.rows(
            "SELECT a.name, f.name, c.has_file, c.wants_file FROM archivefilecopy c"
            " JOIN archivefile f ON c.file_id = f.id JOIN archiveacq a ON f.acq_id = a.id"
            " JOIN storagenode n ON c.node_id = n.id WHERE n.name = ? AND a.name LIKE ?",
            node,
            acq,
        )
        return {f"{acq}/{name}": has + wants for acq, name, has, wants in rows}

    def fingerprint(self) -> list[Any]:
        """Something that differs when copies or requests have changed."""
        return [
            self.rows(f"SELECT {columns}, COUNT(*) FROM {table} GROUP BY {columns}")
            for table, columns in (
                ("archivefilecopy", "node_id, has_file, wants_file"),
                ("archivefilecopyrequest", "completed, cancelled"),
                ("archivefileimportrequest", "completed"),
            )
        ]

    def _insert(self, table: str, columns: str, rows: Iterable[Sequence[Any]]) -> None:
        marks = ", ".join([self._mark] * len(columns.split(",")))
        with self._database.atomic():
            cursor = self._database.cursor()
            cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", list(rows))

    def _with_marks(self, sql: str) -> str:
        return sql.replace("?", self._mark)
