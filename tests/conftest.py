"""Fixtures that every test may use: an index, and rows in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from alpenhorn import db
from alpenhorn.common import config
from alpenhorn.db import connection, engines, schema
from servers import SERVERS, TestDatabase, Unavailable


@pytest.fixture(autouse=True)
def _isolated(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads this machine's own configuration."""
    monkeypatch.delenv("ALPENHORN_CONFIG_FILE", raising=False)
    config.test_isolation(True)


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--index``: which databases the tests that need an index run on."""
    parser.addoption(
        "--index",
        default=os.environ.get("ALPENHORN_TEST_INDEX", "sqlite"),
        metavar="KIND[,KIND...]",
        help="run what needs an index on these: sqlite, mariadb, postgres (default: sqlite)",
    )


def _kinds(config: pytest.Config) -> list[str]:
    kinds = config.getoption("--index").split(",")
    unknown = set(kinds) - {"sqlite", *SERVERS}
    if unknown:
        raise pytest.UsageError(f"--index: unknown database {', '.join(sorted(unknown))}")
    return kinds


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that needs an index once for each kind, unless it is about SQLite files."""
    kinds = _kinds(metafunc.config)
    about_sqlite = (
        metafunc.definition.get_closest_marker("sqlite") or "index_path" in metafunc.fixturenames
    )
    if kinds != ["sqlite"] and "index_kind" in metafunc.fixturenames and not about_sqlite:
        metafunc.parametrize("index_kind", kinds, scope="session")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without SQLite among the kinds, run only what needs a server."""
    if "sqlite" in _kinds(config):
        return
    on_server = [item for item in items if _kind_of(item) in SERVERS]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(on_server)])
    items[:] = on_server


def _kind_of(item: pytest.Item) -> object:
    callspec = getattr(item, "callspec", None)
    return callspec.params.get("index_kind") if callspec else None


@pytest.fixture(scope="session")
def servers() -> Iterator[Callable[[str], TestDatabase]]:
    """Return the database of a server, which is started when it is first asked for."""
    running: dict[str, TestDatabase | Unavailable] = {}
    with ExitStack() as stack:

        def database(kind: str) -> TestDatabase:
            if kind not in running:
                running[kind] = _start(kind, stack)
            found = running[kind]
            if isinstance(found, Unavailable):
                pytest.skip(str(found))
            return found

        yield database


def _start(kind: str, stack: ExitStack) -> TestDatabase | Unavailable:
    try:
        server = SERVERS[kind]()
        stack.callback(server.remove)
        server.start()
    except Unavailable as error:
        return error
    return TestDatabase(server)


@pytest.fixture(scope="session")
def index_kind() -> str:
    """The kind of database that the test runs on; see ``--index``."""
    return "sqlite"


@pytest.fixture
def index_path(tmp_path: Path) -> Path:
    """Where the test's SQLite index lies; who asks for it is about SQLite only."""
    return tmp_path / "index.db"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An initialised SQLite index: to copy it is quicker than to make another (12 ms)."""
    path = tmp_path_factory.mktemp("template") / "index.db"
    _initialise(f"sqlite:///{path}")
    return path


@pytest.fixture
def database_url(
    index_kind: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    servers: Callable[[str], TestDatabase],
) -> str:
    """URL of the test's database; without tables, unless the test uses `index`."""
    initialised = "index" in request.fixturenames
    if index_kind == "sqlite":
        path = tmp_path / "index.db"
        if initialised:
            shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        return f"sqlite:///{path}"
    database = servers(index_kind)
    return database.initialised(_initialise) if initialised else database.fresh()


def _connect(url: str) -> Any:
    connection.set_extension(None)
    database = engines.make({"url": url})
    connection.bind(database)
    return database


def _initialise(url: str) -> None:
    database = _connect(url)
    schema.initialise()
    database.close()


@pytest.fixture
def empty_database(database_url: str) -> Iterator[Any]:
    """A connection to a database without any table (unless the test uses `index` too)."""
    database = _connect(database_url)
    yield database
    database.close()


@pytest.fixture
def index(empty_database: Any, index_kind: str) -> Any:
    """A connection to a freshly initialised Data Index, which `database_url` has made."""
    if index_kind == "sqlite":
        empty_database.execute_sql("PRAGMA synchronous=OFF")  # no test pulls the plug
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

    def files(
        self, acq: str, names: Iterable[str], size_b: int = 4, md5sum: str = "0" * 32
    ) -> list[db.ArchiveFile]:
        """Many new files of one acquisition, by one statement."""
        row, _ = db.ArchiveAcq.get_or_create(name=acq)
        made = [{"acq": row, "name": name, "size_b": size_b, "md5sum": md5sum} for name in names]
        db.ArchiveFile.insert_many(made).execute()
        return list(row.files)

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
