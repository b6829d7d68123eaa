"""``alpenhorn file import``."""

from __future__ import annotations

from typing import Any

import pytest

from alpenhorn.common.units import utcnow
from alpenhorn.db import ArchiveFileImportRequest
from alpenhorn.db.operations import Doorbell

PATH = "2025/02/21/23/1330.dat"


@pytest.mark.parametrize("option", ["--register-new", "-n", None])
def test_import(make: Any, run: Any, option: str | None) -> None:
    """Transcript 13; the node need neither be active nor have a root."""
    node = make.node("demo_storage1", active=False)
    begin = utcnow()
    args = [option] if option else []
    result = run("file", "import", *args, PATH, "demo_storage1")
    assert (result.stdout, result.stderr, result.code) == ("Added new import request.\n", "", 0)
    request = ArchiveFileImportRequest.get()
    assert (request.node, request.path) == (node, PATH)
    assert (request.recurse, request.register, request.completed) == (False, bool(option), False)
    assert begin.replace(microsecond=0) <= request.timestamp <= utcnow()
    assert Doorbell.get(host="here").rings == 1


@pytest.mark.parametrize("path", ["./a//b/../c/", "ALPENHORN_NODE", ".", "x" * 1024, "ü x"])
def test_the_path_is_stored_as_typed(make: Any, run: Any, path: str) -> None:
    make.node("n")
    run("file", "import", path, "n")
    run("file", "import", path, "n")
    assert [request.path for request in ArchiveFileImportRequest.select()] == [path, path]


@pytest.mark.parametrize(
    ("args", "code", "phrase"),
    [
        (["/data/a/f", "n"], 2, "relative"),
        (["/data/a/f", "unknown"], 2, "relative"),
        (["a/f", "unknown"], 1, 'No such storage node: "unknown"'),
        (["a/f"], 2, "NODE"),
        (["a/f", "n", "more"], 2, "unexpected extra argument"),
        (["x" * 1025, "n"], 1, "too long"),
        (["a/\udcff", "n"], 1, "not valid UTF-8"),
    ],
)
def test_errors(make: Any, run: Any, dump: Any, args: list[str], code: int, phrase: str) -> None:
    make.node("n")
    tables = dump()
    result = run("file", "import", *args)
    assert (result.stdout, result.code) == ("", code)
    assert phrase in result.stderr
    assert dump() == tables
