"""``alpenhorn acq show``."""

from __future__ import annotations

from typing import Any

import pytest

from alpenhorn.db import ArchiveAcq

GIB = 2**30


@pytest.fixture
def acq(make: Any) -> None:
    """The example of the specification: N1 in G1 has three files, N2 and N3 in G2 one each."""
    n3, n2 = make.node("N3", "G2"), make.node("N2", "G2")
    n1 = make.node("N1", "G1")
    sizes = {"f0": 1, "f1": 1, "f2": 4, "f3": 22}
    for name, size in sizes.items():
        make.file(f"acq/{name}", size_b=size * GIB)
    make.copy("acq/f0", n1, "Y", "N")
    make.copy("acq/f1", n1, "Y", "M")
    make.copy("acq/f2", n1)
    make.copy("acq/f0", n2)
    make.copy("acq/f1", n3)
    for name, has in (("f0", "M"), ("f1", "X"), ("f2", "N")):
        make.copy(f"acq/{name}", make.node(f"bad{has}"), has)
    make.copy("other/f", n2)


LABELS = """\
Acquisition: acq
 File Count: 4
 Total Size: 28.00 GiB
"""


def test_show(acq: Any, run: Any) -> None:
    result = run("acq", "show", "acq")
    assert (result.stdout, result.code) == (LABELS, 0)


def test_nodes(acq: Any, run: Any) -> None:
    assert run("acq", "show", "acq", "--show-nodes").stdout == (
        LABELS
        + """
Node breakdown:

Node      Count  Size
------  -------  ---------
N1            3  6.000 GiB
N2            1  1.000 GiB
N3            1  1.000 GiB
"""
    )


def test_groups(acq: Any, run: Any) -> None:
    assert run("acq", "show", "acq", "--show-groups").stdout == (
        LABELS
        + """
Group breakdown:

Group      Count  Size
-------  -------  ---------
G1             3  6.000 GiB
G2             2  2.000 GiB
"""
    )


def test_both(acq: Any, run: Any) -> None:
    assert run("acq", "show", "acq", "--show-groups", "--show-nodes").stdout == (
        LABELS
        + """
Group/Node breakdown:

Group/Node      Count  Size
------------  -------  ---------
G1                  3  6.000 GiB
-- N1               3  6.000 GiB

G2                  2  2.000 GiB
-- N2               1  1.000 GiB
-- N3               1  1.000 GiB

"""
    )


@pytest.mark.parametrize("options", ["--show-nodes", "--show-groups", "--show-nodes --show-groups"])
def test_without_files(make: Any, run: Any, options: str) -> None:
    """D7."""
    ArchiveAcq.create(name="empty")
    result = run("acq", "show", "empty", *options.split())
    assert result.code == 0
    assert result.stdout.splitlines()[1:3] == [" File Count: 0", " Total Size: -"]
    assert result.stdout.endswith("breakdown:\n\nNo nodes with data\n")
    assert result.stdout.count("Size") == 1


def test_unknown_sizes(make: Any, run: Any) -> None:
    node = make.node("n")
    make.file("a/f", size_b=None)
    make.copy("a/f", node)
    assert run("acq", "show", "a", "--show-nodes").stdout.splitlines()[-1].split() == [
        "n",
        "1",
        "-",
    ]
    make.file("a/zero", size_b=0)
    assert run("acq", "show", "a").stdout.splitlines()[2] == " Total Size: 0 B"


def test_json(acq: Any, run: Any) -> None:
    shown = run("acq", "show", "acq", "--show-groups", "--show-nodes", "--json").json
    assert shown["groups"][0] == {
        "name": "G1",
        "count": 3,
        "size_b": 6 * GIB,
        "nodes": [{"name": "N1", "count": 3, "size_b": 6 * GIB}],
    }
    assert (shown["name"], shown["file_count"], shown["total_size_b"]) == ("acq", 4, 28 * GIB)
    assert [
        n["name"] for n in run("acq", "show", "acq", "--show-nodes", "--json").json["nodes"]
    ] == [
        "N1",
        "N2",
        "N3",
    ]


@pytest.mark.parametrize(
    ("args", "code", "phrase"), [("nowhere", 1, "No such acquisition"), ("", 2, "ACQ")]
)
def test_errors(acq: Any, run: Any, args: str, code: int, phrase: str) -> None:
    result = run("acq", "show", *args.split())
    assert (result.stdout, result.code) == ("", code)
    assert phrase in result.stderr
