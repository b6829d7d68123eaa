"""The connection: safe settings, honest about threads, retries only what may be retried."""

from __future__ import annotations

import threading

import peewee as pw
import pytest

from alpenhorn import db
from alpenhorn.common import config
from alpenhorn.db import connection, retry, schema
from alpenhorn.errors import IndexUnreachable


@pytest.fixture
def configured(tmp_path, monkeypatch):
    """Connect as a program with this `database` section does."""

    def connect(section: str) -> pw.Database:
        path = tmp_path / "alpenhorn.conf"
        path.write_text(f"database: {section}\n")
        config.load_config(path, cli=True)
        db.connect()
        return connection.database_proxy.obj

    connection.set_extension(None)
    yield connect
    connection.set_extension(None)
    config.test_isolation(True)


def pragma(database: pw.Database, name: str) -> object:
    return database.execute_sql(f"PRAGMA {name}").fetchone()[0]


# ---- SQLite


@pytest.mark.parametrize("scheme", ["sqlite", "sqlite+pool"])
def test_sqlite_files_are_used_with_safe_settings(configured, index_path, scheme):
    database = configured(f"{{url: '{scheme}:///{index_path}'}}")
    assert pragma(database, "foreign_keys") == 1
    assert pragma(database, "journal_mode") == "wal"
    assert pragma(database, "synchronous") == 2  # FULL
    database.close()


@pytest.mark.parametrize(
    "scheme",
    [
        "sqlite",
        pytest.param("sqlite+pool"),
    ],
)
def test_a_writer_waits_at_least_ten_seconds_for_another(configured, index_path, scheme):
    database = configured(f"{{url: '{scheme}:///{index_path}'}}")
    assert pragma(database, "busy_timeout") >= 10_000
    database.close()


@pytest.mark.sqlite
def test_every_thread_gets_the_safe_settings(index):
    seen = []

    def look() -> None:
        seen.append((pragma(index, "foreign_keys"), pragma(index, "synchronous")))
        index.close()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join(60)
    assert seen == [(1, 2)]


def test_a_copy_of_a_file_that_does_not_exist_is_refused(make):
    node = make.node("n")
    with pytest.raises(pw.IntegrityError):
        db.ArchiveFileCopy.create(file=999, node=node)


def test_a_change_takes_the_write_lock_at_once(index, index_path):
    """What is read inside `change()` is still true when it is written."""
    other = pw.SqliteDatabase(str(index_path), timeout=0)
    with connection.change():
        db.StorageGroup.select().count()
        with pytest.raises(pw.OperationalError, match="locked"):
            other.execute_sql("INSERT INTO storagegroup (name) VALUES ('x')")
    other.execute_sql("INSERT INTO storagegroup (name) VALUES ('x')")
    other.close()


def test_a_change_that_fails_changes_nothing_also_inside_another(index):
    with connection.change():
        db.StorageGroup.create(name="outer")
        with pytest.raises(RuntimeError), connection.change():
            db.StorageGroup.create(name="inner")
            raise RuntimeError
    assert [group.name for group in db.StorageGroup.select()] == ["outer"]


# ---- connecting


def test_connecting_touches_nothing(configured, tmp_path):
    configured(f"{{url: 'sqlite:///{tmp_path}/none.db'}}")
    assert not (tmp_path / "none.db").exists()


def test_a_missing_url_is_said_in_one_error(configured):
    with pytest.raises(IndexUnreachable) as caught:
        configured("{}")
    assert caught.value.message == (
        "Unable to connect to the database: No database configured.\n"
        "See --help-config for more details."
    )


@pytest.mark.parametrize("url", ["oracle://root:s3cret@host/db", "alpenhorn.db", "://"])
def test_an_unknown_scheme_is_refused_without_showing_the_url(configured, url):
    with pytest.raises(IndexUnreachable) as caught:
        configured(f"{{url: '{url}'}}")
    assert caught.value.message == (
        "Unable to connect to the database: Database connect failed.\n"
        "See --help-config for more details."
    )


@pytest.mark.parametrize("url", ["mysql://root:s3cr#t@host/db", "mysql://u:p@host:s3cr/db"])
def test_a_url_that_cannot_be_read_is_an_error_without_the_password(configured, url):
    with pytest.raises(IndexUnreachable) as caught:
        configured(f"{{url: '{url}'}}")
    assert "s3cr" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["mysql", "postgresql"])
def test_a_server_or_driver_that_is_not_there_is_a_read_error_without_password(configured, scheme):
    configured(f"{{url: '{scheme}://root:s3cret@127.0.0.1:1/db'}}")
    with pytest.raises(IndexUnreachable, match=r"^Database read error: ") as caught:
        schema.check_schema()
    assert "s3cret" not in caught.value.message


def test_an_sqlite_file_that_cannot_be_opened_is_a_read_error(configured, tmp_path):
    configured(f"{{url: 'sqlite:///{tmp_path}/no/such/directory/index.db'}}")
    with pytest.raises(IndexUnreachable, match=r"^Database read error: "):
        schema.check_schema()


def test_mysql_runs_in_strict_mode_unless_the_url_says_otherwise(configured):
    """Without it MySQL cuts names that are too long (W-25)."""
    mode = configured("{url: 'mysql://h/db'}").connect_params["sql_mode"]
    assert set(mode.split(",")) == {"PIPES_AS_CONCAT", "STRICT_TRANS_TABLES"}
    database = configured("{url: 'mysql://h/db?sql_mode=ANSI'}")
    assert database.connect_params["sql_mode"] == "ANSI"


def test_user_and_password_are_taken_literally(configured):
    params = configured("{url: 'postgresql://us%40er:p%2Fw@h/db'}").connect_params
    assert (params["user"], params["password"]) == ("us%40er", "p%2Fw")


class Extension:
    """A database extension."""

    full_name = "site.database"
    reentrant = False

    def __init__(self, path: object, error: Exception | None = None) -> None:
        self.path, self.error, self.calls = path, error, []

    def connect(self, *, config: dict) -> pw.Database:
        self.calls.append(config)
        if self.error:
            raise self.error
        return pw.SqliteDatabase(str(self.path))

    def close(self) -> None:
        self.calls.append("close")


def test_a_database_extension_gets_its_section_and_is_asked_to_close(configured, index_path):
    extension = Extension(index_path)
    connection.set_extension(extension)
    configured("{key: value}")
    db.close()
    assert extension.calls == [{"key": "value"}, "close"]
    assert isinstance(connection.database_proxy.obj, pw.SqliteDatabase)


@pytest.mark.parametrize(
    "error", [pw.OperationalError, pw.ProgrammingError, pw.ImproperlyConfigured]
)
def test_an_extension_that_cannot_connect_is_said_in_one_error(configured, index_path, error):
    connection.set_extension(Extension(index_path, error("no route")))
    with pytest.raises(IndexUnreachable, match=r"^Unable to connect to the database: no route"):
        configured("{}")


@pytest.mark.parametrize("reentrant", [False, True])
def test_an_extension_says_itself_whether_it_is_threadsafe(configured, index_path, reentrant):
    extension = Extension(index_path)
    extension.reentrant = reentrant
    connection.set_extension(extension)
    configured("{}")
    assert db.threadsafe() is reentrant


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("sqlite:///index.db", True),
        ("mysql://h/db", True),
        ("postgresql://h/db", True),
        ("sqlite:///:memory:", False),
        ("sqlite://", False),
        ("sqlite:///", False),
        ("sqlite:///?database=file%3Ax%3Fmode%3Dmemory&uri=true", False),
        pytest.param("sqlite:///?database=file%3A%3Amemory%3A&uri=true", False),
    ],
)
def test_private_memory_databases_are_not_threadsafe(configured, url, safe):
    """Each thread would see its own (W-28)."""
    configured(f"{{url: '{url}'}}")
    assert db.threadsafe() is safe


@pytest.mark.parametrize("url", ["sqlite:///:memory:", "sqlite://"])
def test_a_memory_database_works_in_one_thread(configured, url):
    database = configured(f"{{url: '{url}'}}")
    schema.initialise()
    assert db.StorageGroup.create(name="g").id == 1
    assert pragma(database, "foreign_keys") == 1
    database.close()


# ---- lost connections


class Failing(pw.SqliteDatabase):
    """A server that loses connections as MySQL does: each of `faults` is raised once."""

    faults: list[Exception]
    tried: list[str]

    def execute_sql(self, sql, params=None):
        self.tried.append(sql)
        if self.faults and not sql.startswith(("BEGIN", "ROLLBACK", "COMMIT")):
            raise self.faults.pop(0)
        return super().execute_sql(sql, params)


class Retrying(retry.RetryReads, Failing):
    """The same, as `connect` would make it."""


GONE = pw.OperationalError(2006, "MySQL server has gone away")
LOST = [
    GONE,
    pw.OperationalError(2013, "Lost connection to MySQL server during query"),
    pw.OperationalError(4031, "The client was disconnected by the server because of inactivity"),
    pw.OperationalError("server closed the connection unexpectedly"),
    pw.OperationalError("terminating connection due to administrator command"),
    pw.InterfaceError("connection already closed"),
]
NOT_LOST = [
    pw.OperationalError(1205, "Lock wait timeout exceeded; try restarting transaction"),
    pw.OperationalError(1146, "Table 'x' doesn't exist"),
    pw.OperationalError(1045, "Access denied for user"),
    pw.OperationalError("database is locked"),
    pw.OperationalError("no such table: x"),
    pw.ProgrammingError(2006, "not of this kind"),
]


@pytest.fixture
def shaky(index_path):
    database = Retrying(str(index_path))
    database.faults, database.tried = [], []
    database.execute_sql("CREATE TABLE t (x)")
    database.tried.clear()
    yield database
    database.close()


@pytest.mark.parametrize("fault", LOST, ids=str)
def test_a_read_is_repeated_once_on_a_new_connection(shaky, fault):
    shaky.faults = [fault]
    before = shaky.connection()
    assert shaky.execute_sql("SELECT 7").fetchone() == (7,)
    assert shaky.tried == ["SELECT 7"] * 2
    assert shaky.connection() is not before


@pytest.mark.parametrize("fault", LOST[:1], ids=str)
def test_a_read_is_not_repeated_for_ever(shaky, fault):
    shaky.faults = [fault, fault, fault]
    with pytest.raises(pw.OperationalError):
        shaky.execute_sql("SELECT 7")
    assert len(shaky.tried) == 2


@pytest.mark.parametrize("fault", NOT_LOST, ids=str)
def test_other_errors_are_not_repeated(shaky, fault):
    shaky.faults = [fault]
    with pytest.raises(type(fault)):
        shaky.execute_sql("SELECT 7")
    assert len(shaky.tried) == 1


@pytest.mark.parametrize("sql", ["INSERT INTO t VALUES (1)", "UPDATE t SET x = 1", "DELETE FROM t"])
def test_a_write_is_never_repeated(shaky, sql):
    """Its first try may have reached the server (W-23)."""
    shaky.faults = [GONE]
    with pytest.raises(pw.OperationalError):
        shaky.execute_sql(sql)
    assert shaky.tried == [sql]


def test_nothing_is_repeated_inside_a_transaction(shaky):
    with pytest.raises(pw.OperationalError), shaky.atomic():
        shaky.execute_sql("INSERT INTO t VALUES (1)")
        shaky.faults = [GONE]
        shaky.execute_sql("SELECT x FROM t")
    assert shaky.tried.count("SELECT x FROM t") == 1
    assert shaky.execute_sql("SELECT count(*) FROM t").fetchone() == (0,)


def test_the_built_in_connection_repeats_reads(configured, index_path):
    database = configured(f"{{url: 'sqlite:///{index_path}'}}")
    assert isinstance(database, retry.RetryReads)
    assert isinstance(database, pw.SqliteDatabase)


def test_a_closed_connection_is_opened_again_for_use(index):
    index.close()
    connection.ensure_usable()
    assert not index.is_closed()
    connection.ensure_usable()
    assert index.execute_sql("SELECT 1").fetchone() == (1,)


def test_a_lost_server_connection_is_opened_again_for_use(index, shaky, monkeypatch):
    monkeypatch.setattr(connection, "is_sqlite", lambda: False)
    connection.bind(shaky)
    before = shaky.connection()
    shaky.faults = [GONE, GONE]
    connection.ensure_usable()
    assert shaky.connection() is not before
    connection.bind(index)
