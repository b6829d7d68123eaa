"""From the configuration section ``database`` to a database object with our policies.

The built-in connector knows SQLite, MySQL/MariaDB and PostgreSQL (spec: data-index.md §7.2). The
password need not stand in the configuration: it may come from a file or from the environment. It
is in no message of ours.
"""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import peewee as pw
from playhouse import db_url

from alpenhorn.db.keepalive import Keepalive
from alpenhorn.db.retry import RetryReads

BUSY_TIMEOUT_S = 30
"""How long a SQLite statement waits for another writer."""

CONNECT_TIMEOUT_S = 10
"""How long to wait for a server to answer, unless the URL says otherwise."""

PASSWORD_VARIABLE = "ALPENHORN_DATABASE_PASSWORD"
"""Environment variable with the password of the database account."""

_FOUND_ROWS = 2
"""``CLIENT_FOUND_ROWS`` of the client/server protocol of MySQL and MariaDB."""

_UNKNOWN_VARIABLE = 1193
"""``ER_UNKNOWN_SYSTEM_VARIABLE``: MariaDB before 10.2.18 always looks up."""


class PlainErrors:
    """Mixed into a peewee database class: what a driver says of its options is a database error."""

    def _connect(self) -> Any:
        """Open a connection.

        Raises:
            peewee.OperationalError: also for an option that the driver does not know, and for a
                file of certificates that cannot be read.
        """
        try:
            return super()._connect()  # type: ignore[misc]
        except (TypeError, ValueError, OSError) as error:
            raise pw.OperationalError(f"cannot connect: {error}") from error


class LooksItUp:
    """Mixed into a peewee database class for MySQL and MariaDB: rows by number, through the index.

    For lists of 200 values and more they guess from statistics how many rows there will be, and
    read whole tables when these have grown quickly (``eq_range_index_dive_limit``).
    """

    def _initialize_connection(self, connection: Any) -> None:
        """Set up a connection."""
        super()._initialize_connection(connection)  # type: ignore[misc]
        try:
            with closing(connection.cursor()) as cursor:
                cursor.execute("SET SESSION eq_range_index_dive_limit = 0")
        except Exception as error:  # each driver has its own
            if _UNKNOWN_VARIABLE not in (getattr(error, "errno", None), *error.args[:1]):
                raise


def make(section: dict[str, Any], *, prefer_written: bool = False) -> pw.Database:
    """Make the database object that ``database.url`` describes; opens no connection.

    Args:
        section: the section ``database`` of the configuration.
        prefer_written: a password in the URL goes before those of environment and file, for a
            URL that somebody has just typed.

    Raises:
        peewee.OperationalError: the configuration is not usable; the text names no password.
    """
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
    base = db_url.schemes.get(scheme)
    if base is None:
        raise pw.OperationalError("Database connect failed")
    if not issubclass(base, pw.SqliteDatabase):
        _set_password(options, section, prefer_written)
    return _with_policies(base, options)


def in_memory(database: Any) -> bool:
    """Tell whether a database is a private one in memory, of which each thread has its own."""
    name = str(getattr(database, "database", ""))
    return isinstance(database, pw.SqliteDatabase) and (
        name == "" or ":memory:" in name or "mode=memory" in name
    )


def _set_password(options: dict[str, Any], section: dict[str, Any], prefer_written: bool) -> None:
    """Take the password from the environment, else from the file, else from the URL."""
    written = options.pop("passwd", None)  # peewee's old name of it for MySQL
    if prefer_written and (written or options.get("password")):
        options["password"] = options.get("password") or written
        return
    found = os.environ.get(PASSWORD_VARIABLE)
    if not found and section.get("password_file"):
        found = _read_password(str(section["password_file"]))
    password = found or written
    if password:
        options["password"] = password


def _read_password(path: str) -> str:
    """Return the first line of a file."""
    try:
        lines = Path(path).expanduser().read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise pw.OperationalError(
            f"database.password_file cannot be read: {path}: {reason}"
        ) from None
    if not lines or not lines[0]:
        raise pw.OperationalError(f"database.password_file has no password: {path}")
    return lines[0]


def _with_policies(base: type[pw.Database], options: dict[str, Any]) -> pw.Database:
    """Make a database object of a real subclass of `base`."""
    ours: tuple[type, ...] = (RetryReads, PlainErrors, Keepalive)
    if issubclass(base, pw.MySQLDatabase):
        ours = (*ours, LooksItUp)
    cls: Any = type(f"Retrying{base.__name__}", (*ours, base), {})
    if issubclass(base, pw.SqliteDatabase):
        options.setdefault("pragmas", _sqlite_pragmas(options))
    elif issubclass(base, pw.MySQLDatabase):
        _set_mysql_options(base, options)
    elif issubclass(base, pw.PostgresqlDatabase):
        options.setdefault("connect_timeout", CONNECT_TIMEOUT_S)
    return cls(**options)


def _sqlite_pragmas(options: dict[str, Any]) -> list[tuple[str, Any]]:
    seconds = options.get("timeout") or BUSY_TIMEOUT_S
    pragmas: list[tuple[str, Any]] = [("busy_timeout", int(seconds * 1000))]
    if ":memory:" not in str(options.get("database")):
        pragmas.append(("journal_mode", "wal"))
    return [*pragmas, ("foreign_keys", 1), ("synchronous", "full")]


def _set_mysql_options(base: type[pw.Database], options: dict[str, Any]) -> None:
    options.setdefault("sql_mode", "PIPES_AS_CONCAT,STRICT_TRANS_TABLES")
    # What is read under a lock must be what is there now, not what a snapshot showed.
    options.setdefault("init_command", "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
    if "Connector" not in base.__name__:  # PyMySQL and mysqlclient; others name their options anew
        options.setdefault("connect_timeout", CONNECT_TIMEOUT_S)
        # An update counts the rows that it finds, as on other databases, not those it alters.
        options.setdefault("client_flag", _FOUND_ROWS)
