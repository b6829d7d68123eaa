"""Transfers: what is recorded of one that came off, and of one that did not (spec: §9)."""

from __future__ import annotations

import datetime

import pytest

from alpenhorn import db
from alpenhorn.db.operations import TransferAttempt
from alpenhorn.db.queries import deletion, evidence, transfers


def arrived(request, space=512, started=100.0, ended=160.5):
    return transfers.Arrived(request.id, request.file_id, space, started, ended)


def end(request):
    row = db.ArchiveFileCopyRequest.get_by_id(request.id)
    return (row.completed, row.cancelled)


# ---- finish


def test_a_finished_transfer_makes_the_copy_present_and_completes_the_request(make, source, dest):
    make.copy("a/f", source)
    request = make.request("a/f", source, "target")
    assert transfers.finish(dest, [arrived(request)]).recorded == {request.id}
    copy = db.ArchiveFileCopy.get(node=dest)
    assert (copy.has_file, copy.wants_file, copy.ready, copy.size_b) == ("Y", "Y", True, 512)
    row = db.ArchiveFileCopyRequest.get_by_id(request.id)
    assert end(request) == (True, False)
    assert (row.transfer_completed - row.transfer_started).total_seconds() in (
        60.5,
        60,
        61,
    )  # MySQL keeps whole seconds
    assert row.transfer_started == datetime.datetime(1970, 1, 1, 0, 1, 40)


@pytest.mark.parametrize("state", ["NN", "NY", "NM", "XY", "XN", "MY"])
def test_a_finished_transfer_changes_the_row_that_exists(make, source, dest, state):
    request = make.request("a/f", source, "target")
    old = make.copy("a/f", dest, *state)
    transfers.finish(dest, [arrived(request)])
    assert make.states(dest) == {"a/f": "YY"}
    assert db.ArchiveFileCopy.get(node=dest).id == old.id


def test_a_copy_that_is_being_deleted_at_this_moment_is_not_recorded(make, source, dest, claimed):
    request = make.request("a/f", source, "target")
    other = make.request("a/g", source, "target")
    claimed("a/f", dest)
    assert transfers.finish(dest, [arrived(request), arrived(other)]).recorded == {other.id}
    assert make.states(dest) == {"a/f": "MN", "a/g": "YY"}
    assert end(request) == (False, False)


def test_a_copy_whose_deletion_was_cancelled_too_late_is_not_recorded(make, source, dest, claimed):
    """The file that has just landed is about to be removed; after a kill nothing would tell."""
    request = make.request("a/f", source, "target")
    claimed("a/f", dest)
    db.ArchiveFileCopy.update(wants_file="Y").execute()
    assert not transfers.finish(dest, [arrived(request)]).recorded
    assert make.states(dest) == {"a/f": "MY"}
    assert end(request) == (False, False)


def test_a_copy_that_was_removed_while_its_replacement_landed_is_not_recorded(
    make, source, dest, claimed
):
    """The removal hit the very file that had landed."""
    request = make.request("a/f", source, "target")
    before = evidence.last_claim()
    deletion.removed([claimed("a/f", dest).id])
    assert not transfers.finish(dest, [arrived(request)], since=before).recorded
    assert make.states(dest) == {"a/f": "NN"}
    assert transfers.finish(dest, [arrived(request)], since=evidence.last_claim()).recorded


def test_a_new_archive_copy_rings_for_the_released_ones(make, source):
    archive = make.node("arc", group="target", storage_type="A")
    make.copy("a/f", source, "Y", "N")
    request = make.request("a/f", source, "target")
    transfers.finish(archive, [arrived(request)])
    assert transfers.doorbell.rings("here") == 1


# ---- failures


@pytest.mark.parametrize("has", "YMXN")
def test_a_blamed_source_becomes_suspect_only_if_it_is_present(make, source, dest, has):
    """(W-14)"""
    make.copy("a/f", source, has, "M")
    make.copy("a/other", source)
    request = make.request("a/f", source, "target")
    transfers.suspect_sources([request])
    assert make.states(source) == {"a/f": ("M" if has == "Y" else has) + "M", "a/other": "YY"}
    assert end(request) == (False, False)
    assert transfers.doorbell.rings("here") == 1


def test_attempts_are_kept_with_what_fits_of_their_message(make, source):
    request = make.request("a/f", source, "target")
    transfers.record_attempts(
        [
            transfers.Attempt(request.id, "route", "x" * 300, None, 1.5),
            transfers.Attempt(request.id, None, "", 4, 0.5),
        ]
    )
    rows = list(TransferAttempt.select().order_by(TransferAttempt.id))
    assert [(row.failure, len(row.message), row.bytes, row.seconds) for row in rows] == [
        ("route", 255, None, 1.5),
        (None, 0, 4, 0.5),
    ]


# ---- the source's side


def test_known_corrupt_copies_are_told(make, dest):
    corrupt = make.copy("a/f", dest, "X")
    good = make.copy("a/g", dest)
    assert transfers.corrupt_on(dest, [corrupt.file_id, good.file_id]) == {corrupt.file_id}
