"""The database: is it there, may we work with it, is it an index of ours?

Every question has a connection of its own, in a thread of its own, on which the database refuses
to write; a server that hangs costs `LIMIT_S` per question and no more.
"""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import peewee as pw

from alpenhorn import db
from alpenhorn.common.processes import timeout_call
from alpenhorn.common.units import pretty_deltat, utcnow
from alpenhorn.db import operations, schema
from alpenhorn.db.connection import database_proxy
from alpenhorn.db.queries import doctor
from alpenhorn.db.retry import in_one_line
from alpenhorn.errors import AlpenhornError, IndexProblem, SchemaMismatch
from alpenhorn.services.doctor.report import Finding, Findings, Section

LIMIT_S = 20.0
"""For one question; longer than a driver waits for a connection."""

CLOCK_WARNING_S = 2.0
CLOCK_PROBLEM_S = 20.0
"""Leases lapse after 60 s: daemons whose clocks differ by much of that displace one another."""

SCHEMA = "schema"
"""The check after which, if all is well, the index can be asked for nodes and routes."""

_SECTION = Section("Database")
_P = ParamSpec("_P")
_R = TypeVar("_R")


def ask(question: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
    """Ask the database, with a time limit, on a connection that cannot write.

    Where only one thread may use the database there is no time limit.

    Raises:
        TimeoutError: it took longer than `LIMIT_S`.
        peewee.PeeweeException: as the question raises it.
    """
    if not db.threadsafe():
        return _read(question, *args, **kwargs)

    def call() -> _R:
        try:
            return _read(question, *args, **kwargs)
        finally:
            db.close()

    call.__name__ = "the database"
    return timeout_call(call, LIMIT_S)


def _read(question: Callable[_P, _R], *args: _P.args, **kwargs: _P.kwargs) -> _R:
    doctor.set_read_only()
    return question(*args, **kwargs)


def check() -> Findings:
    """Check the configured database and the index in it."""
    reached = _reach()
    yield reached
    if not reached.good:
        return
    yield _SECTION.ok("version", ask(doctor.product))
    yield from _mode()
    yield from _clock()
    yield from _schema()


def _reach() -> Finding:
    advice = "Check database.url, the password, and that the server runs and lets this host in."
    try:
        db.connect()
        missing = _missing_file()
        if missing:
            advice = "Check database.url, or run `alpenhorn db init`."
            return _SECTION.problem("reach", f"there is no file {missing}", advice)
        doctor.without_start_up_writes()
        ask(doctor.product)
    except TimeoutError as error:
        return _SECTION.problem("reach", f"{_target()}: {error}", advice)
    except (AlpenhornError, pw.PeeweeException) as error:
        cause = in_one_line(error).removesuffix("See --help-config for more details.").strip()
        return _SECTION.problem("reach", cause, advice)
    return _SECTION.ok("reach", _target())


def _missing_file() -> Path | None:
    """Return the path of an SQLite file that does not exist; to connect would make it."""
    if not isinstance(database_proxy.obj, pw.SqliteDatabase) or not db.threadsafe():
        return None
    name = str(database_proxy.obj.database)
    path = Path(name.removeprefix("file:").partition("?")[0] if name[:5] == "file:" else name)
    return None if path.exists() else path


def _target() -> str:
    """Say which database it is, without its password."""
    database = database_proxy.obj
    if database is None:
        return "no database"
    options = getattr(database, "connect_params", {})
    host = options.get("host") or options.get("unix_socket") or ""
    user = options.get("user")
    account = f" as {user}" if user else ""
    return f"{database.database}{f' on {host}' if host else ''}{account}"


def _mode() -> Findings:
    modes = ask(doctor.sql_mode)
    if modes is None:
        return
    strict = bool(modes & {"STRICT_TRANS_TABLES", "STRICT_ALL_TABLES", "TRADITIONAL"})
    text = "strict" if strict else f"not strict ({','.join(sorted(modes)) or 'empty'})"
    advice = "Take sql_mode out of database.url: values that do not fit would be cut off silently."
    yield _SECTION.judged(strict, "SQL mode", text, advice)


def _clock() -> Findings:
    start = time.monotonic()
    there = ask(doctor.clock)
    took = time.monotonic() - start
    if there is None:
        return
    # Read somewhere within the time that the question took.
    apart = max(0.0, abs((utcnow() - there).total_seconds()) - took)
    text = f"server and this host differ by {pretty_deltat(apart)}"
    advice = "Have both follow a time server (chrony, systemd-timesyncd)."
    if apart >= CLOCK_PROBLEM_S:
        yield _SECTION.problem("clock", text, advice)
    elif apart >= CLOCK_WARNING_S:
        yield _SECTION.warning("clock", text, advice)
    else:
        yield _SECTION.ok("clock", f"agrees with that of this host within {CLOCK_WARNING_S:g} s")


def _schema() -> Findings:
    try:
        ask(schema.check_schema)
    except SchemaMismatch as error:
        advice = "Run `alpenhorn db init` if the database is new; else check database.url."
        text = error.message.removesuffix("  Run `alpenhorn db init` to make one.")
        yield _SECTION.problem(SCHEMA, text, advice)
        return
    except IndexProblem as error:
        yield _SECTION.problem(SCHEMA, error.message, "Check the account's right to read.")
        return
    yield _SECTION.ok(SCHEMA, f"version {db.current_version}")
    yield _operations()
    yield from _privileges()


def _operations() -> Finding:
    what, version = "own tables", ask(schema.found_version, operations.COMPONENT)
    if version == operations.VERSION:
        return _SECTION.ok(what, f"version {version}")
    text = f"version {version}, not {operations.VERSION}" if version else "are not there"
    advice = "Run `alpenhorn db init`: without them there is no lease, and daemons react slowly."
    return _SECTION.warning(what, text, advice)


def _privileges() -> Findings:
    what = "privileges"
    if isinstance(database_proxy.obj, pw.SqliteDatabase):
        yield _file_rights(Path(str(database_proxy.obj.database)))
        return
    missing = ask(doctor.missing_privileges)
    for privilege in missing:
        advice = f"GRANT {privilege} TO the account, or make it the owner of the database."
        yield _SECTION.problem(what, f"the account lacks {privilege}", advice)
    if not missing:
        create = "" if ask(doctor.may_create) else "; not CREATE, which only `db init` needs"
        yield _SECTION.ok(what, f"SELECT, INSERT, UPDATE, DELETE{create}")


def _file_rights(path: Path) -> Finding:
    """SQLite also needs to make files beside the database (https://sqlite.org/wal.html)."""
    closed = [str(place) for place in (path, path.absolute().parent) if not _writable(place)]
    if not closed:
        return _SECTION.ok("privileges", "the file and its directory can be written")
    advice = "Let the account of the daemon write the file and the directory that it lies in."
    return _SECTION.problem("privileges", f"cannot write {' and '.join(closed)}", advice)


def _writable(path: Path) -> bool:
    return not path.exists() or os.access(path, os.W_OK)


def age_text(moment: datetime.datetime) -> str:
    """Say how long ago a moment of the index was."""
    return f"{pretty_deltat(max(0.0, (utcnow() - moment).total_seconds()))} ago"
