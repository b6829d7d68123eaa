"""Staged bytes and names reach the medium, and a failure to do so is not hidden."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from alpenhorn.transfer import flush


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that fsync was really called for, by name."""
    names: list[str] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        names.append(Path(f"/proc/self/fd/{fd}").readlink().name)
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    return names


@pytest.mark.parametrize("count", [1, flush.MANY, 3 * flush.MANY])
def test_every_staged_file_is_flushed(tmp_path: Path, synced: list[str], count: int) -> None:
    names = [f"file{number}" for number in range(count)]
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    flush.flush_batch(tmp_path, names)
    assert synced == names


def test_directories_are_flushed_once_each(tmp_path: Path, synced: list[str]) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    flush.flush_directories([tmp_path / "one", tmp_path / "two", tmp_path / "one"])
    assert sorted(synced) == ["one", "two"]


def test_a_missing_file_is_an_error_not_silence(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        flush.flush_batch(tmp_path, ["missing"])
    with pytest.raises(FileNotFoundError):
        flush.flush_directories([tmp_path / "missing"])


def test_a_link_is_not_flushed_in_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    with pytest.raises(OSError):
        flush.flush_batch(tmp_path, ["link"])


def test_a_failed_write_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    (tmp_path / "file").write_bytes(b"x")
    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output"):
        flush.flush_batch(tmp_path, ["file"])
    with pytest.raises(OSError, match="Input/output"):
        flush.flush_directories([tmp_path])


def test_file_systems_that_cannot_flush_directories_are_put_up_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def unable(fd: int) -> None:
        calls.append(fd)
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", unable)
    flush.flush_directories([tmp_path])
    assert len(calls) == 1
