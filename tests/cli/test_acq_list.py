"""``alpenhorn acq list`` and ``acq files``."""

from __future__ import annotations

import json
from typing import Any

import pytest

from alpenhorn.db import ArchiveAcq, ArchiveFile

WORDS = {
    "YY": "Healthy",
    "YM": "Removable",
    "YN": "Released",
    "MY": "Suspect",
    "MM": "Suspect",
    "MN": "Released",
    "XY": "Corrupt",
    "XM": "Corrupt",
    "XN": "Released",
    "NY": "Missing",
    "NM": "Removed",
    "NN": "Removed",
}


def rows(run: Any, *args: object) -> list[dict[str, Any]]:
    result = run("acq", "files", *args, "--json")
    assert (result.stderr, result.code) == ("", 0)
    return [json.loads(line) for line in result.stdout.splitlines()]


# list


def test_list(make: Any, run: Any) -> None:
    ArchiveAcq.create(name="zz_empty")
    for number in range(5):
        make.file(f"2025/02/21/{number}")
    result = run("acq", "list")
    assert (result.stdout, result.code) == (
        """\
Name          Files
----------  -------
zz_empty          0
2025/02/21        5
""",
        0,
    )
    assert run("acq", "list", "--json").json == [
        {"name": "zz_empty", "files": 0},
        {"name": "2025/02/21", "files": 5},
    ]


def test_list_of_a_place_counts_present_copies(make: Any, run: Any) -> None:
    """`wants_file` is no matter; a file on two nodes of a group counts twice."""
    n1, n2, n3 = make.node("n1", "g"), make.node("n2", "g"), make.node("n3")
    for wants in "YMN":
        make.copy(f"a/{wants}", n1, "Y", wants)
    make.copy("a/Y", n2)
    make.copy("b/other", n3)
    for has in "NMX":
        make.copy(f"c/{has}", n1, has)
    make.file("a/nowhere")
    assert run("acq", "list", "--node=n1", "--json").json == [{"name": "a", "files": 3}]
    assert run("acq", "list", "--group=g", "--json").json == [{"name": "a", "files": 4}]
    assert run("acq", "list", "--node=n3").stdout.splitlines()[2].split() == ["b", "1"]


def test_list_nothing(make: Any, run: Any) -> None:
    make.node("n")
    assert run("acq", "list").stdout == "No acquisitions\n"
    make.file("a/f")
    assert run("acq", "list", "--node", "n").stdout == "No acquisitions\n"
    assert run("acq", "list", "--group", "n", "--json").json == []


@pytest.mark.parametrize(
    ("args", "code", "phrase"),
    [
        ("list --node=x", 1, "No such storage node"),
        ("list --group=x", 1, "No such storage group"),
        ("list --node=x --group=x", 2, "cannot use both --node and --group"),
        ("files x", 1, "No such acquisition"),
        ("files a --node=x", 1, "No such storage node"),
        ("files a --group=x", 1, "No such storage group"),
        ("files a --node=n --group=n", 2, "cannot use both --node and --group"),
        ("files", 2, "ACQ"),
    ],
)
def test_errors(make: Any, run: Any, args: str, code: int, phrase: str) -> None:
    make.copy("a/f", make.node("n"))
    result = run("acq", *args.split())
    assert (result.stdout, result.code) == ("", code)
    assert phrase in result.stderr


# files


def test_files(make: Any, run: Any) -> None:
    make.file("acq/f0", size_b=2**30, md5sum="0123456789ABCDEF0123456789abcdef")
    unknown = make.file("acq/sub", size_b=None)
    ArchiveFile.update(name="sub/f1", md5sum=None).where(ArchiveFile.id == unknown.id).execute()
    make.file("other/f2")
    result = run("acq", "files", "acq")
    assert (result.stdout, result.code) == (
        """\
Name    Size       MD5
------  ---------  --------------------------------
f0      1.000 GiB  0123456789abcdef0123456789abcdef
sub/f1  -
""",
        0,
    )
    assert run("acq", "files", "acq", "--show-removed").stdout == result.stdout


def test_files_on_a_node(make: Any, run: Any) -> None:
    """The example of the specification."""
    node = make.node("n")
    make.file("acq/f0", size_b=2**30, md5sum="0123456789abcdef0123456789abcdef")
    make.copy("acq/f0", node, size_b=2**30)
    make.copy("acq/f0", make.node("elsewhere"), "X")
    make.file("acq/f3", size_b=2**32, md5sum="fedcba9876543210fedcba9876543210")
    make.copy("acq/f3", node, "M", size_b=3000)
    make.copy("other/f", node)
    make.copy("acq/elsewhere", make.node("third"))
    assert run("acq", "files", "acq", "--node", "n").stdout == (
        """\
Name    Size       Node State    Size on Node    MD5
------  ---------  ------------  --------------  --------------------------------
f0      1.000 GiB  Healthy       1.000 GiB       0123456789abcdef0123456789abcdef
f3      4.000 GiB  Suspect       2.930 kiB       fedcba9876543210fedcba9876543210
"""
    )


def test_all_states_on_a_node(make: Any, run: Any) -> None:
    node = make.node("n")
    for pair in WORDS:
        make.copy(f"a/{pair}", node, *pair)
    shown = {row["name"]: row["state"] for row in rows(run, "a", "--node=n", "--show-removed")}
    assert shown == WORDS
    shown = {row["name"]: row["state"] for row in rows(run, "a", "--node=n")}
    assert shown == {pair: word for pair, word in WORDS.items() if word != "Removed"}


def test_files_in_a_group(make: Any, run: Any) -> None:
    n1, n2 = make.node("n1", "g"), make.node("n2", "g")
    for name, first, second in (
        ("released", "YN", "MY"),
        ("check", "MN", "XY"),
        ("corrupt", "XY", "NY"),
        ("missing", "NY", "NN"),
    ):
        make.copy(f"a/{name}", n1, *first)
        make.copy(f"a/{name}", n2, *second)
    make.copy("a/elsewhere", make.node("other"))
    there = [
        ("released", "Present", "n1"),
        ("check", "Needs Check", "n1"),
        ("corrupt", "Corrupt", "n1"),
    ]
    removed = [*there, ("missing", "Removed", None)]
    keys = ("name", "state", "node")
    assert [tuple(r[k] for k in keys) for r in rows(run, "a", "--group=g")] == there
    assert [tuple(r[k] for k in keys) for r in rows(run, "a", "--group=g", "--show-removed")] == (
        removed
    )
    table = run("acq", "files", "a", "--group=g", "--show-removed").stdout.splitlines()
    assert table[0] == "Name      Size    Group State    Node    MD5"
    assert table[5].split() == ["missing", "4", "B", "Removed", "-", "0" * 32]


def test_no_files(make: Any, run: Any) -> None:
    node = make.node("n")
    ArchiveAcq.create(name="empty")
    assert run("acq", "files", "empty").stdout == "No files\n"
    assert run("acq", "files", "empty", "--node=n").stdout == "No files\n"
    assert run("acq", "files", "empty", "--json").stdout == ""
    make.copy("a/gone", node, "N", "N")
    for place in ("--node=n", "--group=n"):
        assert run("acq", "files", "a", place).stdout == "No files\n"
        assert len(run("acq", "files", "a", place, "--show-removed").stdout.splitlines()) == 3
