"""Move an index between database systems (``alpenhorn db copy``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import peewee as pw

from alpenhorn.common import config
from alpenhorn.common.units import utcnow
from alpenhorn.db import copying, copying_rows, engines, operations, schema
from alpenhorn.db.copying import LeftOut, Pair
from alpenhorn.db.copying_rows import Report
from alpenhorn.db.queries.audit_work import LEASE_LIFE
from alpenhorn.db.retry import in_one_line
from alpenhorn.errors import IndexUnreachable, NotAllowed, SchemaMismatch


@dataclass(frozen=True)
class Copied:
    """What a copy has done."""

    rows: dict[str, int]
    """Rows per table, all of them compared."""
    left_out: LeftOut


def copy(
    source_url: str,
    target_url: str,
    restart: bool,
    begin: Callable[[int], Report],
) -> Copied:
    """Copy an index into an empty database, and compare every row.

    Args:
        source_url: URL of the index, as in ``database.url``; it is only read.
        target_url: URL of the database.
        restart: empty the target first if it holds a copy that was cut off.
        begin: told how many rows there are; returns what is told of progress.

    Raises:
        NotAllowed: the target is not empty, or is the source, or daemons are running.
        SchemaMismatch: the source is no index of our version.
        IndexProblem: a row cannot be stored, or differs afterwards.
        IndexUnreachable: one of the databases cannot be reached.
    """
    pair = Pair(_opened(source_url, "FROM", must_exist=True), _opened(target_url, "TO"))
    try:
        _refuse_same(pair)
        _check_source(pair)
        copying.prepare(pair, restart)
        tables = copying.source_tables(pair)
        report = begin(sum(copying.count(pair.source, model) for model in tables))
        copying_rows.copy_rows(pair, report)
        copying_rows.compare_rows(pair, report)
        copying.finish(pair)
        rows = {schema.table_name(model): copying.count(pair.target, model) for model in tables}
        return Copied(rows, copying.left_out(pair))
    finally:
        pair.source.close()
        pair.target.close()


def shown(url: str) -> str:
    """Return a URL without its password and options, which may hold one, for a message."""
    try:
        parts = urlsplit(url)
        place = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(not shown: it cannot be read)"
    user = f"{parts.username}@" if parts.username else ""
    return f"{parts.scheme}://{user}{place}{port}{parts.path}"


def _opened(url: str, role: str, must_exist: bool = False) -> pw.Database:
    section = {**config.get("database", default={}, as_type=dict), "url": url}
    try:
        database = engines.make(section, prefer_written=True)
        _refuse_nothing(database, must_exist)
        database.connect()
        database.get_tables()
    except pw.PeeweeException as error:
        raise IndexUnreachable(
            f"{role}, {shown(url)}, cannot be used: {in_one_line(error)}"
        ) from error
    return database


def _refuse_nothing(database: Any, must_exist: bool) -> None:
    """Connecting makes an SQLite file that is not there; one in memory would be lost."""
    if engines.in_memory(database):
        raise pw.OperationalError("it is a database in memory")
    if not isinstance(database, pw.SqliteDatabase) or not must_exist:
        return
    name = str(database.database)
    if not name.startswith("file:") and not Path(name).is_file():
        raise pw.OperationalError(f"there is no file {name}")


def _refuse_same(pair: Pair) -> None:
    """Refuse what is obviously the same database; the rest is found out by the marker."""
    source, target = pair.source, pair.target
    if isinstance(source, pw.SqliteDatabase) and isinstance(target, pw.SqliteDatabase):
        same = Path(str(source.database)).samefile(str(target.database))
    else:
        same = (source.database, source.connect_params) == (target.database, target.connect_params)
    if same:
        raise NotAllowed("FROM and TO are the same database.")


def _check_source(pair: Pair) -> None:
    with copying.used(pair.source):
        try:
            schema.check_schema()
        except SchemaMismatch as error:
            raise SchemaMismatch(f"FROM is no index that can be copied: {error.message}") from error
        found = schema.found_version(operations.COMPONENT)
        if not found:  # an index of the public program
            return
        if found < operations.VERSION:
            raise SchemaMismatch(
                "FROM lacks tables of this version of alpenhorn: run `alpenhorn db init` on it."
            )
        living = copying.live_hosts(utcnow() - LEASE_LIFE)
    if living:
        raise NotAllowed(
            f"Daemons are running on {', '.join(living)}: stop all of them before, and do not "
            "start them until they are configured to use TO. (One that was killed counts as "
            "running for a minute.)"
        )
