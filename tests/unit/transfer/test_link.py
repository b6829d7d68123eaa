"""Hard links: what is left to another mover, and what is final."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from alpenhorn.errors import FailureClass
from alpenhorn.transfer.batch import Endpoint, Item, Limits, Outcome
from alpenhorn.transfer.link import LinkMover


def link(root: Path, staging: Path) -> Outcome:
    item = Item(3, "dir/file", f"{root}/dir/file", 4)
    [outcome] = LinkMover().move([item], Endpoint(True, None, str(root)), staging, Limits())
    return outcome


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "src/dir").mkdir(parents=True)
    (tmp_path / "src/dir/file").write_bytes(b"data")
    (tmp_path / "staging").mkdir()
    return tmp_path / "src"


def test_a_link_shares_the_bytes(root: Path, tmp_path: Path) -> None:
    assert link(root, tmp_path / "staging").ok
    assert (tmp_path / "staging/dir/file").samefile(root / "dir/file")


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP])
def test_where_linking_is_impossible_another_mover_may_try(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", refuse)
    outcome = link(root, tmp_path / "staging")
    assert outcome.fallback
    assert outcome.message == f"cannot make a hard link: {os.strerror(code)}"


def test_another_file_system_is_left_to_another_mover(root: Path) -> None:
    shm = Path("/dev/shm")
    if not os.access(shm, os.W_OK) or shm.stat().st_dev == root.stat().st_dev:
        pytest.skip("/dev/shm is no other file system")
    staging = shm / f"alpenhorn-test-{os.getpid()}"
    staging.mkdir()
    try:
        assert link(root, staging).fallback
        assert not (staging / "dir/file").exists()
    finally:
        (staging / "dir").rmdir()
        staging.rmdir()


def test_a_full_disk_is_final(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    outcome = link(root, tmp_path / "staging")
    assert outcome.failure is FailureClass.DESTINATION
    assert not outcome.fallback


def test_a_missing_source_is_final(root: Path, tmp_path: Path) -> None:
    (root / "dir/file").unlink()
    outcome = link(root, tmp_path / "staging")
    assert outcome.failure is FailureClass.SOURCE
    assert not outcome.fallback


def test_a_source_exchanged_for_a_link_at_the_last_moment_is_not_staged(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.link

    def exchange(*args: object, **kwargs: object) -> None:
        (root / "dir/file").unlink()
        (root / "dir/file").symlink_to("/etc/passwd")
        real(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "link", exchange)
    assert link(root, tmp_path / "staging").failure is FailureClass.SOURCE
    assert not os.path.lexists(tmp_path / "staging/dir/file")


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_sources_in_many_places_are_not_all_kept_open(root: Path, tmp_path: Path) -> None:
    """A storage class may keep each file in a directory of its own, beside the root."""
    items = []
    for n in range(50):
        place = tmp_path / f"place{n}"
        place.mkdir()
        (place / "file").write_bytes(b"data")
        items.append(Item(n, f"dir{n % 2}/{n}", f"{place}/file", 4))
    before, opened = open_files(), []
    source = Endpoint(True, None, str(root))
    for outcome in LinkMover().move(items, source, tmp_path / "staging", Limits()):
        assert outcome.ok
        opened.append(open_files() - before)
    assert max(opened) <= 4
    assert open_files() == before
