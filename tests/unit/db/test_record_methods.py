"""Methods of records, as third-party modules call them (spec: data-index.md §9.4-9.6, §10, §11)."""

from __future__ import annotations

import logging
import time

import pytest

from alpenhorn import db, events
from alpenhorn.db import record_methods
from alpenhorn.errors import FailureClass

MD5 = "0123456789abcdef" * 2


@pytest.fixture(autouse=True)
def _all_levels(caplog):
    caplog.set_level(logging.DEBUG, logger="alpenhorn")


@pytest.fixture
def request_(make, source, dest):
    """A request whose source is good."""
    make.file("a/f", 4, MD5)
    make.copy("a/f", source)
    return make.request("a/f", source, "target")


def end(request):
    row = db.ArchiveFileCopyRequest.get_by_id(request.id)
    return (row.completed, row.cancelled)


# ---- cancel


@pytest.mark.parametrize(
    ("reason", "level"),
    [("duplicate", "INFO"), ("missing", "WARNING"), ("non-local", "WARNING"), ("odd", "WARNING")],
)
def test_a_request_is_cancelled_with_a_reason(request_, heard, caplog, reason, level):
    request_.cancel(reason)
    assert end(request_) == (False, True)
    assert request_.cancelled
    assert heard == [events.RequestEnded("copy", reason, "source", "target")]
    (record,) = [r for r in caplog.records if reason in r.getMessage()]
    assert record.levelname == level


@pytest.mark.parametrize("reason", ["", "success"])
def test_some_reasons_are_none(request_, reason):
    with pytest.raises(ValueError):
        request_.cancel(reason)
    assert end(request_) == (False, False)


def test_cancelling_writes_only_that_column(request_):
    db.ArchiveFileCopyRequest.update(timestamp=None).execute()
    request_.cancel("missing")
    assert db.ArchiveFileCopyRequest.get_by_id(request_.id).timestamp is None


# ---- check


def test_a_request_that_can_proceed_passes(request_, dest):
    assert request_.check() is True
    assert request_.check(dest) is True


def test_a_file_that_is_there_cancels_as_duplicate(request_, make, dest, heard):
    make.copy("a/f", dest)
    assert request_.check() is False
    assert end(request_) == (False, True)
    assert heard[0].result == "duplicate"


def test_a_released_copy_is_kept_for_the_request_that_came_later(request_, make, dest):
    make.copy("a/f", dest, "Y", "N")
    assert request_.check() is False
    assert make.states(dest) == {"a/f": "YY"}


@pytest.mark.parametrize("has", "NX")
def test_a_source_that_has_no_good_copy_cancels_as_missing(request_, source, heard, has):
    db.ArchiveFileCopy.update(has_file=has).execute()
    assert request_.check() is False
    assert end(request_) == (False, True)
    assert heard[0].result == "missing"


def test_what_has_to_wait_stays_pending(request_, make, source, dest, caplog):
    def waits(expected_level):
        caplog.clear()
        assert request_.check(dest) is False
        assert end(request_) == (False, False)
        assert caplog.records[-1].levelname == expected_level if expected_level else True

    copy = make.copy("a/f", dest, "M")
    waits("WARNING")
    db.ArchiveFileCopy.update(has_file="X").where(db.ArchiveFileCopy.id == copy.id).execute()
    assert request_.check(dest) is True
    db.StorageNode.update(active=False).where(db.StorageNode.id == source.id).execute()
    waits("WARNING")
    db.ArchiveFileCopy.update(has_file="N").where(db.ArchiveFileCopy.node == source).execute()
    waits("WARNING")  # inactive comes before missing
    db.StorageNode.update(active=True).execute()
    db.ArchiveFileCopy.update(has_file="M").where(db.ArchiveFileCopy.node == source).execute()
    waits(None)
    db.ArchiveFileCopy.update(has_file="Y").where(db.ArchiveFileCopy.node == source).execute()
    dest.avail_gb, dest.min_avail_gb = 1, 2
    waits("INFO")


def test_the_io_class_of_the_source_is_asked_whether_it_is_ready(request_, monkeypatch):
    asked = []
    monkeypatch.setattr(record_methods, "source_is_ready", record_methods.source_is_ready)
    record_methods.set_source_probe(lambda request: bool(asked.append(request.id)))
    assert request_.check() is False
    assert asked == [request_.id]
    assert end(request_) == (False, False)


# ---- finish


@pytest.mark.parametrize("md5ok", [True, MD5])
@pytest.mark.parametrize(
    "size", [512, None, lambda path: len(str(path))], ids=["number", "unknown", "callable"]
)
def test_a_good_transfer_is_recorded(request_, dest, heard, caplog, md5ok, size):
    assert request_.finish(dest, size, True, md5ok, time.time() - 2) is True
    copy = db.ArchiveFileCopy.get(node=dest)
    assert (copy.state, copy.ready) == ("Healthy", True)
    assert copy.size_b == (3 if callable(size) else size)
    assert end(request_) == (True, False)
    assert [type(event) for event in heard] == [events.TransferEnded, events.RequestEnded]
    assert heard[0].failure is None
    assert heard[1] == events.RequestEnded("copy", "success", "source", "target")
    assert any(
        m.startswith("Pull of a/f complete. Transferred 4 B in ") and m.endswith("/s]")
        for m in caplog.messages
    )


def test_the_callable_size_gets_the_path_that_was_given(request_, dest):
    request_.finish(dest, len, True, True, time.time(), path="12345")
    assert db.ArchiveFileCopy.get(node=dest).size_b == 5


def test_an_unknown_length_is_no_obstacle(request_, dest, caplog):
    """(W-15)"""
    db.ArchiveFile.update(size_b=None).execute()
    request = db.ArchiveFileCopyRequest.get_by_id(request_.id)
    assert request.finish(dest, 512, True, True, time.time()) is True
    assert end(request) == (True, False)


def test_auto_actions_follow_a_good_transfer(request_, make, source, dest):
    db.StorageTransferAction.create(node_from=source, group_to=dest.group, autoclean=True)
    request_.finish(dest, 512, True, True, time.time())
    assert make.states(source) == {"a/f": "YN"}


@pytest.mark.parametrize(
    ("success", "md5ok", "check_src", "blamed"),
    [
        (True, "f" * 32, True, True),
        (True, "f" * 32, False, True),
        (True, False, True, True),
        (False, True, True, True),
        (False, True, False, False),
    ],
)
def test_a_failed_transfer_stays_pending_and_may_blame_the_source(
    request_, make, source, dest, heard, caplog, success, md5ok, check_src, blamed
):
    assert request_.finish(dest, 1, success, md5ok, 0.0, check_src, "no space left") is False
    assert end(request_) == (False, False)
    assert make.states(dest) == {}
    assert make.states(source) == {"a/f": "MY" if blamed else "YY"}
    assert [event.failure for event in heard] == [
        FailureClass.SOURCE if blamed else FailureClass.DESTINATION
    ]
    assert any("no space left" in m for m in caplog.messages) is not success


@pytest.mark.parametrize(
    "known",
    [
        pytest.param({"md5sum": MD5.upper()}, id="upper case in an old row (W-10)"),
        pytest.param({"md5sum": None}, id="unknown checksum (W-8)"),
    ],
)
def test_only_what_is_known_is_compared_and_case_does_not_matter(request_, dest, known):
    db.ArchiveFile.update(known).execute()
    request = db.ArchiveFileCopyRequest.get_by_id(request_.id)
    assert request.finish(dest, 512, True, MD5, time.time()) is True


def test_a_copy_that_is_being_deleted_is_not_recorded(request_, dest, heard, claimed):
    claimed("a/f", dest)
    assert request_.finish(dest, 512, True, True, time.time()) is False
    assert end(request_) == (False, False)
    assert heard == []


def test_a_request_cancelled_meanwhile_is_counted_once(request_, dest, heard):
    same = db.ArchiveFileCopyRequest.get_by_id(request_.id)
    same.cancel("operator")
    request_.finish(dest, 512, True, True, time.time())
    assert [e.result for e in heard if isinstance(e, events.RequestEnded)] == ["operator"]


# ---- complete


@pytest.mark.parametrize(
    ("path", "level"), [("a/f", "INFO"), ("ALPENHORN_NODE", "DEBUG")], ids=["import", "init"]
)
def test_an_import_request_is_completed_once(source, heard, caplog, path, level):
    request = db.ArchiveFileImportRequest.create(node=source, path=path)
    again = db.ArchiveFileImportRequest.get_by_id(request.id)
    request.complete("success")
    again.complete("duplicate")
    assert request.completed
    assert db.ArchiveFileImportRequest.get_by_id(request.id).completed
    assert heard == [events.RequestEnded("import", "success", "source", "source")]
    (record,) = [r for r in caplog.records if r.getMessage().startswith("Completed import")]
    assert (record.getMessage(), record.levelname) == (
        f"Completed import request #{request.id}.",
        level,
    )


def test_an_outcome_other_than_success_is_told(source, caplog):
    """(W-17)"""
    request = db.ArchiveFileImportRequest.create(node=source, path="a/f")
    request.complete("no detection")
    assert any("no detection" in m and '"a/f"' in m for m in caplog.messages)


def test_an_empty_outcome_is_refused(source):
    request = db.ArchiveFileImportRequest.create(node=source, path="a/f")
    with pytest.raises(ValueError):
        request.complete("")
    assert not db.ArchiveFileImportRequest.get_by_id(request.id).completed


# ---- auto-actions


def test_third_parties_trigger_the_auto_actions_of_a_copy(make, source, dest):
    db.StorageTransferAction.create(node_from=source, group_to=dest.group, autosync=True)
    make.copy("a/f", source).trigger_autoactions()
    assert db.ArchiveFileCopyRequest.get().group_to == dest.group


@pytest.mark.parametrize("has", "MXN")
def test_a_copy_that_is_not_verified_releases_nothing(make, source, dest, has):
    db.StorageTransferAction.create(node_from=source, group_to=dest.group, autoclean=True)
    make.copy("a/f", source)
    make.copy("a/f", dest, has).trigger_autoactions()
    assert make.states(source) == {"a/f": "YY"}
