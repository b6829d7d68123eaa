"""An index of a million copies, made by SQL, on SQLite or on a private database server.

500,000 files in 500 acquisitions, and a copy of each on two nodes. On node `n2`, 200,000 copies
were removed, so that as many can be synced from `n1` again; another 200,000 files were registered
long ago, so that a clean can be limited to them.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playhouse import db_url

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import servers

FILES = 500_000
PART = 200_000
FILES_PER_ACQ = 1000

KINDS = ("sqlite", "mariadb", "postgres")

_NUMBERS = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {0})",
    "mariadb": "WITH n AS (SELECT seq AS i FROM seq_1_to_{0})",
    "postgres": "WITH n AS (SELECT generate_series(1, {0}) AS i)",
}
_PADDED = {
    "sqlite": "printf('%0{1}d', {0})",
    "mariadb": "LPAD({0}, {1}, '0')",
    "postgres": "LPAD(({0})::text, {1}, '0')",
}
_JOIN = {"sqlite": "{}", "mariadb": "CONCAT({})", "postgres": "CONCAT({})"}
_ANALYSE = {
    "sqlite": ("ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)"),
    "mariadb": ("ANALYZE TABLE archivefile, archivefilecopy",),
    "postgres": ("VACUUM ANALYZE",),
}


class SiteMariaDB(servers.MariaDB):
    """MariaDB as a site would run it."""

    def serve(self) -> list[str]:
        """Give it the memory that a site would."""
        return [*super().serve(), "--innodb-buffer-pool-size=512M"]


class SitePostgreSQL(servers.PostgreSQL):
    """PostgreSQL as a site would run it."""

    def serve(self) -> list[str]:
        """Give it the memory that a site would."""
        return [*super().serve(), "-c", "shared_buffers=512MB"]


@contextmanager
def place(kind: str, directory: Path) -> Iterator[str]:
    """Provide an empty database; yields its URL.

    Raises:
        servers.Unavailable: the server is not installed.
    """
    if kind == "sqlite":
        yield f"sqlite:///{directory}/index.db"
        return
    server = SiteMariaDB() if kind == "mariadb" else SitePostgreSQL()
    server.start()
    try:
        yield server.new_database("benchmark")
    finally:
        server.stop()
        server.remove()


def fill(kind: str, url: str, scale: float) -> None:
    """Fill the tables of a new index.

    Args:
        kind: one of `KINDS`.
        url: where it is.
        scale: 1 for a million copies.
    """
    database = db_url.connect(url)
    if kind == "postgres":
        database.connect()
        database.connection().autocommit = True
    for statement in _rows(kind, int(FILES * scale), int(PART * scale)):
        # The drivers of the servers take a percent sign for a parameter.
        database.execute_sql(statement if kind == "sqlite" else statement.replace("%", "%%"))
    for statement in _ANALYSE[kind]:
        database.execute_sql(statement)
    database.close()


def copy_of(url: str, place: Path) -> str:
    """Copy an index in an SQLite file; returns the URL of the copy."""
    shutil.copy(url.removeprefix("sqlite:///"), place)
    return f"sqlite:///{place}"


def _rows(kind: str, files: int, part: int) -> Iterator[str]:
    """Yield the statements that fill the tables."""
    yes, no = ("TRUE", "FALSE") if kind == "postgres" else ("1", "0")
    yield "INSERT INTO storagegroup (id, name, io_class) VALUES (1, 'g1', NULL), (2, 'g2', NULL)"
    yield f"""INSERT INTO storagenode
        (id, name, root, host, group_id, active, auto_import, auto_verify, storage_type,
         min_avail_gb)
        VALUES (1, 'n1', '/n1', 'here', 1, {yes}, {no}, 0, 'F', 0),
               (2, 'n2', '/n2', 'here', 2, {yes}, {no}, 0, 'A', 0)"""
    numbers = _NUMBERS[kind].format(-(-files // FILES_PER_ACQ))
    year = _text(kind, "'2025/'", ("i % 12 + 1", 2), "'/'", ("i % 28 + 1", 2), "'/'", ("i", 4))
    yield f"INSERT INTO archiveacq (id, name) {numbers} SELECT i, {year} FROM n"
    numbers = _NUMBERS[kind].format(files)
    name = _text(kind, ("i % 24", 2), "'/'", ("i", 8), "'.dat'")
    acq = f"(i - 1) {'DIV' if kind == 'mariadb' else '/'} {FILES_PER_ACQ} + 1"
    yield f"""INSERT INTO archivefile (id, acq_id, name, size_b, md5sum, registered) {numbers}
        SELECT i, {acq}, {name}, 1000000 + i, {_text(kind, ("i", 32))},
            CASE WHEN i <= {part} THEN {_time(kind, "'2020-01-01 00:00:00'")}
                 ELSE {_time(kind, "'2026-01-01 00:00:00'")} END
        FROM n"""
    for node in (1, 2):
        gone = f"i > {files - part} AND {node} = 2"
        letter = f"CASE WHEN {gone} THEN 'N' ELSE 'Y' END"
        yield f"""INSERT INTO archivefilecopy
            (file_id, node_id, has_file, wants_file, ready, size_b, last_update) {numbers}
            SELECT i, {node}, {letter}, {letter}, {yes}, 1000448 + i,
                {_time(kind, "'2025-01-01 00:00:00'")} FROM n"""


def _text(kind: str, *parts: str | tuple[str, int]) -> str:
    """Join texts and padded numbers in the database's own words."""
    words = [part if isinstance(part, str) else _PADDED[kind].format(*part) for part in parts]
    return _JOIN[kind].format((" || " if kind == "sqlite" else ", ").join(words))


def _time(kind: str, text: str) -> str:
    return f"CAST({text} AS timestamp)" if kind == "postgres" else text
