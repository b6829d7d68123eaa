"""Is the index whole: versions, tables, columns, indexes (spec: data-index.md §2, §3, §5, §14)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import peewee as pw

from alpenhorn.db import operations, schema
from alpenhorn.db.connection import base_model, database_proxy
from alpenhorn.db.data_index import DataIndexVersion, current_version
from alpenhorn.db.queries.audit import EXAMPLES, Example, Fix, Found, Gravity, Rule, rows
from alpenhorn.db.schema import table_name

_RESTORE = "Restore the index from a backup; nothing else was looked at."


def structure() -> list[Rule]:
    """Rules without which no row can be looked at."""
    return [
        Rule(
            "unfinished-copy",
            "a copy of another index into this database was cut off",
            "Repeat that `alpenhorn db copy`; this database cannot be used before it is complete.",
            _listed(lambda: [{"table": name} for name in schema.existing_tables() & _MARKER]),
        ),
        Rule(
            "later-layout",
            "a later alpenhorn has changed the tables of this index",
            "Use that version of alpenhorn.",
            _listed(lambda: [{"table": name} for name in schema.existing_tables() & _LATER]),
        ),
        Rule(
            "missing-table",
            "tables of schema version 2 are missing",
            "If this is a new database, run `alpenhorn db init`. If not: " + _RESTORE,
            _listed(lambda: [{"table": name} for name in _missing_tables(schema.gamut)]),
        ),
        Rule(
            "missing-column",
            "columns are missing",
            _RESTORE,
            _listed(lambda: _missing_columns(schema.gamut)),
        ),
    ]


def versions() -> list[Rule]:
    """Rules about the versions of the components."""
    return [
        Rule(
            "schema-version",
            "this program cannot work with the schema version",
            "If the tables are empty, drop them and run `alpenhorn db init`. If not, use the "
            "alpenhorn that made this index.",
            _listed(_wrong_version),
        ),
        Rule(
            "repeated-version",
            "components have several versions",
            "Find out which one is true, and delete the other rows of dataindexversion.",
            rows(_repeated_versions),
        ),
    ]


def additions() -> list[Rule]:
    """Rules about what `db init` adds, and what makes the index quick and safe."""
    make = Fix("makes what is missing", _extend)
    return [
        Rule(
            "missing-own-tables",
            "tables or columns of alpenhorn's own are missing",
            "Run `alpenhorn db init`.",
            _listed(_own_lacking),
            make,
        ),
        Rule(
            "missing-index",
            "indexes are missing",
            "Run `alpenhorn db init`; on a large index this may take minutes.",
            _listed(lambda: [_shown(index) for index in _lacking() if not _unique(index)]),
            make,
        ),
        Rule(
            "missing-unique-index",
            "indexes that keep rows from being there twice are missing",
            "Take away what is there twice, then run `alpenhorn db init`.",
            _listed(lambda: [_shown(index) for index in _lacking() if _unique(index)]),
            make,
        ),
        Rule(
            "no-transactions",
            "tables are kept by an engine without transactions",
            "Stop all daemons, then: ALTER TABLE ... ENGINE = InnoDB",
            _listed(_without_transactions),
        ),
        Rule(
            "inexact-names",
            "name columns take some different names for the same one",
            "Upper and lower case, for instance. An index made by `alpenhorn db init` or "
            "`alpenhorn db copy` of this version does not.",
            _listed(_inexact_names),
            gravity=Gravity.NOTE,
        ),
    ]


_MARKER = {schema.COPY_MARKER}
_LATER = {"storagehost"}
_OWN = operations.OPERATIONS_TABLES


def _listed(find: Callable[[], list[Example]]) -> Callable[[], Found]:
    """Find by a list, of which there are only a few by nature."""

    def found() -> Found:
        everything = find()
        return Found(len(everything), tuple(everything[:EXAMPLES]))

    return found


def _missing_tables(models: tuple[type[base_model], ...]) -> list[str]:
    present = schema.existing_tables()
    return [table_name(model) for model in models if table_name(model) not in present]


def _missing_columns(models: tuple[type[base_model], ...]) -> list[Example]:
    present = schema.existing_tables()
    return [
        {"table": table_name(model), "column": column}
        for model in models
        if table_name(model) in present
        for column in _columns_of(model) - _columns_there(table_name(model))
    ]


def _columns_of(model: Any) -> set[str]:
    return {field.column_name for field in model._meta.sorted_fields}


def _columns_there(table: str) -> set[str]:
    return {column.name for column in database_proxy.get_columns(table)}


def _wrong_version() -> list[Example]:
    found = schema.found_version(schema.COMPONENT)
    if found == current_version:
        return []
    return [{"component": schema.COMPONENT, "version": found or None, "wanted": current_version}]


def _own_lacking() -> list[Example]:
    """What of our own tables `db init` would add, but for indexes."""
    tables: list[Example] = [{"table": name} for name in _missing_tables(_OWN)]
    lacking = tables + _missing_columns(_OWN)
    if not lacking and not schema.operations_available():
        return [{"component": operations.COMPONENT, "wanted": operations.VERSION}]
    return lacking


def _repeated_versions() -> Any:
    table: Any = DataIndexVersion
    count = pw.fn.COUNT(table.id)
    query = table.select(table.component, count.alias("rows"))
    return query.group_by(table.component).having(count > 1)


def _lacking() -> list[Any]:
    present = schema.existing_tables()
    return [
        index
        for model in (*schema.gamut, *_OWN)
        if table_name(model) in present
        for index in schema.missing_indexes(model)
    ]


def _unique(index: Any) -> bool:
    return bool(index._unique)


def _shown(index: Any) -> Example:
    columns = ", ".join(part.column_name for part in index._expressions)
    return {"table": table_name(index._model), "columns": columns}


def _extend() -> int:
    """Add what is missing; one transaction where the database can do that."""
    before = len(_lacking()) + len(_own_lacking())
    try:
        schema.initialise()
    finally:
        after = len(_lacking()) + len(_own_lacking())
    return before - after


def _without_transactions() -> list[Example]:
    names = [table_name(model) for model in (*schema.gamut, *_OWN)]
    query = (
        "SELECT table_name, engine FROM information_schema.tables"
        " WHERE table_schema = DATABASE() AND engine <> 'InnoDB'"
    )
    return [
        {"table": table, "engine": engine}
        for table, engine in _asked_of_mysql(query)
        if table in names
    ]


def _inexact_names() -> list[Example]:
    names = [table_name(model) for model in schema.gamut]
    query = (
        "SELECT table_name, column_name, collation_name FROM information_schema.columns"
        " WHERE table_schema = DATABASE() AND column_name = 'name'"
        " AND collation_name NOT LIKE %s"
    )
    return [
        {"table": table, "column": column, "collation": collation}
        for table, column, collation in _asked_of_mysql(query, "%\\_bin")
        if table in names
    ]


def _asked_of_mysql(query: str, *params: str) -> list[tuple[Any, ...]]:
    """Read the catalogue of MySQL; nothing on other databases, which have no such trouble."""
    if not isinstance(database_proxy.obj, pw.MySQLDatabase):
        return []
    return list(database_proxy.execute_sql(query, params).fetchall())
