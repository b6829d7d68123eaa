"""Verification: which copies are suspect, and what a check may write (spec: §8.1 C5-C9)."""

from __future__ import annotations

import datetime

import pytest

from alpenhorn import db
from alpenhorn.common.units import utcnow
from alpenhorn.db.queries import checks
from alpenhorn.db.queries.checks import Verdict

LONG_AGO = datetime.datetime(2020, 1, 1)


@pytest.fixture
def node(make):
    return make.node("n")


def test_suspect_copies_that_are_not_released_are_checked_in_order(make, node):
    for number, state in enumerate(["MY", "YY", "MM", "MN", "XY", "NY", "MY"]):
        make.copy(f"a/{number}", node, *state)
    make.copy("a/0", make.node("other"), "M")
    assert [str(c.file.path) for c in checks.suspect(node, 10)] == ["a/0", "a/2", "a/6"]
    assert len(checks.suspect(node, 2)) == 2


@pytest.mark.parametrize("verdict", list(db.HasFile))
@pytest.mark.parametrize("wants", "YM")
def test_a_verdict_changes_has_file_only(make, node, verdict, wants):
    copy = make.copy("a/f", node, "M", wants, size_b=1, last_update=LONG_AGO)
    assert checks.record(node, [Verdict(copy.id, verdict, 512)]) == 1
    row = db.ArchiveFileCopy.get_by_id(copy.id)
    assert (row.has_file, row.wants_file) == (verdict, wants)
    assert row.size_b == (512 if verdict == "Y" else 1)
    assert row.last_update > LONG_AGO


@pytest.mark.parametrize("state", ["YY", "XY", "NY", "NN", "MN", "YN"])
def test_a_verdict_comes_too_late_for_a_copy_that_is_no_longer_suspect(make, node, state):
    copy = make.copy("a/f", node, *state)
    assert checks.record(node, [Verdict(copy.id, db.HasFile.CORRUPT)]) == 0
    assert make.states(node) == {"a/f": state}


def test_an_untracked_file_is_to_be_checked_and_not_overwritten(make, node):
    new, gone = make.file("a/new"), make.copy("a/gone", node, "N", "N", ready=True)
    assert checks.ask_for_check(node, [(new.id, 512), (gone.file_id, None)]) == 2
    assert make.states(node) == {"a/new": "MY", "a/gone": "MY"}
    assert not any(copy.ready for copy in db.ArchiveFileCopy.select())


@pytest.mark.parametrize("state", ["YY", "YN", "MY", "MN", "XY"])
def test_a_copy_that_is_known_to_be_there_is_left_alone(make, node, state):
    copy = make.copy("a/f", node, *state)
    assert checks.ask_for_check(node, [(copy.file_id, 1)]) == 0
    assert make.states(node) == {"a/f": state}


def test_auto_verify_walks_in_circles_and_marks_what_is_old(make, node):
    for number, state in enumerate(["YY", "XY", "NY", "YN", "YM"]):
        make.copy(f"a/{number}", node, *state, last_update=LONG_AGO)
    fresh = make.copy("a/fresh", node)
    ids, cursor = checks.stale(node, 0, 2, 7)
    assert len(ids) == 2
    more, cursor = checks.stale(node, cursor, 2, 7)
    assert len(more) == 1  # the other is released
    rest, cursor = checks.stale(node, cursor, 2, 7)
    assert (rest, cursor) == ([], 0)
    assert make.states(node) == {
        "a/0": "MY", "a/1": "MY", "a/2": "NY", "a/3": "YN", "a/4": "MM", "a/fresh": "YY",
    }  # fmt: skip
    assert fresh.id not in ids + more


def test_the_age_of_a_copy_is_counted_in_days_of_utc(make, node, monkeypatch):
    """(W-19) Wherever the host is."""
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    week = datetime.timedelta(days=7)
    minute = datetime.timedelta(minutes=1)
    old = make.copy("a/old", node, last_update=utcnow() - week - minute)
    make.copy("a/young", node, last_update=utcnow() - week + minute)
    assert checks.stale(node, 0, 10, 7)[0] == [old.id]


@pytest.fixture
def cleaned(make, node):
    """A node whose copies are released when this node gets them."""
    source = make.node("source")
    db.StorageTransferAction.create(node_from=source, group_to=node.group, autoclean=True)
    return source


def test_a_good_file_that_a_search_found_counts_as_added(make, node, cleaned):
    """A crash between the transfer and its record must not cut the chain off."""
    source_copy = make.copy("a/f", cleaned)
    checks.ask_for_check(node, [(source_copy.file_id, 512)])
    found = db.ArchiveFileCopy.get(node=node)
    checks.record(node, [Verdict(found.id, db.HasFile.PRESENT, 512)])
    assert make.states(cleaned) == {"a/f": "YN"}
    assert db.ArchiveFileCopy.get(node=node).ready


@pytest.mark.parametrize("verdict", ["X", "N", "M"])
def test_a_bad_file_that_a_search_found_triggers_nothing(make, node, cleaned, verdict):
    source_copy = make.copy("a/f", cleaned)
    checks.ask_for_check(node, [(source_copy.file_id, 512)])
    found = db.ArchiveFileCopy.get(node=node)
    checks.record(node, [Verdict(found.id, db.HasFile(verdict))])
    assert make.states(cleaned) == {"a/f": "YY"}


def test_a_check_of_a_copy_that_was_there_before_triggers_nothing(make, node, cleaned):
    make.copy("a/f", cleaned)
    copy = make.copy("a/f", node, "M", ready=True)
    checks.record(node, [Verdict(copy.id, db.HasFile.PRESENT, 512)])
    assert make.states(cleaned) == {"a/f": "YY"}


def test_a_release_meanwhile_keeps_the_auto_actions_off(make, node, cleaned):
    make.copy("a/f", cleaned)
    copy = make.copy("a/f", node, "M", "N", ready=False)
    checks.record(node, [Verdict(copy.id, db.HasFile.PRESENT, 512)])
    assert make.states(cleaned) == {"a/f": "YY"}
