"""The tables are a public contract: names of tables, columns and indexes, and the version check."""

from __future__ import annotations

import click
import pytest

from alpenhorn import db
from alpenhorn.db import schema
from alpenhorn.errors import IndexUnreachable, SchemaMismatch

COLUMNS = {
    "archiveacq": "id name comment",
    "archivefile": "id acq_id name size_b md5sum registered",
    "archivefilecopy": "id file_id node_id has_file wants_file ready size_b last_update",
    "archivefilecopyrequest": "id file_id group_to_id node_from_id completed cancelled timestamp "
    "transfer_started transfer_completed",
    "archivefileimportrequest": "id node_id path recurse register completed timestamp",
    "dataindexversion": "id component version",
    "storagegroup": "id name io_class notes io_config",
    "storagenode": "id name root host username address io_class group_id active auto_import "
    "auto_verify storage_type max_total_gb min_avail_gb avail_gb avail_gb_last_checked notes "
    "io_config",
    "storagetransferaction": "id node_from_id group_to_id autosync autoclean",
}

NULLABLE = {
    "archiveacq": "comment",
    "archivefile": "size_b md5sum",
    "archivefilecopy": "size_b",
    "archivefilecopyrequest": "timestamp transfer_started transfer_completed",
    "archivefileimportrequest": "timestamp",
    "dataindexversion": "",
    "storagegroup": "io_class notes io_config",
    "storagenode": "root host username address io_class max_total_gb avail_gb "
    "avail_gb_last_checked notes io_config",
    "storagetransferaction": "",
}

# (columns, unique) of each index that the public program makes (spec: data-index.md §3) ...
INDEXES = {
    "archiveacq": {("name", True)},
    "archivefile": {("acq_id", False), ("acq_id name", True)},
    "archivefilecopy": {("file_id", False), ("node_id", False), ("file_id node_id", True)},
    "archivefilecopyrequest": {
        ("file_id", False),
        ("group_to_id", False),
        ("node_from_id", False),
        ("file_id group_to_id node_from_id", False),
    },
    "archivefileimportrequest": {("node_id", False)},
    "dataindexversion": {("component", True)},
    "storagegroup": {("name", True)},
    "storagenode": {("name", True), ("group_id", False)},
    "storagetransferaction": {
        ("node_from_id", False),
        ("group_to_id", False),
        ("node_from_id group_to_id", True),
    },
}
# ... and the five that make each pass cheap (W-20).
ADDED = {
    "archivefilecopy": {("node_id has_file wants_file file_id", False)},
    "archivefilecopyrequest": {
        ("group_to_id completed cancelled", False),
        ("node_from_id completed cancelled", False),
    },
    "archivefileimportrequest": {("node_id completed", False)},
    "storagenode": {("host active", False)},
}


def test_the_gamut_is_the_nine_tables_in_their_public_order():
    assert [schema.table_name(model) for model in db.gamut] == list(COLUMNS)
    assert isinstance(db.gamut, tuple)


@pytest.mark.parametrize("table", COLUMNS)
def test_columns_are_named_and_nullable_as_published(index, table):
    columns = index.get_columns(table)
    assert [column.name for column in columns] == COLUMNS[table].split()
    assert [c.name for c in columns if c.null] == NULLABLE[table].split()
    assert [column.name for column in columns if column.primary_key] == ["id"]


@pytest.mark.parametrize("table", COLUMNS)
def test_indexes_are_the_published_ones_and_those_that_make_passes_cheap(index, table):
    found = [each for each in index.get_indexes(table) if each.columns != ["id"]]
    kinds = {(" ".join(each.columns), bool(each.unique)) for each in found}
    assert kinds == INDEXES[table] | ADDED.get(table, set())
    for each in found:
        assert each.name == f"{table}_{'_'.join(each.columns)}"


@pytest.mark.sqlite
@pytest.mark.parametrize("table", COLUMNS)
def test_foreign_keys_are_plain_references_to_the_id(index, table):
    for key in index.get_foreign_keys(table):
        assert key.dest_column == "id"
    (ddl,) = index.execute_sql(
        "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)
    ).fetchone()
    assert "ON DELETE" not in ddl
    assert "ON UPDATE" not in ddl


@pytest.mark.sqlite
def test_columns_have_the_published_sqlite_types(index):
    types = {c.name: c.data_type.upper() for c in index.get_columns("archivefilecopy")}
    assert types["has_file"] == types["wants_file"] == "STRING(1)"
    assert types["last_update"] == "DATETIME"
    assert types["ready"] in ("INTEGER", "BOOL", "BOOLEAN", "SMALLINT")


def test_state_letters_are_the_published_ones():
    assert [*db.HasFile] == ["N", "Y", "M", "X"]
    assert [*db.WantsFile] == ["Y", "M", "N"]
    assert [*db.StorageType] == ["A", "T", "F"]


@pytest.mark.parametrize(
    ("has", "words"),
    [
        ("Y", "Healthy Removable Released"),
        ("M", "Suspect Suspect Released"),
        ("X", "Corrupt Corrupt Released"),
        ("N", "Missing Removed Removed"),
    ],
)
def test_a_copys_state_reads_as_the_published_word(make, has, words):
    node = make.node("n")
    for number, (wants, word) in enumerate(zip("YMN", words.split(), strict=True)):
        assert make.copy(f"a/{number}", node, has, wants).state == word


def test_an_impossible_state_reads_as_corrupt(index):
    assert db.ArchiveFileCopy(has_file="", wants_file="Y").state == "Corrupt"


# ---- the version check


def set_version(component: str, version: int) -> None:
    db.DataIndexVersion.delete().where(db.DataIndexVersion.component == component).execute()
    db.DataIndexVersion.create(component=component, version=version)


def test_the_right_version_is_accepted(index):
    assert schema.schema_version() == schema.schema_version(check=True) == db.current_version == 2
    schema.check_schema()


@pytest.mark.parametrize("version", [1, 3, 20])
def test_older_and_newer_versions_are_refused_with_the_published_text(index, version):
    set_version("alpenhorn", version)
    with pytest.raises(click.ClickException) as caught:
        schema.check_schema()
    assert caught.value.message == (
        f"Data Index version mismatch:  wanted version 2; found version {version}"
    )
    assert caught.value.exit_code == 1


def test_an_empty_database_has_no_schema(empty_database):
    assert schema.schema_version() == 0
    with pytest.raises(SchemaMismatch, match="no schema found") as caught:
        schema.check_schema()
    text = "Data Index version mismatch:  wanted version 2; no schema found"
    assert caught.value.message.startswith(text)


def test_a_missing_version_row_counts_as_no_schema(index):
    db.DataIndexVersion.delete().execute()
    assert schema.schema_version() == 0
    with pytest.raises(SchemaMismatch, match="no schema found"):
        schema.check_schema()


def test_an_extensions_component_is_refused_with_the_published_text(index):
    set_version("x", 3)
    with pytest.raises(SchemaMismatch) as caught:
        schema.schema_version(component="x", component_version=">=7")
    assert caught.value.message == (
        'Schema version mismatch for Data Index component "x":  wanted version >=7; found version 3'
    )


def test_check_ignores_the_component_arguments(index):
    assert schema.schema_version(check=True, component="x", component_version=9) == 2


def test_return_check_tells_instead_of_raising(index):
    set_version("x", 3)

    def check(requirement: str | int) -> object:
        return schema.schema_version(
            component="x", component_version=requirement, return_check=True
        )

    assert check(3) is True
    assert check("<3") is False
    with pytest.raises(ValueError, match="check"):
        schema.schema_version(component="x", return_check=True)


def test_arguments_are_keyword_only(index):
    with pytest.raises(TypeError):
        schema.schema_version(True)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("requirement", "accepted"),
    [
        (3, {3}),
        ("3", {3}),
        ("<3", {0, 1, 2}),
        ("<=3", {0, 1, 2, 3}),
        (">3", {4, 5}),
        (">=3", {3, 4, 5}),
        (">2,<5", {3, 4}),
        ("<5,>=2", {2, 3, 4}),
    ],
)
def test_requirements_mean_what_they_say(requirement, accepted):
    parsed = schema.Requirement.parse(requirement)
    assert {version for version in range(6) if parsed.met_by(version)} == accepted


@pytest.mark.parametrize(
    "text",
    ["=3", "==3", "!=2", "3.0", "", ">2,>3", "<2,<=3", ">1,<5,<7", ">2, <5", "x", "-1", "<", "3,4"],
)
def test_other_requirements_are_refused(index, text):
    with pytest.raises(ValueError, match="bad schema version: "):
        schema.schema_version(component_version=text)


def test_an_unreadable_table_is_no_missing_schema(empty_database):
    empty_database.execute_sql("CREATE TABLE dataindexversion (something INTEGER)")
    with pytest.raises(IndexUnreachable, match=r"^Unable to determine schema version: "):
        schema.check_schema()


def test_a_file_that_is_no_database_is_a_read_error(empty_database, index_path):
    index_path.write_bytes(b"this is no database, but long enough to be looked at\n" * 100)
    with pytest.raises(IndexUnreachable, match=r"^Database read error: "):
        schema.check_schema()


def test_the_layout_of_a_later_alpenhorn_is_recognised(index):
    index.execute_sql("CREATE TABLE storagehost (id INTEGER PRIMARY KEY, name VARCHAR(64))")
    with pytest.raises(SchemaMismatch, match="storagehost"):
        schema.check_schema()
