"""Only bytes that were read back and are those of the index count as a copy."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from alpenhorn.errors import FailureClass
from alpenhorn.transfer.batch import Item
from alpenhorn.transfer.verify import verify_staged

DATA = b"ten bytes."
MD5 = hashlib.md5(DATA).hexdigest()


def item(size_b: int | None = len(DATA), md5: str | None = MD5, path: str = "dir/file") -> Item:
    return Item(5, path, "/src/file", size_b, md5)


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir/file").write_bytes(DATA)
    return tmp_path


def test_equal_bytes_are_verified(staging: Path) -> None:
    outcome = verify_staged(staging, item())
    assert outcome.ok
    assert outcome.key == 5


def test_case_and_blanks_of_the_recorded_md5_do_not_matter(staging: Path) -> None:
    assert verify_staged(staging, item(md5=f" {MD5.upper()}")).ok


def test_other_bytes_of_equal_length_are_the_sources_fault(staging: Path) -> None:
    (staging / "dir/file").write_bytes(b"TEN BYTES.")
    outcome = verify_staged(staging, item())
    got = hashlib.md5(b"TEN BYTES.").hexdigest()
    assert outcome.failure is FailureClass.SOURCE
    assert outcome.message == f"MD5 mismatch: got {got}, expected {MD5}"


@pytest.mark.parametrize("md5", [MD5, None])
def test_another_length_is_the_sources_fault(staging: Path, md5: str | None) -> None:
    outcome = verify_staged(staging, item(size_b=11, md5=md5))
    assert outcome.failure is FailureClass.SOURCE
    assert outcome.message == "length mismatch: got 10 B, expected 11 B"


def test_what_the_index_does_not_know_is_not_compared(staging: Path) -> None:
    assert verify_staged(staging, item(size_b=None)).ok
    assert verify_staged(staging, item(md5=None)).ok
    assert not verify_staged(staging, item(size_b=None, md5="0" * 32)).ok


def test_an_empty_recorded_md5_never_verifies(staging: Path) -> None:
    assert not verify_staged(staging, item(md5="")).ok


def test_a_missing_staged_file_is_not_the_sources_fault(staging: Path) -> None:
    outcome = verify_staged(staging, item(path="dir/none"))
    assert outcome.failure is FailureClass.DESTINATION


@pytest.mark.parametrize("path", ["link", "linkdir/file"])
def test_a_link_is_not_read_through(staging: Path, path: str) -> None:
    (staging / "link").symlink_to("dir/file")
    (staging / "linkdir").symlink_to("dir")
    assert verify_staged(staging, item(path=path)).failure is FailureClass.DESTINATION


def test_a_fifo_is_no_file(staging: Path) -> None:
    os.mkfifo(staging / "fifo")
    outcome = verify_staged(staging, item(path="fifo"))
    assert outcome.failure is FailureClass.DESTINATION
