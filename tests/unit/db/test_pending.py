"""Pending copy requests: which can proceed, which are over, which wait (spec: §9)."""

from __future__ import annotations

import datetime

import pytest

from alpenhorn import db
from alpenhorn.db.queries import pending


def ids(requests):
    return [request.id for request in requests]


def end(request):
    row = db.ArchiveFileCopyRequest.get_by_id(request.id)
    return (row.completed, row.cancelled)


def set_copy(copy, **values):
    db.ArchiveFileCopy.update(values).where(db.ArchiveFileCopy.id == copy.id).execute()


# ---- ready


def test_a_request_with_a_present_source_and_no_copy_at_the_destination_can_proceed(
    make, source, dest
):
    make.copy("a/f", source)
    request = make.request("a/f", source, "target")
    (ready,) = pending.ready(dest.group, 10)
    assert ready.id == request.id
    assert str(ready.file.path) == "a/f"
    assert ready.node_from.name == "source"


@pytest.mark.parametrize("has", "XN")
def test_a_corrupt_or_absent_copy_at_the_destination_is_replaced(make, source, dest, has):
    make.copy("a/f", source)
    make.copy("a/f", dest, has)
    request = make.request("a/f", source, "target")
    assert ids(pending.ready(dest.group, 10)) == [request.id]


@pytest.mark.parametrize("has", "YM")
def test_a_present_or_suspect_copy_anywhere_in_the_group_is_not_replaced(make, source, dest, has):
    make.copy("a/f", source)
    make.copy("a/f", make.node("dest2", group="target", active=False), has)
    make.request("a/f", source, "target")
    assert pending.ready(dest.group, 10) == []


@pytest.mark.parametrize("has", "MXN")
def test_a_source_that_is_not_present_is_not_read(make, source, dest, has):
    make.copy("a/f", source, has)
    make.request("a/f", source, "target")
    assert pending.ready(dest.group, 10) == []


def test_only_pending_requests_of_this_group_are_ready(make, source, dest):
    make.copy("a/f", source)
    make.request("a/f", source, "target", completed=True)
    make.request("a/f", source, "target", cancelled=True)
    make.request("a/f", source, "elsewhere")
    assert pending.ready(dest.group, 10) == []


def test_of_several_requests_for_one_file_only_the_oldest_is_worked_on(make, source, dest):
    other = make.node("other")
    for node in (source, other):
        make.copy("a/f", node)
    first = make.request("a/f", other, "target")
    make.request("a/f", other, "target")
    make.request("a/f", source, "target")
    assert ids(pending.ready(dest.group, 10)) == [first.id]


def test_a_resting_route_does_not_hold_up_another_source_of_the_file(make, source, dest):
    other = make.node("other")
    for node in (source, other):
        make.copy("a/f", node)
    make.request("a/f", other, "target")
    second = make.request("a/f", source, "target")
    found = pending.ready(dest.group, 10, skip_routes={other.id})
    assert ids(found) == [second.id]


def test_requests_come_oldest_first_and_no_more_than_asked_for(make, source, dest):
    requests = []
    for n in range(5):
        make.copy(f"a/{n}", source)
        requests.append(make.request(f"a/{n}", source, "target"))
    assert ids(pending.ready(dest.group, 3)) == ids(requests[:3])


def test_what_was_found_ready_is_asked_again_before_the_work(make, source, dest):
    """Whatever lies between: the work begins with what holds then."""
    changes = {
        "same": lambda copy, request: None,
        "cancelled": lambda copy, request: (
            type(request).update(cancelled=True).where(type(request).id == request.id)
        ),
        "over": lambda copy, request: (
            type(request).update(completed=True).where(type(request).id == request.id)
        ),
        "suspect": lambda copy, request: (
            type(copy).update(has_file="M").where(type(copy).id == copy.id)
        ),
        "gone": lambda copy, request: type(copy).delete().where(type(copy).id == copy.id),
    }
    pairs = {
        name: (make.copy(f"a/{name}", source), make.request(f"a/{name}", source, "target"))
        for name in changes
    }
    make.copy("a/there", source)
    make.request("a/there", source, "target")
    found = pending.ready(dest.group, 10)
    assert len(found) == 6
    for name, change in changes.items():
        query = change(*pairs[name])
        if query is not None:
            query.execute()
    make.copy("a/there", dest)
    db.ArchiveFile.update(size_b=77, md5sum="7" * 32).execute()
    db.StorageNode.update(address="moved").where(db.StorageNode.id == source.id).execute()
    [left] = pending.still_ready(dest.group, found)
    assert left.id == pairs["same"][1].id
    assert (left.file.size_b, left.file.md5sum) == (77, "7" * 32)
    assert left.node_from.address == "moved"
    db.StorageNode.update(active=False).where(db.StorageNode.id == source.id).execute()
    assert pending.still_ready(dest.group, found) == []
    assert pending.still_ready(dest.group, []) == []


def test_the_smallest_files_or_the_newest_come_first_if_that_is_wished(make, source, dest):
    for name, size, day in (("big", 9000, 1), ("new", 5000, 3), ("small", 10, 2)):
        when = datetime.datetime(2025, 1, day)
        file = make.file(f"a/{name}", size_b=size)
        db.ArchiveFile.update(registered=when).where(db.ArchiveFile.id == file.id).execute()
        make.copy(f"a/{name}", source)
        make.request(f"a/{name}", source, "target")

    def first(order, count):
        return [r.file.name for r in pending.ready(dest.group, count, order=order)]

    assert first(pending.Order.OLDEST, 3) == ["big", "new", "small"]
    assert first(pending.Order.SMALLEST, 2) == ["small", "new"]
    assert first(pending.Order.NEWEST, 2) == ["new", "small"]


# ---- blocked


def test_what_cannot_proceed_is_counted_by_reason(make, source, dest):
    away = make.node("away", active=False)
    for name, node, has in [
        ("ready", source, "Y"),
        ("inactive", away, "Y"),
        ("inactive2", away, "M"),
        ("suspect", source, "M"),
        ("waits", source, "Y"),
        ("over", source, "Y"),
    ]:
        make.copy(f"a/{name}", node, has)
        make.request(f"a/{name}", node, "target")
    make.copy("a/waits", dest, "M")
    make.copy("a/over", dest, "Y")
    blocked = pending.blocked(dest.group)
    assert blocked == pending.Blocked(2, 1, 1)
    assert blocked.total == 4


def test_nothing_is_blocked_where_nothing_is_pending(dest):
    assert pending.blocked(dest.group) == pending.Blocked()


def test_a_request_whose_inactive_source_has_no_copy_is_counted(make, dest):
    make.request("a/f", make.node("away", active=False), "target")
    assert pending.blocked(dest.group).source_inactive == 1


# ---- over


def test_a_request_for_what_the_group_has_is_cancelled(make, source, dest):
    make.copy("a/f", dest)
    request = make.request("a/f", source, "target")
    assert [(r.id, n) for r, n in pending.close_satisfied(dest.group, 10)] == [(request.id, None)]
    assert end(request) == (False, True)
    assert pending.close_satisfied(dest.group, 10) == []


@pytest.mark.parametrize("has", "MXN")
def test_a_request_for_what_the_group_may_lack_is_not_cancelled(make, source, dest, has):
    make.copy("a/f", dest, has)
    request = make.request("a/f", source, "target")
    assert pending.close_satisfied(dest.group, 10) == []
    assert end(request) == (False, False)


def test_the_wish_that_came_later_keeps_a_released_copy(make, source, dest):
    """Otherwise the request is cancelled and then the copy is deleted (W-7)."""
    copy = make.copy("a/f", dest, "Y", "N", last_update=datetime.datetime(2020, 1, 1))
    make.request("a/f", source, "target")
    ((_, revived),) = pending.close_satisfied(dest.group, 10)
    assert revived == "dest"
    assert make.states(dest) == {"a/f": "YY"}
    assert db.ArchiveFileCopy.get_by_id(copy.id).last_update > copy.last_update


def test_a_released_copy_stays_released_where_another_one_is_wanted(make, source, dest):
    make.copy("a/f", dest, "Y", "N")
    make.copy("a/f", make.node("dest2", group="target"), "Y", "M")
    make.request("a/f", source, "target")
    assert [name for _, name in pending.close_satisfied(dest.group, 10)] == [None]
    assert make.states(dest) == {"a/f": "YN"}


@pytest.fixture
def meanwhile(monkeypatch):
    """Let something happen between the first look and the transaction's lock."""

    def install(happen):
        lock = pending.lock_files

        def late(file_ids):
            happen()
            lock(file_ids)

        monkeypatch.setattr(pending, "lock_files", late)

    return install


def test_a_copy_that_is_claimed_meanwhile_satisfies_nobody(make, source, dest, meanwhile):
    copy = make.copy("a/f", dest, "Y", "N")
    request = make.request("a/f", source, "target")
    meanwhile(lambda: set_copy(copy, has_file="M"))
    assert pending.close_satisfied(dest.group, 10) == []
    assert end(request) == (False, False)


def test_a_wish_that_was_withdrawn_meanwhile_keeps_nothing(make, source, dest, meanwhile):
    make.copy("a/f", dest, "Y", "N")
    request = make.request("a/f", source, "target")
    meanwhile(lambda: request.cancel("operator"))
    assert pending.close_satisfied(dest.group, 10) == []
    assert make.states(dest) == {"a/f": "YN"}


@pytest.mark.parametrize("has", ["N", "X", None])
def test_a_request_whose_source_cannot_give_the_file_is_cancelled(make, source, dest, has):
    if has:
        make.copy("a/f", source, has)
    request = make.request("a/f", source, "target")
    assert ids(pending.close_hopeless(dest.group, 10)) == [request.id]
    assert end(request) == (False, True)


@pytest.mark.parametrize("has", "YM")
def test_a_request_whose_source_may_have_the_file_stays(make, source, dest, has):
    make.copy("a/f", source, has)
    request = make.request("a/f", source, "target")
    assert pending.close_hopeless(dest.group, 10) == []
    assert end(request) == (False, False)


def test_a_source_that_comes_back_meanwhile_saves_its_request(make, source, dest, meanwhile):
    copy = make.copy("a/f", source, "N")
    request = make.request("a/f", source, "target")
    meanwhile(lambda: set_copy(copy, has_file="Y"))
    assert pending.close_hopeless(dest.group, 10) == []
    assert end(request) == (False, False)


@pytest.mark.parametrize("case", ["source inactive", "destination suspect"])
def test_a_request_that_has_to_wait_for_another_reason_is_not_cancelled(make, source, dest, case):
    make.copy("a/f", source, "N")
    request = make.request("a/f", source, "target")
    if case == "source inactive":
        db.StorageNode.update(active=False).where(db.StorageNode.id == source.id).execute()
    else:
        make.copy("a/f", dest, "M")
    assert pending.close_hopeless(dest.group, 10) == []
    assert end(request) == (False, False)


def test_only_pending_requests_can_be_cancelled(make, source):
    waiting = make.request("a/f", source, "target")
    done = make.request("a/g", source, "target", completed=True)
    gone = make.request("a/h", source, "target", cancelled=True)
    assert pending.cancel(ids([waiting, done, gone])) == {waiting.id}
    assert end(done) == (True, False)


# ---- staging


def test_the_source_makes_ready_what_is_asked_of_it_and_present(make, source, dest):
    for name, has in [("yes", "Y"), ("suspect", "M"), ("unasked", "Y")]:
        make.copy(f"a/{name}", source, has)
    wanted = make.request("a/yes", source, "target")
    make.request("a/suspect", source, "target")
    make.request("a/unasked", source, "target", completed=True)
    assert ids(pending.to_make_ready(source, 10)) == [wanted.id]
