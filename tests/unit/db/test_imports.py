"""Files that were read are registered, once, and trusted only for their bytes (spec: §8.1, §10)."""

from __future__ import annotations

import pytest

from alpenhorn import db
from alpenhorn.db.queries import imports

MD5 = "0123456789abcdef" * 2
OTHER = "f" * 32


@pytest.fixture
def node(make):
    return make.node("n")


def found(path="a/f", size_b=4, md5sum=MD5, space_b=512, **values):
    acq, name = path.rsplit("/", 1)
    return imports.Found(acq, name, size_b, md5sum, space_b, **values)


def import_request(node, path="a/f", **values):
    return db.ArchiveFileImportRequest.create(node=node, path=path, **values)


def test_a_new_file_makes_an_acquisition_a_file_and_a_good_copy(make, node):
    (result,) = imports.register(node, [found("2025/02/21/meta.txt")], create=True)
    assert (result.outcome, result.added, result.mismatch) == ("success", True, None)
    assert result.new_acq.name == "2025/02/21"
    assert str(result.new_file.path) == "2025/02/21/meta.txt"
    file = db.ArchiveFile.get()
    assert (file.size_b, file.md5sum) == (4, MD5)
    copy = db.ArchiveFileCopy.get()
    assert (copy.has_file, copy.wants_file, copy.ready, copy.size_b) == ("Y", "Y", True, 512)
    assert result.copy.path.name == "meta.txt"


def test_a_batch_tells_each_new_acquisition_and_file_once(node):
    results = imports.register(node, [found("a/1"), found("a/2"), found("b/1")], create=True)
    assert [bool(r.new_acq) for r in results] == [True, False, True]
    assert all(r.new_file for r in results)
    again = imports.register(node, [found("a/1"), found("a/3")], create=True)
    assert [(r.outcome, bool(r.new_file), bool(r.new_acq)) for r in again] == [
        ("duplicate", False, False),
        ("success", True, False),
    ]


def test_without_leave_to_create_only_registered_files_are_imported(make, node):
    make.file("a/known", 4, MD5)
    results = imports.register(node, [found("a/known"), found("a/new"), found("b/f")], create=False)
    assert [r.outcome for r in results] == ["success", "unregistered", "unregistered"]
    assert db.ArchiveAcq.select().count() == db.ArchiveFile.select().count() == 1


@pytest.mark.parametrize("wrong", [{"size_b": 5}, {"md5sum": OTHER}], ids=str)
@pytest.mark.parametrize("before", [None, "NN", "NM", "NY"])
def test_a_known_name_with_other_bytes_becomes_a_corrupt_copy(make, node, wrong, before):
    """(W-1)"""
    make.file("a/f", 4, MD5)
    if before:
        make.copy("a/f", node, *before)
    (result,) = imports.register(node, [found(**wrong)], create=True)
    assert result.mismatch
    assert result.mismatch.startswith("Size: 5; " if "size_b" in wrong else f"MD5: {OTHER}; ")
    assert make.states(node) == {"a/f": "XY"}


@pytest.mark.parametrize("before", ["NN", "NM", "NY"])
def test_a_file_that_came_back_with_the_right_bytes_is_good(make, node, before):
    make.file("a/f", 4, MD5)
    old = make.copy("a/f", node, *before)
    (result,) = imports.register(node, [found()], create=False)
    assert result.was_missing is (before == "NY")
    assert result.copy.id == old.id
    assert make.states(node) == {"a/f": "YY"}


@pytest.mark.parametrize("before", ["YY", "YN", "YM", "MY", "MN", "XY", "XN"])
def test_a_copy_that_is_there_in_some_way_is_left_alone(make, node, before, reread):
    make.file("a/f", 4, MD5)
    old = reread(make.copy("a/f", node, *before))
    (result,) = imports.register(node, [found()], create=True)
    assert (result.outcome, result.added, result.copy.id) == ("duplicate", False, old.id)
    assert reread(old).last_update == old.last_update
    assert make.states(node) == {"a/f": before}


@pytest.mark.parametrize("known", [{"size_b": None}, {"md5sum": None}, {"md5sum": MD5.upper()}])
def test_only_what_is_known_is_compared_and_case_does_not_matter(make, node, known):
    """(W-8, W-10)"""
    make.file("a/f", 4, MD5)
    db.ArchiveFile.update(known).execute()
    imports.register(node, [found()], create=True)
    assert make.states(node) == {"a/f": "YY"}


def test_a_file_that_comes_twice_in_a_batch_is_imported_once(make, node):
    results = imports.register(node, [found(), found()], create=True)
    assert [r.outcome for r in results] == ["success", "duplicate"]
    assert make.states(node) == {"a/f": "YY"}


def test_names_are_compared_exactly(node):
    results = imports.register(
        node, [found("a/f"), found("A/f"), found("a/F"), found("a/f ")], create=True
    )
    assert [r.outcome for r in results] == ["success"] * 4
    assert db.ArchiveFile.select().count() == 4


def test_a_batch_of_thousands_is_one_transaction(node, statements):
    with statements() as seen:
        results = imports.register(node, [found(f"a/{n}") for n in range(1500)], create=True)
    assert sum(r.added for r in results) == 1500
    assert db.ArchiveFileCopy.select().count() == 1500
    assert seen.writes


def test_a_callback_that_fails_leaves_nothing_recorded(node):
    request = import_request(node)

    def callback(results):
        assert [r.outcome for r in results] == ["success"]
        raise RuntimeError("extension")

    with pytest.raises(RuntimeError, match="extension"):
        imports.register(node, [found(request_id=request.id)], create=True, inside=callback)
    for model in (db.ArchiveAcq, db.ArchiveFile, db.ArchiveFileCopy):
        assert model.select().count() == 0
    assert not db.ArchiveFileImportRequest.get().completed


def test_the_request_is_completed_with_its_files(node, reread):
    request, other = import_request(node), import_request(node)
    imports.register(node, [found(request_id=request.id)], create=True)
    assert (reread(request).completed, reread(other).completed) == (True, False)


def test_a_corrupt_import_triggers_nothing_and_rings_for_nobody(make):
    archive, field = make.node("arc", storage_type="A"), make.node("field")
    db.StorageTransferAction.create(node_from=field, group_to=archive.group, autoclean=True)
    db.StorageTransferAction.create(node_from=archive, group_to=field.group, autosync=True)
    make.file("a/f", 4, MD5)
    make.copy("a/f", field)
    imports.register(archive, [found(md5sum=OTHER)], create=True)
    assert make.states(field) == {"a/f": "YY"}
    assert db.ArchiveFileCopyRequest.select().count() == 0


def test_a_returned_missing_file_triggers_the_auto_actions_at_once(make):
    """Its bytes were read, so it is verified (deviation from C3)."""
    archive, field = make.node("arc", storage_type="A"), make.node("field")
    db.StorageTransferAction.create(node_from=field, group_to=archive.group, autoclean=True)
    make.file("a/f", 4, MD5)
    make.copy("a/f", field)
    make.copy("a/f", archive, "N", "Y")
    imports.register(archive, [found()], create=False)
    assert make.states(field) == {"a/f": "YN"}


# ---- requests


def test_pending_requests_of_a_node_come_oldest_first(make, node):
    requests = [import_request(node, f"a/{n}") for n in range(4)]
    import_request(make.node("other"))
    imports.complete(requests[1].id)
    assert [r.id for r in imports.pending(node, 2)] == [requests[0].id, requests[2].id]


def test_a_request_is_completed_once(node):
    request = import_request(node)
    assert [imports.complete(request.id), imports.complete(request.id)] == [True, False]


def test_an_init_request_is_known_by_its_path(node):
    assert imports.is_init(import_request(node, "ALPENHORN_NODE"))
    assert not imports.is_init(import_request(node, "a/ALPENHORN_NODE"))


# ---- what is tracked


def test_tracked_files_are_all_but_the_absent_ones(make, node):
    for has in "YMXN":
        make.copy(f"a/b/{has}", node, has)
    make.copy("a/b/elsewhere", make.node("other"))
    assert imports.tracked_names(node, "a/b") == {"Y", "M", "X"}
    assert imports.tracked_names(node, "a") == imports.tracked_names(node, "none") == set()
    names = [("a/b", name) for name in ("Y", "M", "X", "N", "elsewhere", "none")] + [("a", "Y")]
    assert imports.tracked(node, names) == {("a/b", "Y"), ("a/b", "M"), ("a/b", "X")}


def test_registered_names_are_those_with_file_rows(make):
    make.file("a/b/f")
    names = [("a/b", "f"), ("a", "b/f"), ("a/b", "g"), ("none", "f")]
    assert imports.registered(names) == {("a/b", "f")}


def test_racing_importers_of_a_new_acquisition_create_it_once(node, together):
    """Each acquisition and file is new to exactly one of them, whose callback hears of it."""

    def importer(number):
        names = ["shared/f", f"shared/{number}"]
        return lambda: imports.register(node, [found(name) for name in names], create=True)

    results = [r for done in together(*map(importer, range(3))) for r in done]
    assert sum(r.new_acq is not None for r in results) == 1
    assert sorted(r.new_file.name for r in results if r.new_file) == ["0", "1", "2", "f"]


def test_a_copy_that_is_being_deleted_is_not_recorded_though_somebody_calls_it_missing(
    node, claimed
):
    """What was read goes in a moment: the row would say that it is there."""
    copy = claimed("a/f", node)
    db.ArchiveFileCopy.update(has_file="N").where(db.ArchiveFileCopy.id == copy.id).execute()
    found = imports.Found("a", "f", 4, "0" * 32, 512)
    (result,) = imports.register(node, [found], create=True)
    assert result.outcome == "duplicate"
    assert db.ArchiveFileCopy.get_by_id(copy.id).has_file == "N"
