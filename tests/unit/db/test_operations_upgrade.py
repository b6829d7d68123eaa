"""`alpenhorn db init` brings our own tables of version 1 up to date, and touches nothing else."""

from __future__ import annotations

import datetime

import peewee as pw
import pytest

from alpenhorn import db
from alpenhorn.db import connection, operations, schema
from alpenhorn.db.schema import InitOutcome

NEW_TABLES = (operations.Release, operations.Verification, operations.GroupPolicy)
NEW_COLUMNS = {"given_back", "released", "released_by"}


class FirstEvidence(connection.base_model):
    """The table of deletions as version 1 made it."""

    copy_id = pw.IntegerField()
    file_id = pw.IntegerField(index=True)
    node_id = pw.IntegerField()
    protected_by = pw.TextField()
    claimed = pw.DateTimeField()
    removed = pw.DateTimeField(null=True)

    class Meta:
        table_name = "alpenhorn_deletion"


@pytest.fixture
def first(index):
    """An index with our own tables of version 1, and a row about a deletion in it."""
    for model in (*NEW_TABLES, operations.DeletionEvidence):
        model.drop_table()
    FirstEvidence.create_table(safe=False)
    claimed = datetime.datetime(2025, 1, 1)
    FirstEvidence.create(copy_id=1, file_id=2, node_id=3, protected_by="[]", claimed=claimed)
    db.DataIndexVersion.update(version=1).where(
        db.DataIndexVersion.component == "operations"
    ).execute()
    return index


def columns(table):
    return {column.name for column in connection.database_proxy.get_columns(table)}


def version():
    return schema.found_version("operations")


def nine(database):
    """What the tables of version 2 consist of."""
    return [
        (table, database.get_columns(table), sorted(map(str, database.get_indexes(table))))
        for table in sorted(schema.table_name(model) for model in db.gamut)
    ]


def test_version_1_is_brought_up_to_date_and_keeps_its_rows(first):
    assert not schema.operations_available()
    before = nine(first)
    assert schema.initialise() is InitOutcome.EXTENDED
    assert columns("alpenhorn_deletion") >= NEW_COLUMNS
    (row,) = operations.DeletionEvidence.select()
    assert (row.copy_id, row.file_id, row.node_id, row.released_by) == (1, 2, 3, None)
    assert schema.operations_available() and version() == operations.VERSION
    assert nine(first) == before


def test_repeating_it_changes_nothing(first):
    schema.initialise()
    assert schema.initialise() is InitOutcome.ALREADY_THERE
    assert operations.DeletionEvidence.select().count() == 1


def test_the_claims_of_a_node_are_found_by_an_index(first):
    schema.initialise()
    indexed = [tuple(i.columns) for i in first.get_indexes("alpenhorn_deletion")]
    assert ("node_id", "removed", "given_back", "copy_id") in indexed


@pytest.mark.parametrize("done", [1, 2, 3])
def test_an_upgrade_that_was_cut_off_is_finished(first, done):
    """MySQL keeps what was added before a kill; the version is written last."""
    steps = [
        lambda: schema._add_columns(schema._missing_columns(operations.DeletionEvidence)[:1]),
        lambda: operations.Verification.create_table(),
        lambda: schema._add_columns(schema._missing_columns(operations.DeletionEvidence)),
    ]
    for step in steps[:done]:
        step()
    assert version() == 1
    assert schema.initialise() is InitOutcome.EXTENDED
    assert columns("alpenhorn_deletion") >= NEW_COLUMNS
    assert version() == operations.VERSION
    assert schema.initialise() is InitOutcome.ALREADY_THERE


def test_a_later_version_is_used_and_left_alone(index):
    """Later versions only add; an older program goes on beside them."""
    db.DataIndexVersion.update(version=operations.VERSION + 1).where(
        db.DataIndexVersion.component == "operations"
    ).execute()
    assert schema.operations_available()
    assert schema.initialise() is InitOutcome.ALREADY_THERE
    assert version() == operations.VERSION + 1
