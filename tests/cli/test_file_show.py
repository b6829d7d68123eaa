"""``alpenhorn file show``."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from alpenhorn.db import ArchiveAcq, ArchiveFile, ArchiveFileCopy


@pytest.fixture
def data(index: Any) -> ArchiveFile:
    """The file of transcript 24."""
    return ArchiveFile.create(
        acq=ArchiveAcq.create(name="2025/02/21"),
        name="23/1324.dat",
        size_b=12,
        md5sum="4C79018E00DDEF11AF0B9CFC14DD3261",
        registered=datetime.datetime(2025, 3, 6, 22, 54, 37),
    )


def test_show(data: Any, run: Any) -> None:
    """Transcript 24."""
    result = run("file", "show", "2025/02/21/23/1324.dat")
    assert (result.stdout, result.code) == (
        """\
       Name: 23/1324.dat
Acquisition: 2025/02/21
       Path: 2025/02/21/23/1324.dat

       Size: 12 B
   MD5 Hash: 4c79018e00ddef11af0b9cfc14dd3261
 Registered: Thu Mar  6 22:54:37 2025 UTC
""",
        0,
    )


def test_unknown_values(data: Any, run: Any) -> None:
    ArchiveFile.update(size_b=None, md5sum=None).execute()
    lines = run("file", "show", "2025/02/21/23/1324.dat").stdout.splitlines()
    assert lines[4:6] == ["       Size: unknown", "   MD5 Hash: -"]


def sections(run: Any, *args: str) -> str:
    return "\n".join(run("file", "show", "a/f", *args).stdout.splitlines()[7:])


def test_without_anything(make: Any, run: Any) -> None:
    make.file("a/f")
    assert sections(run, "--all") == (
        """
Group status

No extant copies

Node status:

No extant copies

Transfer requests:

No transfers"""
    )


def test_group_status(make: Any, run: Any) -> None:
    n1, n2 = make.node("n1", "mixed"), make.node("n2", "mixed")
    make.copy("a/f", n1, "X")
    make.copy("a/f", n2, "M", "N")
    make.copy("a/f", make.node("n3", "gone"), "N")
    make.copy("a/f", make.node("n4", "good"), "Y", "N")
    make.node("n5", "unconcerned")
    make.copy("a/other", n1, "Y")
    assert sections(run, "--groups") == (
        """
Group status

Group    State    Node
-------  -------  ------
mixed    Suspect  n2
gone     Absent   -
good     Present  n4"""
    )


def test_node_status(make: Any, run: Any) -> None:
    """All twelve states; the size only of what is or may be there."""
    words = {
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
    for pair in words:
        make.copy("a/f", make.node(f"n{pair}"), *pair, size_b=4096)
    rows = [line.split(maxsplit=2) for line in sections(run, "--nodes").splitlines()[5:]]
    assert rows == [
        [f"n{pair}", word, "4.000 kiB" if pair[0] in "YM" else "-"] for pair, word in words.items()
    ]


def test_transfers(make: Any, run: Any) -> None:
    node = make.node("demo_storage1")
    time = datetime.datetime(2025, 2, 26, 23, 18, 40)
    make.request("a/f", node, "demo_storage2", timestamp=time)
    make.request("a/f", node, "g", timestamp=time, cancelled=True)
    make.request(
        "a/f",
        node,
        "g",
        timestamp=None,
        cancelled=True,
        completed=True,
        transfer_started=time,
        transfer_completed=time,
    )
    make.request("a/other", node, "g")
    # fmt: off
    assert sections(run, "--transfers") == (
"""
Transfer requests:

Source Node    Dest. Group    Status     Request Time                  Start Time                    Completion Time
-------------  -------------  ---------  ----------------------------  ----------------------------  ----------------------------
demo_storage1  demo_storage2  Pending    Wed Feb 26 23:18:40 2025 UTC  -                             -
demo_storage1  g              Cancelled  Wed Feb 26 23:18:40 2025 UTC  -                             -
demo_storage1  g              Complete   -                             Wed Feb 26 23:18:40 2025 UTC  Wed Feb 26 23:18:40 2025 UTC"""  # noqa: E501
    )
    # fmt: on


def test_json(data: Any, make: Any, run: Any) -> None:
    ArchiveFileCopy.create(file=data, node=make.node("n", "g"), has_file="X", size_b=4096)
    shown = run("file", "show", "2025/02/21/23/1324.dat", "-a", "--json").json
    assert shown == {
        "name": "23/1324.dat",
        "acquisition": "2025/02/21",
        "path": "2025/02/21/23/1324.dat",
        "size_b": 12,
        "md5sum": "4c79018e00ddef11af0b9cfc14dd3261",
        "registered": "2025-03-06T22:54:37Z",
        "groups": [{"group": "g", "state": "Corrupt", "node": "n"}],
        "nodes": [{"node": "n", "state": "Corrupt", "size_b": None}],
        "transfers": [],
    }


@pytest.mark.parametrize(
    "path", ["2025/02/21/none", "/2025/02/21/23/1324.dat", "1324.dat", "", "2025/02/21/../21/x"]
)
def test_no_such_file(data: Any, run: Any, path: str) -> None:
    result = run("file", "show", path)
    assert (result.stdout, result.code) == ("", 1)
    assert "No such file" in result.stderr and path in result.stderr


def test_missing_argument(index: Any, run: Any) -> None:
    assert run("file", "show").code == 2


def test_path_is_tidied_before_the_search(data: Any, run: Any) -> None:
    assert run("file", "show", "2025//02/./21/23/1324.dat/").code == 0
