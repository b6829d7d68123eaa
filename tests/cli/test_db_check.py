"""``alpenhorn db check``: what a person, and a program, is told."""

from __future__ import annotations

from typing import Any

from alpenhorn import db


def broken_rows(make: Any) -> None:
    node = make.node("n")
    for number in range(5):
        make.request(f"a/{number}", node, "n", completed=True, cancelled=True)
    make.copy("a/x", node)
    db.ArchiveFile.update(md5sum=None).where(db.ArchiveFile.name == "x").execute()


def test_nothing_is_wrong(make: Any, run: Any, dump: Any) -> None:
    make.copy("a/f", make.node("n"))
    before = dump()
    result = run("db", "check")
    assert (result.stdout, result.stderr, result.code) == (
        "No problem in the Data Index.\n", "", 0,
    )  # fmt: skip
    assert dump() == before


def test_problems_are_told_with_rows_and_what_to_do(make: Any, run: Any, dump: Any) -> None:
    broken_rows(make)
    before = dump()
    result = run("db", "check")
    assert result.code == 1
    assert result.stdout.splitlines() == [
        "Problem: copies count as good, but the size or MD5 of their file is not known (1).",
        "  id 1, file 6, node 1, size_b 4, md5sum NULL",
        "  What to do: Nobody can tell whether they are: set both with `alpenhorn file modify`.",
        "",
        "Problem: copy requests are both completed and cancelled (5).",
        "  id 1, file 1, node_from 1, group_to 1",
        "  id 2, file 2, node_from 1, group_to 1",
        "  id 3, file 3, node_from 1, group_to 1",
        "  and 2 more",
        "  What to do: If transfer_completed is set, the transfer has happened: it is completed; "
        "else cancelled.",
        "  --fix leaves them completed if their transfer has an end, else cancelled.",
        "",
    ]
    assert result.stderr == (
        "Error: The Data Index has 2 problems.  `alpenhorn db check --fix` repairs some.\n"
    )
    assert dump() == before


def test_fix_repairs_what_is_safe_and_leaves_the_rest(make: Any, run: Any) -> None:
    broken_rows(make)
    result = run("db", "check", "--fix")
    assert result.code == 1
    assert "  Repaired: 5 (" in result.stdout
    assert result.stderr == "Error: The Data Index has 1 problem.\n"
    assert not db.ArchiveFileCopyRequest.select().where(db.ArchiveFileCopyRequest.completed).count()
    db.ArchiveFile.update(md5sum="0" * 32).execute()
    assert run("db", "check").code == 0


def test_the_exit_status_is_good_if_all_was_repaired(make: Any, run: Any) -> None:
    make.copy("a/f", make.node("n"), size_b=-1)
    result = run("db", "check", "--fix")
    assert (result.code, result.stderr) == (0, "")
    assert result.stdout.splitlines()[-1] == "Repaired: 1 problem."


def test_a_note_is_no_failure(make: Any, run: Any) -> None:
    off = make.node("off", active=False)
    make.request("a/f", off, "n")
    make.node("on", group="n")
    result = run("db", "check")
    assert result.code == 0
    assert result.stdout.startswith("Note: copy requests wait for a source node")


def test_json_is_one_object(make: Any, run: Any) -> None:
    broken_rows(make)
    result = run("db", "check", "--fix", "--json")
    assert result.code == 1
    assert result.json["ok"] is False
    unproven, ended = result.json["findings"]
    assert unproven == {
        "key": "unproven-copy",
        "gravity": "problem",
        "wrong": "copies count as good, but the size or MD5 of their file is not known",
        "count": 1,
        "examples": [{"id": 1, "file": 6, "node": 1, "size_b": 4, "md5sum": None}],
        "advice": "Nobody can tell whether they are: set both with `alpenhorn file modify`.",
        "fixable": False,
        "fixed": None,
        "left": 1,
        "failure": None,
    }
    assert (ended["key"], ended["fixed"], ended["left"]) == ("completed-and-cancelled", 5, 0)
    assert run("db", "check", "--json").json["ok"] is False


def test_names_cannot_forge_lines(index: Any, run: Any) -> None:
    db.ArchiveAcq.create(name="a\nError: none\x1b[2J")
    result = run("db", "check")
    assert "  id 1, name a\\nError: none\\x1b[2J\n" in result.stdout


def test_a_database_without_index(empty_database: Any, run: Any) -> None:
    result = run("db", "check")
    assert result.code == 1
    assert "Problem: tables of schema version 2 are missing (9)." in result.stdout
    assert "`alpenhorn db init`" in result.stdout
    assert len(result.stderr.splitlines()) == 1


def test_a_database_that_cannot_be_reached(run: Any, conf: Any) -> None:
    conf.write_text("database:\n  url: sqlite:////no/such/directory/index.db\n")
    result = run("db", "check")
    assert (result.code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: Database read error: ")
