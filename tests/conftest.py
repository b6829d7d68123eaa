"""Fixtures that every test may use: an index, and rows in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from alpenhorn import db
from alpenhorn.common import config
from alpenhorn.db import connection, schema


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads this machine's own configuration."""
    monkeypatch.delenv("ALPENHORN_CONFIG_FILE", raising=False)
    config.test_isolation(True)


@pytest.fixture
def index_path(tmp_path: Path) -> Path:
    """Where the test's SQLite index lies."""
    return tmp_path / "index.db"


@pytest.fixture
def empty_database(index_path: Path) -> Iterator[Any]:
    """A connection to an SQLite file without any table."""
    connection.set_extension(None)
    database = connection._builtin_connect({"url": f"sqlite:///{index_path}"})
    connection.bind(database)
    yield database
    database.close()


@pytest.fixture
def index(empty_database: Any) -> Any:
    """A connection to a freshly initialised Data Index."""
    schema.initialise()
    return empty_database


class Maker:
    """Makes rows with few words: ``make.node("n1")``, ``make.copy("acq/f", node)``."""

    def group(self, name: str, **values: Any) -> db.StorageGroup:
        group, _ = db.StorageGroup.get_or_create(name=name, defaults=values)
        return group

    def node(self, name: str, group: str | None = None, **values: Any) -> db.StorageNode:
        values.setdefault("storage_type", "F")
        values.setdefault("active", True)
        values.setdefault("host", "here")
        return db.StorageNode.create(name=name, group=self.group(group or name), **values)

    def file(self, path: str, size_b: int | None = 4, md5sum: str | None = None) -> db.ArchiveFile:
        acq_name, name = path.rsplit("/", 1)
        acq, _ = db.ArchiveAcq.get_or_create(name=acq_name)
        file, _ = db.ArchiveFile.get_or_create(
            acq=acq, name=name, defaults={"size_b": size_b, "md5sum": md5sum or "0" * 32}
        )
        return file

    def copy(
        self, path: str, node: db.StorageNode, has: str = "Y", wants: str = "Y", **values: Any
    ) -> db.ArchiveFileCopy:
        return db.ArchiveFileCopy.create(
            file=self.file(path), node=node, has_file=has, wants_file=wants, **values
        )

    def request(
        self, path: str, source: db.StorageNode, group: str, **values: Any
    ) -> db.ArchiveFileCopyRequest:
        return db.ArchiveFileCopyRequest.create(
            file=self.file(path), node_from=source, group_to=self.group(group), **values
        )

    def states(self, node: db.StorageNode) -> dict[str, str]:
        """The two state letters of each copy on a node, by path."""
        return {
            str(copy.file.path): f"{copy.has_file}{copy.wants_file}"
            for copy in db.ArchiveFileCopy.select().where(db.ArchiveFileCopy.node == node)
        }


@pytest.fixture
def make(index: Any) -> Maker:
    """A maker of rows in the test's index."""
    return Maker()
