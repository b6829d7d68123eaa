"""``alpenhorn file state``."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from alpenhorn.db import ArchiveFileCopy
from alpenhorn.db.operations import Doorbell
from alpenhorn.db.queries import copy_edits, deletion
from alpenhorn.errors import NotAllowed
from alpenhorn.services import lookup

WORDS = {
    "YY": "Healthy",
    "YM": "Healthy Removable",
    "YN": "Healthy Released",
    "MY": "Suspect",
    "MM": "Suspect Removable",
    "MN": "Suspect Released",
    "XY": "Corrupt",
    "XM": "Corrupt Removable",
    "XN": "Corrupt Released",
    "NY": "Missing",
    "NM": "Absent",
    "NN": "Absent",
}


@pytest.fixture
def node(make: Any) -> Any:
    make.file("a/f")
    return make.node("n")


def copy() -> ArchiveFileCopy | None:
    return ArchiveFileCopy.get_or_none()


def pair() -> str:
    found = copy()
    return f"{found.has_file}{found.wants_file}" if found else ""


@pytest.mark.parametrize("ready", [True, False])
@pytest.mark.parametrize("before", WORDS)
def test_read(make: Any, node: Any, run: Any, dump: Any, before: str, ready: bool) -> None:
    make.copy("a/f", node, *before, ready=ready)
    tables = dump()
    words = WORDS[before] + (" Ready" if ready and before[0] != "N" else "")
    result = run("file", "state", "a/f", "n")
    assert (result.stdout, result.stderr, result.code) == (f"{words}\n", "", 0)
    assert dump() == tables


def test_read_without_a_record(make: Any, node: Any, run: Any) -> None:
    make.copy("a/f", make.node("other"))
    assert run("file", "state", "a/f", "n").stdout == "Absent\n"
    assert run("file", "state", "a/f", "n", "--json").json == {
        "file": "a/f",
        "node": "n",
        "state": "Absent",
        "has_file": None,
        "wants_file": None,
        "ready": None,
        "size_b": None,
    }


def test_read_json(make: Any, node: Any, run: Any) -> None:
    make.copy("a/f", node, "X", "N", ready=True, size_b=5)
    assert run("file", "state", "a/f", "n", "--json").json == {
        "file": "a/f",
        "node": "n",
        "state": "Corrupt Released Ready",
        "has_file": "X",
        "wants_file": "N",
        "ready": True,
        "size_b": 5,
    }


@pytest.mark.parametrize("ready", [True, False])
@pytest.mark.parametrize(
    ("before", "state", "after"),
    [
        ("NN", "healthy", "YY"),
        ("XM", "Healthy", "YM"),
        ("NN", "suspect", "MY"),
        ("XM", "SUSPECT", "MM"),
        ("NN", "corrupt", "XY"),
        ("YM", "corrupt", "XM"),
        ("XN", "healthy", "YY"),
        ("YM", "missing", "NY"),
        ("YY", "absent", "NN"),
        ("NM", "absent", "NN"),
    ],
)
def test_set(
    make: Any, node: Any, run: Any, before: str, state: str, after: str, ready: bool
) -> None:
    """Size, time and ready bit stay; the daemon of the node is woken."""
    time = datetime.datetime(2020, 1, 1)
    make.copy("a/f", node, *before, ready=ready, size_b=7, last_update=time)
    other = make.copy("a/f", make.node("other"), "X", "M")
    result = run("file", "state", "a/f", "n", "--set", state)
    assert (result.stdout, result.code) == ("State updated.\n", 0)
    changed = ArchiveFileCopy.get(node=node)
    assert f"{changed.has_file}{changed.wants_file}" == after
    assert (changed.ready, changed.size_b, changed.last_update) == (ready, 7, time)
    assert ArchiveFileCopy.get_by_id(other.id).has_file == "X"
    assert Doorbell.get(host="here").rings == 1


@pytest.mark.parametrize(
    ("before", "args"),
    [
        ("XM", "--set=corrupt"),
        ("YY", "--set=healthy"),
        ("YY", "--set=Healthy --unready"),
        ("NY", "--set=missing"),
        ("NN", "--set=absent"),
        ("YY", "--unready"),
        ("", "--set=absent"),
        ("", "--unready"),
        ("", "--set=absent --unready"),
    ],
)
def test_no_change(make: Any, node: Any, run: Any, dump: Any, before: str, args: str) -> None:
    """D16."""
    if before:
        make.copy("a/f", node, *before)
    tables = dump()
    result = run("file", "state", "a/f", "n", *args.split())
    assert (result.stdout, result.code) == ("No change.\n", 0)
    assert dump() == tables


@pytest.mark.parametrize(
    ("args", "after", "ready"),
    [
        ("--set=healthy", "YY", False),
        ("--set=suspect", "MY", False),
        ("--set=corrupt", "XY", False),
        ("--set=missing", "NY", False),
        ("--set=healthy --ready", "YY", True),
        ("--set=suspect --unready", "MY", False),
    ],
)
def test_a_record_is_made(node: Any, run: Any, args: str, after: str, ready: bool) -> None:
    assert run("file", "state", "a/f", "n", *args.split()).stdout == "State updated.\n"
    made = copy()
    assert made and (pair(), made.ready, made.size_b) == (after, ready, None)


@pytest.mark.parametrize(
    ("before", "args", "after", "ready"),
    [
        ("YY", "--ready", "YY", True),
        ("YN", "--ready", "YN", True),
        ("NN", "--ready --set=Healthy", "YY", True),
        ("NN", "--unready", "NN", False),
        ("YM", "--unready --set=Corrupt", "XM", False),
    ],
)
def test_ready_bit(
    make: Any, node: Any, run: Any, before: str, args: str, after: str, ready: bool
) -> None:
    make.copy("a/f", node, *before, ready=not ready)
    assert run("file", "state", "a/f", "n", *args.split()).stdout == "State updated.\n"
    changed = copy()
    assert changed and (pair(), changed.ready) == (after, ready)


@pytest.mark.parametrize(
    ("before", "args"),
    [
        ("YY", "--ready --set=Missing"),
        ("YY", "--ready --set=suspect"),
        ("YY", "--ready --set=corrupt"),
        ("YY", "--ready --set=absent"),
        ("NY", "--ready"),
        ("MY", "--ready"),
        ("XY", "--ready"),
        ("", "--ready"),
        ("", "--ready --set=absent"),
    ],
)
def test_ready_is_refused(
    make: Any, node: Any, run: Any, dump: Any, before: str, args: str
) -> None:
    if before:
        make.copy("a/f", node, *before)
    tables = dump()
    result = run("file", "state", "a/f", "n", *args.split())
    assert result.code == 1
    assert "can't set ready bit" in result.stderr
    assert dump() == tables


@pytest.mark.parametrize(
    ("args", "code", "phrase"),
    [
        ("a/f n --ready --unready", 2, "cannot use both --ready and --unready"),
        ("a/f n --set=released", 2, "released"),
        ("a/f n --set=", 2, "--set"),
        ("a/f n --json --set=healthy", 2, "cannot use both --json and --set"),
        ("a/f", 2, "NODE"),
        ("a/x n", 1, "No such file"),
        ("a/x n --set=healthy", 1, "No such file"),
        ("a/f x --set=healthy", 1, "No such storage node"),
    ],
)
def test_errors(node: Any, run: Any, dump: Any, args: str, code: int, phrase: str) -> None:
    tables = dump()
    result = run("file", "state", *args.split())
    assert (result.stdout, result.code) == ("", code)
    assert phrase in result.stderr
    assert dump() == tables


def test_a_change_by_somebody_else_is_not_overwritten(
    make: Any, node: Any, monkeypatch: Any
) -> None:
    """Other programs do not lock: what we decided on must still be true when we write."""
    make.copy("a/f", node, "Y", "Y")

    def decide(record: Any) -> dict[str, str]:
        ArchiveFileCopy.update(wants_file="N").execute()
        return {"has_file": "M"}

    with pytest.raises(NotAllowed, match="somebody else"):
        copy_edits.edit(lookup.file("a/f"), node, decide)
    assert pair() == "YY"  # theirs was part of our transaction here


def test_a_record_that_somebody_else_makes_first(make: Any, node: Any) -> None:
    def decide(record: Any) -> dict[str, str]:
        make.copy("a/f", node, "X")
        return {"has_file": "Y"}

    with pytest.raises(NotAllowed, match="somebody else"):
        copy_edits.edit(lookup.file("a/f"), node, decide)


def test_a_copy_that_is_being_deleted_cannot_be_called_healthy(
    make: Any, run: Any, dump: Any
) -> None:
    """Its file is unlinked in a moment: it must not count as a copy that protects others."""
    for n in range(2):
        make.copy("a/f", make.node(f"arc{n}", storage_type="A"))
    copy = make.copy("a/f", make.node("n"), "Y", "N")
    assert deletion.claim(copy.node_id, [copy.id], {}).taken
    tables = dump()
    result = run("file", "state", "a/f", "n", "--set", "healthy")
    assert (result.stdout, result.code) == ("", 1)
    assert result.stderr == (
        'Error: can\'t be healthy: the daemon of Node "n" is deleting the copy.  '
        'Use "file clean --cancel" and "file verify", if it is still there.\n'
    )
    assert dump() == tables
