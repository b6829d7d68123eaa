"""Members of records that others use (spec: data-index.md §2)."""

from __future__ import annotations

import logging
from pathlib import Path, PurePath

import pytest

from alpenhorn import db
from alpenhorn.common import host
from alpenhorn.common.units import utcnow
from alpenhorn.db.storage import GIB


@pytest.fixture
def node(make):
    return make.node("n", root="/data/n")


def test_paths_join_root_acquisition_and_file(make, node):
    copy = make.copy("2025/02/21/1324.dat", node)
    assert copy.file.path == PurePath("2025/02/21/1324.dat")
    assert copy.path == Path("/data/n/2025/02/21/1324.dat")


def test_defaults_are_the_published_ones(make, node):
    copy = db.ArchiveFileCopy.create(file=make.file("a/f"), node=node)
    assert (copy.has_file, copy.wants_file, copy.ready, copy.size_b) == ("N", "Y", False, None)
    assert abs((utcnow() - copy.last_update).total_seconds()) < 60
    bare = db.StorageNode.create(name="bare", group=node.group)
    assert (bare.storage_type, bare.active, bare.auto_import, bare.auto_verify) == (
        "A", False, False, 0,
    )  # fmt: skip
    assert bare.archive


def test_the_archive_count_is_of_good_copies_on_archive_nodes(make, archives, node):
    for archive, state in zip(archives, ["YY", "YN", "MY", "XY"], strict=True):
        make.copy("a/f", archive, *state)
    make.copy("a/f", node)
    assert make.file("a/f").archive_count == 2


@pytest.mark.parametrize(
    ("states", "expected"),
    [("XMY", ("Y", 2)), ("XMN", ("M", 1)), ("NXN", ("X", 1)), ("NNN", ("N", None)),
     ("YYN", ("Y", 0))],
)  # fmt: skip
def test_a_groups_state_is_the_best_of_its_nodes(make, states, expected):
    nodes = [make.node(f"g{n}", group="g") for n in range(3)]
    for node, has in zip(nodes, states, strict=True):
        make.copy("a/f", node, has)
    state, best = nodes[0].group.state_on_node(make.file("a/f"))
    assert (state, best.id if best else None) == (
        expected[0],
        None if expected[1] is None else nodes[expected[1]].id,
    )


def test_a_node_is_local_to_the_host_of_the_daemon(make, monkeypatch):
    assert make.node("there", host="elsewhere.invalid").local is False
    assert make.node("here", host=host.get_hostname()).local is True


@pytest.mark.parametrize(("avail", "under"), [(None, False), (9.9, True), (10, False)])
def test_a_node_is_under_its_minimum_only_if_that_was_measured(make, avail, under):
    assert make.node("n", avail_gb=avail, min_avail_gb=10).under_min is under


def test_the_total_is_of_present_and_suspect_files(make, node):
    for has in "YMXN":
        make.file(f"a/{has}", GIB)
        make.copy(f"a/{has}", node, has)
    make.copy("a/unknown", node)
    db.ArchiveFile.update(size_b=None).where(db.ArchiveFile.name == "unknown").execute()
    assert node.get_total_gb() == 2.0
    assert make.node("empty").get_total_gb() == 0.0


@pytest.mark.parametrize(
    ("limit", "over"), [(None, False), (0, False), (-1, False), (1, True), (1.5, False)]
)
def test_a_limit_counts_if_it_is_positive(make, limit, over, caplog):
    caplog.set_level(logging.INFO)
    node = make.node("n", max_total_gb=limit)
    make.file("a/f", GIB)
    make.copy("a/f", node)
    assert node.check_over_max() is over
    assert node.check_pull_dest() is not over
    line = "Skipping pull for StorageNode n: node full.  (1.00 GiB >= 1.00 GiB)"
    assert (line in caplog.messages) is over


def test_a_node_short_of_space_takes_nothing_and_says_so(make, caplog):
    node = make.node("n", avail_gb=1.5, min_avail_gb=2)
    assert node.check_pull_dest("Not now", logging.ERROR) is False
    assert caplog.messages == ["Not now: hit minimum free space: (1.50 GiB < 2.00 GiB)"]
    assert caplog.records[0].levelno == logging.ERROR


def test_the_state_of_a_file_on_a_node(make, node):
    copy = make.copy("a/f", node, "X")
    assert node.filecopy_state(copy.file) == "X"
    assert node.filecopy_state(make.file("a/g")) == "N"


@pytest.mark.parametrize(("has", "tracked"), [("Y", True), ("M", True), ("X", True), ("N", False)])
def test_a_named_copy_is_tracked_unless_absent(make, node, has, tracked):
    make.copy("a/b/f", node, has)
    assert node.named_copy_tracked("a/b", "f") is tracked
    assert node.named_copy_tracked("a", "b/f") is False


def test_all_files_of_a_node_by_state(make, node):
    for has in "YMXN":
        make.copy(f"a/{has}", node, has)
    assert node.get_all_files() == {PurePath("a/Y")}
    assert node.get_all_files(False, True, True, True) == {PurePath(f"a/{h}") for h in "MXN"}
    assert node.get_all_files(present=False) == set()


def test_free_space_is_stored_and_nothing_else(make, node):
    db.StorageNode.update(notes="changed meanwhile").execute()
    node.update_avail_gb(3 * GIB)
    row = db.StorageNode.get_by_id(node.id)
    assert (row.avail_gb, row.notes) == (3.0, "changed meanwhile")
    assert row.avail_gb_last_checked is not None


def test_unknown_free_space_keeps_the_old_value_and_warns(make, caplog):
    node = make.node("n")
    node.update_avail_gb(None)
    assert caplog.messages == []
    node.update_avail_gb(GIB)
    db.StorageNode.update(avail_gb_last_checked=None).execute()
    node.update_avail_gb(None)
    row = db.StorageNode.get_by_id(node.id)
    assert row.avail_gb == 1.0
    assert row.avail_gb_last_checked is not None
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_an_edge_knows_that_it_is_a_loop(make):
    one, two = make.node("one", group="g"), make.node("two")
    edge = db.StorageTransferAction
    assert edge.create(node_from=one, group_to=one.group).self_loop is True
    assert edge.create(node_from=one, group_to=two.group).self_loop is False


def test_back_references_have_their_published_names(make, node):
    copy = make.copy("a/f", node)
    request = make.request("a/f", node, "g")
    edge = db.StorageTransferAction.create(node_from=node, group_to=request.group_to)
    wish = db.ArchiveFileImportRequest.create(node=node, path="a")
    file, group = copy.file, request.group_to
    assert list(file.acq.files) == [file]
    assert list(file.copies) == list(node.copies) == [copy]
    assert list(file.requests) == list(group.requests_to) == list(node.requests_from) == [request]
    assert list(group.transfers_to) == list(node.transfers_from) == [edge]
    assert list(node.group.nodes) == [node]
    assert list(node.import_requests) == [wish]
