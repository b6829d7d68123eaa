"""Which database errors pass, and what may be repeated after them (W-23).

* A lost connection: a read outside a transaction is repeated once, nothing else. The first try of
  a write may have reached the server.
* A deadlock: the server has undone one of the two transactions, so all of it may be repeated.
"""

from __future__ import annotations

from typing import Any

import peewee as pw

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
_MYSQL_DEADLOCK = 1213
_POSTGRES_DEADLOCK = "deadlock detected"


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


def deadlocked(error: BaseException) -> bool:
    """Tell whether the server ended the transaction to resolve a deadlock."""
    return error.args[:1] == (_MYSQL_DEADLOCK,) or _POSTGRES_DEADLOCK in str(error).lower()


def in_one_line(error: BaseException) -> str:
    """Return the text of a database error; PostgreSQL's have several lines."""
    return " ".join(str(error).split())


class RetryReads:
    """Mixed into a peewee database class: repeats a read once after a lost connection."""

    def execute_sql(self: Any, sql: str, params: Any = None) -> Any:
        """Run one statement; see the docstring of the module for what is repeated."""
        try:
            return super().execute_sql(sql, params)  # type: ignore[misc]
        except (pw.OperationalError, pw.InterfaceError) as error:
            is_read = sql.lstrip().upper().startswith("SELECT")
            if self.transaction_depth() or not is_read or not connection_lost(error):
                raise
            self.close()
            return super().execute_sql(sql, params)  # type: ignore[misc]
