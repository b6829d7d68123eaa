"""The connection to the Data Index.

`connect` binds `database_proxy`, through which all models and all third-party code reach the
database (spec: data-index.md §7). It opens no network connection: the first statement does.

Promises:

* SQLite files are used with write-ahead logging, enforced foreign keys, full flushes and a busy
  time-out, so that several processes can write (W-27).
* A statement is repeated only if it is a read, outside a transaction, and the connection is known
  to be lost (W-23). Everything else is the caller's to repeat.
* `change()` is how code writes: one short transaction that takes the write lock at its beginning.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import urlsplit

import peewee as pw
from playhouse import db_url

from alpenhorn.common import config
from alpenhorn.db.fields import EnumField, NameField
from alpenhorn.errors import IndexUnreachable

log = logging.getLogger(__name__)

BUSY_TIMEOUT_S = 30
"""How long a SQLite statement waits for another writer."""

database_proxy = pw.DatabaseProxy()
"""Every model is bound to this; it may be imported before `connect`."""


class base_model(pw.Model):
    """Base of all models, ours and those of extensions."""

    class Meta:
        """Bind to whatever `connect` makes."""

        database = database_proxy


class DatabaseProvider(Protocol):
    """What `connect` needs of a database extension (spec: extensions.md §4)."""

    full_name: str | None
    reentrant: bool

    @property
    def connect(self) -> Callable[..., pw.Database]:
        """Make the connection; gets the keyword argument `config`."""

    @property
    def close(self) -> Callable[[], Any] | None:
        """Close it, if the extension wants to do that itself."""


_provider: DatabaseProvider | None = None

# MySQL: server has gone away, lost connection, commands out of sync, lost at reading, timed out
_LOST_CODES = {2006, 2013, 2014, 2055, 4031}
_LOST_TEXTS = (
    "server closed the connection",
    "connection already closed",
    "connection is closed",
    "terminating connection",
    "the connection is lost",
    "ssl connection has been closed",
    "broken pipe",
)


def connection_lost(error: BaseException) -> bool:
    """Tell whether a database error means that the connection itself is gone.

    Args:
        error: what a statement raised.

    Returns:
        True only for errors that MySQL and PostgreSQL drivers raise for a lost connection; never
        for a locked SQLite file, a missing table or a time-out of a lock.
    """
    if error.args and error.args[0] in _LOST_CODES:
        return True
    if isinstance(error, pw.InterfaceError) and error.args[:1] == (0,):
        return True  # PyMySQL's way to say that the connection is closed
    text = str(error).lower()
    return any(phrase in text for phrase in _LOST_TEXTS)


class RetryReads:
    """Mixed into a peewee database class: repeats a read once after a lost connection."""

    def execute_sql(self: Any, sql: str, params: Any = None) -> Any:
        """Run one statement; see the module docstring for what is repeated."""
        try:
            return super().execute_sql(sql, params)  # type: ignore[misc]
        except (pw.OperationalError, pw.InterfaceError) as error:
            is_read = sql.lstrip().upper().startswith("SELECT")
            if self.transaction_depth() or not is_read or not connection_lost(error):
                raise
            self.close()
            return super().execute_sql(sql, params)  # type: ignore[misc]


def set_extension(extension: DatabaseProvider | None) -> None:
    """Use a database extension for the next `connect`, instead of ``database.url``."""
    global _provider
    _provider = extension


def threadsafe() -> bool:
    """Tell whether several threads may use the database.

    Returns:
        What a database extension says of itself; for the built-in connector true, except for a
        private in-memory database, of which each thread would see its own (W-28).
    """
    if _provider is not None:
        return bool(_provider.reentrant)
    return not _in_memory(database_proxy.obj)


def connect() -> None:
    """Bind `database_proxy` to the configured database.

    Raises:
        IndexUnreachable: no database is configured, or the connection cannot be made.
    """
    section = config.get("database", default={}, as_type=dict)
    try:
        database = _provider.connect(config=section) if _provider else _builtin_connect(section)
    except (pw.OperationalError, pw.ProgrammingError, pw.ImproperlyConfigured) as error:
        raise IndexUnreachable(
            f"Unable to connect to the database: {error}.\nSee --help-config for more details."
        ) from error
    if _provider is None:
        log.debug("Using internal database module.")
    bind(database)


def bind(database: pw.Database) -> None:
    """Use `database` as the Data Index of this process."""
    EnumField.native = isinstance(database, pw.MySQLDatabase)
    NameField.exact = "utf8mb4_bin" if EnumField.native else None
    EnumField.string_type = "string" if isinstance(database, pw.SqliteDatabase) else "VARCHAR"
    database_proxy.initialize(database)


def close() -> None:
    """Close this thread's connection, in the way that a database extension asks for."""
    if _provider is not None and _provider.close is not None:
        _provider.close()
    elif database_proxy.obj is not None and not database_proxy.is_closed():
        database_proxy.close()


def is_sqlite() -> bool:
    """Tell whether the Data Index is an SQLite file."""
    return isinstance(database_proxy.obj, pw.SqliteDatabase)


def change() -> Any:
    """Begin the one short transaction of a change; a context manager.

    On SQLite the write lock is taken at once (``BEGIN IMMEDIATE``), so that what is read inside is
    still true when it is written. On servers rows are locked with `lock_files`.
    """
    return database_proxy.atomic("IMMEDIATE") if is_sqlite() else database_proxy.atomic()


def ensure_usable() -> bool:
    """Make this thread's connection work: open it if closed, re-open it if it is lost.

    Returns:
        Whether it was lost.

    Raises:
        peewee.OperationalError: the database cannot be reached.
    """
    if database_proxy.is_closed():
        database_proxy.connect(reuse_if_open=True)
        return False
    if is_sqlite():
        return False
    try:
        database_proxy.execute_sql("SELECT 1")
    except (pw.OperationalError, pw.InterfaceError) as error:
        log.info(f"Re-opening DB connection after error: {error}")
        database_proxy.close()
        database_proxy.connect()
        return True
    return False


def _in_memory(database: Any) -> bool:
    name = str(getattr(database, "database", ""))
    return isinstance(database, pw.SqliteDatabase) and (
        name == "" or ":memory:" in name or "mode=memory" in name
    )


def _builtin_connect(section: dict[str, Any]) -> pw.Database:
    url = section.get("url")
    if not url:
        raise pw.OperationalError("No database configured")
    unquote = bool(section.get("unquote", False))
    try:
        scheme = urlsplit(str(url)).scheme
        options = db_url.parse(str(url), unquote_password=unquote, unquote_user=unquote)
    except ValueError:
        # Its text may quote the password.
        raise pw.OperationalError("database.url cannot be read: check host and port") from None
    if scheme not in db_url.schemes:
        raise pw.OperationalError("Database connect failed")
    base = db_url.schemes[scheme]
    return _make(base, options)


def _make(base: type[pw.Database], options: dict[str, Any]) -> pw.Database:
    """Make a database object of a real subclass of `base` with our policies."""
    cls: Any = type(f"Retrying{base.__name__}", (RetryReads, base), {})
    if issubclass(base, pw.SqliteDatabase):
        options.setdefault("pragmas", _sqlite_pragmas(options))
    elif issubclass(base, pw.MySQLDatabase):
        options.setdefault("sql_mode", "PIPES_AS_CONCAT,STRICT_TRANS_TABLES")
        # What is read under a lock must be what is there now, not what a snapshot showed.
        options.setdefault("init_command", "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
    return cls(**options)


def _sqlite_pragmas(options: dict[str, Any]) -> list[tuple[str, Any]]:
    seconds = options.get("timeout") or BUSY_TIMEOUT_S
    pragmas: list[tuple[str, Any]] = [("busy_timeout", int(seconds * 1000))]
    if ":memory:" not in str(options.get("database")):
        pragmas.append(("journal_mode", "wal"))
    return [*pragmas, ("foreign_keys", 1), ("synchronous", "full")]
