"""Corrupt and missing wanted copies are asked for again, from the best good copy."""

from __future__ import annotations

import datetime

import pytest

from alpenhorn import db
from alpenhorn.common.units import utcnow
from alpenhorn.db.operations import Doorbell
from alpenhorn.db.queries import group_policy
from alpenhorn.db.queries.filters import FileFilter
from alpenhorn.db.queries.repair import Case, RepairScope


@pytest.fixture
def node(make):
    """The node that is repaired."""
    return make.node("n", group="g")


@pytest.fixture
def scope(node):
    return RepairScope(node_id=node.id)


def requests():
    """Path, source and group of the pending requests."""
    rows = db.ArchiveFileCopyRequest.select().order_by(db.ArchiveFileCopyRequest.id)
    return [
        (str(r.file.path), r.node_from.name, r.group_to.name)
        for r in rows
        if not (r.completed or r.cancelled)
    ]


def cases(scope):
    return {(node, str(case)): amount.count for (node, case), amount in scope.amounts().items()}


@pytest.mark.parametrize("has", "XN")
def test_a_bad_copy_is_asked_for_again_from_a_good_one(make, node, scope, has):
    make.copy("a/f", node, has)
    make.copy("a/f", make.node("source", host="there"))
    assert cases(scope) == {("n", "repairable"): 1}
    assert scope.request() == 1
    assert requests() == [("a/f", "source", "g")]
    assert sorted(bell.host for bell in Doorbell.select()) == ["here", "there"]


@pytest.mark.parametrize("state", ["YY", "MY", "YN", "XN", "NN", "XM", "NM"])
def test_other_copies_are_not(make, node, scope, state):
    make.copy("a/f", node, *state)
    make.copy("a/f", make.node("source"))
    assert scope.amounts() == {}
    assert scope.request() == 0


@pytest.mark.parametrize("state", ["MY", "XY", "NY", "YN"])
def test_only_a_good_and_wanted_copy_can_be_the_source(make, node, scope, state):
    make.copy("a/f", node, "X")
    make.copy("a/f", make.node("source"), *state)
    assert cases(scope) == {("n", "hopeless"): 1}
    assert scope.request() == 0
    assert list(scope.listed(Case.HOPELESS)) == [("n", "a/f", "X")]


def test_a_copy_on_an_inactive_node_is_no_source(make, node, scope):
    make.copy("a/f", node, "X")
    make.copy("a/f", make.node("source", active=False))
    assert cases(scope) == {("n", "hopeless"): 1}


def test_archive_copies_are_preferred(make, node, scope):
    make.copy("a/f", node, "X")
    make.copy("a/f", make.node("field"))
    make.copy("a/f", make.node("archive", storage_type="A"))
    make.copy("a/f", make.node("other", storage_type="A"))
    scope.request()
    assert requests() == [("a/f", "archive", "g")]


def test_a_node_that_can_be_reached_goes_before_an_archive_node_that_cannot(make, node, scope):
    make.copy("a/f", node, "X")
    make.copy("a/f", make.node("far", storage_type="A", host="far"))
    make.copy("a/f", make.node("near"))
    scope.request()
    assert requests() == [("a/f", "near", "g")]


def test_an_archive_node_elsewhere_with_an_address_can_be_reached(make, node, scope):
    make.copy("a/f", node, "X")
    make.copy("a/f", make.node("near"))
    make.copy("a/f", make.node("far", storage_type="A", host="far", address="far.example"))
    scope.request()
    assert requests() == [("a/f", "far", "g")]


def test_a_request_that_can_proceed_is_not_made_again(make, node, scope):
    make.copy("a/f", node, "X")
    source = make.node("source")
    make.copy("a/f", source)
    assert scope.request() == 1
    assert cases(scope) == {("n", "requested"): 1}
    assert scope.request() == 0


@pytest.mark.parametrize("end", ["completed", "cancelled", "source gone", "source inactive"])
def test_a_request_that_cannot_is_no_reason_to_wait(make, node, scope, end):
    make.copy("a/f", node, "X")
    source = make.node("first", active=end != "source inactive")
    make.copy("a/f", source, "N" if end == "source gone" else "Y")
    flags = {end: True} if end in ("completed", "cancelled") else {}
    make.request("a/f", source, "g", **flags)
    make.copy("a/f", make.node("second", storage_type="A"))
    assert scope.request() == 1
    assert requests()[-1] == ("a/f", "second", "g")


def test_where_another_node_of_the_group_has_the_file_nothing_is_asked_for(make, node, scope):
    """The request would be cancelled at once: the group has the file."""
    make.copy("a/f", node, "X")
    make.copy("a/f", make.node("sister", group="g"))
    make.copy("a/f", make.node("source"))
    assert cases(scope) == {("n", "elsewhere"): 1}
    assert scope.request() == 0


def test_all_nodes_at_once(make, node):
    other, source = make.node("other"), make.node("source")
    for path in ("a/f", "a/g"):
        make.copy(path, source)
    make.copy("a/f", node, "X")
    make.copy("a/f", other, "N")
    make.copy("a/g", other, "X")
    make.copy("a/lost", source, "N")
    scope = RepairScope()
    assert cases(scope) == {
        ("n", "repairable"): 1,
        ("other", "repairable"): 2,
        ("source", "hopeless"): 1,
    }
    assert scope.request() == 3
    assert sorted(requests()) == [
        ("a/f", "source", "g"),
        ("a/f", "source", "other"),
        ("a/g", "source", "other"),
    ]


def test_two_bad_copies_in_one_group_need_one_transfer(make, node):
    make.copy("a/f", node, "X")
    make.copy("a/f", make.node("sister", group="g"), "N")
    make.copy("a/f", make.node("source"))
    assert RepairScope(group_id=node.group_id).request() == 1


def test_limits_hold(make, node):
    source = make.node("source")
    for path in ("a/f", "b/f"):
        make.copy(path, node, "X")
        make.copy(path, source)
    acq = db.ArchiveAcq.get(name="b")
    scope = RepairScope(node.id, files=FileFilter(acq_ids=(acq.id,)))
    assert scope.request() == 1
    assert requests() == [("b/f", "source", "g")]


def test_a_daemon_does_not_repeat_what_was_cancelled_lately(make, node):
    make.copy("a/f", node, "X")
    source = make.node("source")
    make.copy("a/f", source)
    request = make.request("a/f", source, "g", cancelled=True, timestamp=utcnow())
    patient = RepairScope(group_id=node.group_id, patient=True)
    assert patient.request() == 0
    request.timestamp = utcnow() - datetime.timedelta(days=2)
    request.save()
    assert patient.request() == 1


def test_it_costs_the_same_for_any_number_of_files(make, node, scope, statements):
    source = make.node("source")

    def cost(count, prefix):
        for n in range(count):
            make.copy(f"{prefix}/{n}", node, "X")
            make.copy(f"{prefix}/{n}", source)
        with statements() as seen:
            assert scope.request() == count
            scope.amounts()
        return len(seen)

    cost(1, "first")
    assert cost(3, "few") == cost(60, "many")


def test_two_people_make_one_request(make, node, scope, together):
    for n in range(20):
        make.copy(f"a/{n}", node, "X")
        make.copy(f"a/{n}", db.StorageNode.get_or_none(name="s") or make.node("s"))
    assert sum(together(scope.request, scope.request)) == 20
    assert len(requests()) == 20


def test_auto_repair_is_turned_on_and_off(node):
    group = node.group
    assert not group_policy.auto_repaired(group)
    assert group_policy.set_auto_repair(group, True)
    assert group_policy.auto_repaired(group)
    assert not group_policy.set_auto_repair(group, True)
    assert [bell.host for bell in Doorbell.select()] == ["here"]
    assert group_policy.set_auto_repair(group, False)
    assert not group_policy.auto_repaired(group)
