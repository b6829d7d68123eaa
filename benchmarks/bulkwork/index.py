"""The Data Index of a measurement: made by the command line, filled and read past it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from records import NOW, Records

from bulkwork.trees import ACQ, File


class Index(Records):
    """An index whose rows are those of a work."""

    def node(self, name: str, root: Any, host: str, storage_type: str = "F", **more: Any) -> int:
        """Add a node with a group of its own; returns the id of both."""
        number = int(self.value("SELECT COUNT(*) FROM storagenode")) + 1
        self.insert("storagegroup", "id, name", [(number, name)])
        row = {
            "id": number,
            "name": name,
            "root": str(root),
            "host": host,
            "group_id": number,
            "active": 1,
            "auto_import": 0,
            "auto_verify": 0,
            "storage_type": storage_type,
            "min_avail_gb": 0,
        } | more
        self.insert("storagenode", ", ".join(row), [tuple(row.values())])
        return number

    def files(self, files: Sequence[File]) -> list[int]:
        """Register files; returns their ids."""
        self.insert("archiveacq", "id, name", [(1, ACQ)])
        ids = list(range(1, len(files) + 1))
        self.insert(
            "archivefile",
            "id, acq_id, name, size_b, md5sum, registered",
            [(i, 1, f.name, f.size_b, f.md5, NOW) for i, f in zip(ids, files, strict=True)],
        )
        return ids

    def older_files(self, count: int) -> list[int]:
        """Register files that nothing happens to, a thousand to an acquisition; returns ids."""
        first = int(self.value("SELECT COALESCE(MAX(id), 0) FROM archivefile")) + 1
        acqs = range(1000, 1000 + -(-count // 1000))
        self.insert("archiveacq", "id, name", [(i, f"older/{i}") for i in acqs])
        ids = list(range(first, first + count))
        self.insert(
            "archivefile",
            "id, acq_id, name, size_b, md5sum, registered",
            [(i, 1000 + n // 1000, f"{n}", 1024, "0" * 32, NOW) for n, i in enumerate(ids)],
        )
        return ids

    def copies(self, node: int, files: Iterable[int], states: str) -> None:
        """Add copies; `states`: the letters of `has_file` and `wants_file`."""
        self.insert(
            "archivefilecopy",
            "file_id, node_id, has_file, wants_file, ready, size_b, last_update",
            [(file, node, states[0], states[1], 1, 4096, NOW) for file in files],
        )

    def requests(self, source: int, group: int, files: Iterable[int]) -> None:
        """Ask for copies."""
        self.insert(
            "archivefilecopyrequest",
            "file_id, group_to_id, node_from_id, completed, cancelled, timestamp",
            [(file, group, source, 0, 0, NOW) for file in files],
        )

    def ring(self, host: str) -> None:
        """Raise the doorbell of a host, as commands do with a request."""
        if not self.value("SELECT COUNT(*) FROM alpenhorn_doorbell WHERE host = ?", host):
            self.insert("alpenhorn_doorbell", "host, rings", [(host, 1)])
            return
        self.change("UPDATE alpenhorn_doorbell SET rings = rings + 1 WHERE host = ?", host)

    def scan(self, node: int) -> None:
        """Ask for a scan that registers what it finds."""
        self.insert(
            "archivefileimportrequest",
            "node_id, path, recurse, register, completed, timestamp",
            [(node, ".", 1, 1, 0, NOW)],
        )

    def count(self, node: int, states: str) -> int:
        """Count the copies of a node in a state."""
        return int(
            self.value(
                "SELECT COUNT(*) FROM archivefilecopy"
                " WHERE node_id = ? AND has_file = ? AND wants_file = ?",
                node,
                *states,
            )
        )
