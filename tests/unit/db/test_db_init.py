"""`alpenhorn db init`: all or nothing, safe to repeat, damages nothing (spec: data-index.md §6)."""

from __future__ import annotations

import subprocess

import pytest

from alpenhorn import db
from alpenhorn.db import operations, schema
from alpenhorn.db.schema import InitOutcome
from alpenhorn.errors import AlpenhornError, IndexUnreachable, SchemaMismatch

OURS = {"alpenhorn_doorbell", "alpenhorn_daemon", "alpenhorn_attempt", "alpenhorn_deletion"}
NINE = {schema.table_name(model) for model in db.gamut}


def dump(database) -> list[tuple]:
    """Everything that the database consists of: tables, their columns, their indexes."""
    return [
        (table, database.get_columns(table), sorted(map(str, database.get_indexes(table))))
        for table in sorted(database.get_tables())
    ]


def versions() -> dict[str, int]:
    return {row.component: row.version for row in db.DataIndexVersion.select()}


def test_an_empty_database_becomes_an_index_without_rows(empty_database):
    assert schema.initialise() is InitOutcome.CREATED
    assert schema.existing_tables() >= NINE | OURS
    for model in db.gamut:
        assert model.select().count() == (2 if model is db.DataIndexVersion else 0)
    assert versions() == {"alpenhorn": 2, "operations": operations.VERSION}
    assert schema.operations_available()


def test_repeating_it_changes_nothing(index):
    before = dump(index)
    assert schema.initialise() is InitOutcome.ALREADY_THERE
    assert dump(index) == before
    assert versions() == {"alpenhorn": 2, "operations": operations.VERSION}


def test_another_version_is_left_alone(index):
    db.DataIndexVersion.update(version=3).where(
        db.DataIndexVersion.component == "alpenhorn"
    ).execute()
    before = dump(index)
    with pytest.raises(SchemaMismatch, match=r"^Data Index version 3 already present\.$"):
        schema.initialise()
    assert dump(index) == before


@pytest.mark.parametrize("table", sorted(NINE))
def test_a_partial_index_is_refused(empty_database, table):
    empty_database.execute_sql(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY)")
    before = dump(empty_database)
    with pytest.raises(AlpenhornError) as caught:
        schema.initialise()
    assert caught.value.exit_code == 1
    assert dump(empty_database) == before


def test_a_partial_index_asks_for_manual_repair(empty_database):
    empty_database.execute_sql("CREATE TABLE archiveacq (id INTEGER PRIMARY KEY)")
    with pytest.raises(SchemaMismatch, match=r"Partially initialised.*repair"):
        schema.initialise()


def test_tables_of_others_are_not_looked_at(empty_database):
    empty_database.execute_sql("CREATE TABLE extension_things (id INTEGER PRIMARY KEY)")
    assert schema.initialise() is InitOutcome.CREATED


def test_creation_that_fails_midway_leaves_nothing(empty_database):
    """A table of that name makes the creation fail after the nine tables were made."""
    empty_database.execute_sql("CREATE TABLE alpenhorn_deletion (mine INTEGER)")
    before = dump(empty_database)
    with pytest.raises(IndexUnreachable, match=r"^Unable to initialise the Data Index: "):
        schema.initialise()
    assert dump(empty_database) == before
    empty_database.execute_sql("DROP TABLE alpenhorn_deletion")
    assert schema.initialise() is InitOutcome.CREATED


def test_a_process_killed_during_creation_leaves_nothing(empty_database, process, index_kind):
    if index_kind == "mariadb":
        pytest.skip("MariaDB commits each CREATE TABLE by itself")
    child = process(
        """
        from alpenhorn.db import operations
        operations.DeletionEvidence.create_table = lambda **_: os._exit(9)
        schema.initialise()
        """
    )
    child.communicate(timeout=60)
    assert child.returncode == 9
    assert dump(empty_database) == []
    assert schema.initialise() is InitOutcome.CREATED


def test_two_db_init_at_once_make_one_index(empty_database, process):
    code = "wait_for_start(); print(schema.initialise().value)"
    children = [process(code) for _ in range(2)]
    for child in children:
        assert child.stdout.readline() == "ready\n"
    answers = sorted(child.communicate("go\n", timeout=60)[0].strip() for child in children)
    assert answers == ["already there", "created"]
    assert versions() == {"alpenhorn": 2, "operations": operations.VERSION}
    schema.check_schema()
    assert schema.initialise() is InitOutcome.ALREADY_THERE


@pytest.mark.slow
def test_a_db_init_waits_for_another_that_is_half_way(empty_database, process):
    """MariaDB shows others each table at once; they are not to take it for a broken index."""
    quicker = process(
        """
        from alpenhorn.db import operations
        make = operations.DeletionEvidence.create_table
        def half_way(**options):
            wait_for_start()
            make(**options)
        operations.DeletionEvidence.create_table = half_way
        print(schema.initialise().value)
        """
    )
    assert quicker.stdout.readline() == "ready\n"
    slower = process("print(schema.initialise().value)")
    with pytest.raises(subprocess.TimeoutExpired):
        slower.wait(2)
    assert quicker.communicate("go\n", timeout=60)[0] == "created\n"
    assert slower.communicate(timeout=60) == ("already there\n", "")
    schema.check_schema()


def test_the_slower_of_two_does_no_damage_whenever_it_comes(empty_database, monkeypatch):
    """The quicker one finishes between the slower one's look and its first CREATE."""
    create, ran = schema._create, []

    def after_another() -> None:
        if not ran:
            ran.append(True)
            create()
        create()

    monkeypatch.setattr(schema, "_create", after_another)
    assert schema.initialise() is InitOutcome.ALREADY_THERE
    assert versions() == {"alpenhorn": 2, "operations": operations.VERSION}


def test_the_layout_of_a_later_alpenhorn_is_refused_and_left_alone(empty_database):
    for ddl in (
        "CREATE TABLE dataindexversion"
        " (id INTEGER PRIMARY KEY, component VARCHAR(256), version INTEGER)",
        "INSERT INTO dataindexversion VALUES (1, 'alpenhorn', 2)",
        "CREATE TABLE storagehost (id INTEGER PRIMARY KEY, name VARCHAR(64))",
        "CREATE TABLE storagenode (id INTEGER PRIMARY KEY, name VARCHAR(64), host_id INTEGER)",
    ):
        empty_database.execute_sql(ddl)
    before = dump(empty_database)
    with pytest.raises(SchemaMismatch, match="storagehost"):
        schema.initialise()
    assert dump(empty_database) == before


def test_an_index_can_be_extended_and_another_created_by_one_process(index, index_path):
    index.execute_sql("DROP INDEX storagenode_host_active")
    assert schema.initialise() is InitOutcome.EXTENDED
    for table in schema.existing_tables():
        index.execute_sql(f"DROP TABLE {table}") if table != "sqlite_sequence" else None
    assert schema.initialise() is InitOutcome.CREATED


def test_own_tables_that_are_missing_are_added(index):
    for model in operations.OPERATIONS_TABLES:
        model.drop_table()
    db.DataIndexVersion.delete().where(db.DataIndexVersion.component == "operations").execute()
    assert not schema.operations_available()
    assert schema.initialise() is InitOutcome.EXTENDED
    assert schema.operations_available()
    assert schema.existing_tables() >= OURS
