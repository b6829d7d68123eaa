"""How many archive copies must be left, and how recently they must have been verified."""

from __future__ import annotations

import datetime
import json

import pytest

from alpenhorn import db
from alpenhorn.common.units import utcnow
from alpenhorn.db.operations import DeletionEvidence, Doorbell, NodeStore, Verification
from alpenhorn.db.queries import checks, deletion, overdue, stores, waiting
from alpenhorn.db.queries.filters import FileFilter
from alpenhorn.db.queries.protection import Protection

AGED = Protection(2, max_age_days=30)


@pytest.fixture
def field(make):
    return make.node("field")


@pytest.fixture
def released(make, archives, field):
    """Make a released copy of a file that so many archive nodes hold."""

    def copy(path="a/f", number=2):
        for archive in archives[:number]:
            make.copy(path, archive)
        return make.copy(path, field, "Y", "N")

    return copy


def verify(copy_or_node, days_ago, file):
    Verification.insert(
        file_id=file.id,
        node_id=copy_or_node.id,
        verified=utcnow() - datetime.timedelta(days=days_ago),
    ).execute()


def ids(copies):
    return [copy.id for copy in copies]


def test_two_archive_nodes_on_one_file_system_of_another_host_count_once(archives, released, field):
    """What their own daemon has published tells the daemon that deletes (invariant 3)."""
    copy = released(number=2)
    for archive in archives[:2]:
        archive.host = "far"
        archive.save()
        stores.publish(archive, "file system 1f")
    claim = deletion.claim(field.id, [copy.id], {})
    assert (claim.taken, [count for _, count in claim.refused]) == ([], [1])
    stores.publish(archives[0], "file system 2a")
    assert ids(item.copy for item in deletion.claim(field.id, [copy.id], {}).taken) == [copy.id]


def test_what_was_published_from_another_host_does_not_count_after_a_move(
    archives, released, field
):
    copy = released(number=2)
    for archive in archives[:2]:
        stores.publish(archive, "device 801")
        archive.host = f"far from {archive.name}"
        archive.save()
    assert deletion.claim(field.id, [copy.id], {}).taken


def test_a_node_whose_medium_is_away_counts_as_resting_where_it_was_seen_last(
    archives, released, field
):
    """Of two archive nodes on one disk of this host, one root is unmounted at this moment."""
    copy = released(number=2)
    for archive in archives[:2]:
        archive.host = field.host
        archive.save()
        stores.publish(archive, "file system 1f")
    seen = {archives[0].id: ("device", 801)}
    claim = deletion.claim(field.id, [copy.id], seen)
    assert (claim.taken, [count for _, count in claim.refused]) == ([], [1])
    stores.publish(archives[1], "file system 2a")
    assert ids(item.copy for item in deletion.claim(field.id, [copy.id], seen).taken) == [copy.id]


def test_a_store_is_published_once(archives):
    stores.publish(archives[0], "device 801")
    stores.publish(archives[0], "device 801")
    assert [(row.node_id, row.store) for row in NodeStore.select()] == [
        (archives[0].id, "device 801")
    ]


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_as_many_archive_copies_must_be_left_as_are_configured(released, field, count):
    rule = Protection(count)
    enough = released("a/enough", count)
    lacking = released("a/lacking", count - 1) if count else None
    assert ids(deletion.deletable(field, 10, rule)) == [enough.id]
    listed = [c.id for c in (enough, lacking) if c]
    claim = deletion.claim(field.id, listed, {}, rule)
    assert ids(item.copy for item in claim.taken) == [enough.id]
    assert deletion.waiting(field, 10, rule).too_few == (1 if lacking else 0)


def test_the_default_is_two(released, field):
    copy = released(number=1)
    assert deletion.deletable(field, 10) == []
    assert deletion.claim(field.id, [copy.id], {}).taken == []


def test_no_archive_copy_at_all_is_needed_for_none(released, field):
    copy = released(number=0)
    assert len(deletion.claim(field.id, [copy.id], {}, Protection(0)).taken) == 1
    assert json.loads(DeletionEvidence.get().protected_by) == []


@pytest.mark.parametrize(("days", "goes"), [(1, True), (29, True), (31, False), (None, False)])
def test_only_copies_that_were_verified_recently_count(archives, released, field, days, goes):
    copy = released()
    verify(archives[0], 1, copy.file)
    if days is not None:
        verify(archives[1], days, copy.file)
    assert bool(deletion.deletable(field, 10, AGED)) == goes
    claim = deletion.claim(field.id, [copy.id], {}, AGED)
    assert bool(claim.taken) == goes
    assert [n for _, n in claim.refused] == ([] if goes else [1])


@pytest.mark.parametrize(("failed_days_ago", "goes"), [(5, True), (3, False), (1, False)])
def test_a_copy_that_was_found_wrong_since_does_not_count(
    archives, released, field, failed_days_ago, goes
):
    """Somebody called it healthy afterwards; nobody has read it."""
    copy = released()
    for archive in archives[:2]:
        verify(archive, 3, copy.file)
    failed = utcnow() - datetime.timedelta(days=failed_days_ago, seconds=-5)
    Verification.update(failed=failed).where(Verification.node_id == archives[0].id).execute()
    assert bool(deletion.claim(field.id, [copy.id], {}, AGED).taken) == goes


def test_a_copy_that_was_removed_is_not_verified_when_it_comes_back_unread(
    archives, released, field
):
    """By an older program, which keeps no record."""
    copy = released(number=3)
    for archive in archives[:3]:
        verify(archive, 1, copy.file)
    third = db.ArchiveFileCopy.get(node=archives[2])
    third.wants_file = "N"
    third.save()
    deletion.removed(
        [item.copy.id for item in deletion.claim(archives[2].id, [third.id], {}).taken]
    )
    db.ArchiveFileCopy.update(has_file="Y", wants_file="Y").where(
        db.ArchiveFileCopy.id == third.id
    ).execute()
    assert deletion.deletable(field, 10, Protection(3)) != []
    assert deletion.deletable(field, 10, Protection(3, max_age_days=30)) == []


def test_the_evidence_says_when_the_copies_were_verified(archives, released, field):
    copy = released()
    verify(archives[0], 1, copy.file)
    deletion.claim(field.id, [copy.id], {})
    first, second = json.loads(DeletionEvidence.get().protected_by)
    assert first["node"] == "arc0" and first["verified"]
    assert second["node"] == "arc1" and second["verified"] is None


def test_old_copies_are_put_up_for_a_check_once(make, archives, released, field):
    copy = released(number=3)
    verify(archives[0], 1, copy.file)
    verify(archives[1], 60, copy.file)
    assert overdue.put_up_for_check(field, AGED, 100) == 2
    states = [make.states(archive)["a/f"] for archive in archives[:3]]
    assert states == ["YY", "MY", "MY"]
    assert sorted(bell.host for bell in Doorbell.select()) == ["host1", "host2"]
    assert overdue.put_up_for_check(field, AGED, 100) == 0
    assert deletion.deletable(field, 10, AGED) == []


def test_after_the_check_the_deletion_goes_on(archives, released, field):
    copy = released()
    assert overdue.put_up_for_check(field, AGED, 100) == 2
    for archive in archives[:2]:
        (suspect,) = checks.suspect(archive, 10)
        checks.record(archive, [checks.Verdict(suspect.id, db.HasFile.PRESENT, 512)])
    assert ids(deletion.deletable(field, 10, AGED)) == [copy.id]


def test_a_class_that_keeps_no_record_of_its_checks_is_not_asked_in_every_pass(
    archives, released, field
):
    released()
    overdue.put_up_for_check(field, AGED, 100)
    db.ArchiveFileCopy.update(has_file="Y").execute()  # checked, and nothing recorded
    assert overdue.put_up_for_check(field, AGED, 100) == 0


def test_copies_that_nobody_could_check_are_left_alone(make, archives, released, field):
    """A tape node is inactive most of the time; a suspect copy there could not be read."""
    released()
    db.StorageNode.update(active=False).where(db.StorageNode.id == archives[1].id).execute()
    assert overdue.put_up_for_check(field, AGED, 100) == 1
    assert make.states(archives[1]) == {"a/f": "YY"}


def test_what_cannot_be_helped_does_not_hide_the_rest(make, archives, released, field):
    """The first file's copies are on nodes that nobody can reach, and the limit is one."""
    released("a/first")
    db.StorageNode.update(active=False).execute()
    others = [make.node(f"live{n}", storage_type="A") for n in range(2)]
    for node in others:
        make.copy("a/second", node)
    make.copy("a/second", field, "Y", "N")
    assert overdue.put_up_for_check(field, AGED, 1) == 2
    assert [make.states(node)["a/second"] for node in others] == ["MY", "MY"]


def test_nothing_is_put_up_where_it_would_not_help(make, archives, released, field):
    """Too few copies, however recent; or nothing released; or age does not matter."""
    released("a/one", 1)
    make.copy("a/kept", field)
    for archive in archives[:2]:
        make.copy("a/kept", archive)
    assert overdue.put_up_for_check(field, AGED, 100) == 0
    released("a/two")
    assert overdue.put_up_for_check(field, Protection(), 100) == 0


def test_what_waits_for_a_check_is_told_apart(released, field):
    released("a/old")
    released("a/few", 1)
    found = deletion.waiting(field, 10, AGED)
    assert (found.too_few, found.unverified) == (2, 1)
    shelf = waiting.Shelf(field.id, waiting.Files(FileFilter()))

    def whys():
        return {reason.why.name: reason.count for reason in shelf.clean_reasons(AGED)}

    assert whys() == {"ARCHIVE_COPIES_UNVERIFIED": 1, "TOO_FEW_ARCHIVE_COPIES": 1}
    overdue.put_up_for_check(field, AGED, 10)  # they are suspect until they have been checked
    assert whys() == {"ARCHIVE_COPIES_UNVERIFIED": 1, "TOO_FEW_ARCHIVE_COPIES": 1}
    assert deletion.waiting(field, 10, AGED).unverified == 1


def test_without_a_record_of_verifications_no_copy_is_recent(released, field):
    db.DataIndexVersion.delete().where(db.DataIndexVersion.component == "operations").execute()
    copy = released()
    assert deletion.claim(field.id, [copy.id], {}, AGED).taken == []
    assert overdue.put_up_for_check(field, AGED, 100) == 0
    assert len(deletion.claim(field.id, [copy.id], {}).taken) == 1


def test_it_costs_the_same_for_any_number_of_files(make, archives, released, field, statements):
    def cost(count, prefix):
        for n in range(count):
            released(f"{prefix}/{n}")
        with statements() as seen:
            assert overdue.put_up_for_check(field, AGED, 1000) == 2 * count
        return len(seen)

    cost(1, "first")  # the first ring of a doorbell costs more
    assert cost(3, "few") == cost(60, "many")
