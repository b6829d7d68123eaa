"""ALPENHORN_NODE: the right disk at the mount point, or nothing is done."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from alpenhorn.io.default import identity


@pytest.fixture
def io(site: Any) -> Any:
    return site.node("demo_storage1")


def node_file(io: Any) -> Path:
    return Path(io.node.root, "ALPENHORN_NODE")


def test_without_the_file_the_node_is_not_initialised(io: Any, lines: Any) -> None:
    node_file(io).unlink()
    assert io.check_init() is False
    assert lines("WARNING") == [f'Node file "{io.node.root}/ALPENHORN_NODE" could not be read.']


def test_another_nodes_disk_is_not_taken_for_ours(io: Any, lines: Any) -> None:
    node_file(io).write_text("demo_storage2\n")
    assert io.check_init() is False
    assert "demo_storage2" in lines("WARNING")[0]


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("demo_storage1", True),
        ("demo_storage1\n", True),
        ("demo_storage1 \t\r\n", True),
        ("demo_storage1\nwritten by hand\n", True),
        ("demo_storage1\n\xff", True),
        (" demo_storage1\n", False),
        ("demo_storage10\n", False),
        ("\ndemo_storage1\n", False),
        ("other\ndemo_storage1\n", False),
        ("", False),
    ],
)
def test_only_the_first_line_counts_without_trailing_blanks(io: Any, text: str, good: bool) -> None:
    node_file(io).write_bytes(text.encode("latin-1"))
    assert io.check_init() is good


def test_a_name_that_is_no_text_is_no_name(io: Any) -> None:
    node_file(io).write_bytes(b"\xff\xfe\0demo_storage1\n")
    assert io.check_init() is False


@pytest.mark.parametrize("root", [None, "", "/no/such/directory", "/with\0nul", "x" * 300])
def test_a_root_that_cannot_be_is_not_initialised(io: Any, root: str | None) -> None:
    io.node.root = root
    assert io.check_init() is False
    assert io.init() is False


def test_init_writes_the_name_and_a_newline(io: Any) -> None:
    node_file(io).unlink()
    assert io.init() is True
    assert node_file(io).read_bytes() == b"demo_storage1\n"
    assert io.check_init() is True


def test_init_is_harmless_if_it_was_done(io: Any) -> None:
    node_file(io).write_text("demo_storage1\nhistory\n")
    assert io.init() is True
    assert node_file(io).read_text() == "demo_storage1\nhistory\n"


@pytest.mark.parametrize("text", ["other\n", "", "\n"])
def test_init_never_overwrites_a_file_that_is_there(io: Any, lines: Any, text: str) -> None:
    """Weakness 3: a wrong mount plus an init request must not steal the disk."""
    node_file(io).write_text(text)
    assert io.init() is False
    assert node_file(io).read_text() == text
    assert "exists already" in lines("WARNING")[-1]


def test_init_does_not_write_through_a_link(io: Any, tmp_path: Path) -> None:
    node_file(io).unlink()
    node_file(io).symlink_to(tmp_path / "elsewhere")
    assert io.init() is False
    assert not (tmp_path / "elsewhere").exists()


def test_the_root_directory_is_not_created(io: Any, site: Any, lines: Any) -> None:
    io.node.root = str(site.tmp / "not mounted")
    assert io.init() is False
    assert not (site.tmp / "not mounted").exists()
    assert "No such file" in lines("WARNING")[-1]


def test_a_medium_that_refuses_is_a_failure_with_its_cause(
    io: Any, lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    node_file(io).unlink()

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert io.init() is False
    assert "No space left" in lines("WARNING")[-1]


def test_the_name_is_on_the_medium_before_success_is_said(
    io: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    node_file(io).unlink()
    flushed: list[Path] = []
    monkeypatch.setattr(identity, "flush_directories", lambda paths: flushed.extend(paths))
    assert io.init()
    assert flushed == [Path(io.node.root)]
