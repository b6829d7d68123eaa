"""A claim holds until it has ended: no change of state meanwhile makes the copy count."""

from __future__ import annotations

import pytest

from alpenhorn import db
from alpenhorn.db.operations import DeletionEvidence
from alpenhorn.db.queries import checks, deletion, evidence, transfers
from alpenhorn.errors import NotAllowed
from alpenhorn.services import copies as service


@pytest.fixture
def third(archives):
    """The archive node on which a copy is being deleted."""
    return archives[2]


@pytest.fixture
def going(claimed, third):
    """A copy on a third archive node, which is being deleted."""
    return claimed("a/f", third)


def set_copy(copy, **values):
    db.ArchiveFileCopy.update(values).where(db.ArchiveFileCopy.id == copy.id).execute()


def state(copy):
    row = db.ArchiveFileCopy.get_by_id(copy.id)
    return row.has_file + row.wants_file


def claim_first(make, archives):
    """Somebody else wants to delete the copy on the first archive node."""
    copy = db.ArchiveFileCopy.get(node=archives[0])
    set_copy(copy, wants_file="N")
    return deletion.claim(archives[0].id, [copy.id], {}).taken


def test_a_copy_that_is_being_deleted_does_not_count_though_it_was_called_healthy(
    make, archives, going
):
    """Called off after the claim, checked as good before the unlink: the file is about to go."""
    set_copy(going, has_file="Y", wants_file="Y")
    assert claim_first(make, archives) == []


def test_a_check_concludes_nothing_about_a_copy_that_is_being_deleted(third, going):
    """Read as good, claimed, wanted again, unlinked, the check recorded, killed: it is gone."""
    set_copy(going, wants_file="Y")
    good = [checks.Verdict(going.id, db.HasFile.PRESENT, 512)]
    assert checks.record(third, good) == 0
    assert state(going) == "MY"
    evidence.end_stale_claims(third)
    assert checks.record(third, good) == 1


def test_it_counts_again_once_the_claim_has_ended(make, archives, third, going):
    set_copy(going, has_file="Y", wants_file="Y")
    evidence.end_stale_claims(third)
    assert len(claim_first(make, archives)) == 1


def test_a_claim_that_was_given_back_is_over(make, archives, third, claimed):
    copy = claimed("a/f", third)
    deletion.give_back([deletion.Claimed(copy, "Y", "N")])
    assert not evidence.is_claimed(copy)
    set_copy(copy, wants_file="Y")
    assert len(claim_first(make, archives)) == 1


def test_a_claim_that_a_kill_left_is_taken_up_again(third, going):
    evidence.end_stale_claims(third)
    assert evidence.is_claimed(going)
    assert [copy.id for copy in deletion.deletable(third, 10)] == [going.id]


def test_claims_of_other_nodes_are_left_alone(archives, third, going):
    set_copy(going, wants_file="Y")
    evidence.end_stale_claims(archives[0])
    assert evidence.is_claimed(going)


def test_removing_ends_the_claim(going):
    deletion.removed([going.id])
    assert not evidence.is_claimed(going)
    row = DeletionEvidence.get()
    assert row.removed is not None and row.given_back is None


def test_nobody_can_call_a_claimed_copy_healthy(make, third, going):
    with pytest.raises(NotAllowed, match=r"is deleting the copy"):
        service.set_state(make.file("a/f"), third, "healthy", None)
    assert state(going) == "MN"


@pytest.mark.parametrize("word", ["suspect", "corrupt", "missing", "absent"])
def test_the_other_states_can_be_set(make, third, going, word):
    assert service.set_state(make.file("a/f"), third, word, None)


def test_a_copy_that_was_wanted_back_is_healthy_only_after_the_claim_has_ended(make, third, going):
    set_copy(going, wants_file="Y")
    with pytest.raises(NotAllowed):
        service.set_state(make.file("a/f"), third, "healthy", None)
    evidence.end_stale_claims(third)
    assert service.set_state(make.file("a/f"), third, "healthy", None)
    assert state(going) == "YY"


def test_a_released_copy_that_is_to_be_verified_is_no_claim(make, third, dest, source):
    """`file verify` writes (M,N) too; only what has a record of its claim is being deleted."""
    copy = make.copy("a/f", third, "Y", "N")
    service.verify(make.file("a/f"), third)
    assert state(copy) == "MN"
    assert not evidence.is_claimed(copy)
    assert service.set_state(make.file("a/f"), third, "healthy", None)
    make.copy("a/g", dest, "M", "N")
    request = make.request("a/g", source, "target")
    arrived = transfers.Arrived(request.id, request.file_id, 512, 1.0, 2.0)
    assert transfers.finish(dest, [arrived]).recorded == {request.id}
    assert make.states(dest)["a/g"] == "YY"


def test_without_a_record_every_such_copy_is_taken_for_a_claim(make, third):
    db.DataIndexVersion.delete().where(db.DataIndexVersion.component == "operations").execute()
    copy = make.copy("a/f", third, "M", "N")
    assert evidence.is_claimed(copy)
    with pytest.raises(NotAllowed):
        service.set_state(make.file("a/f"), third, "healthy", None)


def test_a_claim_and_a_word_of_health_exclude_each_other(make, archives, third, together):
    """At the same moment: either the copy is kept, or the operator is told."""
    for archive in archives[:2]:
        make.copy("a/f", archive)
    copy = make.copy("a/f", third, "Y", "N")
    file = make.file("a/f")

    def say_healthy():
        try:
            return service.set_state(file, third, "healthy", None)
        except NotAllowed:
            return False

    for _ in range(10):
        set_copy(copy, has_file="Y", wants_file="N")
        DeletionEvidence.delete().execute()
        claim, kept = together(lambda: deletion.claim(third.id, [copy.id], {}), say_healthy)
        assert bool(claim.taken) != kept
        assert state(copy) == ("YY" if kept else "MN")


def test_a_check_does_not_touch_a_claimed_copy(third, going):
    checks.record(third, [checks.Verdict(going.id, db.HasFile.PRESENT, 512)])
    assert state(going) == "MN"
