"""``alpenhorn file verify``."""

from __future__ import annotations

from typing import Any

import pytest

from alpenhorn.db import ArchiveFileCopy
from alpenhorn.db.operations import Doorbell

REQUESTED = {
    "YY": "",
    "YM": "",
    "YN": "",
    "XY": "corrupt ",
    "XM": "corrupt ",
    "XN": "corrupt ",
    "NY": "missing ",
}


@pytest.mark.parametrize("before", REQUESTED)
def test_verify(make: Any, run: Any, before: str) -> None:
    """Nothing but `has_file` of that copy changes, and the daemon is woken."""
    node, other = make.node("n"), make.node("other", host="there")
    made = make.copy("a/f", node, *before, ready=True, size_b=4096)
    made = ArchiveFileCopy.get_by_id(made.id)
    make.copy("a/f", other)
    result = run("file", "verify", "a/f", "n")
    assert result.code == 0
    assert result.stdout == (
        f'Requesting verification of {REQUESTED[before]}file "a/f" on Node "n".\n'
    )
    assert make.states(node) == {"a/f": f"M{before[1]}"}
    assert make.states(other) == {"a/f": "YY"}
    now = ArchiveFileCopy.get_by_id(made.id)
    assert (now.ready, now.size_b, now.last_update) == (True, 4096, made.last_update)
    assert [bell.host for bell in Doorbell.select()] == ["here"]


@pytest.mark.parametrize("wants", "YMN")
def test_already_scheduled(make: Any, run: Any, dump: Any, wants: str) -> None:
    make.copy("a/f", make.node("n"), "M", wants)
    tables = dump()
    result = run("file", "verify", "a/f", "n")
    assert "already scheduled" in result.stdout
    assert result.code == 0
    assert dump() == tables


@pytest.mark.parametrize("before", ["", "NM", "NN"])
def test_not_present(make: Any, run: Any, dump: Any, before: str) -> None:
    node = make.node("n")
    make.copy("a/f", make.node("other"))
    if before:
        make.copy("a/f", node, *before)
    tables = dump()
    result = run("file", "verify", "a/f", "n")
    assert (result.stdout, result.code) == ("", 1)
    assert '"a/f" is not present on Node "n"' in result.stderr
    assert dump() == tables


@pytest.mark.parametrize(
    ("args", "code", "phrase"),
    [
        ("a/x n", 1, "No such file"),
        ("a/f x", 1, "No such storage node"),
        ("a/f", 2, "NODE"),
        ("a/f n --cancel", 2, "--cancel"),
    ],
)
def test_errors(make: Any, run: Any, dump: Any, args: str, code: int, phrase: str) -> None:
    make.copy("a/f", make.node("n"))
    tables = dump()
    result = run("file", "verify", *args.split())
    assert (result.stdout, result.code) == ("", code)
    assert phrase in result.stderr
    assert dump() == tables
