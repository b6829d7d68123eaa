"""The internal copy: what the contract test cannot provoke from outside."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from alpenhorn.errors import FailureClass
from alpenhorn.transfer import copy
from alpenhorn.transfer.batch import Endpoint, Item, Limits, Outcome


class Bench:
    def __init__(self, tmp: Path) -> None:
        self.source = tmp / "src"
        self.staging = tmp / "staging"
        self.source.mkdir()
        self.staging.mkdir()

    def copy(self, *names: str, timeout: float | None = None, mover: copy.CopyMover | None = None):
        items = [Item(n, name, f"{self.source}/{name}") for n, name in enumerate(names)]
        endpoint = Endpoint(True, None, str(self.source))
        moves = (mover or copy.CopyMover()).move(items, endpoint, self.staging, Limits(timeout))
        return list(moves)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def fail_with(code: int):
    def call(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    return call


def test_a_file_that_changes_during_the_copy_is_tried_again_later(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bench.source / "growing"
    path.write_bytes(b"x" * 100)
    real = os.sendfile

    def sendfile(target: int, origin: int, offset: int, count: int) -> int:
        with path.open("ab") as file:
            file.write(b"more")
        return real(target, origin, offset, count)

    monkeypatch.setattr(os, "sendfile", sendfile)
    [outcome] = bench.copy("growing")
    assert outcome.failure is FailureClass.ROUTE
    assert "changed while it was copied" in outcome.message
    assert not list(bench.staging.iterdir())


def test_a_file_that_is_cut_during_the_copy_does_not_loop(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bench.source / "shrinking"
    path.write_bytes(b"x" * 100)
    real = os.sendfile

    def sendfile(target: int, origin: int, offset: int, count: int) -> int:
        os.truncate(path, 10)
        return real(target, origin, offset, count)

    monkeypatch.setattr(os, "sendfile", sendfile)
    [outcome] = bench.copy("shrinking")
    assert outcome.failure is FailureClass.ROUTE


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_full_or_read_only_disk_is_the_destinations_fault(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    (bench.source / "file").write_bytes(b"x")
    monkeypatch.setattr(os, "sendfile", fail_with(code))
    [outcome] = bench.copy("file")
    assert outcome == Outcome(
        0, FailureClass.DESTINATION, f"cannot write here: {os.strerror(code)}"
    )
    assert not list(bench.staging.iterdir())


def test_a_read_error_does_not_blame_the_bytes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bench.source / "file").write_bytes(b"x")
    monkeypatch.setattr(os, "sendfile", fail_with(errno.EIO))
    assert bench.copy("file")[0].failure is FailureClass.ROUTE


def test_without_sendfile_bytes_are_read_and_written(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = os.urandom(3 * 2**20 + 17)
    (bench.source / "file").write_bytes(data)
    monkeypatch.setattr(os, "sendfile", fail_with(errno.EINVAL))
    assert bench.copy("file")[0].ok
    assert (bench.staging / "file").read_bytes() == data


def test_a_file_system_that_knows_no_holes_is_copied_whole(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bench.source / "file").write_bytes(b"data")
    real = os.lseek

    def lseek(fd: int, offset: int, whence: int) -> int:
        if whence in (os.SEEK_DATA, os.SEEK_HOLE):
            raise OSError(errno.EINVAL, "Invalid argument")
        return real(fd, offset, whence)

    monkeypatch.setattr(os, "lseek", lseek)
    assert bench.copy("file")[0].ok
    assert (bench.staging / "file").read_bytes() == b"data"


def test_the_time_limit_holds_between_chunks_and_for_the_rest_of_the_batch(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second", "third"):
        (bench.source / name).write_bytes(b"x" * 20)
    monkeypatch.setattr(copy, "CHUNK", 10)
    ticks: Iterator[int] = iter(range(100))
    mover = copy.CopyMover(clock=lambda: next(ticks))
    outcomes = bench.copy("first", "second", "third", timeout=3, mover=mover)
    assert [o.failure for o in outcomes] == [None, FailureClass.ROUTE, FailureClass.ROUTE]
    assert "time limit of 3 s" in outcomes[1].message
    assert [p.name for p in bench.staging.iterdir()] == ["first"]


def test_a_fifo_at_the_source_does_not_hang_the_daemon(bench: Bench) -> None:
    os.mkfifo(bench.source / "fifo")
    assert bench.copy("fifo")[0].failure is FailureClass.SOURCE


def test_a_linked_directory_at_the_source_is_not_followed(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_bytes(b"secret")
    (bench.source / "dir").symlink_to(tmp_path / "outside")
    outcome = bench.copy("dir/file")[0]
    assert outcome.failure is FailureClass.ROUTE, "it says nothing about the source's bytes"
    assert "is a link" in outcome.message


def test_set_user_id_bits_are_not_copied(bench: Bench) -> None:
    (bench.source / "file").write_bytes(b"x")
    (bench.source / "file").chmod(0o4755)
    assert bench.copy("file")[0].ok
    assert (bench.staging / "file").stat().st_mode & 0o7777 == 0o755
