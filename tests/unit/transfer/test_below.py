"""Nothing below a root is reached through a link."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from alpenhorn.transfer.below import locate, opened, parent_of


def test_a_linked_directory_on_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_bytes(b"x")
    (tmp_path / "root").mkdir()
    (tmp_path / "root/dir").symlink_to(tmp_path / "outside")
    with pytest.raises(OSError), opened(tmp_path / "root", "dir/file"):
        pass
    with pytest.raises(OSError), parent_of(tmp_path / "root", "dir/new/file", create=True):
        pass
    assert [p.name for p in (tmp_path / "outside").iterdir()] == ["file"]


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/file").write_bytes(b"x")
    (tmp_path / "root").symlink_to("real")
    with opened(tmp_path / "root", "file") as fd:
        assert os.read(fd, 10) == b"x"


def test_opening_a_fifo_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with opened(tmp_path, "fifo") as fd:
        assert fd >= 0


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with parent_of(tmp_path, "a/b/c/file", create=True):
        pass
    with pytest.raises(FileNotFoundError), opened(tmp_path, "a/b/x/file"):
        pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(
    ("root", "source", "expected"),
    [
        ("/data", "/data/acq/file", ("/data/", "acq/file")),
        ("/data/", "/data/acq/file", ("/data/", "acq/file")),
        ("/", "/acq/file", ("/", "acq/file")),
        ("/data", "/database/file", ("/database", "file")),
        ("/data", "/data/../etc/passwd", ("/data/../etc", "passwd")),
        ("/data", "/file", ("/", "file")),
    ],
)
def test_sources_below_the_root_are_walked_from_it(
    root: str, source: str, expected: tuple[str, str]
) -> None:
    assert locate(root, source) == expected
