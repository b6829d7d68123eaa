"""``alpenhorn node repair`` and ``group modify --auto-repair``."""

from __future__ import annotations

import json
from typing import Any

import pytest

from alpenhorn import db
from alpenhorn.cli import waiting


@pytest.fixture
def site(make: Any) -> Any:
    """Two bad copies on n that the archive has, and a lost one."""
    node, archive = make.node("n"), make.node("arc", storage_type="A")
    make.copy("a/corrupt", node, "X")
    make.copy("a/missing", node, "N")
    make.copy("a/lost", node, "X")
    make.copy("a/fine", node)
    for path in ("a/corrupt", "a/missing", "a/fine"):
        make.copy(path, archive)
    return node


def requests() -> list[tuple[str, str, str]]:
    rows = db.ArchiveFileCopyRequest.select().order_by(db.ArchiveFileCopyRequest.id)
    return [(str(row.file.path), row.node_from.name, row.group_to.name) for row in rows]


def test_bad_copies_are_requested_and_the_lost_one_is_named(site: Any, run: Any) -> None:
    result = run("node", "repair", "n", "--force")
    assert result.stdout == (
        "Cannot repair 1 file: no healthy copy anywhere.\n"
        "  a/lost on n: corrupt\n"
        'Repairing 2 files (8 B) on Node "n".\n'
        "Requested 2 transfers.\n"
    )
    assert result.code == 1
    assert requests() == [("a/corrupt", "arc", "n"), ("a/missing", "arc", "n")]


def test_all_is_well_without_lost_files(site: Any, run: Any) -> None:
    db.ArchiveFileCopy.update(wants_file="N").where(
        db.ArchiveFileCopy.file == db.ArchiveFile.get(name="lost")
    ).execute()
    assert run("node", "repair", "n", "--force").code == 0
    again = run("node", "repair", "n", "--force")
    assert again.stdout == "2 files wait for transfers already requested.\nNo files to repair.\n"
    assert again.code == 0


def test_check_shows_and_writes_nothing(site: Any, run: Any, dump: Any) -> None:
    tables = dump()
    result = run("node", "repair", "n", "--check")
    assert 'Would repair 2 files (8 B) on Node "n".' in result.stdout
    assert result.code == 1
    assert dump() == tables


@pytest.mark.parametrize(("answer", "made"), [("y", 2), ("n", 0)])
def test_it_asks_first(site: Any, run: Any, answer: str, made: int) -> None:
    result = run("node", "repair", "n", input=f"{answer}\n")
    assert "Continue?" in result.stdout
    assert len(requests()) == made


def test_all_nodes(make: Any, site: Any, run: Any) -> None:
    make.copy("a/fine", make.node("other"), "X")
    result = run("node", "repair", "--all", "--force")
    assert "Repairing 3 files (12 B):\n  n: 2 files\n  other: 1 file\n" in result.stdout
    assert len(requests()) == 3


def test_only_some_acquisitions(make: Any, site: Any, run: Any) -> None:
    make.copy("b/f", site, "X")
    make.copy("b/f", db.StorageNode.get(name="arc"))
    assert run("node", "repair", "n", "--acq", "b", "--force").code == 0
    assert requests() == [("b/f", "arc", "n")]


def test_json(make: Any, site: Any, run: Any) -> None:
    result = run("node", "repair", "n", "--force", "--json")
    assert result.json == {
        "requested": 2,
        "repairable": 2,
        "repairable_b": 8,
        "pending": 0,
        "elsewhere": 0,
        "unrepairable": [{"node": "n", "path": "a/lost", "state": "corrupt"}],
    }
    assert result.code == 1


@pytest.mark.parametrize(
    ("args", "code", "phrase"),
    [
        ("", 2, "NODE or --all"),
        ("n --all", 2, "NODE or --all"),
        ("n --check --force", 2, "cannot use both --check and --force"),
        ("n --json", 2, "--json may only be used with --check or --force"),
        ("nowhere --force", 1, "No such storage node"),
        ("n --force --acq nowhere", 1, "No such acquisition"),
    ],
)
def test_errors(site: Any, run: Any, dump: Any, args: str, code: int, phrase: str) -> None:
    tables = dump()
    result = run("node", "repair", *args.split())
    assert (result.stdout, result.code) == ("", code)
    assert phrase in result.stderr
    assert dump() == tables


def test_auto_repair_is_set_and_shown(site: Any, run: Any) -> None:
    assert run("group", "modify", "n", "--auto-repair").stdout == "Storage group updated.\n"
    assert run("group", "modify", "n", "--auto-repair").stdout == "Nothing to do.\n"
    assert "Auto-repair: on" in run("group", "show", "n").stdout
    assert run("group", "show", "n", "--json").json["auto_repair"] is True
    assert run("group", "modify", "n", "--no-auto-repair").code == 0
    assert "Auto-repair" not in run("group", "show", "n").stdout
    assert run("group", "show", "n", "--json").json["auto_repair"] is False


def test_auto_repair_needs_our_tables(site: Any, run: Any) -> None:
    db.DataIndexVersion.delete().where(db.DataIndexVersion.component == "operations").execute()
    result = run("group", "modify", "n", "--auto-repair")
    assert result.code == 1
    assert "alpenhorn db init" in result.stderr
    assert run("group", "modify", "n", "--no-auto-repair").code == 0


# ---- --wait


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Between two looks of ``--wait``, does the next step; the clock goes on."""
    steps: list[Any] = []
    now = [100.0]

    def pause(seconds: float) -> None:
        now[0] += seconds
        assert now[0] < 10_000, "nobody ends the waiting"
        if steps:
            steps.pop(0)()

    monkeypatch.setattr(waiting, "clock", lambda: now[0])
    monkeypatch.setattr(waiting, "pause", pause)
    return steps


def end(path: str, **values: Any) -> None:
    """End the request for a file, as a daemon does: completed, with its copy, or cancelled."""
    file = db.ArchiveFile.get(name=path)
    if values.get("completed"):
        db.ArchiveFileCopy.update(has_file="Y").where(
            db.ArchiveFileCopy.file == file, db.ArchiveFileCopy.node == db.StorageNode.get(name="n")
        ).execute()
    request = db.ArchiveFileCopyRequest
    request.update(**values).where(request.file == file).execute()


def test_wait_follows_the_repair_to_its_end(site: Any, run: Any, daemon: Any) -> None:
    daemon += [lambda: end("corrupt", completed=True), lambda: end("missing", completed=True)]
    result = run("node", "repair", "n", "--force", "--wait")
    assert result.stdout.splitlines()[-1].startswith("Done: 2 of 2 files (8 B) in ")
    assert not daemon
    assert result.code == 1, "one file could not be repaired"


def test_wait_tells_of_a_transfer_that_was_cancelled(site: Any, run: Any, daemon: Any) -> None:
    daemon += [lambda: end("corrupt", completed=True), lambda: end("missing", cancelled=True)]
    result = run("node", "repair", "--all", "--force", "--wait")
    assert result.stdout.splitlines()[-1].startswith("Failed: 1 of 2 files (4 B) in ")
    assert "; 1 cancelled." in result.stdout
    assert result.code == 3


def test_wait_gives_up_and_says_why(site: Any, run: Any, daemon: Any) -> None:
    result = run("node", "repair", "n", "--force", "--wait", "--timeout", "20")
    assert result.stdout.splitlines()[-1].startswith("Timed out: 0 of 2 files (0 B) in ")
    assert "2 pending" in result.stdout
    assert result.code == 4


def test_wait_with_json_is_one_object(site: Any, run: Any, daemon: Any) -> None:
    daemon += [lambda: end("corrupt", completed=True), lambda: end("missing", completed=True)]
    result = run("node", "repair", "n", "--force", "--wait", "--json")
    shown = json.loads(result.stdout)
    assert (shown["requested"], shown["waited"]["result"], shown["waited"]["done"]) == (
        2,
        "done",
        2,
    )
    assert result.code == 1


def test_nothing_to_repair_is_nothing_to_wait_for(site: Any, run: Any, daemon: Any) -> None:
    result = run("node", "repair", "arc", "--force", "--wait")
    assert result.stdout == "No files to repair.\n"
    assert result.code == 0


@pytest.mark.parametrize("words", [["--check", "--wait"], ["--force", "--timeout", "3"]])
def test_wait_and_its_rules(site: Any, run: Any, words: list[str]) -> None:
    assert run("node", "repair", "n", *words).code == 2
    assert requests() == []
