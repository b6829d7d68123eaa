"""``alpenhorn acq create``."""

from __future__ import annotations

from typing import Any

import pytest

from alpenhorn.db import ArchiveAcq


@pytest.mark.parametrize("name", ["2025/02/21", "a/.../b", ".hidden", "a.b", "x" * 64])
def test_create(index: Any, run: Any, name: str) -> None:
    result = run("acq", "create", name)
    assert (result.stdout, result.code) == (f'Created acquisition "{name}".\n', 0)
    made = ArchiveAcq.get()
    assert (made.name, made.comment) == (name, None)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "empty path"),
        (".", "invalid path"),
        ("..", "invalid path"),
        ("/test/", "invalid start"),
        ("./a", "invalid start"),
        ("../a", "invalid start"),
        ("a/", "invalid end"),
        ("a/.", "invalid end"),
        ("a/..", "invalid end"),
        ("a//b", "repeated"),
        ("a/./b", 'path element "."'),
        ("a/../b", 'path element ".."'),
        ("x" * 65, "limit is 64"),
        ("a\nb", "control character"),
    ],
)
def test_invalid_names(index: Any, run: Any, dump: Any, name: str, reason: str) -> None:
    tables = dump()
    result = run("acq", "create", name)
    assert (result.stdout, result.code) == ("", 1)
    assert "invalid name" in result.stderr and reason in result.stderr
    assert dump() == tables


def test_taken_name(index: Any, run: Any, dump: Any) -> None:
    run("acq", "create", "a")
    tables = dump()
    result = run("acq", "create", "a")
    assert (result.stderr, result.code) == ('Error: Acquisition "a" already exists.\n', 1)
    assert dump() == tables


def test_missing_name(index: Any, run: Any) -> None:
    assert run("acq", "create").code == 2
