"""Which schema the Data Index has, and how one is made (spec: data-index.md §5, §6)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any

import peewee as pw
from peewee import sort_models  # type: ignore[attr-defined]
from playhouse.migrate import SchemaMigrator, migrate

from alpenhorn.db import operations
from alpenhorn.db.acquisition import ArchiveAcq, ArchiveFile
from alpenhorn.db.archive import (
    ArchiveFileCopy,
    ArchiveFileCopyRequest,
    ArchiveFileImportRequest,
)
from alpenhorn.db.connection import base_model, change, database_proxy
from alpenhorn.db.data_index import DataIndexVersion, current_version
from alpenhorn.db.fields import NameField
from alpenhorn.db.retry import in_one_line
from alpenhorn.db.storage import StorageGroup, StorageNode, StorageTransferAction
from alpenhorn.errors import IndexProblem, IndexUnreachable, SchemaMismatch

COMPONENT = "alpenhorn"

COPY_MARKER = "alpenhorn_copying"
"""A table of this name says that the database holds an unfinished copy; see `copying`."""

_PATIENCE_S = 60
"""How long one `db init` waits for another on the same server."""

gamut: tuple[type[base_model], ...] = (
    ArchiveAcq,
    ArchiveFile,
    ArchiveFileCopy,
    ArchiveFileCopyRequest,
    ArchiveFileImportRequest,
    DataIndexVersion,
    StorageGroup,
    StorageNode,
    StorageTransferAction,
)
"""The nine tables of schema version 2, in their public order (spec: data-index.md §1.1)."""


class InitOutcome(Enum):
    """What `initialise` found and did."""

    CREATED = "created"
    ALREADY_THERE = "already there"
    EXTENDED = "extended"


def found_version(component: str) -> int:
    """Read the version of a component.

    Returns:
        The version; 0 if there is no row or no table.

    Raises:
        IndexUnreachable: the database cannot be read.
    """
    try:
        row = DataIndexVersion.get_or_none(component=component)
    except pw.PeeweeException as error:  # a missing driver is no DatabaseError
        if not _table_there("dataindexversion", error):
            return 0
        raise IndexUnreachable(
            f"Unable to determine schema version: {in_one_line(error)}"
        ) from error
    return row.version if row else 0


def schema_version(
    *,
    check: bool = False,
    component: str | None = None,
    component_version: int | str | None = None,
    return_check: bool = False,
) -> int | bool:
    """Return, or check, the schema version of a component (spec: data-index.md §5.2).

    Args:
        check: check the component ``alpenhorn`` against this program; the next two are ignored.
        component: whose version; ``alpenhorn`` if None.
        component_version: check against this requirement: a number, or text such as ``>=2,<5``.
        return_check: return whether the check passed instead of raising.

    Returns:
        The version found (0: none), or the result of the check.

    Raises:
        ValueError: the requirement cannot be parsed, or `return_check` without a check.
        SchemaMismatch: the check failed.
        IndexUnreachable: the database cannot be read.
    """
    if check:
        component, component_version = COMPONENT, current_version
    name = component or COMPONENT
    if component_version is None:
        if return_check:
            raise ValueError("return_check needs a check")
        return found_version(name)
    requirement = Requirement.parse(component_version)
    found = found_version(name)
    passed = requirement.met_by(found)
    if return_check:
        return passed
    if not passed:
        raise SchemaMismatch(_mismatch_text(name, requirement, found))
    return found


@dataclass(frozen=True)
class Requirement:
    """A condition on a schema version: the version itself, or one or two bounds."""

    text: str
    bounds: tuple[tuple[str, int], ...]

    @classmethod
    def parse(cls, requirement: int | str) -> Requirement:
        """Read a requirement.

        Raises:
            ValueError: it is in none of the accepted forms.
        """
        text = str(requirement)
        if re.fullmatch(r"\d+", text):
            return cls(text, (("=", int(text)),))
        matches = [re.fullmatch(r"(<=?|>=?)(\d+)", part) for part in text.split(",")]
        bounds = tuple((match[1], int(match[2])) for match in matches if match)
        directions = {operator[0] for operator, _ in bounds}
        if len(bounds) != len(matches) or len(bounds) > 2 or len(directions) != len(bounds):
            raise ValueError(f"bad schema version: {text}")
        return cls(text, bounds)

    def met_by(self, version: int) -> bool:
        """Tell whether a version meets the requirement."""
        tests = {
            "=": lambda bound: version == bound,
            "<": lambda bound: version < bound,
            "<=": lambda bound: version <= bound,
            ">": lambda bound: version > bound,
            ">=": lambda bound: version >= bound,
        }
        return all(tests[operator](bound) for operator, bound in self.bounds)


def check_schema() -> None:
    """Refuse to work with an index of another version, or of a later layout.

    Raises:
        SchemaMismatch: with a text that says what was wanted and what was found.
        IndexUnreachable: the database cannot be read.
    """
    schema_version(check=True)
    if "storagehost" in existing_tables():
        raise SchemaMismatch(
            "This Data Index was changed by a later alpenhorn (it has a table storagehost): "
            "this program cannot work with it."
        )


def existing_tables() -> set[str]:
    """Return the names of all tables in the database.

    Raises:
        IndexUnreachable: the database cannot be read.
    """
    try:
        return set(database_proxy.get_tables())
    except pw.PeeweeException as error:  # a missing driver is no DatabaseError
        raise IndexUnreachable(f"Database read error: {in_one_line(error)}") from error


def initialise() -> InitOutcome:
    """Make the Data Index, or add what an existing one lacks; safe to repeat.

    All is one transaction where the database can do that. Of two at once the slower one finds
    what the quicker one has made.

    Returns:
        What was done.

    Raises:
        SchemaMismatch: another version, or part of an index, is there; nothing is changed.
        IndexUnreachable: the database cannot be used.
    """
    existing_tables()  # says so if the database cannot be reached
    with _alone():
        return _initialise()


def _initialise() -> InitOutcome:
    tables = existing_tables()
    if COPY_MARKER in tables:
        raise SchemaMismatch(
            "This database holds an unfinished copy of another index: repeat that "
            "`alpenhorn db copy`, or use an empty database."
        )
    version = found_version(COMPONENT)
    if version == current_version:
        check_schema()
        return _extend()
    if version:
        raise SchemaMismatch(f"Data Index version {version} already present.")
    if tables & {table_name(model) for model in gamut}:
        raise SchemaMismatch(
            "Partially initialised (or pre-version) Data Index found: "
            "repair it by hand, or use an empty database."
        )
    try:
        _create()
    except pw.PeeweeException as error:
        if found_version(COMPONENT) == current_version:
            return InitOutcome.ALREADY_THERE  # another db init was quicker
        raise IndexUnreachable(
            f"Unable to initialise the Data Index: {in_one_line(error)}"
        ) from error
    return InitOutcome.CREATED


def operations_available() -> bool:
    """Tell whether our own tables are there, with all that this program knows of."""
    return found_version(operations.COMPONENT) >= operations.VERSION


def table_name(model: type[base_model]) -> str:
    """Return the name of a model's table."""
    return str(model._meta.table_name)


def in_order() -> list[type[base_model]]:
    """Return all tables, ours last, such that none refers to a later one."""
    return [*sort_models(list(gamut)), *operations.OPERATIONS_TABLES]


def make_tables() -> None:
    """Make the tables that are missing, without a version: nobody can use the index yet."""
    NameField.exact = _exact_collation()
    for model in in_order():
        model.create_table(safe=True)


def missing_indexes(model: type[base_model]) -> list[Any]:
    """Return the indexes that the table lacks, whatever they would be called there."""
    present = {
        (tuple(index.columns), kind)
        for index in database_proxy.get_indexes(table_name(model))
        for kind in {False, bool(index.unique)}  # a unique one serves as a plain one too
    }
    return [
        index
        for index in model._meta.fields_to_index()
        if (tuple(part.column_name for part in index._expressions), bool(index._unique))
        not in present
    ]


@contextmanager
def _alone() -> Iterator[None]:
    """On MySQL, which commits each CREATE by itself, wait for others that initialise this index.

    Source: MariaDB's manual, GET_LOCK; the lock ends with the connection at the latest. SQLite and
    PostgreSQL show others all of a transaction or nothing.
    """
    if not isinstance(database_proxy.obj, pw.MySQLDatabase):
        yield
        return
    name = "CONCAT('alpenhorn-init-', MD5(DATABASE()))"
    try:
        (got,) = database_proxy.execute_sql(f"SELECT GET_LOCK({name}, {_PATIENCE_S})").fetchone()
    except pw.PeeweeException:
        got = None  # a Galera cluster has no such locks; what else is wrong shows soon
    if got == 0:
        raise IndexUnreachable("Another `alpenhorn db init` is running on this index: wait for it.")
    try:
        yield
    finally:
        if got:
            database_proxy.execute_sql(f"SELECT RELEASE_LOCK({name})").fetchone()


def _create() -> None:
    NameField.exact = _exact_collation()
    made: list[type[base_model]] = []
    try:
        with change():
            for model in in_order():
                model.create_table(safe=False)
                made.append(model)
            DataIndexVersion.create(component=COMPONENT, version=current_version)
            DataIndexVersion.create(component=operations.COMPONENT, version=operations.VERSION)
    except pw.PeeweeException:
        if isinstance(database_proxy.obj, pw.MySQLDatabase):
            database_proxy.drop_tables(made, safe=True)  # MySQL commits each CREATE by itself
        raise


def _exact_collation() -> str | None:
    """Return the collation for names that are made now: MySQL's usual ones ignore more than case.

    Even ``utf8mb4_bin`` takes ``a`` and ``a`` with a blank behind it for one name.
    """
    database = database_proxy.obj
    if not isinstance(database, pw.MySQLDatabase):
        return None
    database.connect(reuse_if_open=True)
    version = getattr(database, "server_version", ())
    if version >= (10, 2):
        return "utf8mb4_nopad_bin"  # MariaDB; there is no MySQL 10
    return "utf8mb4_0900_bin" if version >= (8, 0, 17) else "utf8mb4_bin"


def _extend() -> InitOutcome:
    """Add what an index lacks that another program made, or an earlier version of ours.

    Each thing is looked for itself: after a kill on MySQL, a repetition does the rest.
    """
    tables = existing_tables()
    own = [m for m in operations.OPERATIONS_TABLES if table_name(m) not in tables]
    versioned = operations_available()
    there = [m for m in (*gamut, *operations.OPERATIONS_TABLES) if table_name(m) in tables]
    missing = [index for model in there for index in missing_indexes(model)]
    columns = [column for model in there for column in _missing_columns(model)]
    if versioned and not own and not missing and not columns:
        return InitOutcome.ALREADY_THERE
    NameField.exact = _exact_collation()
    with change():
        for model in own:
            model.create_table(safe=True)
        _add_columns(columns)
        for index in missing:
            if not index._unique:
                database_proxy.execute(index)
        if not versioned:
            _set_operations_version()
    _make_unique([index for index in missing if index._unique])
    return InitOutcome.EXTENDED


def _missing_columns(model: type[base_model]) -> list[tuple[str, str, pw.Field]]:
    """Return table, name and field of columns that a table of our own lacks."""
    if model not in operations.OPERATIONS_TABLES:
        return []  # version 2 has the columns that it has
    name = table_name(model)
    present = {column.name for column in database_proxy.get_columns(name)}
    lacking = [field for field in model._meta.sorted_fields if field.column_name not in present]
    return [(name, field.column_name, field) for field in lacking]


def _add_columns(columns: list[tuple[str, str, pw.Field]]) -> None:
    if columns:
        migrator = SchemaMigrator.from_database(database_proxy.obj)
        migrate(*(migrator.add_column(*column) for column in columns))


def _set_operations_version() -> None:
    component, version = operations.COMPONENT, operations.VERSION
    DataIndexVersion.insert(component=component, version=version).on_conflict_ignore().execute()
    DataIndexVersion.update(version=version).where(
        DataIndexVersion.component == component, DataIndexVersion.version < version
    ).execute()


def _make_unique(indexes: list[Any]) -> None:
    """Make indexes that forbid what may be there already."""
    for index in indexes:
        try:
            with change():
                database_proxy.execute(index)
        except pw.DatabaseError as error:
            raise IndexProblem(
                f"Unable to make an index of {table_name(index._model)}: {in_one_line(error)}. "
                "`alpenhorn db check` shows what is there twice."
            ) from error


def _table_there(name: str, error: Exception) -> bool:
    """After a failed query: is the table there at all?"""
    try:
        return name in set(database_proxy.get_tables())
    except pw.PeeweeException as second:
        raise IndexUnreachable(f"Database read error: {in_one_line(error)}") from second


def _mismatch_text(name: str, requirement: Requirement, found: int) -> str:
    subject = (
        "Data Index version mismatch"
        if name == COMPONENT
        else f'Schema version mismatch for Data Index component "{name}"'
    )
    was = f"found version {found}" if found else "no schema found"
    text = f"{subject}:  wanted version {requirement.text}; {was}"
    return text + ("" if found or name != COMPONENT else ".  Run `alpenhorn db init` to make one.")
