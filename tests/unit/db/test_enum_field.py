"""`EnumField`, which extensions use for tables of their own (spec: data-index.md §4.1)."""

from __future__ import annotations

import peewee as pw
import pytest

from alpenhorn import db
from alpenhorn.db import connection


class Thing(db.base_model):
    colour = db.EnumField(["red", "green", "ultramarine"], null=True)


@pytest.fixture
def things(empty_database):
    Thing.create_table()
    return Thing


def test_values_of_the_list_and_none_are_stored(things):
    for colour in ("red", "ultramarine", None):
        assert Thing.get_by_id(Thing.create(colour=colour).id).colour == colour


@pytest.mark.parametrize("value", ["", "blue", "RED", 7])
def test_other_values_are_refused_before_they_are_written(things, value):
    with pytest.raises(ValueError, match=f'^invalid value "{value}" for EnumField$'):
        Thing.create(colour=value)
    assert Thing.select().count() == 0


def test_other_values_are_refused_where_the_database_has_enums_too(monkeypatch):
    """MySQL without strict mode would store them as the empty string (W-25)."""
    monkeypatch.setattr(db.EnumField, "native", True)
    with pytest.raises(ValueError, match="invalid value"):
        Thing.colour.db_value("blue")


def test_a_wrong_state_is_refused_in_an_update(make):
    copy = make.copy("a/f", make.node("n"))
    with pytest.raises(ValueError, match="EnumField"):
        db.ArchiveFileCopy.update(has_file="?").where(db.ArchiveFileCopy.id == copy.id).execute()


@pytest.mark.sqlite
def test_without_enums_the_column_is_a_string_as_long_as_the_longest_value(things):
    (column,) = [c for c in db.database_proxy.get_columns("thing") if c.name == "colour"]
    assert column.data_type.lower() == "string(11)"
    assert Thing.colour.maxlen == 11
    assert Thing.colour.enum_list == ["red", "green", "ultramarine"]


def test_the_field_can_be_cloned_for_aliases_and_subclasses(things):
    class Special(Thing):
        pass

    assert Special.colour.enum_list == Thing.colour.enum_list
    assert Thing.colour.clone().maxlen == 11
    Thing.create(colour="red")
    other = Thing.alias()
    assert other.select().where(other.colour == "red").count() == 1


def test_third_parties_may_set_native_by_hand(monkeypatch):
    monkeypatch.setattr(db.EnumField, "native", False)
    assert Thing.colour.field_type == "string"
    monkeypatch.setattr(db.EnumField, "native", True)
    assert Thing.colour.field_type == "enum"


@pytest.fixture
def ddl_for(empty_database):
    """The DDL that would be sent to a database of another kind."""

    def ddl(kind: type[pw.Database], model: type[pw.Model]) -> str:
        connection.bind(kind("elsewhere"))
        try:
            return model._schema._create_table(safe=False).query()[0]
        finally:
            connection.bind(empty_database)

    return ddl


def test_mysql_gets_enums_with_values_in_the_published_order(ddl_for):
    ddl = ddl_for(pw.MySQLDatabase, db.ArchiveFileCopy)
    assert "`has_file` enum('N', 'Y', 'M', 'X') NOT NULL" in ddl
    assert "`wants_file` enum('Y', 'M', 'N') NOT NULL" in ddl


def test_mysql_gets_double_precision_sizes(ddl_for):
    """Single precision keeps seven digits of a size (W-30)."""
    assert "`avail_gb` DOUBLE PRECISION" in ddl_for(pw.MySQLDatabase, db.StorageNode)


def test_postgresql_gets_varchar_for_states(ddl_for):
    assert '"has_file" VARCHAR(1) NOT NULL' in ddl_for(pw.PostgresqlDatabase, db.ArchiveFileCopy)


@pytest.mark.parametrize("model", [db.ArchiveAcq, db.ArchiveFile, db.StorageGroup, db.StorageNode])
def test_mysql_names_compare_byte_by_byte(ddl_for, model):
    ddl = ddl_for(pw.MySQLDatabase, model).lower()
    name = ddl.split("`name`")[1].split(",")[0]
    assert "_bin" in name or "binary" in name
