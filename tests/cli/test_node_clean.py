"""``alpenhorn node clean``."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from alpenhorn.common.units import utcnow
from alpenhorn.db import ArchiveFile, ArchiveFileCopy
from alpenhorn.db.operations import Doorbell

GIB = 2**30
ALL_STATES = [has + wants for has in "YMXN" for wants in "YMN"]


@pytest.fixture
def node(make: Any) -> Any:
    return make.node("n", root="/data", host="host1")


def fill(make: Any, node: Any, *states: str) -> None:
    """One copy per state, in a file of that name."""
    for state in states:
        make.copy(f"a/{state}", node, *state)


@pytest.mark.parametrize(
    ("args", "changed"),
    [
        ([], {"YY": "YM"}),
        (["--now"], {"YY": "YN", "YM": "YN"}),
        (["-n"], {"YY": "YN", "YM": "YN"}),
        (["--cancel"], {"YM": "YY", "YN": "YY"}),
        (["--include-bad"], {"YY": "YM", "MY": "MM", "XY": "XM"}),
        (
            ["-n", "--include-bad"],
            {s: s[0] + "N" for s in ("YY", "YM", "MY", "MM", "XY", "XM")},
        ),
        (
            ["-x", "--include-bad"],
            {s: s[0] + "Y" for s in ("YM", "YN", "MM", "MN", "XM", "XN")},
        ),
    ],
)
def test_which_copies_change(
    make: Any, run: Any, node: Any, args: list[str], changed: dict[str, str]
) -> None:
    fill(make, node, *ALL_STATES)
    before = {copy.id: copy.last_update for copy in ArchiveFileCopy.select()}
    result = run("node", "clean", "n", *args, "--force")
    assert result.code == 0
    assert make.states(node) == {f"a/{s}": changed.get(s, s) for s in ALL_STATES}
    assert {copy.id: copy.last_update for copy in ArchiveFileCopy.select()} == before


def test_release_as_in_the_demo(make: Any, run: Any, node: Any) -> None:
    """Transcript 35."""
    target = make.node("demo_storage3")
    for number, size in enumerate((12, 12, 12, 14)):
        make.file(f"a/{number}", size_b=size)
        make.copy(f"a/{number}", node)
        make.copy(f"a/{number}", target)
    make.copy("a/elsewhere", node)
    result = run("node", "clean", "n", "--now", "--target", "demo_storage3", input="y\n")
    assert result.stdout == (
        "Would release 4 files (50 B).\n\nContinue? [y/N]: \n"
        "Releasing 4 files (50 B).\nUpdated 4 files.\n"
    )
    assert make.states(node)["a/elsewhere"] == "YY"
    assert [row.host for row in Doorbell.select()] == ["host1"]


@pytest.mark.parametrize(
    ("args", "lines"),
    [
        ([], ["Marking 1 file (4 B) for deferred cleaning.", "Updated 1 file."]),
        (["-n"], ["Releasing 1 file (4 B).", "Updated 1 file."]),
    ],
)
def test_summaries(make: Any, run: Any, node: Any, args: list[str], lines: list[str]) -> None:
    fill(make, node, "YY")
    assert run("node", "clean", "n", *args, "--force").stdout.splitlines() == lines
    again = run("node", "clean", "n", *args, "--force")
    assert (again.stdout, again.code) == ("No files to clean.\n", 0)


def test_breakdown(make: Any, run: Any, node: Any) -> None:
    for number, (wants, size) in enumerate((("Y", 5), ("Y", 5), ("Y", 0), ("M", 2))):
        make.file(f"a/{number}", size_b=size * GIB)
        make.copy(f"a/{number}", node, "Y", wants)
    assert run("node", "clean", "n", "--now", "--check").stdout == (
        "Would release 4 files (12.00 GiB):\n"
        "  3 present files (10.00 GiB)\n"
        "  1 marked file (2.000 GiB)\n"
    )
    run("node", "clean", "n", "--force", "--days=1")
    ArchiveFileCopy.update(wants_file="N").where(ArchiveFileCopy.id == 1).execute()
    assert run("node", "clean", "n", "-x", "-c").stdout == (
        "Would cancel 2 files (7.000 GiB) for cleaning:\n"
        "  1 marked file (2.000 GiB)\n"
        "  1 released file (5.000 GiB)\n"
    )


@pytest.mark.parametrize(
    ("states", "size", "result"),
    [
        (["YY"] * 4, 5, ["YM", "YM", "YM", "YY"]),
        (["YN", "YY", "YY", "YY"], 5, ["YN", "YM", "YM", "YY"]),
        (["YN", "YN", "YY", "YY"], 2, ["YN", "YN", "YY", "YY"]),
        (["YY"] * 4, 6, ["YM", "YM", "YM", "YY"]),
        (["YY"] * 4, 6.001, ["YM", "YM", "YM", "YM"]),
        (["YY"] * 4, 0.5, ["YM", "YY", "YY", "YY"]),
        (["XY", "YY", "YY", "YY"], 2, ["XY", "YM", "YY", "YY"]),
    ],
)
def test_size(
    make: Any, run: Any, node: Any, states: list[str], size: float, result: list[str]
) -> None:
    """Files of 1, 2, 3 and 4 GiB are gone through in order until SIZE is reached."""
    for gib, state in enumerate(states, start=1):
        make.file(f"a/{gib}", size_b=gib * GIB)
        make.copy(f"a/{gib}", node, *state)
    assert run("node", "clean", "n", f"--size={size}", "--force").code == 0
    assert [state for _, state in sorted(make.states(node).items())] == result


def test_size_messages(make: Any, run: Any, node: Any) -> None:
    for gib, state in enumerate(("YN", "YY", "YY"), start=1):
        make.file(f"a/{gib}", size_b=gib * GIB)
        make.copy(f"a/{gib}", node, *state)
    assert run("node", "clean", "n", "-s3", "-c").stdout == (
        "Would mark 1 file (2.000 GiB) for deferred cleaning.\n"
        "1 file (1.000 GiB) already contributing to the size constraint.\n"
    )
    met = run("node", "clean", "n", "-s1", "-c")
    assert met.stdout.startswith("No files to clean")
    assert "already satisfied" in met.stdout


def test_unknown_sizes_count_as_nothing(make: Any, run: Any, node: Any) -> None:
    make.file("a/1", size_b=None)
    make.copy("a/1", node)
    make.copy("a/2", node)
    assert run("node", "clean", "n", "-s", "1", "-c").stdout == (
        "Would mark 2 files (4 B) for deferred cleaning.\n"
    )


def test_all_targets_must_have_the_file(make: Any, run: Any, node: Any) -> None:
    t1, t2 = make.node("t1"), make.node("t2")
    other = make.node("other")
    for name, places in {"both": (t1, t2), "one": (t1,), "other": (other,)}.items():
        make.copy(f"a/{name}", node)
        for place in places:
            make.copy(f"a/{name}", place)
    make.copy("a/bad", node)
    make.copy("a/bad", t1)
    make.copy("a/bad", t2, "Y", "N")
    run("node", "clean", "n", "--target=t1", "--target=t2", "--force")
    assert make.states(node) == {"a/both": "YM", "a/one": "YY", "a/other": "YY", "a/bad": "YY"}


def test_nothing_in_the_targets(make: Any, run: Any, node: Any) -> None:
    make.copy("a/1", node)
    make.copy("a/2", node)
    make.copy("a/1", make.node("t1"))
    make.copy("a/2", make.node("t2"))
    result = run("node", "clean", "n", "--target=t1", "--target=t2")
    assert ("no matching files" in result.stdout, result.code) == (True, 0)


def test_days_back(make: Any, run: Any, node: Any) -> None:
    """D2."""
    fill(make, node, "YY", "YM")
    now = utcnow()
    for name, days in {"old": 2.1, "new": 1.9, "future": -3}.items():
        file = make.file(f"a/{name}")
        registered = now - datetime.timedelta(days=days)
        ArchiveFile.update(registered=registered).where(ArchiveFile.id == file.id).execute()
        make.copy(f"a/{name}", node)
    run("node", "clean", "n", "-d2", "--force")
    states = make.states(node)
    assert [states[f"a/{n}"] for n in ("old", "new", "future", "YY")] == ["YM", "YY", "YY", "YY"]


def test_acquisition_without_files(make: Any, run: Any, node: Any) -> None:
    fill(make, node, "YY")
    make.file("empty/f")
    result = run("node", "clean", "n", "--acq=empty")
    assert (result.stdout, result.code) == ("No files to clean.\n", 0)


def test_other_nodes_are_left_alone(make: Any, run: Any, node: Any) -> None:
    other = make.node("other")
    fill(make, node, "YY")
    fill(make, other, "YY")
    run("node", "clean", "n", "--force")
    assert make.states(other) == {"a/YY": "YY"}


def test_file_list(make: Any, run: Any, node: Any, tmp_path: Path) -> None:
    for name in ("1", "2", "3"):
        make.copy(f"a/{name}", node)
    listing = tmp_path / "list"
    listing.write_text("a/1\n\n# a/2\n/data/a/3\n")
    run("node", "clean", "n", f"--file-list={listing}", "--force")
    assert make.states(node) == {"a/1": "YM", "a/2": "YY", "a/3": "YM"}


def test_an_empty_file_list_cleans_nothing(make: Any, run: Any, node: Any) -> None:
    """D19: the most dangerous of the old errors."""
    fill(make, node, "YY")
    result = run("node", "clean", "n", "-F-", "--now", "--force", input="#\n")
    assert result.stdout == "No files to clean.\n"
    assert make.states(node) == {"a/YY": "YY"}


# archive nodes


def test_archive_nodes_are_refused(make: Any, run: Any, dump: Any) -> None:
    make.copy("a/f", make.node("arc", storage_type="A"))
    before = dump()
    result = run("node", "clean", "arc", "--force")
    assert (result.stdout, result.code) == ("", 1)
    assert 'Cannot clean archive node "arc"' in result.stderr
    assert dump() == before


def test_archive_ok_warns_in_the_first_pass_only(make: Any, run: Any) -> None:
    make.copy("a/f", make.node("arc", storage_type="A"))
    result = run("node", "clean", "arc", "--archive-ok", input="y\n")
    lines = result.stdout.splitlines()
    assert lines[0].startswith("DANGER:") and '"arc"' in lines[0]
    assert result.stdout.count("DANGER") == 1
    assert lines[-1] == "Updated 1 file."


def test_cancelling_on_an_archive_node_is_harmless(make: Any, run: Any) -> None:
    """D18."""
    node = make.node("arc", storage_type="A")
    make.copy("a/f", node, "Y", "N")
    result = run("node", "clean", "arc", "--cancel", "--force")
    assert result.stdout == "Cancelling 1 file (4 B) for cleaning.\nUpdated 1 file.\n"
    assert make.states(node) == {"a/f": "YY"}


# errors


@pytest.mark.parametrize(
    ("args", "code", "phrase"),
    [
        (["--cancel", "--now"], 2, "cannot use both --cancel and --now"),
        (["--cancel", "--size=1"], 2, "cannot use both --cancel and --size"),
        (["--check", "--force"], 2, "cannot use both --check and --force"),
        (["--days=0"], 2, "--days"),
        (["-d", "x"], 2, "--days"),
        (["--size=0"], 2, "--size"),
        (["--size=-1"], 2, "--size"),
        (["--size=nan"], 2, "--size"),
        (["--size=inf"], 2, "--size"),
        (["--size=1G"], 2, "--size"),
        (["-F", "/no/such/list"], 2, "does not exist"),
        (["--target=x"], 1, "No such storage group"),
        (["--acq=x"], 1, "No such acquisition"),
    ],
)
def test_errors(
    make: Any, run: Any, node: Any, dump: Any, args: list[str], code: int, phrase: str
) -> None:
    fill(make, node, "YY")
    before = dump()
    result = run("node", "clean", "n", *args)
    assert (result.stdout, result.code) == ("", code)
    assert phrase in result.stderr
    assert dump() == before


def test_unknown_node(index: Any, run: Any) -> None:
    result = run("node", "clean", "x", "-F-")
    assert (result.code, 'No such storage node: "x"' in result.stderr) == (1, True)
