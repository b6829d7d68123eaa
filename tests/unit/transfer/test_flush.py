"""Staged bytes and names reach the medium, and a failure to do so is not hidden."""

from __future__ import annotations

import ctypes
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


class Library:
    """The system calls, or failures of them, on a file system that flushes all at once."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.fails = ""

    def syncfs(self, fd: int) -> int:
        return self._call("syncfs")

    def sync_file_range(self, *arguments: object) -> int:
        return self._call("sync_file_range")

    def _call(self, name: str) -> int:
        self.calls.append(name)
        ctypes.set_errno(errno.EIO)
        return -1 if self.fails == name else 0


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    made = Library()
    monkeypatch.setattr(flush, "_libc", made)
    monkeypatch.setattr(flush, "type_of", lambda device: "ext4")
    return made


@pytest.mark.parametrize("count", [1, flush.MANY, 3 * flush.MANY])
def test_every_staged_file_is_flushed(
    tmp_path: Path, synced: list[str], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where flushing all at once does not reach the medium, e.g. on FUSE: one by one."""
    monkeypatch.setattr(flush, "type_of", lambda device: "fuse.sshfs")
    names = [f"file{number}" for number in range(count)]
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    flush.flush_batch(tmp_path, names)
    assert synced == names


def names_below(path: Path, count: int) -> list[str]:
    names = [f"file{number}" for number in range(count)]
    for name in names:
        (path / name).write_bytes(b"x")
    return names


def test_many_are_flushed_at_once_where_that_is_as_good(
    tmp_path: Path, synced: list[str], library: Library
) -> None:
    """No fsync, with its emptying of the disk's cache, for each; but each is asked for errors."""
    flush.flush_batch(tmp_path, names_below(tmp_path, 3 * flush.MANY))
    assert not synced
    assert library.calls == ["syncfs"] + ["sync_file_range"] * (3 * flush.MANY)


@pytest.mark.parametrize("call", ["syncfs", "sync_file_range"])
def test_a_failed_write_among_many_is_reported(tmp_path: Path, library: Library, call: str) -> None:
    library.fails = call
    with pytest.raises(OSError, match="Input/output"):
        flush.flush_batch(tmp_path, names_below(tmp_path, flush.MANY))


def test_a_file_system_is_known_by_its_device(tmp_path: Path) -> None:
    assert flush.type_of(Path("/proc").stat().st_dev) == "proc"
    assert flush.type_of(os.makedev(4095, 1)) is None


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
