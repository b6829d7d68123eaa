"""Invariants 9-19 of spec: data-index.md §13: what rows say is true, and rows are unique."""

from __future__ import annotations

import time

import peewee as pw
import pytest

from alpenhorn import db
from alpenhorn.db import connection, schema
from alpenhorn.db.queries import autoactions, checks, imports, pending, transfers
from alpenhorn.db.queries.common import lock_files

MD5 = "0" * 32
Copy = db.ArchiveFileCopy
Request = db.ArchiveFileCopyRequest


def found(path="a/f", size_b=4, md5sum=MD5, **values):
    acq, name = path.rsplit("/", 1)
    return imports.Found(acq, name, size_b, md5sum, 512, **values)


def arrived(request):
    return transfers.Arrived(request.id, request.file_id, 512, 1.0, 2.0)


def set_copy(copy, **values):
    Copy.update(values).where(Copy.id == copy.id).execute()


def release(copy):
    set_copy(copy, wants_file="N")


def state(copy):
    row = Copy.get_by_id(copy.id)
    return row.has_file + row.wants_file


# ---- integrity


def test_invariant_09_an_import_of_other_bytes_is_never_present(make, source):
    make.file("a/f", 4, MD5)
    imports.register(source, [found(md5sum="f" * 32)], create=True)
    assert make.states(source) == {"a/f": "XY"}


def test_invariant_10_a_check_never_changes_wants_file(make, source):
    for wants in "YM":
        copy = make.copy(f"a/{wants}", source, "M", wants)
        checks.record(source, [checks.Verdict(copy.id, db.HasFile.ABSENT)])
        assert state(copy) == "N" + wants


def test_invariant_11_a_release_during_a_check_survives(make, source):
    copy = make.copy("a/f", source, "M")
    (being_checked,) = checks.suspect(source, 10)
    release(copy)
    checks.record(source, [checks.Verdict(being_checked.id, db.HasFile.PRESENT, 512)])
    assert state(copy)[1] == "N"
    marked = make.copy("a/g", source, "M")
    (being_checked,) = checks.suspect(source, 10)
    set_copy(marked, wants_file="M")
    checks.record(source, [checks.Verdict(being_checked.id, db.HasFile.PRESENT, 512)])
    assert state(marked) == "YM"


def test_invariant_11_racing_checks_and_releases_lose_nothing(make, source, together):
    for number in range(12):
        copy = make.copy(f"a/{number}", source, "M")
        verdict = checks.Verdict(copy.id, db.HasFile.PRESENT, 512)
        together(
            lambda copy=copy: release(copy),
            lambda verdict=verdict: checks.record(source, [verdict]),
        )
        assert state(copy) in ("YN", "MN")


def test_invariant_12_a_wrong_checksum_leaves_no_copy_and_blames_the_source(make, source, dest):
    make.copy("a/f", source)
    request = make.request("a/f", source, "target")
    assert request.finish(dest, 1, True, "f" * 32, time.time()) is False
    assert make.states(dest) == {}
    assert make.states(source) == {"a/f": "MY"}


def test_invariant_13_no_actor_changes_length_and_checksum_of_a_file(make, source, dest):
    file = make.file("a/f", 4, MD5)
    request = make.request("a/f", source, "target")
    imports.register(source, [found(size_b=5, md5sum="f" * 32)], create=True)
    transfers.finish(dest, [arrived(request)])
    copy = Copy.get(node=source)
    set_copy(copy, has_file="M")
    checks.record(source, [checks.Verdict(copy.id, db.HasFile.CORRUPT)])
    row = db.ArchiveFile.get_by_id(file.id)
    assert (row.size_b, row.md5sum) == (4, MD5)


def test_invariant_14_checksums_are_lower_case(make, source):
    imports.register(source, [found(md5sum="ABCDEF0123456789" * 2)], create=True)
    assert db.ArchiveFile.get().md5sum == "abcdef0123456789" * 2


# ---- uniqueness and references


def test_invariant_15_racing_importers_make_one_row_of_each(make, source, together):
    batch = [found(f"2025/02/{n % 3}/{n}") for n in range(20)]
    results = together(*[lambda: imports.register(source, batch, create=True)] * 4)
    assert db.ArchiveAcq.select().count() == 3
    assert db.ArchiveFile.select().count() == Copy.select().count() == 20
    assert sum(result.added for each in results for result in each) == 20
    assert sum(bool(result.new_file) for each in results for result in each) == 20
    assert sum(bool(result.new_acq) for each in results for result in each) == 3


def test_invariant_15_the_keys_forbid_duplicates_and_names_compare_exactly(make, source):
    make.copy("a/f", source)
    file = db.ArchiveFile.get()
    for model, values in [
        (db.ArchiveAcq, {"name": "a"}),
        (db.ArchiveFile, {"acq": file.acq, "name": "f"}),
        (Copy, {"file": file, "node": source}),
    ]:
        with pytest.raises(pw.IntegrityError):
            model.create(**values)
    assert db.ArchiveAcq.create(name="A").id != file.acq.id
    assert db.ArchiveFile.create(acq=file.acq, name="F").id != file.id


def test_invariant_16_racing_auto_syncs_add_no_duplicate_request(
    make, source, dest, edge, together
):
    edge(source, dest.group, autosync=True)
    for number in range(12):
        copy = make.copy(f"a/{number}", source)

        def sync(copy=copy):
            with connection.change():
                lock_files([copy.file_id])
                autoactions.apply(source, [copy.file_id])

        together(sync, sync, copy.trigger_autoactions)
        assert Request.select().where(Request.file == copy.file_id).count() == 1


def test_invariant_16_identical_requests_end_as_one_completed_and_duplicates(make, source, dest):
    make.copy("a/f", source)
    requests = [make.request("a/f", source, "target") for _ in range(3)]
    (working,) = pending.ready(dest.group, 10)
    transfers.finish(dest, [arrived(working)])
    assert pending.ready(dest.group, 10) == []
    closed = pending.close_satisfied(dest.group, 10)
    assert [request.id for request, _ in closed] == [r.id for r in requests if r != working]
    assert sum(row.completed for row in Request.select()) == 1
    assert sum(row.cancelled for row in Request.select()) == 2


def test_invariant_17_there_is_one_edge_per_pair(make, source, dest, edge):
    edge(source, dest.group)
    with pytest.raises(pw.IntegrityError):
        edge(source, dest.group)


def test_invariant_18_every_reference_leads_somewhere(make, source, dest, edge):
    copy = make.copy("a/f", source)
    request = make.request("a/f", source, "target")
    for model, values in [
        (db.ArchiveFile, {"acq": 999, "name": "x"}),
        (Copy, {"file": 999, "node": dest}),
        (Copy, {"file": copy.file, "node": 999}),
        (Request, {"file": copy.file, "node_from": source, "group_to": 999}),
        (db.ArchiveFileImportRequest, {"node": 999, "path": "x"}),
        (db.StorageNode, {"name": "x", "group": 999}),
        (db.StorageTransferAction, {"node_from": 999, "group_to": dest.group}),
    ]:
        with pytest.raises(pw.IntegrityError):
            model.create(**values)
    for row in (copy.file.acq, copy.file, source, request.group_to):
        with pytest.raises(pw.IntegrityError):
            row.delete_instance()


def test_invariant_19_there_is_one_version_row_per_component(index):
    schema.initialise()
    with pytest.raises(pw.IntegrityError):
        db.DataIndexVersion.create(component="alpenhorn", version=2)
    assert db.DataIndexVersion.select().count() == 2
