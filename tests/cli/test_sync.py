"""``alpenhorn node sync`` and ``alpenhorn group sync``."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from alpenhorn.common.units import utcnow
from alpenhorn.db import ArchiveFileCopyRequest
from alpenhorn.db.operations import Doorbell

THEN = datetime.datetime(2025, 1, 2, 3, 4, 5)
FILES = {"1324.dat": 12, "1330.dat": 12, "1342.dat": 12, "1349.dat": 14}


@pytest.fixture
def demo(make: Any) -> Any:
    """Four files on demo_storage1 that demo_storage2 lacks, and one that it has."""
    source = make.node("demo_storage1", root="/data", host="host1")
    dest = make.node("demo_storage2", host="host2")
    make.file("2025/02/21/meta.txt", size_b=52)
    make.copy("2025/02/21/meta.txt", source)
    make.copy("2025/02/21/meta.txt", dest)
    for name, size in FILES.items():
        make.file(f"2025/02/21/23/{name}", size_b=size)
        make.copy(f"2025/02/21/23/{name}", source)
    return make


def requests(**where: Any) -> list[tuple[str, str, str, bool, bool]]:
    query = ArchiveFileCopyRequest.select().order_by(ArchiveFileCopyRequest.id)
    return [
        (r.file.name, r.node_from.name, r.group_to.name, r.completed, r.cancelled)
        for r in (query.filter(**where) if where else query)
    ]


def pending() -> list[str]:
    return [name for name, *_ in requests(completed=False, cancelled=False)]


end = " "
TRANSCRIPT = f"""\
Would sync 4 files (50 B) from Node "demo_storage1" to Group "demo_storage2":

2025/02/21/23/1324.dat
2025/02/21/23/1330.dat
2025/02/21/23/1342.dat
2025/02/21/23/1349.dat

Continue? [y/N]:{end}
Syncing 4 files (50 B) from Node "demo_storage1" to Group "demo_storage2".

Added 4 new copy requests.
"""
"""Transcript 21; the terminal shows the answer and its newline."""


@pytest.mark.parametrize(
    "args",
    [
        ("node", "sync", "demo_storage1", "demo_storage2"),
        ("group", "sync", "demo_storage2", "demo_storage1"),
    ],
)
def test_sync_as_in_the_demo(demo: Any, run: Any, args: tuple[str, ...]) -> None:
    before = utcnow().replace(microsecond=0)  # MySQL keeps whole seconds
    result = run(*args, "--show-files", input="y\n")
    assert (result.stdout, result.stderr, result.code) == (TRANSCRIPT, "", 0)
    assert requests() == [(name, "demo_storage1", "demo_storage2", False, False) for name in FILES]
    rows = list(ArchiveFileCopyRequest.select())
    assert len({row.timestamp for row in rows}) == 1
    assert before <= rows[0].timestamp <= utcnow() + datetime.timedelta(seconds=1)
    assert all(row.transfer_started is row.transfer_completed is None for row in rows)


def test_sync_rings_both_daemons(demo: Any, run: Any) -> None:
    run("node", "sync", "demo_storage1", "demo_storage2", "--force")
    assert {row.host for row in Doorbell.select()} == {"host1", "host2"}


def test_a_repeated_sync_finds_nothing_more(demo: Any, run: Any, dump: Any) -> None:
    args = ("node", "sync", "demo_storage1", "demo_storage2")
    run(*args, "--force")
    before = dump()
    again = run(*args)
    assert again.stdout == (
        '4 files (50 B) already scheduled for sync from Node "demo_storage1"'
        ' to Group "demo_storage2".\nNo additional files to sync.\n'
    )
    assert (again.code, dump()) == (0, before)


def test_after_everything_has_arrived(demo: Any, run: Any) -> None:
    assert run("node", "sync", "demo_storage2", "demo_storage1").stdout == "No files to sync.\n"


def test_one_file_is_singular(demo: Any, run: Any) -> None:
    """Transcript 29: a corrupt copy is overwritten."""
    demo.node("third", group="demo_storage3")
    demo.copy("2025/02/21/23/1324.dat", demo.node("fourth", group="demo_storage4"))
    demo.copy("2025/02/21/23/1324.dat", demo.node("fifth", group="demo_storage3"), "X")
    result = run("node", "sync", "fourth", "demo_storage3", input="y\n")
    assert result.stdout == (
        'Would sync 1 file (12 B) from Node "fourth" to Group "demo_storage3".\n'
        "\nContinue? [y/N]: \n"
        'Syncing 1 file (12 B) from Node "fourth" to Group "demo_storage3".\n'
        "\nAdded 1 new copy request.\n"
    )


def test_part_already_scheduled(demo: Any, run: Any) -> None:
    kept = demo.request(
        "2025/02/21/23/1324.dat",
        ArchiveFileCopyRequest.node_from.rel_model.get(name="demo_storage1"),
        "demo_storage2",
        timestamp=THEN,
    )
    result = run("node", "sync", "demo_storage1", "demo_storage2", "--force", "--show-acqs")
    assert result.stdout.splitlines() == [
        '1 file (12 B) already scheduled for sync from Node "demo_storage1"'
        ' to Group "demo_storage2".',
        'Syncing 3 files (38 B) from Node "demo_storage1" to Group "demo_storage2":',
        "",
        "2025/02/21/23 [3 files]",
        "",
        "Added 3 new copy requests.",
    ]
    assert ArchiveFileCopyRequest.get_by_id(kept.id).timestamp == THEN
    assert sorted(pending()) == sorted(FILES)


def test_other_requests_do_not_count_as_scheduled(demo: Any, run: Any) -> None:
    path = "2025/02/21/23/1324.dat"
    node = ArchiveFileCopyRequest.node_from.rel_model.get(name="demo_storage1")
    demo.request(path, node, "demo_storage2", cancelled=True)
    demo.request(path, node, "demo_storage2", completed=True)
    demo.request(path, node, "elsewhere")
    demo.request(path, demo.node("other"), "demo_storage2")
    run("node", "sync", "demo_storage1", "demo_storage2", "--force")
    assert len(requests(cancelled=True)) == 1
    assert pending().count("1324.dat") == 3


@pytest.mark.parametrize(
    ("source", "dest", "synced"),
    [
        ("YY", None, True),
        ("YN", None, True),
        ("NY", None, False),
        ("MY", None, False),
        ("XY", None, False),
        ("YY", "YY", False),
        ("YY", "YN", False),
        ("YY", "NN", True),
        ("YY", "MY", True),
        ("YY", "XY", True),
    ],
)
def test_states_that_are_synced(
    make: Any, run: Any, source: str, dest: str | None, synced: bool
) -> None:
    make.copy("a/f", make.node("src"), *source)
    node = make.node("dst", group="g")
    make.node("dst2", group="g")
    if dest:
        make.copy("a/f", node, *dest)
    run("node", "sync", "src", "g", "--force")
    assert pending() == (["f"] if synced else [])


def test_files_in_any_target_are_skipped(make: Any, run: Any) -> None:
    source = make.node("src")
    make.group("g")
    for name in ("in1", "in2", "released", "suspect", "none"):
        make.copy(f"a/{name}", source)
    t1, t2 = make.node("t1"), make.node("t2")
    make.copy("a/in1", t1)
    make.copy("a/in2", t2, "Y", "M")
    make.copy("a/released", t1, "Y", "N")
    make.copy("a/suspect", t2, "M", "Y")
    run("node", "sync", "src", "g", "--target=t1", "--target=t2", "--force")
    assert pending() == ["released", "suspect", "none"]


def test_acquisitions_are_a_union(make: Any, run: Any) -> None:
    source = make.node("src")
    make.group("g")
    for path in ("a/1", "b/2", "c/3"):
        make.copy(path, source)
    run("node", "sync", "src", "g", "--acq", "a", "--acq=c", "--force")
    assert pending() == ["1", "3"]


def test_unknown_size(make: Any, run: Any) -> None:
    make.file("a/f", size_b=None)
    make.copy("a/f", make.node("src"))
    make.copy("a/g", make.node("src2", group="src"))
    make.group("g")
    assert "1 file (unknown size)" in run("node", "sync", "src", "g", "--check").stdout


def test_acquisitions_and_files_are_listed_sorted(make: Any, run: Any) -> None:
    source = make.node("src")
    make.group("g")
    for path in ("b/2", "a/z", "a-b/x", "b/1", "evil\x1b/\n"):
        make.copy(path, source)
    both = run("node", "sync", "src", "g", "-c", "--show-files", "--show-acqs").stdout
    assert both.splitlines()[2:] == [
        "a [1 file]",
        "    a/z",
        "a-b [1 file]",
        "    a-b/x",
        "b [2 files]",
        "    b/1",
        "    b/2",
        r"evil\x1b [1 file]",
        r"    evil\x1b/\n",
    ]
    paths = run("node", "sync", "src", "g", "-c", "--show-files").stdout.splitlines()[2:]
    assert paths == ["a-b/x", "a/z", "b/1", "b/2", r"evil\x1b/\n"]


@pytest.mark.parametrize("verb", [("node", "sync", "src", "g"), ("group", "sync", "g", "src")])
def test_files_that_are_scheduled_already_are_not_listed(make: Any, run: Any, verb: Any) -> None:
    """D24: what is listed is what the summary line counts."""
    source = make.node("src")
    make.group("g")
    for path in ("a/new", "a/scheduled", "b/scheduled"):
        make.copy(path, source)
    for path in ("a/scheduled", "b/scheduled"):
        make.request(path, source, "g")
    lines = run(*verb, "--check", "--show-acqs", "--show-files").stdout.splitlines()
    assert lines[0].startswith("2 files (8 B) already scheduled")
    assert lines[1].startswith("Would sync 1 file (4 B)")
    assert lines[3:] == ["a [1 file]", "    a/new"]


# the question


@pytest.mark.parametrize("answer", ["n\n", "\n", "No\n", "what\nn\n"])
def test_no_means_no(demo: Any, run: Any, dump: Any, answer: str) -> None:
    before = dump()
    result = run("node", "sync", "demo_storage1", "demo_storage2", input=answer)
    assert result.stdout.endswith("Continue? [y/N]: \nCancelled.\n")
    assert result.stdout.count("Error: invalid input\n") == answer.count("what")
    assert (result.code, dump()) == (0, before)


@pytest.mark.parametrize("answer", ["y\n", "Y\n", "YES\n", "nonsense\nyes\n"])
def test_yes_means_yes(demo: Any, run: Any, answer: str) -> None:
    result = run("node", "sync", "demo_storage1", "demo_storage2", input=answer)
    assert result.stdout.endswith("Added 4 new copy requests.\n")
    assert len(pending()) == 4


def test_end_of_input_is_aborted(demo: Any, run: Any, dump: Any) -> None:
    before = dump()
    result = run("node", "sync", "demo_storage1", "demo_storage2", input="")
    assert result.stderr.strip() == "Aborted!"
    assert (result.code, dump()) == (1, before)


def test_check_writes_nothing_whatever_the_input(demo: Any, run: Any, dump: Any) -> None:
    before = dump()
    result = run("node", "sync", "demo_storage1", "demo_storage2", "-c", input="y\n")
    assert result.stdout.startswith("Would sync 4 files")
    assert "Continue" not in result.stdout
    assert (result.code, dump()) == (0, before)


def test_force_asks_nothing(demo: Any, run: Any) -> None:
    result = run("node", "sync", "demo_storage1", "demo_storage2", "--force", input="n\n")
    assert result.stdout == (
        'Syncing 4 files (50 B) from Node "demo_storage1" to Group "demo_storage2".\n'
        "\nAdded 4 new copy requests.\n"
    )


def test_what_changed_during_the_question_counts(
    demo: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The update pass searches again: another person was quicker."""
    import click

    def answer(*_: object, **__: object) -> bool:
        run("node", "sync", "demo_storage1", "demo_storage2", "--force")
        return True

    monkeypatch.setattr(click, "confirm", answer)
    result = run("node", "sync", "demo_storage1", "demo_storage2")
    assert result.stdout.endswith("No additional files to sync.\n")
    assert len(pending()) == 4


# the file list


def test_a_file_list(demo: Any, run: Any, tmp_path: Path) -> None:
    listing = tmp_path / "list"
    listing.write_text(
        "# a comment\n"
        "\n"
        "  2025/02/21/23/1324.dat\t\n"
        "/data/2025/02/21/23/1330.dat\n"
        ".//2025/02/21/./23/1324.dat/\n"
        "2025/02/21/meta.txt"  # in the destination already; no newline at the end
    )
    run("group", "sync", "demo_storage2", "demo_storage1", f"-F{listing}", "--force")
    assert pending() == ["1324.dat", "1330.dat"]


@pytest.mark.parametrize("text", ["", "# only\n#comments\n\n"])
def test_an_empty_list_selects_nothing(
    demo: Any, run: Any, tmp_path: Path, dump: Any, text: str
) -> None:
    """D19."""
    listing = tmp_path / "list"
    listing.write_text(text)
    before = dump()
    result = run("node", "sync", "demo_storage1", "demo_storage2", "--file-list", listing)
    assert (result.stdout, result.code) == ("No files to sync.\n", 0)
    assert dump() == before


@pytest.mark.parametrize(
    "entry", ["2025/02/21/23/none", "/elsewhere/2025/02/21/meta.txt", "1324.dat", " # 1324.dat"]
)
def test_a_bad_entry_ends_everything(
    demo: Any, run: Any, tmp_path: Path, dump: Any, entry: str
) -> None:
    listing = tmp_path / "list"
    listing.write_text(f"2025/02/21/23/1324.dat\n#\n{entry}\n")
    before = dump()
    result = run("node", "sync", "demo_storage1", "demo_storage2", "-F", listing, "--force")
    assert result.code == 1
    assert f"No such file in line 3 of {listing}" in result.stderr
    assert entry.strip() in result.stderr
    assert dump() == before


def test_a_list_from_standard_input_only_checks(demo: Any, run: Any, dump: Any) -> None:
    before = dump()
    args = ("node", "sync", "demo_storage1", "demo_storage2", "-F-")
    result = run(*args, input="2025/02/21/23/1324.dat\n")
    assert result.stdout.startswith("Would sync 1 file (12 B)")
    assert result.stderr.startswith("WARNING >> Standard input redirected")
    assert (result.code, dump()) == (0, before)
    forced = run(*args, "--force", input="2025/02/21/23/1324.dat\n")
    assert (forced.stderr, pending()) == ("", ["1324.dat"])
    bad = run(*args, input="x/y\n")
    assert (bad.code, "line 1 of stdin" in bad.stderr) == (1, True)


def test_list_and_acquisition_must_both_hold(demo: Any, run: Any, tmp_path: Path) -> None:
    listing = tmp_path / "list"
    listing.write_text("2025/02/21/23/1324.dat\n")
    args = ("node", "sync", "demo_storage1", "demo_storage2", "-F", listing, "--force")
    assert run(*args, "--acq=2025/02/21").stdout == "No files to sync.\n"


# cancelling


def test_cancel(demo: Any, run: Any) -> None:
    run("node", "sync", "demo_storage1", "demo_storage2", "--force")
    result = run(
        "node", "sync", "demo_storage1", "demo_storage2", "-x", "--show-files", input="y\n"
    )
    assert result.stdout == (
        "Would cancel 4 pending transfer requests:\n\n"
        + "".join(f"2025/02/21/23/{name}\n" for name in FILES)
        + "\nContinue? [y/N]: \n"
        "Cancelling 4 pending transfer requests.\n"
        "\nCancelled 4 transfer requests.\n"
    )
    assert pending() == []
    assert run("node", "sync", "demo_storage1", "demo_storage2", "-x").stdout == (
        "No requests to cancel.\n"
    )


def test_declined_cancel_writes_nothing(demo: Any, run: Any, dump: Any) -> None:
    run("node", "sync", "demo_storage1", "demo_storage2", "--force")
    before = dump()
    result = run("group", "sync", "demo_storage2", "--cancel", "--all", input="n\n")
    assert (result.stdout[-11:], dump()) == ("Cancelled.\n", before)


@pytest.mark.parametrize(
    ("args", "left"),
    [
        (("node", "sync", "n1", "g1", "--cancel"), ["n1g2", "n2g1", "n2g2"]),
        (("group", "sync", "g1", "n1", "--cancel"), ["n1g2", "n2g1", "n2g2"]),
        (("node", "sync", "n1", "--cancel", "--all"), ["n2g1", "n2g2"]),
        (("group", "sync", "g1", "--cancel", "-a"), ["n1g2", "n2g2"]),
        (("group", "sync", "g1", "-xa", "--acq", "other"), ["n1g1", "n1g2", "n2g1", "n2g2"]),
    ],
)
def test_which_requests_are_cancelled(
    make: Any, run: Any, args: tuple[str, ...], left: list[str]
) -> None:
    nodes = {name: make.node(name) for name in ("n1", "n2")}
    make.file("other/f")
    for node in ("n1", "n2"):
        for group in ("g1", "g2"):
            make.request(f"a/{node}{group}", nodes[node], group)
    make.request("a/done", nodes["n1"], "g1", completed=True)
    run(*args, "--force")
    assert pending() == left
    assert requests(completed=True) == [("done", "n1", "g1", True, False)]


def test_cancel_listed_files_only(make: Any, run: Any, tmp_path: Path) -> None:
    node = make.node("n", root="/data")
    for path in ("a/1", "a/2", "a/3"):
        make.request(path, node, "g")
    make.request("a/1", node, "h")
    listing = tmp_path / "list"
    listing.write_text("a/1\n/data/a/2\n")
    result = run("node", "sync", "n", "-xa", "-F", listing, "--show-acqs", "--force")
    assert result.stdout == (
        "Cancelling 3 pending transfer requests:\n\na [3 requests]\n"
        "\nCancelled 3 transfer requests.\n"
    )
    assert pending() == ["3"]
    other = run("group", "sync", "g", "-xa", "-F", listing)
    assert other.code == 1
    assert "line 2" in other.stderr


# errors


@pytest.mark.parametrize(
    ("args", "phrase"),
    [
        (("node", "sync", "n", "g", "-c", "--force"), "cannot use both --check and --force"),
        (("node", "sync", "n", "--all"), "--all may only be used with --cancel"),
        (("node", "sync", "n", "g", "-x", "--target=g"), "cannot use both --cancel and --target"),
        (("node", "sync", "n"), "GROUP or --all must be provided"),
        (("group", "sync", "g", "-x"), "NODE or --all must be provided"),
        (("node", "sync", "n", "g", "-xa"), "Can't use --all"),
        (("group", "sync", "g", "n", "-xa"), "Can't use --all"),
        (("node", "sync"), "Missing argument 'NODE'"),
        (("group", "sync"), "Missing argument 'GROUP'"),
        (("node", "sync", "n", "g", "-F", "/no/such/list"), "does not exist"),
        (("node", "sync", "n", "g", "-F", "/tmp"), "is a directory"),
    ],
)
def test_usage_errors(make: Any, run: Any, dump: Any, args: tuple[str, ...], phrase: str) -> None:
    make.copy("a/f", make.node("n"))
    make.group("g")
    before = dump()
    result = run(*args)
    assert (result.code, result.stdout) == (2, "")
    assert phrase in result.stderr.splitlines()[-1]
    assert dump() == before


@pytest.mark.parametrize(
    ("args", "phrase"),
    [
        (("x", "g", "-F-"), 'No such storage node: "x"'),
        (("n", "x"), "No such storage group"),
        (("n", "g", "--acq=x"), "No such acquisition"),
        (("n", "g", "--target=g", "--target=x"), "No such storage group"),
    ],
)
def test_unknown_names(make: Any, run: Any, dump: Any, args: tuple[str, ...], phrase: str) -> None:
    make.copy("a/f", make.node("n"))
    make.group("g")
    before = dump()
    result = run("node", "sync", *args, "--force", input="no/such/file\n")
    assert (result.code, result.stdout) == (1, "")
    assert phrase in result.stderr
    assert dump() == before
