"""An existing installation can switch over, and back: an index made by the public program opens."""

from __future__ import annotations

import peewee as pw
import pytest

from alpenhorn import db
from alpenhorn.db import schema
from alpenhorn.db.queries import deletion, imports, pending, transfers
from alpenhorn.db.schema import InitOutcome

# What the public program's `db init` makes on SQLite (spec: data-index.md §2, §3).
PUBLIC_TABLES = """
CREATE TABLE "archiveacq" ("id" INTEGER NOT NULL PRIMARY KEY, "name" VARCHAR(64) NOT NULL,
  "comment" TEXT);
CREATE TABLE "archivefile" ("id" INTEGER NOT NULL PRIMARY KEY, "acq_id" INTEGER NOT NULL,
  "name" VARCHAR(255) NOT NULL, "size_b" INTEGER, "md5sum" VARCHAR(32),
  "registered" DATETIME NOT NULL, FOREIGN KEY ("acq_id") REFERENCES "archiveacq" ("id"));
CREATE TABLE "storagegroup" ("id" INTEGER NOT NULL PRIMARY KEY, "name" VARCHAR(64) NOT NULL,
  "io_class" VARCHAR(255), "notes" TEXT, "io_config" TEXT);
CREATE TABLE "storagenode" ("id" INTEGER NOT NULL PRIMARY KEY, "name" VARCHAR(64) NOT NULL,
  "root" VARCHAR(255), "host" VARCHAR(64), "username" VARCHAR(64), "address" VARCHAR(255),
  "io_class" VARCHAR(255), "group_id" INTEGER NOT NULL, "active" INTEGER NOT NULL,
  "auto_import" INTEGER NOT NULL, "auto_verify" INTEGER NOT NULL,
  "storage_type" string(1) NOT NULL, "max_total_gb" REAL, "min_avail_gb" REAL NOT NULL,
  "avail_gb" REAL, "avail_gb_last_checked" DATETIME, "notes" TEXT, "io_config" TEXT,
  FOREIGN KEY ("group_id") REFERENCES "storagegroup" ("id"));
CREATE TABLE "archivefilecopy" ("id" INTEGER NOT NULL PRIMARY KEY, "file_id" INTEGER NOT NULL,
  "node_id" INTEGER NOT NULL, "has_file" string(1) NOT NULL, "wants_file" string(1) NOT NULL,
  "ready" INTEGER NOT NULL, "size_b" INTEGER, "last_update" DATETIME NOT NULL,
  FOREIGN KEY ("file_id") REFERENCES "archivefile" ("id"),
  FOREIGN KEY ("node_id") REFERENCES "storagenode" ("id"));
CREATE TABLE "archivefilecopyrequest" ("id" INTEGER NOT NULL PRIMARY KEY,
  "file_id" INTEGER NOT NULL, "group_to_id" INTEGER NOT NULL, "node_from_id" INTEGER NOT NULL,
  "completed" INTEGER NOT NULL, "cancelled" INTEGER NOT NULL, "timestamp" DATETIME,
  "transfer_started" DATETIME, "transfer_completed" DATETIME,
  FOREIGN KEY ("file_id") REFERENCES "archivefile" ("id"),
  FOREIGN KEY ("group_to_id") REFERENCES "storagegroup" ("id"),
  FOREIGN KEY ("node_from_id") REFERENCES "storagenode" ("id"));
CREATE TABLE "archivefileimportrequest" ("id" INTEGER NOT NULL PRIMARY KEY,
  "node_id" INTEGER NOT NULL, "path" VARCHAR(1024) NOT NULL, "recurse" INTEGER NOT NULL,
  "register" INTEGER NOT NULL, "completed" INTEGER NOT NULL, "timestamp" DATETIME,
  FOREIGN KEY ("node_id") REFERENCES "storagenode" ("id"));
CREATE TABLE "dataindexversion" ("id" INTEGER NOT NULL PRIMARY KEY,
  "component" VARCHAR(256) NOT NULL, "version" INTEGER NOT NULL);
CREATE TABLE "storagetransferaction" ("id" INTEGER NOT NULL PRIMARY KEY,
  "node_from_id" INTEGER NOT NULL, "group_to_id" INTEGER NOT NULL,
  "autosync" INTEGER NOT NULL, "autoclean" INTEGER NOT NULL,
  FOREIGN KEY ("node_from_id") REFERENCES "storagenode" ("id"),
  FOREIGN KEY ("group_to_id") REFERENCES "storagegroup" ("id"));
INSERT INTO "dataindexversion" ("component", "version") VALUES ('alpenhorn', 2)
"""
PUBLIC_INDEXES = """
UNIQUE archiveacq name
PLAIN archivefile acq_id
UNIQUE archivefile acq_id,name
PLAIN archivefilecopy file_id
PLAIN archivefilecopy node_id
UNIQUE archivefilecopy file_id,node_id
PLAIN archivefilecopyrequest file_id
PLAIN archivefilecopyrequest group_to_id
PLAIN archivefilecopyrequest node_from_id
PLAIN archivefilecopyrequest file_id,group_to_id,node_from_id
PLAIN archivefileimportrequest node_id
UNIQUE dataindexversion component
UNIQUE storagegroup name
UNIQUE storagenode name
PLAIN storagenode group_id
PLAIN storagetransferaction node_from_id
PLAIN storagetransferaction group_to_id
UNIQUE storagetransferaction node_from_id,group_to_id
"""
SITE_COLUMNS = """
ALTER TABLE archiveacq ADD COLUMN inst_id INTEGER;
ALTER TABLE archiveacq ADD COLUMN type_id INTEGER;
ALTER TABLE archivefile ADD COLUMN type_id INTEGER;
ALTER TABLE archivefilecopy ADD COLUMN site_note TEXT;
ALTER TABLE archivefilecopyrequest ADD COLUMN n_requests INTEGER;
ALTER TABLE archivefileimportrequest ADD COLUMN site_note TEXT;
ALTER TABLE storagegroup ADD COLUMN site_note TEXT;
ALTER TABLE storagenode ADD COLUMN serial_num TEXT;
ALTER TABLE storagetransferaction ADD COLUMN site_note TEXT
"""


# The same on MySQL and MariaDB (spec: data-index.md §4).
FOR_MYSQL = {
    '"': "`",
    "`id` INTEGER NOT NULL PRIMARY KEY": "`id` INTEGER AUTO_INCREMENT NOT NULL PRIMARY KEY",
    "`has_file` string(1)": "`has_file` enum('N', 'Y', 'M', 'X')",
    "`wants_file` string(1)": "`wants_file` enum('Y', 'M', 'N')",
    "`storage_type` string(1)": "`storage_type` enum('A', 'T', 'F')",
    "`size_b` INTEGER": "`size_b` BIGINT",
    "REAL": "FLOAT",
    **{
        f"`{flag}` INTEGER": f"`{flag}` BOOL"
        for flag in ("active", "auto_import", "ready", "completed", "cancelled", "recurse")
    },
    **{f"`{flag}` INTEGER": f"`{flag}` BOOL" for flag in ("register", "autosync", "autoclean")},
}


def public_tables(kind: str) -> str:
    if kind == "postgres":
        pytest.skip("the public program cannot make an index on PostgreSQL (W-26)")
    text = PUBLIC_TABLES
    for theirs, ours in FOR_MYSQL.items() if kind == "mariadb" else ():
        text = text.replace(theirs, ours)
    return text


@pytest.fixture(params=["as published", "with columns of the site"])
def public(index_kind, empty_database, request):
    """An index made by the public program, at a plain site and at one that added columns."""
    for ddl in public_tables(index_kind).split(";"):
        empty_database.execute_sql(ddl)
    for line in PUBLIC_INDEXES.split("\n")[1:-1]:
        kind, table, columns = line.split()
        name = f"{table}_{columns.replace(',', '_')}"
        unique = kind.replace("PLAIN", "")
        empty_database.execute_sql(f"CREATE {unique} INDEX {name} ON {table} ({columns})")
    if request.param != "as published":
        for ddl in SITE_COLUMNS.split(";"):
            empty_database.execute_sql(ddl)
    return empty_database


def table_ddl(database) -> dict[str, str]:
    if isinstance(database, pw.SqliteDatabase):
        rows = database.execute_sql("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
        return dict(rows.fetchall())
    return {table: str(database.get_columns(table)) for table in database.get_tables()}


def test_a_public_index_opens_without_any_change(public):
    before = table_ddl(public)
    schema.check_schema()
    assert not schema.operations_available()
    assert table_ddl(public) == before


def test_db_init_adds_our_tables_and_indexes_and_leaves_the_nine_alone(public):
    before = table_ddl(public)
    assert schema.initialise() is InitOutcome.EXTENDED
    after = table_ddl(public)
    assert {name: ddl for name, ddl in after.items() if name in before} == before
    assert schema.operations_available()
    columns = {tuple(each.columns) for each in public.get_indexes("archivefilecopy")}
    assert ("node_id", "has_file", "wants_file", "file_id") in columns
    assert ("host", "active") in {tuple(i.columns) for i in public.get_indexes("storagenode")}
    assert schema.initialise() is InitOutcome.ALREADY_THERE


def test_an_index_of_the_site_under_another_name_is_not_made_twice(public):
    public.execute_sql("CREATE INDEX by_site ON storagenode (host, active)")
    schema.initialise()
    named = [i.name for i in public.get_indexes("storagenode") if i.columns == ["host", "active"]]
    assert named == ["by_site"]


def node(name: str, storage_type: str) -> db.StorageNode:
    group = db.StorageGroup.create(name=name)
    return db.StorageNode.create(
        name=name, group=group, storage_type=storage_type, active=True, host="here"
    )


@pytest.mark.parametrize("extended", [False, True], ids=["without our tables", "extended"])
def test_a_whole_life_of_a_file_works_on_a_public_index(public, extended):
    """Import, auto-sync, pull, auto-clean, deletion; also where our own tables are missing (P8)."""
    if extended:
        schema.initialise()
    field, *arcs = node("field", "F"), node("arc1", "A"), node("arc2", "A")
    for arc in arcs:
        db.StorageTransferAction.create(
            node_from=field, group_to=arc.group, autosync=True, autoclean=True
        )
    found = imports.Found("2025/02/21", "meta.txt", 4, "0" * 32, 512)
    (result,) = imports.register(field, [found], create=True)
    for arc in arcs:
        (request,) = pending.ready(arc.group, 10)
        arrived = transfers.Arrived(request.id, request.file_id, 512, 1.0, 2.0)
        assert transfers.finish(arc, [arrived]).recorded == {request.id}
    (copy,) = deletion.deletable(field, 10)
    assert copy.id == result.copy.id
    claim = deletion.claim(field.id, [copy.id], {})
    deletion.removed([item.copy.id for item in claim.taken])
    rows = db.ArchiveFileCopy.select().order_by(db.ArchiveFileCopy.node)
    assert [f"{row.node.name} {row.state}" for row in rows] == [
        "field Removed",
        "arc1 Healthy",
        "arc2 Healthy",
    ]
