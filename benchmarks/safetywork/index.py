"""The Data Index of a scenario, read and filled past the programs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from records import NOW, Records


class Index(Records):
    """An index whose copies are told by the names of nodes and acquisitions."""

    def files(self, acq: str, files: Iterable[tuple[str, int, str]]) -> None:
        """Register files of a new acquisition: name, length and MD5 of each."""
        self.insert("archiveacq", "name", [(acq,)])
        number = self.value("SELECT id FROM archiveacq WHERE name = ?", acq)
        rows = [(number, *file, NOW) for file in files]
        self.insert("archivefile", "acq_id, name, size_b, md5sum, registered", rows)

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
        self.insert("archivefilecopy", columns, rows)

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
