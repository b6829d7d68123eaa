"""Invariants 1-8 of spec: data-index.md §13: what may be deleted, also when many want to."""

from __future__ import annotations

import peewee as pw
import pytest

from alpenhorn import db
from alpenhorn.db import connection
from alpenhorn.db.queries import deletion, doorbell, evidence
from alpenhorn.db.storage import GIB

MD5 = "0" * 32
Copy = db.ArchiveFileCopy
Request = db.ArchiveFileCopyRequest


def set_copy(copy, **values):
    Copy.update(values).where(Copy.id == copy.id).execute()


def release(copy):
    set_copy(copy, wants_file="N")


def claim(copy, **stores):
    return deletion.claim(copy.node_id, [copy.id], stores.get("stores", {})).taken


def state(copy):
    row = Copy.get_by_id(copy.id)
    return row.has_file + row.wants_file


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


@pytest.mark.slow
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


@pytest.fixture
def between(monkeypatch):
    """Let something happen after a claim has read what protects a file, before it writes."""

    def install(happen):
        read = deletion._pending_sources

        def then_happen(*args):
            found = read(*args)
            happen()
            return found

        monkeypatch.setattr(deletion, "_pending_sources", then_happen)

    return install


def test_invariant_02_nobody_changes_the_proof_before_the_claim(
    make, archives, between, index_path
):
    copies = [make.copy("a/f", archive) for archive in archives[:3]]
    release(copies[2])
    refused = []

    def other_program():
        other = pw.SqliteDatabase(str(index_path), timeout=0)
        with pytest.raises(pw.OperationalError, match="locked"):
            other.execute_sql("UPDATE archivefilecopy SET has_file = 'N' WHERE id = 1")
        other.close()
        refused.append(True)

    between(other_program)
    assert len(claim(copies[2])) == 1
    assert refused


def test_invariant_05_a_cancel_by_a_program_that_locks_no_files_is_honoured(
    make, archives, between
):
    """On servers only the file rows are locked, and older programs change copies without that."""
    copies = [make.copy("a/f", archive) for archive in archives[:3]]
    release(copies[2])
    between(lambda: set_copy(copies[2], wants_file="Y"))
    assert claim(copies[2]) == []
    assert state(copies[2]) == "YY"


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

        def ask(request=request, copy=copies[2]):
            with connection.change():
                Request.update(cancelled=False).where(Request.id == request.id).execute()
                return state(copy)

        seen, taken = together(ask, lambda copies=copies: claim(copies[2]))
        assert (seen, len(taken)) in [("YN", 0), ("MN", 1)]


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

    def broken(_files, _rule):
        raise pw.OperationalError("lost")

    monkeypatch.setattr(deletion, "guards", broken)
    with pytest.raises((pw.OperationalError, pw.ProgrammingError)):
        claim(copies[2])
    assert state(copies[2]) == "YN"


def test_invariant_07_no_claim_without_its_evidence(make, archives, monkeypatch):
    """The claim and its evidence are one transaction."""
    copies = [make.copy("a/f", archive) for archive in archives[:3]]
    release(copies[2])
    assert doorbell.available()

    def full(_model, _rows):
        raise pw.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(evidence, "insert_rows", full)
        with pytest.raises(pw.OperationalError):
            claim(copies[2])
    assert state(copies[2]) == "YN"
    assert claim(copies[2])
    assert evidence.DeletionEvidence.select().count() == 1


def test_invariant_08_a_killed_deletion_is_taken_up_again(make, archives, process):
    copies = [make.copy("a/f", archive) for archive in archives[:3]]
    release(copies[2])
    child = process(
        f"deletion.claim({archives[2].id}, [{copies[2].id}], {{}}); os.kill(os.getpid(), 9)"
    )
    assert child.wait(60) == -9
    assert state(copies[2]) == "MN"  # never Y again: the file may be gone
    (candidate,) = deletion.deletable(archives[2], 10)
    taken = claim(candidate)
    deletion.removed([item.copy.id for item in taken])
    assert state(copies[2]) == "NN"
