"""``alpenhorn db init`` on a database server that does not let it, or not at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from alpenhorn.db import schema
from servers import Server, TestDatabase

PASSWORD = "s3cret"
USER = "limited"


@pytest.fixture
def server(index_kind: str, servers: Callable[[str], TestDatabase]) -> Server:
    if index_kind == "sqlite":
        pytest.skip("about database servers: --index mariadb,postgres")
    return servers(index_kind)._server


@pytest.fixture
def admin(server: Server) -> Iterator[Any]:
    """A connection that may do everything."""
    with server.connection(server.admin_database) as connection:
        yield connection


@pytest.fixture
def limited(server: Server, empty_database: Any, index_kind: str) -> Iterator[str]:
    """URL of the test's database for an account that may read and write rows, but make nothing."""
    database = empty_database.database
    with server.connection(database) as owner:
        if index_kind == "mariadb":
            user = f"{USER}@localhost"
            owner.execute_sql(f"CREATE OR REPLACE USER {user} IDENTIFIED BY '{PASSWORD}'")
            owner.execute_sql(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {database}.* TO {user}")
        else:
            user = USER
            owner.execute_sql(f"CREATE ROLE {user} LOGIN")
            owner.execute_sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        yield (
            server.url(database)
            .replace("//root@", f"//{USER}:{PASSWORD}@")
            .replace("//postgres@", f"//{USER}@")
        )
        if index_kind == "postgres":
            owner.execute_sql(f"DROP OWNED BY {user}")
        owner.execute_sql(f"DROP USER {user}")


def init(run: Any, conf: Path, url: str) -> Any:
    conf.write_text(f"database:\n  url: {url}\n")
    return run("db", "init")


def refused(result: Any) -> str:
    """The one line that the user sees."""
    assert (result.stdout, result.code) == ("", 1)
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ")
    assert PASSWORD not in line
    return line


def test_an_account_that_may_not_make_tables(
    limited: str, run: Any, conf: Path, empty_database: Any, index_kind: str
) -> None:
    line = refused(init(run, conf, limited))
    assert "Unable to initialise the Data Index: " in line
    assert {"mariadb": "CREATE command denied", "postgres": "permission denied"}[index_kind] in line
    assert empty_database.get_tables() == []


def test_a_wrong_password(
    limited: str, run: Any, conf: Path, empty_database: Any, index_kind: str
) -> None:
    if index_kind != "mariadb":
        pytest.skip("the tests' PostgreSQL asks for no password")
    line = refused(init(run, conf, limited.replace(PASSWORD, PASSWORD[::-1])))
    assert "Access denied for user 'limited'@'localhost'" in line
    assert PASSWORD[::-1] not in line
    assert empty_database.get_tables() == []


def test_an_unknown_database(server: Server, run: Any, conf: Path, index_kind: str) -> None:
    line = refused(init(run, conf, server.url("nowhere")))
    assert {"mariadb": "Unknown database", "postgres": "does not exist"}[index_kind] in line
    assert "nowhere" in line


def test_a_lax_mysql(
    admin: Any, empty_database: Any, run: Any, conf: Path, database_url: str, index_kind: str
) -> None:
    """The server's sql_mode does not matter: nothing is cut to fit."""
    if index_kind != "mariadb":
        pytest.skip("only MySQL has such a mode")
    empty_database.close()
    (mode,) = admin.execute_sql("SELECT @@GLOBAL.sql_mode").fetchone()
    admin.execute_sql("SET GLOBAL sql_mode = ''")
    try:
        assert init(run, conf, database_url).stdout == "Data Index version 2 initialised.\n"
        assert schema.database_proxy.execute_sql(
            "SELECT FIND_IN_SET('STRICT_TRANS_TABLES', @@SESSION.sql_mode) > 0"
        ).fetchone() == (1,)
        refused(run("acq", "create", "x" * 70))
        assert run("acq", "list", "--json").json == []
    finally:
        admin.execute_sql("SET GLOBAL sql_mode = %s", (mode,))


def test_a_url_that_asks_for_a_lax_mysql(
    empty_database: Any, run: Any, conf: Path, database_url: str, index_kind: str
) -> None:
    """Even then no name is cut: alpenhorn looks at its length itself."""
    if index_kind != "mariadb":
        pytest.skip("only MySQL has such a mode")
    assert init(run, conf, f"{database_url}&sql_mode=").code == 0
    refused(run("acq", "create", "x" * 70))
    assert run("db", "check").code == 0
