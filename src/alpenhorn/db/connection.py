"""The connection to the Data Index.

`connect` binds `database_proxy`, through which all models and all third-party code reach the
database (spec: data-index.md §7). It opens no network connection: the first statement does.

Promises:

* SQLite files are used with write-ahead logging, enforced foreign keys, full flushes and a busy
  time-out, so that several processes can write (W-27).
* A statement is repeated only if it is a read, outside a transaction, and the connection is known
  to be lost (W-23). Everything else is the caller's to repeat.
* `change()` is how code writes: one short transaction that takes the write lock at its beginning.
  Functions that are one such transaction over many rows are marked `repeat_on_deadlock`.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, Protocol, TypeVar

import peewee as pw

from alpenhorn.common import config
from alpenhorn.db import engines
from alpenhorn.db.fields import EnumField, NameField
from alpenhorn.db.retry import deadlocked, in_one_line
from alpenhorn.errors import IndexUnreachable

log = logging.getLogger(__name__)

_DEADLOCK_PAUSES_S = (0.05, 0.2, 0.5, 1.0)

_P = ParamSpec("_P")
_R = TypeVar("_R")

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
    return not engines.in_memory(database_proxy.obj)


def connect() -> None:
    """Bind `database_proxy` to the configured database.

    Raises:
        IndexUnreachable: no database is configured, or the connection cannot be made.
    """
    section = config.get("database", default={}, as_type=dict)
    try:
        database = _provider.connect(config=section) if _provider else engines.make(section)
    except (pw.OperationalError, pw.ProgrammingError, pw.ImproperlyConfigured) as error:
        raise IndexUnreachable(
            f"Unable to connect to the database: {in_one_line(error)}.\n"
            "See --help-config for more details."
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


def repeat_on_deadlock(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorator of a function that is one `change()`: repeat it if the server undid it.

    Our own code locks in a fixed order, but other programs do not, and one statement over many
    rows takes its locks in the order of an index. Inside a transaction of the caller's nothing is
    repeated: the server has undone that as well.
    """

    @wraps(function)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        for pause_s in _DEADLOCK_PAUSES_S:
            try:
                return function(*args, **kwargs)
            except pw.OperationalError as error:
                if database_proxy.transaction_depth() or not deadlocked(error):
                    raise
                log.debug(f"Repeating a change after a deadlock: {function.__name__}")
            time.sleep(random.uniform(0.5, 1.0) * pause_s)
        return function(*args, **kwargs)

    return run


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
        log.info(f"Re-opening DB connection after error: {in_one_line(error)}")
        database_proxy.close()
        database_proxy.connect()
        return True
    return False
