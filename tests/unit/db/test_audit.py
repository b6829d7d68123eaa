"""`alpenhorn db check` finds what is wrong in an index, and repairs only what loses nothing."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import peewee as pw
import pytest

from alpenhorn import db
from alpenhorn.common.units import utcnow
from alpenhorn.db import operations, schema
from alpenhorn.db.queries.audit import Gravity
from alpenhorn.services.index_check import Finding, check

MD5 = "0123456789abcdef" * 2


def findings(fix: bool = False) -> dict[str, Finding]:
    return {finding.rule.key: finding for finding in check(fix)}


@pytest.fixture
def broken(index: Any) -> Any:
    """Write what no program of ours would: without foreign keys and checks of columns."""

    if isinstance(index, pw.SqliteDatabase):
        off, on = "PRAGMA foreign_keys = 0", "PRAGMA foreign_keys = 1"
    elif isinstance(index, pw.MySQLDatabase):
        off = "SET foreign_key_checks = 0, sql_mode = ''"
        on = "SET foreign_key_checks = 1, sql_mode = 'STRICT_TRANS_TABLES'"
    else:
        off, on = (f"SET session_replication_role = {role}" for role in ("replica", "origin"))

    def run(sql: str, *params: Any) -> None:
        index.execute_sql(off)
        index.execute_sql(sql.replace("%s", index.param), params)
        index.execute_sql(on)

    return run


def insert(run: Callable[..., None], table: str, **values: Any) -> None:
    names, marks = ", ".join(values), ", ".join(["%s"] * len(values))
    run(f"INSERT INTO {table} ({names}) VALUES ({marks})", *values.values())


def copy_row(**values: Any) -> dict[str, Any]:
    row = {"has_file": "Y", "wants_file": "Y", "ready": True, "last_update": utcnow()}
    return {**row, **values}


def request_row(**values: Any) -> dict[str, Any]:
    return {"completed": False, "cancelled": False, **values}


def test_nothing_is_wrong_in_a_new_index(index, statements):
    with statements() as seen:
        assert findings() == {}
    assert [sql for sql in seen if not sql.lstrip().startswith(("SELECT", "PRAGMA", "SHOW"))] == []


def test_nothing_is_wrong_in_an_index_in_use(make):
    n1, n2 = make.node("n1", root="/data"), make.node("n2", host="there")
    for number in range(5):
        make.copy(f"2025/02/21/{number}", n1)
    make.copy("2025/02/21/0", n2, "N", "N")
    make.request("2025/02/21/1", n1, "n2")
    make.request("2025/02/21/2", n1, "n2", completed=True)
    make.request("2025/02/21/3", n1, "n2", cancelled=True)
    db.ArchiveFileImportRequest.create(node=n1, path=".", recurse=True)
    db.ArchiveFileImportRequest.create(node=n1, path="ALPENHORN_NODE")
    assert findings() == {}


def test_a_finding_has_the_number_of_rows_and_a_few_of_them(make):
    node = make.node("n")
    for number in range(5):
        make.copy(f"a/{number}", node, size_b=-1)
    found = findings()["negative-copy-size"].found
    assert found.count == 5
    assert [example["size_b"] for example in found.examples] == [-1, -1, -1]


# ---- rows


def test_rows_that_refer_to_nothing(make, broken):
    """Each foreign key has its rule; copies, files, nodes are never deleted."""
    node, file = make.node("n"), make.file("a/f")
    insert(broken, "archivefile", acq_id=99, name="f", registered=utcnow(), size_b=1, md5sum=MD5)
    insert(broken, "archivefilecopy", **copy_row(file_id=98, node_id=node.id))
    insert(broken, "archivefilecopy", **copy_row(file_id=file.id, node_id=97))
    insert(broken, "storagetransferaction", **edge_row(node_from_id=96, group_to_id=95))
    broken("UPDATE storagenode SET group_id = 94")
    keys = {
        "archivefile-without-acq": 1,
        "archivefilecopy-without-file": 1,
        "archivefilecopy-without-node": 1,
        "storagenode-without-group": 1,
        "storagetransferaction-without-node_from": 1,
        "storagetransferaction-without-group_to": 1,
    }
    found = findings(fix=True)
    assert {key: found[key].left for key in keys} == keys
    assert found["archivefilecopy-without-node"].found.examples == ({"id": 2, "node": 97},)
    assert db.ArchiveFileCopy.select().count() == 2


def edge_row(**values: Any) -> dict[str, Any]:
    return {"autosync": True, "autoclean": False, **values}


def test_requests_about_nothing_are_ended(make, broken):
    node, file = make.node("n"), make.file("a/f")
    refs = {"file_id": file.id, "node_from_id": 97, "group_to_id": node.group_id}
    insert(broken, "archivefilecopyrequest", **request_row(**refs))
    insert(
        broken,
        "archivefilecopyrequest",
        **request_row(
            **refs,
        )
        | {"completed": True},
    )
    insert(
        broken,
        "archivefileimportrequest",
        node_id=96,
        path="f",
        recurse=False,
        register=False,
        completed=False,
    )
    found = findings(fix=True)
    assert found["pending-request-to-nowhere"].fixed == 1
    assert found["pending-import-to-nowhere"].fixed == 1
    assert not any(finding.unsolved for finding in found.values())
    again = findings()
    assert {key: each.rule.gravity for key, each in again.items()} == {
        "old-request-to-nowhere": Gravity.NOTE
    }
    assert again["old-request-to-nowhere"].found.count == 2


def test_what_must_be_there_once(make, index):
    first, second = make.node("n"), make.node("m")
    db.StorageTransferAction.create(node_from=first, group_to=second.group)
    drop(index, "archiveacq", "name")
    drop(index, "archivefilecopy", "file_id", "node_id")
    drop(index, "storagenode", "name")
    for _ in range(2):
        db.ArchiveAcq.create(name="twice")
    make.copy("a/f", first)
    make.copy("a/f", first)
    make.node("n", group="n")
    found = findings(fix=True)
    wrong = {key for key, finding in found.items() if finding.unsolved}
    assert wrong == {
        "repeated-archiveacq",
        "repeated-archivefilecopy",
        "repeated-storagenode",
        "missing-unique-index",
    }
    assert found["repeated-archivefilecopy"].found.examples[0]["rows"] == 2
    assert found["missing-unique-index"].failure
    assert db.ArchiveFileCopy.select().count() == 2


def test_names_that_differ_in_case_are_no_duplicates(make):
    make.file("a/f")
    make.file("A/f")
    make.file("a/F")
    assert findings() == {}


def test_one_path_of_two_files(make):
    db.ArchiveFile.create(acq=make.file("a/b/x").acq, name="c", size_b=1, md5sum=MD5)
    db.ArchiveFile.create(acq=make.file("a/y").acq, name="b/c", size_b=1, md5sum=MD5)
    assert findings()["repeated-path"].found.count == 1


def drop(index: Any, table: str, *columns: str) -> None:
    """Take an index away; on MySQL those that foreign keys need are replaced before."""
    name = f"{table}_{'_'.join(columns)}"
    on = f" ON {table}" if isinstance(index, pw.MySQLDatabase) else ""
    index.execute_sql(f"DROP INDEX {name}{on}")


@pytest.mark.sqlite
def test_letters_that_mean_nothing(make, broken, index):
    """What cannot be read is checked; what may not be wanted any more is kept."""
    node = make.node("n")
    make.copy("a/f", node)
    make.copy("a/g", node, "M", "N")
    broken("UPDATE archivefilecopy SET has_file = 'Z' WHERE id = 1")
    broken("UPDATE archivefilecopy SET wants_file = '' WHERE id = 2")
    broken("UPDATE storagenode SET storage_type = 'Q'")
    found = findings(fix=True)
    assert found["unknown-has-file"].fixed == found["unknown-wants-file"].fixed == 1
    assert found["unknown-storage-type"].left == 1
    assert make.states(node) == {"a/f": "MY", "a/g": "MY"}


def test_a_lax_mysql_stores_empty_letters(make, broken, index_kind):
    if index_kind != "mariadb":
        pytest.skip("only MySQL stores them")
    node = make.node("n")
    make.copy("a/f", node)
    broken("UPDATE archivefilecopy SET has_file = 'Q'")
    assert findings(fix=True)["unknown-has-file"].fixed == 1
    assert make.states(node) == {"a/f": "MY"}


def test_sizes_below_nothing(make, reread):
    copy = make.copy("a/f", make.node("n"), size_b=-4)
    db.ArchiveFile.update(size_b=-1).execute()
    found = findings(fix=True)
    assert found["negative-copy-size"].fixed == 1
    assert found["negative-file-size"].left == 1
    assert reread(copy).size_b is None


@pytest.mark.parametrize("column", ["size_b", "md5sum"])
def test_a_good_copy_of_which_nobody_can_tell(make, column):
    make.copy("a/f", make.node("n"))
    db.ArchiveFile.update({column: None}).execute()
    found = findings(fix=True)["unproven-copy"]
    assert (found.left, found.fixed) == (1, None)


def test_a_request_that_has_ended_twice(make, reread):
    node = make.node("n")
    both = {"completed": True, "cancelled": True}
    done = make.request("a/f", node, "g", transfer_completed=utcnow(), **both)
    not_done = make.request("a/g", node, "g", **both)
    untouched = make.request("a/h", make.node("m", group="g"), "n")
    assert findings(fix=True)["completed-and-cancelled"].fixed == 2
    assert [(row.completed, row.cancelled) for row in map(reread, (done, not_done, untouched))] == [
        (True, False),
        (False, True),
        (False, False),
    ]


def test_nodes_and_edges_that_cannot_work(make):
    make.node("a", host=None)
    make.node("b", active=False, host=None)
    make.node("c", root="data")
    make.node("d", username="u", address="-oProxyCommand=x")
    make.node("e", io_config="[1]")
    make.node("f", min_avail_gb=-1)
    loop = make.node("g")
    db.StorageTransferAction.create(node_from=loop, group_to=loop.group, autoclean=True)
    db.StorageGroup.create(name="h", io_config="{")
    found = findings(fix=True)
    assert {key: finding.left for key, finding in found.items()} == {
        "active-without-host": 1,
        "bad-root": 1,
        "bad-address": 1,
        "bad-node-io-config": 1,
        "bad-group-io-config": 1,
        "impossible-number": 1,
        "edge-to-itself": 0,
    }
    assert db.StorageTransferAction.select().count() == 0


@pytest.mark.parametrize(
    "name", ["..", "../up", "/abs", "a/", "a//b", "a/../b", "./a", "a/.", "", "a\nb", "a\x1b[2J"]
)
def test_hostile_names(make, name):
    acq = db.ArchiveAcq.create(name=name)
    db.ArchiveFile.create(acq=acq, name=name, size_b=1, md5sum=MD5)
    db.ArchiveFileImportRequest.create(node=make.node("n"), path=name)
    found = findings(fix=True)
    assert found["hostile-acquisitions"].left == found["hostile-files"].left == 1
    assert found["hostile-import"].fixed == 1


@pytest.mark.parametrize("name", ["a.b", "a/.b", "..a", "a..", ".a/b", "ä/ö", "a b", "[a]", "a%b"])
def test_names_that_only_look_odd(make, name):
    db.ArchiveFile.create(acq=db.ArchiveAcq.create(name=name), name=name, size_b=1, md5sum=MD5)
    assert findings() == {}


def test_checksums(make, reread):
    upper, short, odd = (
        make.file(f"a/{name}", md5sum=md5)
        for name, md5 in (
            ("upper", MD5.upper()),
            ("short", "abc"),
            ("odd", "g" * 32),
        )
    )
    found = findings(fix=True)
    assert found["upper-case-checksum"].fixed == 1
    assert found["no-checksum"].left == 2
    assert [row.md5sum for row in map(reread, (upper, short, odd))] == [MD5, "abc", "g" * 32]


# ---- what waits


def test_waiting_is_no_problem_but_is_told(make):
    off, on = make.node("off", active=False), make.node("on")
    make.request("a/f", off, "on")
    make.request("a/f", on, "off")
    make.request("a/g", on, "off", cancelled=True)
    db.ArchiveFileImportRequest.create(node=off, path="x")
    found = findings()
    assert {key: (each.found.count, each.unsolved) for key, each in found.items()} == {
        "request-from-inactive-node": (1, False),
        "request-to-inactive-group": (1, False),
        "import-on-inactive-node": (1, False),
    }


def test_claims_that_no_daemon_holds(make):
    copy = make.copy("a/f", make.node("n"), "M", "N")
    assert findings()["claimed-by-nobody"].found.examples[0]["id"] == copy.id
    lease("here", datetime.timedelta(seconds=5))
    assert findings() == {}


def lease(host: str, age: datetime.timedelta) -> None:
    operations.DaemonLease.create(
        host=host, holder="x", machine="m", pid=1, version="3", last_seen=utcnow() - age
    )


def test_what_is_left_of_hosts_without_nodes_is_taken_away(make):
    make.node("n")
    lease("here", datetime.timedelta(days=1))
    lease("old", datetime.timedelta(days=1))
    lease("new", datetime.timedelta(seconds=1))
    for host in ("here", "old"):
        operations.Doorbell.create(host=host)
    operations.TransferAttempt.create(request_id=77)
    found = findings(fix=True)
    assert {key: each.fixed for key, each in found.items()} == {
        "lease-of-no-host": 1,
        "doorbell-of-no-host": 1,
        "attempts-of-no-request": 1,
    }
    assert {row.host for row in operations.DaemonLease.select()} == {"here", "new"}


# ---- schema


def test_missing_indexes_and_tables_are_made(index):
    drop(index, "storagenode", "host", "active")
    drop(index, "archiveacq", "name")
    operations.DeletionEvidence.drop_table()
    found = findings()
    assert {key: each.found.examples[0] for key, each in found.items()} == {
        "missing-own-tables": {"table": "alpenhorn_deletion"},
        "missing-index": {"table": "storagenode", "columns": "host, active"},
        "missing-unique-index": {"table": "archiveacq", "columns": "name"},
    }
    assert not any(each.unsolved for each in findings(fix=True).values())
    assert findings() == {}


def test_an_index_of_the_public_program_lacks_only_what_db_init_adds(index):
    for model in operations.OPERATIONS_TABLES:
        model.drop_table()
    db.DataIndexVersion.delete().where(db.DataIndexVersion.component == "operations").execute()
    assert list(findings()) == ["missing-own-tables"]
    assert not any(each.unsolved for each in findings(fix=True).values())
    assert schema.operations_available()


def test_an_empty_database_is_not_called_broken_rows(empty_database):
    assert list(findings(fix=True)) == ["missing-table"]
    assert schema.existing_tables() == set()


def test_another_version_ends_the_look(index):
    db.DataIndexVersion.update(version=3).where(
        db.DataIndexVersion.component == "alpenhorn"
    ).execute()
    (finding,) = findings(fix=True).values()
    assert finding.found.examples == ({"component": "alpenhorn", "version": 3, "wanted": 2},)
    assert finding.unsolved


def test_a_missing_column_ends_the_look(index):
    index.execute_sql("ALTER TABLE archivefile DROP COLUMN md5sum")
    (finding,) = findings(fix=True).values()
    assert finding.found.examples == ({"table": "archivefile", "column": "md5sum"},)


def test_columns_of_the_site_are_nothing_wrong(index):
    index.execute_sql("ALTER TABLE archivefile ADD COLUMN type_id INTEGER")
    assert findings() == {}


def test_tables_without_transactions(index, index_kind):
    if index_kind != "mariadb":
        pytest.skip("only MySQL has such tables")
    index.execute_sql("ALTER TABLE alpenhorn_attempt ENGINE = MyISAM")
    try:
        (finding,) = findings().values()
    finally:
        index.execute_sql("ALTER TABLE alpenhorn_attempt ENGINE = InnoDB")
    assert finding.rule.key == "no-transactions"


def test_the_number_of_statements_does_not_depend_on_the_rows(make, statements):
    node = make.node("n")
    make.copy("a/0", node)
    with statements() as few:
        findings()
    for number in range(1, 50):
        make.copy(f"a/{number}", node)
    with statements() as many:
        findings()
    assert len(many) == len(few)
