"""``alpenhorn db copy FROM TO``: an index moves between database systems, with all its rows."""

from __future__ import annotations

import datetime
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alpenhorn import db
from alpenhorn.common.units import utcnow
from alpenhorn.db import connection, copying, copying_rows, engines, operations, schema
from alpenhorn.services import index_copy

THEN = datetime.datetime(2025, 2, 21, 12, 30, 15, 123456)


@pytest.fixture
def other(tmp_path: Path) -> str:
    """URL of an SQLite database that is not there yet."""
    return f"sqlite:///{tmp_path / 'other.db'}"


@pytest.fixture
def rows(make: Any) -> None:
    """Rows of all kinds, with gaps between their ids."""
    first = make.node("n1", root="/data", max_total_gb=1234.56789, avail_gb_last_checked=THEN)
    second = make.node("n2", storage_type="A", io_config='{"a": "ä€"}', active=False)
    for number in range(20):
        make.copy(f"a/b/{number}", first, last_update=THEN)
    db.ArchiveFileCopy.delete().where(db.ArchiveFileCopy.id.between(5, 8)).execute()
    make.copy("A/b/f", second, "M", "N", size_b=2**40, last_update=THEN)
    make.request("a/b/1", first, "n2", transfer_started=THEN, completed=True)
    make.request("a/b/2", first, "n2", timestamp=None)
    db.ArchiveFileImportRequest.create(node=first, path="x", recurse=True)
    db.StorageTransferAction.create(node_from=first, group_to=second.group, autosync=True)
    operations.Doorbell.create(host="here", rings=7)
    for number in range(1, 12):
        operations.Verification.create(file_id=1 + number // 3, node_id=number, verified=THEN)
    operations.DeletionEvidence.create(copy_id=5, file_id=5, node_id=1, protected_by="[]")


def whole_second(value: Any) -> Any:
    return value.replace(microsecond=0) if isinstance(value, datetime.datetime) else value


def content(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows, with times in whole seconds as MySQL has them."""
    database = engines.make({"url": url})
    try:
        return {
            schema.table_name(model): [
                tuple(map(whole_second, row))
                for row in model.select()
                .order_by(*copying.key_fields(model))
                .bind(database)
                .tuples()
            ]
            for model in copying.models()
        }
    finally:
        database.close()


def versions(url: str) -> dict[str, int]:
    database = engines.make({"url": url})
    with copying.used(database):
        found = {name: schema.found_version(name) for name in ("alpenhorn", "operations")}
    database.close()
    return found


def test_every_row_arrives(rows: None, run: Any, database_url: str, other: str) -> None:
    """From SQLite, MariaDB or PostgreSQL to SQLite; the ids are the same."""
    before = content(database_url)
    result = run("db", "copy", database_url, other)
    assert result.code == 0, result.stderr
    assert "archivefile: 21\n" in result.stdout
    assert f"Copied and compared {sum(map(len, before.values()))} rows" in result.stdout
    assert content(other) == content(database_url) == before
    assert versions(other) == {"alpenhorn": 2, "operations": operations.VERSION}


def test_every_row_comes_back(rows: None, run: Any, database_url: str, other: str) -> None:
    """To SQLite, MariaDB or PostgreSQL: new rows get new ids, and times are whole seconds there."""
    before = content(database_url)
    assert run("db", "copy", database_url, other).code == 0
    forget(database_url)
    result = run("db", "copy", other, database_url)
    assert result.code == 0, result.stderr
    assert content(database_url) == before
    database = engines.make({"url": database_url})
    with copying.used(database):
        assert db.ArchiveAcq.create(name="new").id == 3
        assert db.ArchiveFileImportRequest.create(node=1, path="y").id == 2
    database.close()
    assert run("db", "check").code == 0


def forget(url: str) -> None:
    """Drop all tables."""
    connection.close()
    database = engines.make({"url": url})
    with copying.used(database):
        for model in reversed(schema.in_order()):
            model.drop_table()
    database.close()


def test_an_empty_index_as_target_is_filled(rows: None, run: Any, other: str, database_url: str):
    database = engines.make({"url": other})
    with copying.used(database):
        schema.initialise()
    database.close()
    assert run("db", "copy", database_url, other).code == 0
    assert content(other) == content(database_url)
    assert versions(other) == {"alpenhorn": 2, "operations": operations.VERSION}


def test_a_target_with_rows_is_refused(rows: None, run: Any, other: str, database_url: str):
    assert run("db", "copy", database_url, other).code == 0
    before = content(other)
    result = run("db", "copy", database_url, other)
    assert (result.code, result.stdout) == (1, "")
    assert "TO holds an index already (2 rows in archiveacq)" in result.stderr
    assert run("db", "copy", database_url, other, "--restart").code == 1
    assert content(other) == before


def test_the_same_database_is_refused(index: Any, run: Any, database_url: str, dump: Any) -> None:
    before = dump()
    result = run("db", "copy", database_url, database_url)
    assert result.code == 1
    assert result.stderr == "Error: FROM and TO are the same database.\n"
    assert dump() == before


def test_the_same_database_under_another_name_is_refused(
    index: Any, run: Any, database_url: str, dump: Any, tmp_path: Path, index_kind: str
) -> None:
    """An empty index too, which would be overwritten by itself."""
    before = dump()
    if index_kind == "sqlite":
        (tmp_path / "link").symlink_to(tmp_path)
        alias = f"sqlite:///{tmp_path / 'link' / 'index.db'}"
    else:
        alias = database_url + "&connect_timeout=7"
    result = run("db", "copy", database_url, alias)
    assert result.code == 1
    assert result.stderr == "Error: FROM and TO are the same database.\n"
    assert dump() == before


def test_a_source_that_is_not_there_is_not_made(index: Any, run: Any, tmp_path: Path, other: str):
    result = run("db", "copy", f"sqlite:///{tmp_path / 'none.db'}", other)
    assert result.code == 1
    assert "FROM" in result.stderr
    assert "no file" in result.stderr
    assert not (tmp_path / "none.db").exists()


def test_a_source_that_is_no_index_is_refused(empty_database: Any, run: Any, database_url, other):
    empty_database.execute_sql("CREATE TABLE things (id INTEGER PRIMARY KEY)")
    result = run("db", "copy", database_url, other)
    assert result.code == 1
    assert "FROM is no index" in result.stderr


@pytest.mark.parametrize(
    "url", ["nonsense", "mysql://u:s3cret@127.0.0.1:1/x", "sqlite://", "a://:x"]
)
def test_no_message_shows_a_password(index: Any, run: Any, database_url: str, url: str) -> None:
    for pair in ((database_url, url), (url, database_url)):
        result = run("db", "copy", *pair)
        assert result.code == 1
        assert len(result.stderr.splitlines()) == 1
        assert "s3cret" not in result.stderr + result.stdout


def test_a_url_is_shown_without_password_and_options() -> None:
    shown = index_copy.shown("mysql://me:s3cret@host:33/name?passwd=s3cret")
    assert shown == "mysql://me@host:33/name"


def test_daemons_that_run_are_to_be_stopped(rows: None, run: Any, database_url: str, other: str):
    operations.DaemonLease.create(
        host="here", holder="x", machine="m", pid=1, version="3", last_seen=utcnow()
    )
    result = run("db", "copy", database_url, other)
    assert result.code == 1
    assert "Daemons are running on here: stop all of them" in result.stderr
    operations.DaemonLease.update(last_seen=THEN).execute()
    assert run("db", "copy", database_url, other).code == 0


def test_what_is_not_ours_is_named(make: Any, run: Any, index: Any, database_url: str, other: str):
    index.execute_sql("ALTER TABLE archivefile ADD COLUMN type_id INTEGER")
    index.execute_sql("CREATE TABLE weather (id INTEGER PRIMARY KEY)")
    make.file("a/f")
    result = run("db", "copy", database_url, other)
    assert result.code == 0
    assert "tables weather\n" in result.stderr
    assert "columns archivefile.type_id\n" in result.stderr


def test_a_row_that_cannot_be_stored_is_named(
    rows: None, run: Any, database_url: str, other: str, index_kind: str
) -> None:
    """And FROM can be mended, and the copy repeated."""
    if index_kind != "sqlite":
        pytest.skip("servers do not hold such rows")
    db.database_proxy.execute_sql("UPDATE archivefilecopy SET has_file = 'Q' WHERE id = 11")
    result = run("db", "copy", database_url, other)
    assert result.code == 1
    assert "the row of archivefilecopy with key 11" in result.stderr
    assert 'invalid value "Q"' in result.stderr
    assert run("db", "check", "--fix").code == 0
    assert run("db", "copy", database_url, other, "--restart").code == 0
    assert content(other) == content(database_url)


class Meddler:
    """Somebody who changes FROM between copying and comparing."""

    def __init__(self, statement: Callable[[], Any]) -> None:
        self.statement: Callable[[], Any] | None = statement

    def __call__(self, doing: str, table: str, rows: int) -> None:
        pass

    def at_compare(self, compare: Any) -> Any:
        def run(pair: Any, report: Any) -> None:
            with copying.used(engines.make({"url": self.url})):
                assert self.statement
                self.statement()
                connection.close()
            compare(pair, report)

        return run

    url = ""


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (lambda: db.ArchiveFileCopy.update(wants_file="N").where(db.ArchiveFileCopy.id == 9),
         "wants_file of the row of archivefilecopy with key 9 is 'N' at FROM and 'Y' at TO"),
        (lambda: db.ArchiveAcq.insert(name="new"), "the row of archiveacq with key 3 is not at TO"),
        (lambda: db.ArchiveFileImportRequest.delete(),
         "archivefileimportrequest has 0 rows at FROM and 1 at TO"),
    ],
)  # fmt: skip
def test_a_change_meanwhile_is_found_out(
    rows: None, run: Any, database_url: str, other: str, monkeypatch: Any, what: Any, said: str
) -> None:
    meddler = Meddler(lambda: what().execute())
    meddler.url = database_url
    with monkeypatch.context() as patch:
        patch.setattr(copying_rows, "compare_rows", meddler.at_compare(copying_rows.compare_rows))
        result = run("db", "copy", database_url, other)
    assert result.code == 1
    assert said in result.stderr
    assert "stop all daemons" in result.stderr
    assert versions(other) == {"alpenhorn": 0, "operations": 0}
    assert run("db", "copy", database_url, other, "--restart").code == 0
    assert content(other) == content(database_url)


def test_a_writer_does_not_disturb_the_moment(rows: None, database_url: str, index: Any) -> None:
    """While FROM is read, others may write; what is read is of one moment."""
    reader = engines.make({"url": database_url})
    try:
        with copying_rows.moment(reader):
            assert copying.count(reader, db.ArchiveAcq) == 2
            db.ArchiveAcq.create(name="new")
            assert copying.count(reader, db.ArchiveAcq) == 2
        assert copying.count(reader, db.ArchiveAcq) == 3
    finally:
        reader.close()


CUT_OFF = """
import os, sys
from alpenhorn.common import config
from alpenhorn.db import copying_rows
from alpenhorn.services import index_copy
copying_rows.PAGE = 5
seen = []
def report(*what):
    seen.append(what)
    if len(seen) == int(sys.argv[3]):
        os.kill(os.getpid(), 9)
index_copy.copy(sys.argv[1], sys.argv[2], False, lambda rows: report)
"""


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 4, 9, 14])
def test_a_copy_that_was_killed_is_recognised(
    rows: None, run: Any, database_url: str, other: str, after: int
) -> None:
    """In the middle of copying or comparing: no program takes it for an index; then: --restart."""
    before = content(database_url)
    child = subprocess.run(
        [sys.executable, "-c", CUT_OFF, database_url, other, str(after)], check=False, timeout=60
    )
    assert child.returncode == -9
    assert versions(other)["alpenhorn"] == 0
    result = run("db", "copy", database_url, other)
    assert result.code == 1
    assert "cut off" in result.stderr
    assert "--restart" in result.stderr
    assert run("db", "copy", database_url, other, "--restart").code == 0
    assert content(other) == content(database_url) == before


def test_nobody_uses_an_unfinished_copy(
    rows: None, run: Any, database_url: str, other: str, conf: Path
) -> None:
    subprocess.run(
        [sys.executable, "-c", CUT_OFF, database_url, other, "3"], check=False, timeout=60
    )
    conf.write_text(f"database:\n  url: {other}\n")
    assert "no schema found" in run("node", "list").stderr
    assert "unfinished copy" in run("db", "init").stderr
    result = run("db", "check")
    assert result.code == 1
    assert "alpenhorn_copying" in result.stdout


def test_a_copy_of_which_only_the_last_step_is_missing(
    rows: None, run: Any, database_url: str, other: str
) -> None:
    """It is complete, and perhaps in use: never emptied."""
    assert run("db", "copy", database_url, other).code == 0
    database = engines.make({"url": other})
    database.execute_sql(f"CREATE TABLE {schema.COPY_MARKER} (id INTEGER PRIMARY KEY)")
    database.close()
    before = content(other)
    result = run("db", "copy", database_url, other, "--restart")
    assert result.code == 1
    assert "complete copy already" in result.stderr
    assert content(other) == before
    assert "holds an index already" in run("db", "copy", database_url, other).stderr


def test_pages_are_bounded(make: Any, database_url: str, other: str, monkeypatch: Any) -> None:
    """No table is read as a whole."""
    monkeypatch.setattr(copying_rows, "PAGE", 7)
    node = make.node("n")
    for number in range(30):
        make.copy(f"a/{number}", node)
    sizes = []
    index_copy.copy(database_url, other, False, lambda _: lambda *what: sizes.append(what[2]))
    assert max(sizes) == 7
    assert content(other) == content(database_url)
