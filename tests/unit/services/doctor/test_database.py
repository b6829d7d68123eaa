"""The database: is it there, may we work with it, is it an index; and it is only ever read."""

from __future__ import annotations

import datetime
import os
import sqlite3
import threading
from pathlib import Path
from typing import Any

import peewee as pw
import pytest

from alpenhorn import db
from alpenhorn.common import config
from alpenhorn.common.units import utcnow
from alpenhorn.db import connection, schema
from alpenhorn.db.operations import DaemonLease
from alpenhorn.db.queries import doctor
from alpenhorn.services.doctor import database
from alpenhorn.services.doctor.report import Finding, Status


@pytest.fixture
def configure(tmp_path: Path) -> Any:
    """Load a configuration with this database URL."""

    def configure(url: str) -> None:
        (tmp_path / "conf").write_text(f"database:\n  url: {url}\n")
        config.load_config(tmp_path / "conf", cli=True)

    return configure


def found() -> dict[str, Finding]:
    return {finding.what: finding for finding in database.check()}


def bad(findings: dict[str, Finding]) -> list[tuple[str, Status]]:
    return [(what, f.status) for what, f in findings.items() if f.status is not Status.OK]


def test_a_good_index(index: Any, database_url: str, configure: Any) -> None:
    configure(database_url)
    findings = found()
    assert not bad(findings)
    assert findings["schema"].text == "version 2"
    assert any(name in findings["version"].text for name in ("SQLite", "MariaDB", "PostgreSQL"))


def test_a_question_cannot_write(make: Any) -> None:
    """Whatever a check, or an extension's, might try."""
    before = [group.name for group in db.StorageGroup.select()]
    with pytest.raises((pw.OperationalError, pw.InternalError)):
        database.ask(db.StorageGroup.create, name="g")
    assert [group.name for group in db.StorageGroup.select()] == before


def test_a_database_without_an_index(
    empty_database: Any, database_url: str, configure: Any
) -> None:
    empty_database.execute_sql("CREATE TABLE other (id INTEGER)")
    configure(database_url)
    findings = found()
    assert bad(findings) == [("schema", Status.PROBLEM)]
    assert "alpenhorn db init" in findings["schema"].advice


def test_an_index_of_another_version(index: Any, database_url: str, configure: Any) -> None:
    db.DataIndexVersion.update(version=7).where(
        db.DataIndexVersion.component == schema.COMPONENT
    ).execute()
    configure(database_url)
    assert bad(found()) == [("schema", Status.PROBLEM)]


def test_an_index_without_our_own_tables(index: Any, database_url: str, configure: Any) -> None:
    db.DataIndexVersion.delete().where(db.DataIndexVersion.component == "operations").execute()
    configure(database_url)
    findings = found()
    assert bad(findings) == [("own tables", Status.WARNING)]
    assert "alpenhorn db init" in findings["own tables"].advice


def test_a_file_that_does_not_exist_is_not_made(tmp_path: Path, configure: Any) -> None:
    configure(f"sqlite:///{tmp_path}/none.db")
    findings = found()
    assert bad(findings) == [("reach", Status.PROBLEM)]
    assert str(tmp_path / "none.db") in findings["reach"].text
    assert [path.name for path in tmp_path.iterdir()] == ["conf"]


def test_an_index_of_another_program_stays_as_it_is(
    index: Any, index_path: Path, configure: Any
) -> None:
    """Our usual connection turns on write-ahead logging, which changes the file."""
    index.close()
    with sqlite3.connect(index_path) as plain:
        plain.execute("PRAGMA journal_mode = delete")
    plain.close()
    before = index_path.read_bytes()
    configure(f"sqlite:///{index_path}")
    assert not bad(found())
    assert index_path.read_bytes() == before


@pytest.mark.parametrize(
    "url",
    [
        "mysql://me:hunter2@127.0.0.1:1/x",
        "postgresql://me:hunter2@127.0.0.1:1/x",
        "mysql://me:hunter2@127.0.0.1:1/x?no_such_option=1",
        "nosuchdb://me:hunter2@host/x",
        "mysql://me:hunter2@host:99999999/x",
        "",
    ],
)
def test_a_database_that_cannot_be_reached(url: str, configure: Any) -> None:
    """It is a problem with advice, and the password is not in it."""
    configure(f'"{url}"')
    findings = found()
    assert bad(findings) == [("reach", Status.PROBLEM)]
    assert "hunter2" not in repr(findings)
    assert findings["reach"].advice


def test_a_server_that_hangs_is_given_up(
    index: Any, database_url: str, configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(database_url)
    ever = threading.Event()
    monkeypatch.setattr(database, "LIMIT_S", 0.2)
    monkeypatch.setattr(doctor, "product", ever.wait)
    try:
        findings = found()
    finally:
        ever.set()
    assert bad(findings) == [("reach", Status.PROBLEM)]
    assert "the database took longer than 0.2 s" in findings["reach"].text


@pytest.mark.parametrize(
    ("seconds", "status"),
    [(0, Status.OK), (-5, Status.WARNING), (40, Status.PROBLEM), (-40, Status.PROBLEM)],
)
def test_clocks_that_differ(
    index: Any,
    database_url: str,
    configure: Any,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    status: Status,
) -> None:
    def clock() -> datetime.datetime:
        return utcnow() + datetime.timedelta(seconds=seconds)

    configure(database_url)
    monkeypatch.setattr(doctor, "clock", clock)
    assert found()["clock"].status is status


def test_the_clock_of_a_server_is_read(index: Any) -> None:
    """In UTC, whatever the time zone of the session."""
    there = database.ask(doctor.clock)
    assert there is None or abs((utcnow() - there).total_seconds()) < 10
    assert (there is None) == connection.is_sqlite()


def test_a_lax_sql_mode(index: Any, index_kind: str, database_url: str, configure: Any) -> None:
    if index_kind != "mariadb":
        assert database.ask(doctor.sql_mode) is None
        return
    configure(f"{database_url}&sql_mode=PIPES_AS_CONCAT")
    assert bad(found()) == [("SQL mode", Status.PROBLEM)]


def test_an_account_without_a_privilege(
    index: Any, index_kind: str, database_url: str, configure: Any
) -> None:
    """Each is named, with its table, and nothing was tried for real."""
    if index_kind == "sqlite":
        return  # its rights are those of files: see below
    if index_kind == "mariadb":
        index.execute_sql("CREATE OR REPLACE USER poor@localhost")
        index.execute_sql("GRANT SELECT, INSERT, UPDATE ON alpenhorn_test.* TO poor@localhost")
        index.execute_sql("GRANT DELETE ON alpenhorn_test.alpenhorn_daemon TO poor@localhost")
    else:
        index.execute_sql("DROP ROLE IF EXISTS poor")
        index.execute_sql("CREATE ROLE poor LOGIN")
        index.execute_sql("GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO poor")
        index.execute_sql("GRANT DELETE ON alpenhorn_daemon TO poor")
    old = "root" if index_kind == "mariadb" else "postgres"
    try:
        configure(database_url.replace(f"//{old}@", "//poor@"))
        problems = [f.text for f in database.check() if not f.good]
    finally:
        db.close()
        connection.bind(index)
        if index_kind == "postgres":
            index.execute_sql("DROP OWNED BY poor")
            index.execute_sql("DROP ROLE poor")
    tables = {schema.table_name(model) for model in schema.gamut}
    assert set(problems) >= {f"the account lacks DELETE on {t}" for t in tables}
    assert f"the account lacks DELETE on {schema.table_name(DaemonLease)}" not in problems
    others = [text for text in problems if "DELETE" not in text]
    if index_kind == "mariadb":
        assert not others
    else:  # to insert a row needs its number
        assert "the account lacks USAGE on public.archivefile_id_seq" in others
        assert all(" USAGE on " in text for text in others)


def test_a_file_that_may_not_be_written(
    index: Any, index_path: Path, configure: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also its directory: SQLite makes files beside it."""
    configure(f"sqlite:///{index_path}")
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != index_path.parent)
    findings = found()
    assert bad(findings) == [("privileges", Status.PROBLEM)]
    assert findings["privileges"].text == f"cannot write {index_path.parent}"
