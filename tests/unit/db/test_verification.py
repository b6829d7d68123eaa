"""When copies were verified, and who let them go, is kept with the change itself."""

from __future__ import annotations

import pytest

from alpenhorn import db
from alpenhorn.common import actor
from alpenhorn.db import connection
from alpenhorn.db.enums import WantsFile
from alpenhorn.db.operations import DeletionEvidence, Release, Verification
from alpenhorn.db.queries import checks, copy_edits, deletion, imports, transfers
from alpenhorn.db.queries.clean import CleanScope
from alpenhorn.db.queries.filters import FileFilter

FOUND = imports.Found("a", "f", 4, "0" * 32, 512)


def row(copy):
    return Verification.get_or_none(
        (Verification.file_id == copy.file_id) & (Verification.node_id == copy.node_id)
    )


def check(copy, state):
    checks.record(copy.node, [checks.Verdict(copy.id, db.HasFile(state), 512)])
    return row(copy)


# ---- verification


def test_an_import_is_a_verification(source):
    imports.register(source, [FOUND], create=True)
    kept = row(db.ArchiveFileCopy.get())
    assert kept.verified is not None and kept.added_by == "import" and kept.failed is None


def test_an_import_of_other_bytes_is_none(make, source):
    make.file("a/f", md5sum="1" * 32)
    imports.register(source, [FOUND], create=True)
    assert db.ArchiveFileCopy.get().has_file == "X"
    kept = row(db.ArchiveFileCopy.get())
    assert kept.verified is None and kept.failed is not None and kept.added_by == "import"


@pytest.mark.parametrize("read", [True, False])
def test_a_pull_is_one_if_the_bytes_were_read(make, source, dest, read):
    request = make.request("a/f", source, "target")
    arrived = transfers.Arrived(request.id, request.file_id, 512, 1.0, 2.0, read=read)
    transfers.finish(dest, [arrived])
    kept = row(db.ArchiveFileCopy.get())
    assert (kept.added_by, kept.verified is not None) == ("pull", read)


def test_a_check_keeps_when_it_was_right_and_when_it_was_not(make, source):
    copy = make.copy("a/f", source, "M")
    good = check(copy, "Y")
    assert good.verified is not None and good.failed is None
    db.ArchiveFileCopy.update(has_file="M").execute()
    bad = check(copy, "X")
    assert (bad.verified, bad.failed is not None) == (good.verified, True)
    assert Verification.select().count() == 1


def test_without_an_md5_there_is_nothing_to_compare_with(make, source):
    copy = make.copy("a/f", source, "M")
    db.ArchiveFile.update(md5sum=None).execute()
    assert check(copy, "Y") is None


def test_what_is_rolled_back_was_not_verified(source):
    def fail(results):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        imports.register(source, [FOUND], create=True, inside=fail)
    assert Verification.select().count() == 0


def test_without_our_tables_nothing_is_kept(make, source):
    db.DataIndexVersion.delete().where(db.DataIndexVersion.component == "operations").execute()
    copy = make.copy("a/f", source, "M", "Y")
    checks.record(source, [checks.Verdict(copy.id, db.HasFile.PRESENT, 512)])
    CleanScope(source.id, WantsFile.RELEASED, FileFilter()).update()
    assert make.states(source) == {"a/f": "YN"}
    assert Verification.select().count() == Release.select().count() == 0


# ---- releases


def wishes():
    return [(r.wants_file, r.by) for r in Release.select().order_by(Release.id)]


def test_a_clean_keeps_who_released(make, source):
    make.copy("a/f", source)
    make.copy("a/g", source, "Y", "N")
    CleanScope(source.id, WantsFile.RELEASED, FileFilter()).update()
    assert wishes() == [("N", actor.me())]


def test_a_clean_with_a_limit_keeps_what_it_released(make, source):
    for n in range(3):
        make.copy(f"a/{n}", source)
    CleanScope(source.id, WantsFile.REMOVABLE, FileFilter(), limit_b=5).update()
    assert wishes() == [("M", actor.me())] * 2


def test_single_copies_are_kept_too(make, source):
    copy = make.copy("a/f", source)
    copy_edits.set_wants(copy.file, None, WantsFile.RELEASED)
    copy_edits.edit(copy.file, source, lambda _: {"wants_file": WantsFile.KEEP})
    assert wishes() == [("N", actor.me()), ("Y", actor.me())]


def test_an_auto_action_is_named(make, source, dest, edge):
    edge(source, dest.group, autoclean=True)
    make.copy("a/f", source)
    request = make.request("a/f", source, "target")
    transfers.finish(dest, [transfers.Arrived(request.id, request.file_id, 512, 1.0, 2.0)])
    assert wishes() == [("N", "auto-clean: added to dest")]


def test_a_deletion_keeps_who_released_the_copy(make, archives, source):
    for archive in archives[:2]:
        make.copy("a/f", archive)
    copy = make.copy("a/f", source)
    copy_edits.set_wants(copy.file, source, WantsFile.RELEASED)
    deletion.claim(source.id, [copy.id], {})
    kept = DeletionEvidence.get()
    assert (kept.released_by, kept.released) == (actor.me(), Release.get().at)


def test_a_wish_that_was_taken_back_is_not_the_reason(make, archives, source):
    """Released again by a program that keeps no record: nobody knows who it was."""
    for archive in archives[:2]:
        make.copy("a/f", archive)
    copy = make.copy("a/f", source)
    copy_edits.set_wants(copy.file, source, WantsFile.RELEASED)
    copy_edits.set_wants(copy.file, source, WantsFile.KEEP)
    db.ArchiveFileCopy.update(wants_file="N").where(db.ArchiveFileCopy.id == copy.id).execute()
    deletion.claim(source.id, [copy.id], {})
    assert DeletionEvidence.get().released_by is None


def test_the_user_is_that_of_the_process(monkeypatch):
    monkeypatch.setenv("LOGNAME", "somebody-else")
    actor.me.cache_clear()
    assert "somebody-else" not in actor.me() and "@" in actor.me()


def test_who_deletes_is_kept_before_anything_is_deleted(make, source):
    """The record is part of the transaction: without it there is no release."""
    make.copy("a/f", source)
    with pytest.raises(ZeroDivisionError), connection.change():
        CleanScope(source.id, WantsFile.RELEASED, FileFilter()).update()
        raise ZeroDivisionError
    assert wishes() == []
    assert make.states(source) == {"a/f": "YY"}
