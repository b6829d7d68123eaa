"""``alpenhorn db init``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alpenhorn import db
from alpenhorn.db import operations, schema


@pytest.mark.parametrize("quietness", [[], ["-qq"]])
def test_init_of_an_empty_database(empty_database: Any, run: Any, quietness: list[str]) -> None:
    result = run(*quietness, "db", "init")
    assert (result.stdout, result.stderr, result.code) == (
        "Data Index version 2 initialised.\n",
        "",
        0,
    )
    assert db.schema_version() == 2
    assert {schema.table_name(model) for model in db.gamut} <= schema.existing_tables()


def test_a_second_init_changes_nothing(make: Any, run: Any, dump: Any) -> None:
    make.copy("a/f", make.node("n"))
    before = dump()
    result = run("-q", "db", "init")
    assert (result.stdout, result.code) == ("Data Index already initialised.\n", 0)
    assert dump() == before


def test_init_says_what_it_added(make: Any, run: Any) -> None:
    make.copy("a/f", make.node("n"))
    db.database_proxy.drop_tables(operations.OPERATIONS_TABLES)
    db.DataIndexVersion.delete().where(db.DataIndexVersion.component == "operations").execute()
    result = run("db", "init")
    assert result.stdout.splitlines() == [
        "Data Index already initialised.",
        "Added tables and indexes that it lacked.",
    ]
    assert schema.operations_available()
    assert db.ArchiveFileCopy.select().count() == 1


def test_another_version_is_refused(index: Any, run: Any, dump: Any) -> None:
    db.DataIndexVersion.update(version=7).where(
        db.DataIndexVersion.component == "alpenhorn"
    ).execute()
    before = dump()
    result = run("db", "init")
    assert result.code == 1
    assert "7 already present" in result.stderr
    assert dump() == before


def test_part_of_an_index_is_refused(empty_database: Any, run: Any) -> None:
    db.StorageGroup.create_table()
    result = run("db", "init")
    assert result.code == 1
    assert "Partially" in result.stderr
    assert schema.existing_tables() == {"storagegroup"}


def test_unreachable_database(run: Any, conf: Path) -> None:
    conf.write_text("database:\n  url: sqlite:////no/such/directory/index.db\n")
    result = run("db", "init")
    assert (result.stdout, result.code) == ("", 1)
    assert result.stderr.startswith("Error: ")


def test_init_takes_no_arguments(run: Any) -> None:
    assert run("db", "init", "now").code == 2
