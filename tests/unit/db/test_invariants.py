"""The invariants of spec: data-index.md §13, one test each, as far as the db room carries them."""

from __future__ import annotations

import datetime
import time

import peewee as pw
import pytest

from alpenhorn import db, events
from alpenhorn.db import connection, schema
from alpenhorn.db.queries import autoactions, checks, deletion, doorbell, imports, nodes, transfers
from alpenhorn.db.storage import GIB

MD5 = "0" * 32
Copy = db.ArchiveFileCopy
Request = db.ArchiveFileCopyRequest


def found(path="a/f", size_b=4, md5sum=MD5, **values):
    acq, name = path.rsplit("/", 1)
    return imports.Found(acq, name, size_b, md5sum, 512, **values)


def arrived(request):
    return transfers.Arrived(request.id, request.file_id, 512, 1.0, 2.0)


def set_copy(copy, **values):
    Copy.update(values).where(Copy.id == copy.id).execute()


def release(copy):
    set_copy(copy, wants_file="N")


def claim(copy, **stores):
    return deletion.claim(copy.node_id, [copy.id], stores.get("stores", {})).taken


def state(copy):
    row = Copy.get_by_id(copy.id)
    return row.has_file + row.wants_file


@pytest.fixture
def source(make):
    return make.node("source")


@pytest.fixture
def dest(make):
    return make.node("dest", group="target")


@pytest.fixture
def edge():
    def make(node, group, **flags):
        return db.StorageTransferAction.create(node_from=node, group_to=group, **flags)

    return make


# ---- deletion


def test_invariant_01_a_copy_goes_only_if_two_others_protect_it(make, archives):
    copies = [make.copy("a/f", archive) for archive in archives]
    release(copies[3])
    for states, may_go in [("YYY", True), ("YYN", True), ("YYM", True), ("YNN", False),
                           ("YMM", False), ("YXN", False), ("NNN", False)]:  # fmt: skip
        for copy, has in zip(copies, states, strict=False):
            set_copy(copy, has_file=has)
        taken = claim(copies[3])
        assert bool(taken) is may_go, states
        deletion.give_back(taken)


def test_invariant_02_racing_deleters_leave_two_archive_copies(make, archives, together):
    """Four operators release a copy each and their daemons delete at once, file by file."""
    for number in range(12):
        copies = [make.copy(f"a/{number}", archive) for archive in archives]

        def delete(copy):
            release(copy)
            taken = claim(copy)
            deletion.removed([item.copy.id for item in taken])
            return len(taken)

        gone = sum(together(*[lambda copy=copy: delete(copy) for copy in copies]))
        left = [state(copy) for copy in copies]
        assert left.count("NN") == gone
        assert gone <= 2, left


def test_invariant_02_three_deleters_of_released_copies_leave_what_is_wanted(
    make, archives, together
):
    """Four archive copies, three of them released at once: none may go; with one kept more, two."""
    wanted, *released = [make.copy("a/f", archive) for archive in archives]
    for copy in released:
        release(copy)
    assert together(*[lambda copy=copy: claim(copy) for copy in released]) == [[], [], []]
    set_copy(released[0], wants_file="Y")
    taken = together(*[lambda copy=copy: claim(copy) for copy in released])
    assert [len(each) for each in taken] == [0, 1, 1]
    assert state(wanted) == state(released[0]) == "YY"


def test_invariant_02_racing_daemons_of_other_processes_leave_two_archive_copies(
    make, archives, process
):
    copies = [make.copy(f"a/{n}", archive) for n in range(20) for archive in archives]
    code = """
        node = int(sys.stdin.readline())
        mine = [c.id for c in db.ArchiveFileCopy.select().where(db.ArchiveFileCopy.node == node)]
        wait_for_start()
        for copy in mine:
            db.ArchiveFileCopy.update(wants_file="N").where(
                db.ArchiveFileCopy.id == copy).execute()
            deletion.removed([t.copy.id for t in deletion.claim(node, [copy], {}).taken])
        """
    children = [process(code) for _ in archives]
    for child, archive in zip(children, archives, strict=True):
        child.stdin.write(f"{archive.id}\n")
        child.stdin.flush()
        assert child.stdout.readline() == "ready\n"
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        assert child.wait(60) == 0, child.stderr.read()
    for file in db.ArchiveFile.select():
        assert file.copies.where(Copy.has_file == "Y").count() >= 2
    assert len(copies) == 80


def test_invariant_03_copies_that_share_storage_count_once(make, archives):
    copies = [make.copy("a/f", archive) for archive in archives[:3]]
    release(copies[2])
    one_disk = {archives[0].id: "disk", archives[1].id: "disk"}
    assert claim(copies[2], stores=one_disk) == []
    own_disk = {archives[2].id: "disk", archives[1].id: "disk"}
    assert claim(copies[2], stores=own_disk) == []
    apart = {archive.id: f"disk{archive.id}" for archive in archives}
    assert len(claim(copies[2], stores=apart)) == 1


def test_invariant_04_sources_of_pending_requests_stay(make, archives, together):
    """A request and a deletion race: either the request comes first, or the copy is claimed."""
    for number in range(12):
        copies = [make.copy(f"a/{number}", archive) for archive in archives[:3]]
        release(copies[2])
        request = make.request(f"a/{number}", archives[2], "target", cancelled=True)

        def ask(request=request):
            with connection.change():
                Request.update(cancelled=False).where(Request.id == request.id).execute()
                return Copy.get_by_id(request.file.copies.order_by(Copy.id.desc()).get().id)

        seen, taken = together(ask, lambda copies=copies: claim(copies[2]))
        assert (seen.has_file == "Y") is (taken == [])


def test_invariant_05_a_cancelled_release_is_honoured(make, archives, together):
    for number in range(12):
        copies = [make.copy(f"a/{number}", archive) for archive in archives[:3]]
        release(copies[2])

        def keep(copy=copies[2]):
            where = (Copy.id == copy.id) & (Copy.has_file == "Y")
            return Copy.update(wants_file="Y").where(where).execute()

        kept, taken = together(keep, lambda copies=copies: claim(copies[2]))
        assert bool(kept) is not bool(taken)
        assert state(copies[2]) == ("YY" if kept else "MN")


def test_invariant_06_marked_copies_go_only_as_far_as_space_is_short(make, archives):
    node = make.node("n", min_avail_gb=10, avail_gb=9)
    for n in range(3):
        for archive in archives[:2]:
            make.copy(f"a/{n}", archive)
        make.copy(f"a/{n}", node, "Y", "M", size_b=GIB)
    first = [copy.id for copy in deletion.deletable(node, 10)]
    assert len(first) == 1
    assert len(deletion.claim(node.id, first, {}).taken) == 1
    assert [copy.id for copy in deletion.deletable(node, 10)] == first  # no second one
    db.StorageNode.update(avail_gb=10).where(db.StorageNode.id == node.id).execute()
    marked = [copy.id for copy in node.copies.where(Copy.wants_file == "M")]
    assert deletion.claim(node.id, marked, {}).taken == []


@pytest.mark.xfail(strict=True, reason="claim() asks whether space is short, not by how much")
def test_invariant_06_a_claim_takes_no_more_marked_copies_than_needed_now(make, archives):
    """Space became free between the list and the claim."""
    node = make.node("n", min_avail_gb=10, avail_gb=8)
    for n in range(2):
        for archive in archives[:2]:
            make.copy(f"a/{n}", archive)
        make.copy(f"a/{n}", node, "Y", "M", size_b=GIB)
    listed = [copy.id for copy in deletion.deletable(node, 10)]
    assert len(listed) == 2
    db.StorageNode.update(avail_gb=9).where(db.StorageNode.id == node.id).execute()
    assert len(deletion.claim(node.id, listed, {}).taken) == 1


def test_invariant_07_nothing_goes_if_the_count_fails(make, archives, monkeypatch):
    copies = [make.copy("a/f", archive) for archive in archives[:3]]
    release(copies[2])

    def broken(_):
        raise pw.OperationalError("lost")

    monkeypatch.setattr(deletion, "_protectors", broken)
    with pytest.raises(pw.OperationalError):
        claim(copies[2])
    assert state(copies[2]) == "YN"


def test_invariant_07_no_claim_without_its_evidence(make, archives):
    """The claim and its evidence are one transaction."""
    copies = [make.copy("a/f", archive) for archive in archives[:3]]
    release(copies[2])
    assert doorbell.available()
    deletion.DeletionEvidence.drop_table()
    with pytest.raises(pw.OperationalError):
        claim(copies[2])
    assert state(copies[2]) == "YN"


def test_invariant_08_a_killed_deletion_is_taken_up_again(make, archives, process):
    copies = [make.copy("a/f", archive) for archive in archives[:3]]
    release(copies[2])
    child = process(
        f"deletion.claim({archives[2].id}, [{copies[2].id}], {{}}); os.kill(os.getpid(), 9)"
    )
    child.wait(60)
    assert state(copies[2]) == "MN"  # never Y again: the file may be gone
    (candidate,) = deletion.deletable(archives[2], 10)
    taken = claim(candidate)
    deletion.removed([item.copy.id for item in taken])
    assert state(copies[2]) == "NN"


# ---- integrity


def test_invariant_09_an_import_of_other_bytes_is_never_present(make, source):
    make.file("a/f", 4, MD5)
    imports.register(source, [found(md5sum="f" * 32)], create=True)
    assert make.states(source) == {"a/f": "XY"}


def test_invariant_10_a_check_never_changes_wants_file(make, source):
    for wants in "YM":
        copy = make.copy(f"a/{wants}", source, "M", wants)
        checks.record(source, [checks.Verdict(copy.id, db.HasFile.ABSENT)])
        assert state(copy) == "N" + wants


def test_invariant_11_a_release_during_a_check_survives(make, source):
    copy = make.copy("a/f", source, "M")
    (being_checked,) = checks.suspect(source, 10)
    release(copy)
    checks.record(source, [checks.Verdict(being_checked.id, db.HasFile.PRESENT, 512)])
    assert state(copy)[1] == "N"
    marked = make.copy("a/g", source, "M")
    (being_checked,) = checks.suspect(source, 10)
    set_copy(marked, wants_file="M")
    checks.record(source, [checks.Verdict(being_checked.id, db.HasFile.PRESENT, 512)])
    assert state(marked) == "YM"


def test_invariant_11_racing_checks_and_releases_lose_nothing(make, source, together):
    for number in range(12):
        copy = make.copy(f"a/{number}", source, "M")
        verdict = checks.Verdict(copy.id, db.HasFile.PRESENT, 512)
        together(
            lambda copy=copy: release(copy),
            lambda verdict=verdict: checks.record(source, [verdict]),
        )
        assert state(copy) in ("YN", "MN")


def test_invariant_12_a_wrong_checksum_leaves_no_copy_and_blames_the_source(make, source, dest):
    make.copy("a/f", source)
    request = make.request("a/f", source, "target")
    assert request.finish(dest, 1, True, "f" * 32, time.time()) is False
    assert make.states(dest) == {}
    assert make.states(source) == {"a/f": "MY"}


def test_invariant_13_no_actor_changes_length_and_checksum_of_a_file(make, source, dest):
    file = make.file("a/f", 4, MD5)
    request = make.request("a/f", source, "target")
    imports.register(source, [found(size_b=5, md5sum="f" * 32)], create=True)
    transfers.finish(dest, [arrived(request)])
    copy = Copy.get(node=source)
    set_copy(copy, has_file="M")
    checks.record(source, [checks.Verdict(copy.id, db.HasFile.CORRUPT)])
    row = db.ArchiveFile.get_by_id(file.id)
    assert (row.size_b, row.md5sum) == (4, MD5)


@pytest.mark.xfail(strict=True, reason="register() stores what it is given: callers must lower it")
def test_invariant_14_checksums_are_lower_case(make, source):
    imports.register(source, [found(md5sum="ABCDEF0123456789" * 2)], create=True)
    assert db.ArchiveFile.get().md5sum == "abcdef0123456789" * 2


# ---- uniqueness and references


def test_invariant_15_racing_importers_make_one_row_of_each(make, source, together):
    batch = [found(f"2025/02/{n % 3}/{n}") for n in range(20)]
    results = together(*[lambda: imports.register(source, batch, create=True)] * 4)
    assert db.ArchiveAcq.select().count() == 3
    assert db.ArchiveFile.select().count() == Copy.select().count() == 20
    assert sum(result.added for each in results for result in each) == 20
    assert sum(bool(result.new_file) for each in results for result in each) == 20
    assert sum(bool(result.new_acq) for each in results for result in each) == 3


def test_invariant_15_the_keys_forbid_duplicates_and_names_compare_exactly(make, source):
    make.copy("a/f", source)
    file = db.ArchiveFile.get()
    for model, values in [
        (db.ArchiveAcq, {"name": "a"}),
        (db.ArchiveFile, {"acq": file.acq, "name": "f"}),
        (Copy, {"file": file, "node": source}),
    ]:
        with pytest.raises(pw.IntegrityError):
            model.create(**values)
    assert db.ArchiveAcq.create(name="A").id != file.acq.id
    assert db.ArchiveFile.create(acq=file.acq, name="F").id != file.id


def test_invariant_16_racing_auto_syncs_add_no_duplicate_request(make, source, dest, edge, together):
    edge(source, dest.group, autosync=True)
    for number in range(12):
        copy = make.copy(f"a/{number}", source)

        def sync(copy=copy):
            with connection.change():
                autoactions.apply(source, [copy.file_id])

        together(sync, sync, copy.trigger_autoactions)
        assert Request.select().where(Request.file == copy.file_id).count() == 1


def test_invariant_16_identical_requests_end_as_one_completed_and_duplicates(make, source, dest):
    make.copy("a/f", source)
    requests = [make.request("a/f", source, "target") for _ in range(3)]
    (working,) = transfers.ready(dest.group, 10)
    transfers.finish(dest, [arrived(working)])
    assert transfers.ready(dest.group, 10) == []
    closed = transfers.close_satisfied(dest.group, 10)
    assert [request.id for request, _ in closed] == [r.id for r in requests if r != working]
    assert sum(row.completed for row in Request.select()) == 1
    assert sum(row.cancelled for row in Request.select()) == 2


def test_invariant_17_there_is_one_edge_per_pair(make, source, dest, edge):
    edge(source, dest.group)
    with pytest.raises(pw.IntegrityError):
        edge(source, dest.group)


def test_invariant_18_every_reference_leads_somewhere(make, source, dest, edge):
    copy = make.copy("a/f", source)
    request = make.request("a/f", source, "target")
    for model, values in [
        (db.ArchiveFile, {"acq": 999, "name": "x"}),
        (Copy, {"file": 999, "node": dest}),
        (Copy, {"file": copy.file, "node": 999}),
        (Request, {"file": copy.file, "node_from": source, "group_to": 999}),
        (db.ArchiveFileImportRequest, {"node": 999, "path": "x"}),
        (db.StorageNode, {"name": "x", "group": 999}),
        (db.StorageTransferAction, {"node_from": 999, "group_to": dest.group}),
    ]:
        with pytest.raises(pw.IntegrityError):
            model.create(**values)
    for row in (copy.file.acq, copy.file, source, request.group_to):
        with pytest.raises(pw.IntegrityError):
            row.delete_instance()


def test_invariant_19_there_is_one_version_row_per_component(index):
    schema.initialise()
    with pytest.raises(pw.IntegrityError):
        db.DataIndexVersion.create(component="alpenhorn", version=2)
    assert db.DataIndexVersion.select().count() == 2


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
        transfers.cancel([request.id])
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
    (request,) = transfers.ready(dest.group, 10)
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
    assert transfers.close_satisfied(dest.group, 10) == []
    assert transfers.close_hopeless(dest.group, 10) == []
    assert transfers.ready(dest.group, 10) == []
    assert request.check() is False
    row = Request.get_by_id(request.id)
    assert (row.completed, row.cancelled) == (False, False)
    assert [each.id for each in imports.pending(asleep, 10)] == [wish.id]


def snapshot():
    """All rows, without the times that say when they were last confirmed."""
    skipped = ("last_update", "rings")
    return {
        model: [{k: v for k, v in row.items() if k not in skipped} for row in model.select().dicts()]
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
        "pull": f"transfers.finish(n, [transfers.Arrived({request.id}, {request.file_id}, 1, 1, 2)])",
    }[way]
    get = f"n = db.StorageNode.get_by_id({dest.id})\n"
    kill = "os.kill(os.getpid(), 9)"
    process(f"{get}autoactions.apply = lambda *_: {kill}\n{action}").wait(60)
    assert make.states(dest) == {}
    assert Request.select().count() == 1
    assert not Request.get_by_id(request.id).completed
    process(f"{get}{action}\n{kill}").wait(60)
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
        list(imports.tracked_paths(source))
        imports.tracked(source, [("a", "f")])
        imports.registered([("a", "f")])
        transfers.ready(dest.group, 10)
        transfers.blocked(dest.group)
        transfers.to_make_ready(source, 10)
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
    (request,) = transfers.ready(dest.group, 10)
    transfers.finish(dest, [arrived(request)])
    assert make.states(dest) == {"a/f": "YY"}
    schema.check_schema()
    assert schema.initialise() is schema.InitOutcome.ALREADY_THERE
