"""Reading file lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alpenhorn.db import ArchiveFile
from alpenhorn.db.queries.filters import FileFilter
from alpenhorn.errors import AlpenhornError, NotFound
from alpenhorn.services import file_list, limits


def selected() -> list[str]:
    query = ArchiveFile.select().where(*FileFilter(listed=True).conditions())
    return sorted(str(file.path) for file in query)


@pytest.fixture
def listing(tmp_path: Path) -> Path:
    return tmp_path / "list"


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("a/1\na/2\n", ["a/1", "a/2"]),
        ("a/1", ["a/1"]),
        ("a/1\r\na/2\r\n", ["a/1", "a/2"]),
        (" \ta/1\t \n\n   \n#a/2\n", ["a/1"]),
        ("a/1\na/1\n/data/a/1\n", ["a/1"]),
        ("/data//a/./2/\n", ["a/2"]),
        ("#\n", []),
        ("", []),
    ],
)
def test_entries(make: Any, listing: Path, text: str, paths: list[str]) -> None:
    make.file("a/1")
    make.file("a/2")
    make.file("a/3")
    listing.write_bytes(text.encode())
    file_list.select(str(listing), "/data/")
    assert selected() == paths


def test_a_second_list_replaces_the_first(make: Any, listing: Path) -> None:
    make.file("a/1")
    make.file("a/2")
    listing.write_text("a/1")
    file_list.select(str(listing), None)
    listing.write_text("a/2")
    file_list.select(str(listing), None)
    assert selected() == ["a/2"]


@pytest.mark.parametrize(
    ("entry", "root"),
    [
        (b"/data/a/1", None),
        (b"/data/a/1", "/dat"),
        (b"/data", "/data"),
        (b"a", "/data"),
        (b"a/\xff", "/data"),
        (b"a/1\0", "/data"),
        (b" # a/1", "/data"),
    ],
)
def test_bad_entries_say_where(make: Any, listing: Path, entry: bytes, root: str | None) -> None:
    make.file("a/1")
    listing.write_bytes(b"# comment\n\na/1\n" + entry + b"\n")
    with pytest.raises(NotFound, match=f"^No such file in line 4 of {listing}: ") as raised:
        file_list.select(str(listing), root)
    assert "\n" not in raised.value.message


def test_a_read_error_names_list_and_cause(index: Any, tmp_path: Path) -> None:
    with pytest.raises(AlpenhornError, match=f"{tmp_path}: Is a directory"):
        file_list.select(str(tmp_path), None)


def test_the_filter_of_the_options(make: Any, listing: Path) -> None:
    acq = make.file("a/1").acq
    assert limits.file_filter([], None, None) == FileFilter()
    listing.write_text("a/1")
    found = limits.file_filter(["a", "a"], str(listing), None)
    assert found == FileFilter(acq_ids=(acq.id,), listed=True)
    with pytest.raises(NotFound, match="No such acquisition"):
        limits.file_filter(["a", "x"], None, None)
