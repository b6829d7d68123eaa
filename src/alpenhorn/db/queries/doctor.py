"""What `alpenhorn doctor` asks the database. It writes nothing: `set_read_only` sees to that."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import peewee as pw

from alpenhorn.db.archive import ArchiveFileCopyRequest
from alpenhorn.db.connection import base_model, database_proxy, is_sqlite
from alpenhorn.db.operations import OPERATIONS_TABLES
from alpenhorn.db.queries.common import tuples
from alpenhorn.db.schema import existing_tables, gamut, table_name
from alpenhorn.db.storage import StorageGroup, StorageNode, StorageTransferAction

RECENT_REQUESTS = 10_000
"""A route counts as used if one of so many latest requests travels on it."""

_MYSQL_DENIED = {1044, 1142, 1143, 1370}
"""Access to database, table, column or routine denied (MySQL error reference)."""


@dataclass(frozen=True)
class RouteUse:
    """A source node on another host, and who receives from it here.

    Args:
        source: the node.
        groups: names of the groups, in alphabetical order.
        pending: how many requests wait for a transfer.
    """

    source: StorageNode
    groups: tuple[str, ...]
    pending: int


def without_start_up_writes() -> None:
    """Have SQLite files opened as they are; call it before the first connection is made.

    `connect` would turn an index of another program into one with write-ahead logging.
    """
    database = database_proxy.obj
    if isinstance(database, pw.SqliteDatabase):
        database._pragmas = [("busy_timeout", 5000), ("query_only", 1)]  # type: ignore[attr-defined]


def set_read_only() -> None:
    """Have the database refuse everything that this connection might write."""
    database = database_proxy.obj
    if isinstance(database, pw.SqliteDatabase):
        database.execute_sql("PRAGMA query_only = 1")
    elif isinstance(database, pw.MySQLDatabase):
        database.execute_sql("SET SESSION TRANSACTION READ ONLY")
    elif isinstance(database, pw.PostgresqlDatabase):
        database.execute_sql("SET default_transaction_read_only = on")


def product() -> str:
    """Return name and version of the database, as it calls itself."""
    if is_sqlite():
        return f"SQLite {_value('SELECT sqlite_version()')}"
    name = _value("SELECT version()")
    if isinstance(database_proxy.obj, pw.MySQLDatabase):
        return str(name) if "mariadb" in str(name).lower() else f"MySQL {name}"
    return " ".join(str(name).split()[:2])


def sql_mode() -> set[str] | None:
    """Return the SQL modes of our sessions; None where there is no such thing."""
    if not isinstance(database_proxy.obj, pw.MySQLDatabase):
        return None
    return set(str(_value("SELECT @@SESSION.sql_mode")).split(","))


def clock() -> datetime.datetime | None:
    """Return the server's time as naive UTC; None for a database without a server."""
    if is_sqlite():
        return None
    if isinstance(database_proxy.obj, pw.MySQLDatabase):
        return _value("SELECT UTC_TIMESTAMP(6)")
    return _value("SELECT clock_timestamp() AT TIME ZONE 'UTC'")


def missing_privileges() -> list[str]:
    """Return what the account may not do with our tables, such as ``DELETE on storagenode``.

    On SQLite, where files decide, there is nothing to ask.
    """
    present = existing_tables()
    models = [model for model in (*gamut, *OPERATIONS_TABLES) if table_name(model) in present]
    missing = [
        f"{verb} on {table_name(model)}"
        for model in models
        for verb in ("SELECT", "INSERT", "UPDATE", "DELETE")
        if not _may(verb, model)
    ]
    return missing + [f"USAGE on {name}" for model in models for name in _closed_sequence(model)]


def may_create() -> bool | None:
    """Tell whether the account may make tables; None if it cannot be found out."""
    database = database_proxy.obj
    if isinstance(database, pw.PostgresqlDatabase):
        return bool(_value("SELECT has_schema_privilege(current_schema(), 'CREATE')"))
    if isinstance(database, pw.MySQLDatabase):
        return _mysql_may_create()
    return None


def routes_to(host: str) -> list[RouteUse]:
    """Return the routes in use from other hosts into groups with an active node on `host`.

    In use is a route with pending requests, with one of the latest requests, or with auto-sync.
    """
    pending: dict[tuple[int, int], int] = {}
    for source, group, count in _used_pairs(host):
        pending[source, group] = pending.get((source, group), 0) + count
    sources = {source for source, _ in pending}
    groups = dict(tuples(StorageGroup.select(StorageGroup.id, StorageGroup.name)))
    return [
        RouteUse(
            node,
            tuple(sorted(groups[group] for source, group in pending if source == node.id)),
            sum(count for (source, _), count in pending.items() if source == node.id),
        )
        for node in StorageNode.select().order_by(StorageNode.name)
        if node.id in sources and node.host != host
    ]


def _used_pairs(host: str) -> Iterator[tuple[int, int, int]]:
    """Yield source, group, and the number of pending requests, which may be 0."""
    here = StorageNode.select(StorageNode.group).where(
        StorageNode.host == host,
        StorageNode.active == True,  # noqa: E712
    )
    request, edge = ArchiveFileCopyRequest, StorageTransferAction
    pair = (request.node_from, request.group_to)
    pending = request.select(*pair, pw.fn.COUNT(request.id)).where(
        request.group_to << here,
        request.completed == False,  # noqa: E712
        request.cancelled == False,  # noqa: E712
    )
    yield from tuples(pending.group_by(*pair))
    newest = request.select(pw.fn.MAX(request.id)).scalar() or 0
    recent = request.select(*pair, pw.Value(0)).where(
        request.group_to << here, request.id > newest - RECENT_REQUESTS
    )
    yield from tuples(recent.distinct())
    synced = edge.select(edge.node_from, edge.group_to, pw.Value(0)).where(
        edge.group_to << here,
        edge.autosync == True,  # noqa: E712
    )
    yield from tuples(synced)


def _value(sql: str, *parameters: Any) -> Any:
    return database_proxy.execute_sql(sql, parameters).fetchone()[0]


def _may(verb: str, model: type[base_model]) -> bool:
    database = database_proxy.obj
    if isinstance(database, pw.PostgresqlDatabase):
        return bool(_value("SELECT has_table_privilege(%s, %s)", table_name(model), verb))
    if isinstance(database, pw.MySQLDatabase):
        return _mysql_may(verb, model)
    return True


def _closed_sequence(model: type[base_model]) -> Iterator[str]:
    """Yield the sequence that numbers new rows on PostgreSQL, if the account may not use it."""
    key = model._meta.primary_key
    if not isinstance(database_proxy.obj, pw.PostgresqlDatabase) or not isinstance(
        key, pw.AutoField
    ):
        return
    name = _value("SELECT pg_get_serial_sequence(%s, %s)", table_name(model), key.column_name)
    if name and not _value("SELECT has_sequence_privilege(%s, 'USAGE')", name):
        yield str(name)


def _mysql_may(verb: str, model: type[base_model]) -> bool:
    """Have the server explain a statement, which needs the privilege and runs nothing.

    Unlike a look at the grants this knows of roles, wildcards and columns.
    """
    name, column = table_name(model), model._meta.sorted_field_names[0]
    statement = {
        "SELECT": f"SELECT * FROM {name}",
        "INSERT": f"INSERT INTO {name} SELECT * FROM {name} WHERE 1 = 0",
        "UPDATE": f"UPDATE {name} SET {column} = {column} WHERE 1 = 0",
        "DELETE": f"DELETE FROM {name} WHERE 1 = 0",
    }[verb]
    try:
        database_proxy.execute_sql(f"EXPLAIN {statement}")
    except pw.DatabaseError as error:
        # Refused for another reason, such as the read-only session: the privilege is there.
        return error.args[:1] == () or error.args[0] not in _MYSQL_DENIED
    return True


def _mysql_may_create() -> bool | None:
    """Look at the account's own grants; those of its roles are not among them."""
    sql = (
        "SELECT COUNT(*) FROM (SELECT privilege_type FROM information_schema.user_privileges"
        " UNION ALL SELECT privilege_type FROM information_schema.schema_privileges"
        " WHERE DATABASE() LIKE table_schema) AS mine WHERE privilege_type = 'CREATE'"
    )
    return True if _value(sql) else None
