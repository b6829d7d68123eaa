"""Verification: what was read decides, and nothing else (spec: daemon.md §11)."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from alpenhorn import db
from alpenhorn.db.queries import checks
from alpenhorn.events import CheckBegun
from alpenhorn.io.default import check_async, identity
from alpenhorn.io.default.jobs import check

FILE = "2025/02/21/23/1324.dat"
GOOD = b"twelve bytes"
GOOD_MD5 = "8d6e9ba3d5e3ff3a2a2dfa7a8c0d4ffe"


@pytest.fixture
def io(site: Any) -> Any:
    return site.node("demo_storage1", storage_type="A")


def run_check(site: Any, io: Any, *copies: Any) -> None:
    io.check_many(copies)
    site.run()


def test_a_good_copy_becomes_present(site: Any, io: Any, lines: Any, heard: Any) -> None:
    copy = site.put(io, FILE, GOOD, has="M", size_b=None)
    run_check(site, io, copy)
    assert site.state(io, FILE) == "YY"
    where = f"{FILE} on node demo_storage1"
    assert lines() == [
        f"File {where} is A-OK!",
        f"Updating file copy #{copy.id} for file {where}.",
    ]
    assert heard == [CheckBegun("demo_storage1")]


def test_the_space_used_is_written_for_a_good_copy_only(site: Any, io: Any) -> None:
    good = site.put(io, FILE, GOOD, has="M", size_b=1)
    bad = site.put(io, "acq/bad", GOOD, has="M", size_b=1, really=b"other")
    run_check(site, io, good, bad)
    assert site.row(io, FILE).size_b == Path(io.node.root, FILE).stat().st_blocks * 512
    assert site.row(io, "acq/bad").size_b == 1


def test_another_length_is_corrupt_and_the_content_is_not_read(
    site: Any, io: Any, lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "md5_of", None)
    copy = site.put(io, FILE, GOOD, has="M", really=b"nine byte")
    run_check(site, io, copy)
    assert site.state(io, FILE) == "XY"
    where = f"{FILE} on node demo_storage1"
    assert lines("ERROR") == [f"File {where} is corrupt! Size: 9; expected: 12"]
    assert lines("INFO") == [f"Updating file copy #{copy.id} for file {where}."]


def test_a_file_that_should_be_empty_and_is_not_is_corrupt(site: Any, io: Any) -> None:
    file = site.make.file(FILE, 0, None)
    db.ArchiveFile.update(md5sum=None).execute()
    site.write(io, FILE, b"something")
    run_check(site, io, site.make.copy(FILE, io.node, "M"))
    assert file.size_b == 0
    assert site.state(io, FILE) == "XY"


def test_an_empty_file_is_good(site: Any, io: Any) -> None:
    run_check(site, io, site.put(io, FILE, b"", has="M"))
    assert site.state(io, FILE) == "YY"


def test_other_bytes_of_equal_length_are_corrupt(site: Any, io: Any, lines: Any) -> None:
    copy = site.put(io, FILE, GOOD, has="M", really=b"twelve bytex")
    run_check(site, io, copy)
    assert site.state(io, FILE) == "XY"
    [line] = lines("ERROR")
    assert line.startswith(f"File {FILE} on node demo_storage1 is corrupt! MD5: ")
    assert line.endswith(f"; expected: {copy.file.md5sum}")


def test_an_md5_in_capitals_is_the_same_md5(site: Any, io: Any) -> None:
    copy = site.put(io, FILE, GOOD, has="M")
    copy.file.md5sum = copy.file.md5sum.upper()
    run_check(site, io, copy)
    assert site.state(io, FILE) == "YY"


def test_a_missing_file_is_missing(site: Any, io: Any, lines: Any) -> None:
    site.file(FILE)
    run_check(site, io, site.make.copy(FILE, io.node, "M"))
    assert site.state(io, FILE) == "NY"
    assert lines("ERROR") == [f"File {FILE} on node demo_storage1 is missing!"]


def test_a_link_in_its_place_is_missing_and_not_followed(site: Any, io: Any) -> None:
    other = site.node("other")
    site.write(other, FILE, GOOD)
    site.file(FILE, GOOD)
    place = Path(io.node.root, FILE)
    place.parent.mkdir(parents=True)
    place.symlink_to(Path(other.node.root, FILE))
    run_check(site, io, site.make.copy(FILE, io.node, "M"))
    assert site.state(io, FILE) == "NY"


def test_without_an_md5_in_the_index_a_file_is_good_with_a_warning(
    site: Any, io: Any, lines: Any
) -> None:
    site.put(io, FILE, GOOD, has="M")
    db.ArchiveFile.update(md5sum=None).execute()
    run_check(site, io, db.ArchiveFileCopy.get())
    assert site.state(io, FILE) == "YY"
    assert "no MD5" in lines("WARNING")[0]


@pytest.mark.parametrize("what", ["preadv", "stat", "fstat"])
def test_what_cannot_be_read_stays_suspect(
    site: Any, io: Any, lines: Any, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Weaknesses 6, 7: unreadable is neither corrupt nor missing."""
    copy = site.put(io, FILE, GOOD, has="M")

    def broken(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    io.check(copy)
    with monkeypatch.context() as patch:
        patch.setattr(io, "check_init", lambda: True)
        patch.setattr(identity, "device", lambda root: (1, 2))
        patch.setattr(os, what, broken)
        site.run()
    assert site.state(io, FILE) == "MY"
    assert lines("WARNING") == [
        f"Cannot check {FILE} on node demo_storage1: [Errno 5] Input/output error"
    ]
    run_check(site, io, copy)
    assert site.state(io, FILE) == "YY"


def test_a_hanging_medium_leaves_the_copy_suspect(
    site: Any, io: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = site.put(io, FILE, GOOD, has="M")

    def too_slow(fd: int) -> None:
        raise TimeoutError("32 MiB took longer than 600 s")

    monkeypatch.setattr(check, "md5_of", too_slow)
    run_check(site, io, copy)
    assert site.state(io, FILE) == "MY"


def test_a_hostile_name_in_a_row_stays_suspect_and_stops_nobody(site: Any, io: Any) -> None:
    bad = site.make.copy("../../etc/passwd", io.node, "M")
    good = site.put(io, FILE, GOOD, has="M")
    io.check_many([bad, good])
    site.run()
    assert site.state(io, FILE) == "YY"
    assert db.ArchiveFileCopy.get_by_id(bad.id).has_file == "M"


def test_nothing_is_concluded_while_the_medium_is_not_there(site: Any, io: Any, lines: Any) -> None:
    """Weakness 4."""
    copy = site.put(io, FILE, GOOD, has="M")
    Path(io.node.root).rename(f"{io.node.root}.unmounted")
    Path(io.node.root).mkdir()
    run_check(site, io, copy)
    assert site.state(io, FILE) == "MY"
    assert lines("ERROR") == []
    assert "Not checking on demo_storage1: its medium is not there." in lines("WARNING")


@pytest.mark.parametrize("really", [None, b"nine byte", b"twelve bytex"])
def test_nothing_bad_is_concluded_if_the_medium_goes_away_during_the_check(
    site: Any, io: Any, monkeypatch: pytest.MonkeyPatch, really: bytes | None
) -> None:
    """What lies below an empty mount point, or on another disk, says nothing about our copy."""
    site.file(FILE, GOOD)
    if really is not None:
        site.write(io, FILE, really)
    copy = site.make.copy(FILE, io.node, "M")
    answers = iter([True, False])
    monkeypatch.setattr(io, "check_init", lambda: next(answers))
    run_check(site, io, copy)
    assert site.state(io, FILE) == "MY"


def test_nothing_is_recorded_of_a_batch_if_the_medium_went_away_meanwhile(
    site: Any, io: Any, lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Good news neither: the node rests on something else now, that nobody has looked at."""
    copies = [site.put(io, f"acq/{n}", GOOD, has="M") for n in range(17)]
    Path(io.node.root, "acq/3").unlink()
    answers = iter([True, False])
    monkeypatch.setattr(io, "check_init", lambda: next(answers))
    run_check(site, io, *copies)
    assert set(site.make.states(io.node).values()) == {"MY"}
    assert "Not recording checks on demo_storage1: its medium was taken away." in lines("WARNING")


def test_what_was_recorded_before_the_medium_went_away_stands(
    site: Any, io: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "RECORD_FILES", 5)
    copies = [site.put(io, f"acq/{n}", GOOD, has="M") for n in range(17)]
    answers = iter([True, True, True, False])
    monkeypatch.setattr(io, "check_init", lambda: next(answers))
    run_check(site, io, *copies)
    states = site.make.states(io.node)
    assert [states[f"acq/{n}"] for n in range(17)] == ["YY"] * 10 + ["MY"] * 7


def during_reading(monkeypatch: pytest.MonkeyPatch, action: Any) -> None:
    """Do something between the reading of the file and the recording of the verdict."""
    compute = check.md5_of

    def md5_of(fd: int) -> Any:
        result = compute(fd)
        action()
        return result

    monkeypatch.setattr(check, "md5_of", md5_of)


def test_a_release_during_the_check_survives(
    site: Any, io: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = site.put(io, FILE, GOOD, has="M")
    release = db.ArchiveFileCopy.update(wants_file="N")
    during_reading(monkeypatch, release.execute)
    run_check(site, io, copy)
    assert site.state(io, FILE) == "MN"


def test_what_somebody_else_decided_during_the_check_stands(
    site: Any, io: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = site.put(io, FILE, GOOD, has="M")
    update = db.ArchiveFileCopy.update(has_file="X")
    during_reading(monkeypatch, update.execute)
    run_check(site, io, copy)
    assert site.state(io, FILE) == "XY"


def test_a_removable_copy_stays_removable(site: Any, io: Any) -> None:
    run_check(site, io, site.put(io, FILE, GOOD, has="M", wants="M"))
    assert site.state(io, FILE) == "YM"


def test_an_old_class_may_check_a_file_that_lies_elsewhere(site: Any, io: Any) -> None:
    copy = site.put(io, FILE, GOOD, has="M", really=b"not this one")
    elsewhere = site.write(io, "hidden/place", GOOD)
    check_async(None, io, copy, elsewhere)
    assert site.state(io, FILE) == "YY"


# ---- batches


def test_a_large_batch_tells_one_line_and_the_files_at_debug(
    site: Any, io: Any, lines: Any
) -> None:
    copies = [site.put(io, f"acq/{n}", GOOD, has="M") for n in range(20)]
    run_check(site, io, *copies)
    [line] = lines("INFO")
    assert line.startswith("Checked 20 files (240 B) in ")
    assert "File acq/7 on node demo_storage1 is A-OK!" in lines("DEBUG")
    assert set(site.make.states(io.node).values()) == {"YY"}


def test_bad_news_of_a_large_batch_are_still_told_one_by_one(
    site: Any, io: Any, lines: Any
) -> None:
    copies = [site.put(io, f"acq/{n}", GOOD, has="M", really=b"bad") for n in range(20)]
    run_check(site, io, *copies)
    assert len(lines("ERROR")) == 20


def test_verdicts_are_stored_in_portions_and_a_kill_costs_no_more_than_one(
    site: Any, io: Any, monkeypatch: pytest.MonkeyPatch, killed: type[BaseException]
) -> None:
    monkeypatch.setattr(check, "RECORD_FILES", 5)
    copies = [site.put(io, f"acq/{n}", GOOD, has="M") for n in range(17)]
    begun = iter(range(100))

    def kill_the_13th() -> None:
        if next(begun) == 12:
            raise killed

    during_reading(monkeypatch, kill_the_13th)
    io.check_many(copies)
    site.run(fails=True)
    states = site.make.states(io.node)
    assert [states[f"acq/{n}"] for n in range(17)] == ["YY"] * 10 + ["MY"] * 7


def test_a_batch_is_one_transaction_per_portion(
    site: Any, io: Any, statements: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(40):
        site.put(io, f"acq/{n}", GOOD, has="M")
    copies = checks.suspect(io.node, 100)
    with statements() as seen:
        run_check(site, io, *copies)
    assert sum(sql.startswith("BEGIN") for sql in seen) == 1
    assert sum(sql.startswith("SELECT") for sql in seen) <= 6


def test_a_check_found_by_a_search_does_the_auto_actions_once(site: Any, io: Any) -> None:
    """A copy that has never been present counts as added now (C5)."""
    db.StorageTransferAction.create(
        node_from=io.node, group_to=site.make.group("offsite"), autosync=True
    )
    site.file(FILE, GOOD)
    site.write(io, FILE, GOOD)
    checks.ask_for_check(io.node, [(site.make.file(FILE).id, 4096)])
    copy = db.ArchiveFileCopy.get()
    assert (copy.has_file, copy.ready) == ("M", False)
    run_check(site, io, copy)
    assert db.ArchiveFileCopy.get().ready is True
    db.ArchiveFileCopy.update(has_file="M").execute()
    run_check(site, io, copy)
    assert db.ArchiveFileCopyRequest.select().count() == 1
