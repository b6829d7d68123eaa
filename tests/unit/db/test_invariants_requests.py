"""Invariants 20-30 of spec: data-index.md §13: requests, auto-actions, and the rest."""

from __future__ import annotations

import datetime

import peewee as pw
import pytest

from alpenhorn import db, events
from alpenhorn.db import schema
from alpenhorn.db.queries import (
    autoactions,
    checks,
    deletion,
    doorbell,
    imports,
    nodes,
    pending,
    transfers,
)

MD5 = "0" * 32
Copy = db.ArchiveFileCopy
Request = db.ArchiveFileCopyRequest


def found(path="a/f", size_b=4, md5sum=MD5, **values):
    acq, name = path.rsplit("/", 1)
    return imports.Found(acq, name, size_b, md5sum, 512, **values)


def arrived(request):
    return transfers.Arrived(request.id, request.file_id, 512, 1.0, 2.0)


def state(copy):
    row = Copy.get_by_id(copy.id)
    return row.has_file + row.wants_file


# ---- requests


def test_invariant_20_a_request_is_never_completed_and_cancelled(make, source, dest, together):
    for number in range(12):
        request = make.request(f"a/{number}", source, "target")
        together(
            lambda request=request: transfers.finish(dest, [arrived(request)]),
            lambda request=request: Request.get_by_id(request.id).cancel("operator"),
        )
        row = Request.get_by_id(request.id)
        assert row.completed is not row.cancelled
        before = (row.completed, row.cancelled)
        transfers.finish(dest, [arrived(request)])
        pending.cancel([request.id])
        row = Request.get_by_id(request.id)
        assert (row.completed, row.cancelled) == before


def test_invariant_21_a_transfer_never_ends_before_it_began(make, source, dest):
    """Also if the clock was set back meanwhile; and with it comes the copy, or neither."""
    request = make.request("a/f", source, "target")
    transfers.finish(dest, [transfers.Arrived(request.id, request.file_id, 1, 200.0, 100.0)])
    row = Request.get_by_id(request.id)
    assert row.transfer_started <= row.transfer_completed
    assert row.transfer_started == datetime.datetime(1970, 1, 1, 0, 3, 20)
    assert make.states(dest) == {"a/f": "YY"}


def test_invariant_21_a_request_completes_only_with_its_copy(make, source, dest, monkeypatch):
    request = make.request("a/f", source, "target")

    def broken(*_):
        raise pw.OperationalError("lost")

    monkeypatch.setattr(autoactions, "apply", broken)
    with pytest.raises(pw.OperationalError):
        transfers.finish(dest, [arrived(request)])
    assert make.states(dest) == {}
    assert not Request.get_by_id(request.id).completed


def test_invariant_22_a_request_cancelled_during_its_transfer_stays_cancelled(make, source, dest):
    make.copy("a/f", source)
    make.request("a/f", source, "target")
    (request,) = pending.ready(dest.group, 10)
    Request.get_by_id(request.id).cancel("operator")
    transfers.finish(dest, [arrived(request)])
    row = Request.get_by_id(request.id)
    assert (row.completed, row.cancelled) == (False, True)
    assert row.transfer_completed is None
    assert make.states(dest) == {"a/f": "YY"}


def test_invariant_22_cancelling_a_completed_request_has_no_effect(make, source, dest, heard):
    request = make.request("a/f", source, "target")
    stale = Request.get_by_id(request.id)
    transfers.finish(dest, [arrived(request)])
    stale.cancel("missing")
    row = Request.get_by_id(request.id)
    assert (row.completed, row.cancelled) == (True, False)
    assert heard == []


def test_invariant_23_an_import_request_is_counted_once(source, heard, together):
    request = db.ArchiveFileImportRequest.create(node=source, path="a/f")
    same = [db.ArchiveFileImportRequest.get_by_id(request.id) for _ in range(4)]
    together(*[lambda row=row: row.complete("success") for row in same])
    assert heard == [events.RequestEnded("import", "success", "source", "source")]


def test_invariant_24_requests_of_inactive_nodes_stay_pending(make, dest):
    asleep = make.node("asleep", active=False)
    make.copy("a/f", asleep)
    old = datetime.datetime(2001, 1, 1)
    request = make.request("a/f", asleep, "target", timestamp=old)
    wish = db.ArchiveFileImportRequest.create(node=asleep, path="x", timestamp=old)
    assert pending.close_satisfied(dest.group, 10) == []
    assert pending.close_hopeless(dest.group, 10) == []
    assert pending.ready(dest.group, 10) == []
    assert request.check() is False
    row = Request.get_by_id(request.id)
    assert (row.completed, row.cancelled) == (False, False)
    assert [each.id for each in imports.pending(asleep, 10)] == [wish.id]


def snapshot():
    """All rows, without the times that say when they were last confirmed."""
    skipped = ("last_update", "rings")
    return {
        model: [
            {k: v for k, v in row.items() if k not in skipped}
            for row in model.select().order_by(model.id).dicts()
        ]
        for model in db.gamut
    }


def test_invariant_25_handling_a_request_twice_leaves_the_same_rows(make, source, dest, edge):
    edge(source, dest.group, autoclean=True)
    edge(dest, make.node("third").group, autosync=True)
    make.copy("a/f", source)
    request = make.request("a/f", source, "target")
    wish = db.ArchiveFileImportRequest.create(node=source, path="b/f")
    batch = [found("b/f", request_id=wish.id)]
    transfers.finish(dest, [arrived(request)])
    imports.register(source, batch, create=True)
    once = snapshot()
    transfers.finish(dest, [arrived(request)])
    imports.register(source, batch, create=True)
    assert snapshot() == once


# ---- auto-actions


@pytest.mark.parametrize("way", ["import", "pull"])
def test_invariant_26_a_copy_and_its_auto_actions_come_together(
    make, source, dest, edge, process, way
):
    """The process is killed before the auto-actions, then right after the whole."""
    make.copy("a/f", source)
    request = make.request("a/f", source, "target")
    third = make.node("third")
    edge(dest, third.group, autosync=True)
    edge(source, dest.group, autoclean=True)
    action = {
        "import": 'imports.register(n, [imports.Found("a", "f", 4, "0" * 32, 1)], create=False)',
        "pull": f"a = transfers.Arrived({request.id}, {request.file_id}, 1, 1, 2)\n"
        "transfers.finish(n, [a])",
    }[way]
    get = f"n = db.StorageNode.get_by_id({dest.id})\n"
    kill = "os.kill(os.getpid(), 9)"
    killed = process(f"{get}autoactions.apply = lambda *_: {kill}\n{action}")
    assert killed.wait(60) == -9
    assert make.states(dest) == {}
    assert Request.select().count() == 1
    assert not Request.get_by_id(request.id).completed
    assert process(f"{get}{action}\n{kill}").wait(60) == -9
    assert make.states(dest) == {"a/f": "YY"}
    assert make.states(source) == {"a/f": "YN"}
    assert Request.select().where(Request.group_to == third.group).count() == 1


def test_invariant_27_auto_actions_never_concern_the_nodes_own_group(make, edge):
    one, two = make.node("one", group="g"), make.node("two", group="g")
    edge(one, one.group, autosync=True, autoclean=True)
    copies = [make.copy("a/f", one), make.copy("a/f", two)]
    for copy in copies:
        copy.trigger_autoactions()
    assert Request.select().count() == 0
    assert [state(copy) for copy in copies] == ["YY", "YY"]


# ---- general


def test_invariant_28_a_pull_writes_nothing_of_others(make, source, dest):
    other = make.node("other", storage_type="A")
    make.copy("a/f", source)
    make.copy("a/f", other)
    make.copy("a/g", source)
    request = make.request("a/f", source, "target")
    make.request("a/g", source, "elsewhere")
    before = snapshot()
    transfers.finish(dest, [arrived(request)])
    after = snapshot()
    assert [row for row in after[Copy] if row["node"] != dest.id] == before[Copy]
    assert [r for r in after[Request] if r["id"] != request.id] == [
        r for r in before[Request] if r["id"] != request.id
    ]
    for model in (db.StorageNode, db.StorageGroup, db.ArchiveAcq, db.ArchiveFile):
        assert after[model] == before[model]


def test_invariant_29_questions_write_nothing(make, source, dest, statements):
    copy = make.copy("a/f", source, "M")
    make.request("a/f", source, "target")
    with statements() as seen:
        schema.check_schema()
        nodes.active_on("here")
        nodes.init_request(source)
        imports.pending(source, 10)
        imports.tracked_names(source, "a")
        imports.tracked(source, [("a", "f")])
        imports.registered([("a", "f")])
        pending.ready(dest.group, 10)
        pending.blocked(dest.group)
        pending.to_make_ready(source, 10)
        deletion.deletable(source, 10)
        deletion.waiting(source, 10)
        checks.suspect(source, 10)
        doorbell.rings("here")
        dest.group.state_on_node(copy.file)
        source.get_all_files()
    assert seen.writes == []
    assert seen


def test_invariant_30_extra_nullable_columns_do_no_harm(make, source, dest, edge):
    for model in db.gamut:
        table = schema.table_name(model)
        db.database_proxy.execute_sql(f"ALTER TABLE {table} ADD COLUMN of_the_site TEXT")
    edge(source, dest.group, autosync=True)
    imports.register(source, [found()], create=True)
    (request,) = pending.ready(dest.group, 10)
    transfers.finish(dest, [arrived(request)])
    assert make.states(dest) == {"a/f": "YY"}
    schema.check_schema()
    assert schema.initialise() is schema.InitOutcome.ALREADY_THERE
