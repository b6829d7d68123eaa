"""A copy is deleted only with proof; a claim reserves it (spec: data-index.md §8.2)."""

from __future__ import annotations

import datetime
import json

import pytest

from alpenhorn import db
from alpenhorn.db.operations import Doorbell
from alpenhorn.db.queries import checks, deletion, evidence
from alpenhorn.db.storage import GIB


@pytest.fixture
def field(make):
    """A field node."""
    return make.node("field")


@pytest.fixture
def protected(make, archives, field):
    """Make a copy on a node (default: the field node) of a file that two archive nodes hold."""

    def copy(path, has="Y", wants="N", on=None, **values):
        for archive in archives[:2]:
            make.copy(path, archive)
        return make.copy(path, on or field, has, wants, **values)

    return copy


def ids(copies):
    return [copy.id for copy in copies]


def claim(copy, stores=None):
    return deletion.claim(copy.node_id, [copy.id], stores or {})


def state(copy):
    row = db.ArchiveFileCopy.get_by_id(copy.id)
    return row.has_file + row.wants_file


# ---- which may go


@pytest.mark.parametrize("has", "YMX")
@pytest.mark.parametrize("kind", "AFT")
def test_a_released_copy_may_go_from_any_node_if_two_archive_copies_exist(
    make, protected, has, kind
):
    node = make.node("n", storage_type=kind)
    copy = protected("a/f", has, on=node)
    assert ids(deletion.deletable(node, 10)) == [copy.id]
    assert ids(c.copy for c in claim(copy).taken) == [copy.id]
    assert state(copy) == "MN"


@pytest.mark.parametrize("number", [0, 1])
def test_a_copy_stays_and_is_named_while_too_few_archive_copies_exist(
    make, archives, field, number
):
    for archive in archives[:number]:
        make.copy("a/f", archive)
    copy = make.copy("a/f", field, "Y", "N")
    assert deletion.deletable(field, 10) == []
    result = claim(copy)
    assert result.taken == []
    assert [(c.id, n) for c, n in result.refused] == [(copy.id, number)]
    assert deletion.waiting(field, 10) == deletion.Waiting(1, ((copy.id, number),), 0)
    assert state(copy) == "YN"


@pytest.mark.parametrize("has,wants", ["MY", "XY", "NY", "YN", "MN"])
def test_only_present_and_wanted_archive_copies_protect(make, archives, field, has, wants):
    make.copy("a/f", archives[0])
    make.copy("a/f", archives[1], has, wants)
    copy = make.copy("a/f", field, "Y", "N")
    assert deletion.deletable(field, 10) == []
    assert claim(copy).taken == []


def test_a_marked_archive_copy_still_protects(make, archives, field):
    """Marked copies on archive nodes are never deleted."""
    for archive in archives[:2]:
        make.copy("a/f", archive, "Y", "M")
    copy = make.copy("a/f", field, "Y", "N")
    assert len(claim(copy).taken) == 1


@pytest.mark.parametrize("kind", "FT")
def test_copies_on_other_kinds_of_nodes_do_not_protect(make, archives, field, kind):
    make.copy("a/f", archives[0])
    make.copy("a/f", make.node("other", storage_type=kind))
    assert claim(make.copy("a/f", field, "Y", "N")).taken == []


def test_inactive_archive_nodes_protect(make, archives, field):
    """Tape nodes are inactive most of the time (W-6)."""
    db.StorageNode.update(active=False).execute()
    for archive in archives[:2]:
        make.copy("a/f", archive)
    assert len(claim(make.copy("a/f", field, "Y", "N")).taken) == 1


def test_a_copy_does_not_protect_itself(make, archives):
    copies = [make.copy("a/f", archive) for archive in archives[:2]]
    db.ArchiveFileCopy.update(wants_file="N").where(db.ArchiveFileCopy.id == copies[0].id).execute()
    assert deletion.deletable(archives[0], 10) == []
    result = claim(copies[0])
    assert [n for _, n in result.refused] == [1]


def test_three_released_archive_copies_all_stay(make, archives):
    copies = [make.copy("a/f", archive, "Y", "N") for archive in archives[:3]]
    for copy in copies:
        assert deletion.deletable(copy.node, 10) == []
        assert claim(copy).taken == []
    assert [state(copy) for copy in copies] == ["YN"] * 3


@pytest.mark.parametrize("wants", "YN")
def test_absent_copies_are_no_candidates(protected, field, wants):
    copy = protected("a/f", "N", wants)
    assert deletion.deletable(field, 10) == []
    assert deletion.waiting(field, 10) == deletion.Waiting(0, (), 0)
    assert claim(copy) == deletion.Claim()


def test_wanted_copies_are_no_candidates(protected, field):
    copy = protected("a/f", "Y", "Y")
    assert deletion.deletable(field, 10) == []
    assert claim(copy).taken == []


# ---- transfers from here come first


def test_a_source_of_a_pending_request_stays_until_the_request_ends(make, protected, field):
    copy = protected("a/f")
    make.request("a/f", field, "elsewhere")
    assert deletion.deletable(field, 10) == []
    assert deletion.waiting(field, 10) == deletion.Waiting(0, (), 1)
    assert claim(copy).taken == []
    db.ArchiveFileCopyRequest.update(completed=True).execute()
    assert ids(deletion.deletable(field, 10)) == [copy.id]
    assert len(claim(copy).taken) == 1


def test_requests_from_other_nodes_or_for_other_files_do_not_matter(make, protected, archives):
    copy = protected("a/f")
    make.request("a/f", archives[0], "elsewhere")
    make.request("a/other", copy.node, "elsewhere")
    make.request("a/f", copy.node, "elsewhere", cancelled=True)
    assert len(claim(copy).taken) == 1


# ---- marked copies


@pytest.fixture
def short(make):
    """A node that wants two GiB more, with marked copies of one GiB each."""
    return make.node("short", min_avail_gb=10, avail_gb=8)


def test_marked_copies_go_only_as_far_as_space_is_short_oldest_first(protected, short):
    today = datetime.datetime(2025, 2, 21)
    copies = [
        protected(f"a/{n}", wants="M", on=short, size_b=GIB,
                  last_update=today - datetime.timedelta(days=age))
        for n, age in enumerate([1, 9, 5])
    ]  # fmt: skip
    assert ids(deletion.deletable(short, 10)) == [copies[1].id, copies[2].id]


def test_released_copies_go_before_marked_ones_and_count_for_the_space(protected, short):
    marked = [protected(f"a/{n}", wants="M", on=short, size_b=GIB) for n in range(3)]
    released = protected("a/released", on=short, size_b=GIB)
    assert ids(deletion.deletable(short, 10)) == [released.id, marked[0].id]


def test_the_length_of_the_file_counts_where_the_space_of_the_copy_is_unknown(protected, short):
    copies = [protected(f"a/{n}", wants="M", on=short, size_b=None) for n in range(3)]
    db.ArchiveFile.update(size_b=2 * GIB).execute()
    assert ids(deletion.deletable(short, 10)) == [copies[0].id]


@pytest.mark.parametrize(
    "change",
    [{"storage_type": "A"}, {"avail_gb": 10}, {"avail_gb": None}, {"avail_gb": 11}],
    ids=str,
)
def test_marked_copies_stay_on_archive_nodes_and_where_space_is_enough(protected, short, change):
    copy = protected("a/f", wants="M", on=short)
    assert ids(deletion.deletable(short, 10)) == [copy.id]
    db.StorageNode.update(change).where(db.StorageNode.id == short.id).execute()
    fresh = db.StorageNode.get_by_id(short.id)
    assert deletion.deletable(fresh, 10) == []
    assert claim(copy).taken == []


def test_no_more_than_the_limit_is_returned(protected, field):
    for n in range(5):
        protected(f"a/{n}")
    assert len(deletion.deletable(field, 3)) == 3


# ---- the claim


def test_a_claim_looks_again_at_everything(make, protected, field):
    """Between the list and the claim somebody kept one, asked for one, and lost one."""
    kept, asked, lost, fine = [protected(f"a/{n}") for n in ("kept", "asked", "lost", "fine")]
    listed = ids(deletion.deletable(field, 10))
    assert listed == [kept.id, asked.id, lost.id, fine.id]
    copy = db.ArchiveFileCopy
    copy.update(wants_file="Y").where(copy.id == kept.id).execute()
    make.request("a/asked", field, "elsewhere")
    copy.update(has_file="X").where(copy.file == lost.file, copy.id < lost.id).execute()
    result = deletion.claim(field.id, listed, {})
    assert ids(item.copy for item in result.taken) == [fine.id]
    assert [(c.id, n) for c, n in result.refused] == [(lost.id, 0)]


def test_a_claim_takes_no_copies_of_other_nodes(make, protected, field):
    copy = protected("a/f")
    other = make.node("other")
    assert deletion.claim(other.id, [copy.id], {}).taken == []
    assert state(copy) == "YN"


def test_a_claim_keeps_evidence_of_what_protected_the_file(protected):
    copy = protected("a/f")
    claim(copy)
    (row,) = evidence.DeletionEvidence.select()
    assert (row.copy_id, row.file_id, row.node_id) == (copy.id, copy.file_id, copy.node_id)
    assert [each["node"] for each in json.loads(row.protected_by)] == ["arc0", "arc1"]
    assert row.removed is None
    deletion.removed([copy.id])
    assert evidence.DeletionEvidence.get().removed is not None


def test_a_refused_claim_leaves_no_evidence(make, field):
    claim(make.copy("a/f", field, "Y", "N"))
    assert evidence.DeletionEvidence.select().count() == 0


def test_a_claimed_copy_is_taken_up_again_after_a_crash(protected, field):
    copy = protected("a/f")
    claim(copy)
    assert ids(deletion.deletable(field, 10)) == [copy.id]
    (again,) = claim(copy).taken
    assert (again.had, again.wanted) == ("M", "N")


def test_claims_of_thousands_work(make, protected, field):
    for n in range(3):
        protected(f"a/{n}")
    many = [*range(10_000, 12_000), *ids(deletion.deletable(field, 10))]
    assert len(deletion.claim(field.id, many, {}).taken) == 3


# ---- afterwards


def test_a_removed_copy_reads_removed(protected):
    copy = protected("a/f")
    claim(copy)
    before = db.ArchiveFileCopy.get_by_id(copy.id).last_update
    deletion.removed([copy.id])
    assert state(copy) == "NN"
    assert db.ArchiveFileCopy.get_by_id(copy.id).last_update >= before


def test_a_cancel_between_claim_and_unlink_shows_the_loss(protected):
    copy = protected("a/f")
    claim(copy)
    db.ArchiveFileCopy.update(wants_file="Y").where(db.ArchiveFileCopy.id == copy.id).execute()
    deletion.removed([copy.id])
    assert db.ArchiveFileCopy.get_by_id(copy.id).state == "Missing"


def test_a_removed_file_never_stays_present_in_the_index(protected):
    """Cancelled after the claim, checked as good before the unlink: the file is gone all the same.

    (Y,Y) would count as a copy for ever, and protect others if the node is an archive node.
    """
    copy = protected("a/f")
    claim(copy)
    db.ArchiveFileCopy.update(wants_file="Y").where(db.ArchiveFileCopy.id == copy.id).execute()
    checks.record(copy.node, [checks.Verdict(copy.id, db.HasFile.PRESENT)])
    deletion.removed([copy.id])  # this process unlinked it
    assert state(copy) == "NY"


@pytest.mark.parametrize("has,wants", ["YN", "XN", "YM"])
def test_a_copy_that_could_not_be_removed_gets_its_state_back(make, protected, has, wants):
    node = make.node("short", min_avail_gb=10, avail_gb=8)
    copy = protected("a/f", has, wants, on=node)
    deletion.give_back(claim(copy).taken)
    assert state(copy) == has + wants


def test_giving_back_does_not_undo_a_cancel(protected):
    copy = protected("a/f")
    taken = claim(copy).taken
    db.ArchiveFileCopy.update(wants_file="Y").where(db.ArchiveFileCopy.id == copy.id).execute()
    deletion.give_back(taken)
    assert state(copy) == "MY"  # the next check looks at it


def test_a_new_archive_copy_wakes_the_hosts_that_wait_for_it(make, protected):
    waits = protected("a/f", on=make.node("n", host="waiting"))
    protected("a/g", wants="Y", on=make.node("m", host="idle"))
    deletion.ring_waiting([waits.file_id])
    assert [bell.host for bell in Doorbell.select()] == ["waiting"]


def test_what_waits_is_counted_and_named_only_if_it_is_little(make, field):
    copies = [make.copy(f"a/{n}", field, "Y", "N") for n in range(3)]
    assert deletion.waiting(field, 3).rows == tuple((copy.id, 0) for copy in copies)
    assert deletion.waiting(field, 2) == deletion.Waiting(3, (), 0)
