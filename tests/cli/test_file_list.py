"""``alpenhorn file list``."""

from __future__ import annotations

import datetime
import json
from itertools import chain, combinations
from typing import Any

import pytest

from alpenhorn.cli.main import run as program
from alpenhorn.db import ArchiveFile, ArchiveFileCopy

STATES = {
    "healthy": {"YY", "YM"},
    "suspect": {"MY", "MM"},
    "corrupt": {"XY", "XM"},
    "missing": {"NY"},
}
ALL_PAIRS = [has + wants for has in "YMXN" for wants in "YMN"]
SUBSETS = list(chain.from_iterable(combinations(STATES, n) for n in range(len(STATES) + 1)))


def listed(run: Any, *args: object) -> list[str]:
    result = run("file", "list", *args)
    assert (result.stderr, result.code) == ("", 0)
    return [line.removeprefix("a/") for line in result.stdout.splitlines()]


@pytest.fixture
def places(make: Any) -> Any:
    """N1 and N2 in G1, N3 in G2; files are healthy on exactly the nodes in their names."""
    nodes = {"1": make.node("N1", "G1"), "2": make.node("N2", "G1"), "3": make.node("N3", "G2")}
    for name in ("12", "13", "23", "1", "2", "3"):
        for digit in name:
            make.copy(f"a/{name}", nodes[digit])
    return nodes


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ("", "1 12 13 2 23 3"),
        ("--node N1", "1 12 13"),
        ("--node N1 --node N3", "1 12 13 23 3"),
        ("--node N1 --node N3 --all", "13"),
        ("--node N1 -a --group G2", "13"),
        ("--group G1", "1 12 13 2 23"),
        ("--absent-node N1", "2 23 3"),
        ("--absent-node N1 --absent-node N2", "1 13 2 23 3"),
        ("--absent-group G1", "3"),
        ("--absent-node N1 --absent-group G2", "1 12 2 23 3"),
        ("--absent-node N1 --absent-node N2 --all", "3"),
        ("--absent-node N1 --absent-group G2 --all", "2"),
        ("--node N1 --absent-node N2", "1 12 13 3"),
        ("--node N1 --absent-node N2 --all", "1 13"),
        ("--from N1 --to G2", "1 12"),
        ("--from N1 --to G2 --node N2", "12"),
        ("--from N1 --to G2 --absent-node N2", "1"),
        ("--from N1 --to G1", ""),
    ],
)
def test_places(places: Any, run: Any, options: str, names: str) -> None:
    """The table of the specification, and more."""
    assert listed(run, *options.split()) == names.split()


def test_an_absent_place_without_any_file_is_satisfied_by_all(
    places: Any, make: Any, run: Any
) -> None:
    """D9."""
    make.node("empty")
    assert listed(run, "--node", "N1", "--absent-node", "empty") == [
        "1",
        "12",
        "13",
        "2",
        "23",
        "3",
    ]
    assert listed(run, "--node", "N1", "--absent-node", "empty", "--all") == ["1", "12", "13"]


@pytest.mark.parametrize("states", SUBSETS)
@pytest.mark.parametrize("place", ["--node=n", "--group=g"])
def test_states(make: Any, run: Any, states: tuple[str, ...], place: str) -> None:
    """For every subset of the flags exactly the copies of the specification match."""
    node = make.node("n", "g")
    for pair in ALL_PAIRS:
        make.copy(f"a/{pair}", node, *pair)
    flags = [f"--{state}" for state in states]
    wanted = set().union(*(STATES[state] for state in states or ("healthy",)))
    assert listed(run, place, *flags) == sorted(wanted)


def test_one_copy_must_satisfy_the_state(make: Any, run: Any) -> None:
    """A released copy and a corrupt one in a group are not a healthy one."""
    n1, n2 = make.node("n1", "g"), make.node("n2", "g")
    make.copy("a/f", n1, "Y", "N")
    make.copy("a/f", n2, "X", "Y")
    assert listed(run, "--group", "g") == []
    assert listed(run, "--group", "g", "--corrupt") == ["f"]


def test_states_do_not_apply_to_absent_places(make: Any, run: Any) -> None:
    n1, n2 = make.node("n1"), make.node("n2")
    make.copy("a/corrupt_both", n1, "X")
    make.copy("a/corrupt_both", n2, "X")
    make.copy("a/corrupt_here", n1, "X")
    make.copy("a/corrupt_here", n2, "Y")
    make.copy("a/good_here", n1, "Y")
    make.copy("a/good_here", n2, "Y")
    options = ["--corrupt", "--node", "n1", "--absent-node", "n2", "--all"]
    assert listed(run, *options) == ["corrupt_both"]


@pytest.mark.parametrize(
    ("source", "dest", "concerned"),
    [("YM", None, 1), ("YN", None, 0), ("XY", None, 0), ("YY", "NY", 1), ("YY", "YM", 0)],
)
def test_syncable(make: Any, run: Any, source: str, dest: str | None, concerned: int) -> None:
    n1, n2 = make.node("n1"), make.node("n2", "g2")
    make.copy("a/f", n1, *source)
    if dest:
        make.copy("a/f", n2, *dest)
    assert len(listed(run, "--from", "n1", "--to", "g2")) == concerned


def test_acquisitions_limit_everything(make: Any, run: Any) -> None:
    node = make.node("n")
    for path in ("a/f", "b/f", "c/f"):
        make.copy(path, node)
    make.file("b/nowhere")
    assert listed(run, "--acq", "b", "--acq", "c") == ["b/f", "b/nowhere", "c/f"]
    assert listed(run, "--acq", "b", "--node", "n") == ["b/f"]


def test_order_is_by_acquisition_then_name(make: Any, run: Any) -> None:
    for path in ("b/1", "a/b/2", "a/x", "B/z", "a-/y"):
        make.file(path)
    lines = run("file", "list").stdout.splitlines()
    assert lines == ["B/z", "a/x", "a-/y", "a/b/2", "b/1"]


def test_nothing_selected_prints_nothing(make: Any, run: Any) -> None:
    """D11."""
    make.node("n")
    for more in ([], ["--details"], ["--json"]):
        result = run("file", "list", "--node", "n", *more)
        assert (result.stdout, result.code) == ("", 0)


def test_names_cannot_act_on_the_terminal(make: Any, run: Any) -> None:
    make.file("a/x\ny\x1b[2J")
    assert run("file", "list").stdout == "a/x\\ny\\x1b[2J\n"


# errors


@pytest.mark.parametrize(
    ("options", "phrase"),
    [
        ("--from N1", "--from and --to must be used together"),
        ("--to G1", "--from and --to must be used together"),
        ("--corrupt --node N1 --from N1 --to G2", "cannot use both --corrupt and --from"),
        ("--suspect --from N1 --to G2", "cannot use both --suspect and --from"),
        ("--healthy", "--healthy may only be used with --node or --group"),
        ("--missing --absent-node N1", "--missing may only be used with --node or --group"),
        ("--all", "--all may only be used with"),
        ("-a --from N1 --to G2", "--all may only be used with"),
    ],
)
def test_usage_errors(places: Any, run: Any, options: str, phrase: str) -> None:
    """D10 among them."""
    result = run("file", "list", *options.split())
    assert (result.stdout, result.code) == ("", 2)
    assert phrase in result.stderr


@pytest.mark.parametrize(
    "option",
    [
        "--acq",
        "--node",
        "--group",
        "--absent-node",
        "--absent-group",
        "--to=G1 --from",
        "--from=N1 --to",
    ],
)
def test_unknown_names_are_found_even_if_nothing_would_be_listed(
    places: Any, make: Any, run: Any, option: str
) -> None:
    """D12."""
    make.node("empty")
    result = run("file", "list", "--node", "empty", *option.split(), "nowhere")
    assert (result.stdout, result.code) == ("", 1)
    assert "o such" in result.stderr and "nowhere" in result.stderr


# details

META = {
    "size_b": 52,
    "md5sum": "4F2A66C1FF5EB90A5013522D53EA2E91",
    "registered": datetime.datetime(2025, 2, 21, 23, 7, 8, 123456),
}
DATA = {
    "size_b": 12,
    "md5sum": "4c79018e00ddef11af0b9cfc14dd3261",
    "registered": datetime.datetime(2025, 2, 21, 23, 52, 21),
}


@pytest.fixture
def demo(make: Any) -> Any:
    """Two files on demo_storage1, as in the walkthrough."""
    node = make.node("demo_storage1")
    for acq, name, values in (
        ("2025/02/21", "meta.txt", META),
        ("2025/02/21", "23/1324.dat", DATA),
    ):
        file = make.file(f"{acq}/{name.replace('/', '_')}")
        ArchiveFile.update(name=name, **values).where(ArchiveFile.id == file.id).execute()
        ArchiveFileCopy.create(file=file, node=node, has_file="Y", size_b=4096)
    return node


def test_details_on_a_node(demo: Any, run: Any) -> None:
    """Transcript 9."""
    result = run("file", "list", "--node=demo_storage1", "--details")
    # fmt: off
    assert result.stdout == (
"""\
File                    Size    MD5 Hash                          Registration Time             State    Size on Node
----------------------  ------  --------------------------------  ----------------------------  -------  --------------
2025/02/21/23/1324.dat  12 B    4c79018e00ddef11af0b9cfc14dd3261  Fri Feb 21 23:52:21 2025 UTC  Healthy  4.000 kiB
2025/02/21/meta.txt     52 B    4f2a66c1ff5eb90a5013522d53ea2e91  Fri Feb 21 23:07:08 2025 UTC  Healthy  4.000 kiB
"""  # noqa: E501
    )
    # fmt: on
    again = run("file", "list", "--node=demo_storage1", "--node=demo_storage1", "--details")
    assert again.stdout == result.stdout


@pytest.mark.parametrize(
    ("options", "last"),
    [
        ("", "Registration Time"),
        ("--node N1", "Size on Node"),
        ("--node N1 --node N1 --absent-node N2 --acq a --healthy", "Size on Node"),
        ("--group G1", "Node"),
        ("--node N1 --node N2", "Registration Time"),
        ("--node N1 --group G1", "Registration Time"),
        ("--group G1 --group G2", "Registration Time"),
        ("--absent-node N1", "Registration Time"),
        ("--node N1 --from N1 --to G2", "Registration Time"),
    ],
)
def test_which_columns(places: Any, run: Any, options: str, last: str) -> None:
    line = run("file", "list", "--details", *options.split()).stdout.splitlines()[0]
    assert line.endswith(f"  {last}")


def test_details_are_those_of_the_copy_on_that_node(make: Any, run: Any) -> None:
    """D8: not those of a copy elsewhere; without a record: absent."""
    here, there = make.node("here1"), make.node("there")
    make.copy("a/both", there, "X", size_b=1)
    make.copy("a/both", here, "Y", "M", size_b=2048)
    make.copy("a/elsewhere", there)
    make.file("a/nowhere")
    result = run("file", "list", "--node=here1", "--absent-node=here1", "--details", "--json")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(row["file"], row["state"], row["size_on_node_b"]) for row in rows] == [
        ("a/both", "Removable", 2048),
        ("a/elsewhere", "Absent", None),
        ("a/nowhere", "Absent", None),
    ]
    table = run("file", "list", "--node=here1", "--absent-node=here1", "--details").stdout
    assert table.splitlines()[3].endswith("  Absent     -")


def test_details_in_a_group(make: Any, run: Any) -> None:
    n1, n2 = make.node("n1", "g"), make.node("n2", "g")
    for name, first, second in (
        ("good", "MY", "YN"),
        ("suspect", "XY", "MN"),
        ("corrupt", "NY", "XY"),
        ("gone", "NY", "NN"),
    ):
        make.copy(f"a/{name}", n1, *first)
        make.copy(f"a/{name}", n2, *second)
    make.file("a/unknown")
    result = run("file", "list", "--group=g", "--absent-group=g", "--details", "--json")
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert {row["file"]: (row["state"], row["node"]) for row in rows} == {
        "a/good": ("Present", "n2"),
        "a/suspect": ("Suspect", "n2"),
        "a/corrupt": ("Corrupt", "n2"),
        "a/gone": ("Absent", None),
        "a/unknown": ("Absent", None),
    }
    table = run("file", "list", "--group=g", "--absent-group=g", "--details").stdout
    assert table.splitlines()[3].endswith("  Absent   -")


def test_details_of_what_is_unknown(make: Any, run: Any) -> None:
    file = make.file("a/f", size_b=None)
    ArchiveFile.update(md5sum=None).where(ArchiveFile.id == file.id).execute()
    row = run("file", "list", "--details").stdout.splitlines()[2].split()
    assert row[:3] == ["a/f", "-", "-"]


@pytest.mark.sqlite
def test_registration_time_that_is_unset(make: Any, run: Any, index: Any) -> None:
    """Indexes that other programs made may have no time."""
    make.file("a/f")
    index.execute_sql("PRAGMA writable_schema = ON")
    index.execute_sql(
        "UPDATE sqlite_master SET sql = replace(sql, '\"registered\" DATETIME NOT NULL',"
        " '\"registered\" DATETIME') WHERE name = 'archivefile'"
    )
    index.close()
    index.execute_sql("UPDATE archivefile SET registered = NULL")
    assert run("file", "list", "--details").stdout.splitlines()[2].split()[-1] == "-"


def test_json_is_an_object_per_line(demo: Any, run: Any) -> None:
    plain = run("file", "list", "--json").stdout.splitlines()
    assert [json.loads(line) for line in plain] == [
        {"file": "2025/02/21/23/1324.dat"},
        {"file": "2025/02/21/meta.txt"},
    ]
    detailed = run("file", "list", "--json", "--details").stdout.splitlines()
    first = json.loads(detailed[1])
    first["registered"] = first["registered"].replace(".123456", "")  # MySQL keeps no fractions
    assert first == {
        "file": "2025/02/21/meta.txt",
        "size_b": 52,
        "md5sum": "4f2a66c1ff5eb90a5013522d53ea2e91",
        "registered": "2025-02-21T23:07:08Z",
    }


def test_quiet(demo: Any, conf: Any, monkeypatch: Any, capfd: Any) -> None:
    assert program(["--conf", str(conf), "-q", "file", "list", "--details"]) == 0
    assert capfd.readouterr() == ("", "")
