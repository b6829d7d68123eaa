"""Where actors may stop: before every statement to the index, and every operation on a file.

The functions of `os` are replaced as long as a machine runs; threads that are no actors, and
whatever happens inside a transaction, do not notice.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import peewee as pw

from alpenhorn.db import connection
from alpenhorn.io.default.updownlock import UpDownLock
from machine.baton import me

CHANGES = (
    "unlink",
    "remove",
    "rename",
    "replace",
    "link",
    "rmdir",
    "mkdir",
    "sendfile",
    "truncate",
)
LOOKS = ("stat", "fsync", "preadv", "scandir", "utime")
WRITING = os.O_CREAT | os.O_WRONLY | os.O_RDWR


@contextmanager
def installed() -> Iterator[None]:
    """Have actors stop at the operations of `os` and at locks of the tree."""
    with (
        mock.patch.multiple(
            os,
            open=_wrapped("open", lambda args: bool(args[1] & WRITING)),
            **{name: _wrapped(name, lambda args: True) for name in CHANGES},
            **{name: _wrapped(name, lambda args: False) for name in LOOKS},
        ),
        mock.patch.object(UpDownLock, "_wait", _wait_for_tree),
    ):
        yield


def on_statements(database: pw.Database) -> None:
    """Have actors stop before statements and transactions of a database."""
    execute, begin, commit = database.execute_sql, database.begin, database.commit

    def execute_sql(sql: str, params: Any = None) -> Any:
        actor = me()
        if actor is None or database.transaction_depth():
            return execute(sql, params)
        reads = sql.lstrip().upper().startswith("SELECT")
        actor.step("a statement", change=not reads)
        result = execute(sql, params)
        if not reads:
            actor.process.world.looked("index", actor)
        return result

    def begin_transaction(*args: Any) -> Any:
        actor = me()
        if actor is not None:
            actor.step("a transaction", change=True)
        return begin(*args)

    def commit_transaction() -> Any:
        result = commit()
        actor = me()
        if actor is not None:
            actor.process.world.looked("index", actor)
        return result

    database.execute_sql = execute_sql
    database.begin = begin_transaction
    database.commit = commit_transaction


def _wrapped(name: str, changes: Callable[[tuple[Any, ...]], bool]) -> Callable[..., Any]:
    original = getattr(os, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        actor = me()
        if actor is None or connection.database_proxy.transaction_depth():
            return original(*args, **kwargs)
        change = changes(args)
        actor.step(f"{name} {args[0]}", change)
        try:
            return original(*args, **kwargs)
        finally:
            if change:
                actor.process.world.looked("disks", actor)

    return wrapped


def _wait_for_tree(lock: UpDownLock, side: Any, blocking: bool, timeout: float) -> bool:
    """Wait for the other direction of the lock by letting others run."""
    actor = me()
    assert actor is not None, "only actors use the trees"
    while not lock._may_enter(side):
        lock._changed.release()
        try:
            actor.wait_for_another()
        finally:
            lock._changed.acquire()
    return True
