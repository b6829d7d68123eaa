"""Tidy-up: leftovers of killed daemons go, and nothing else (spec: daemon.md §14)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from alpenhorn.io.default.jobs.tidy import OLD_S

DAY_AGO = OLD_S + 60


@pytest.fixture
def io(site: Any) -> Any:
    return site.node("n")


@pytest.fixture
def source(site: Any) -> Any:
    return site.node("src")


def tidy(site: Any, io: Any) -> None:
    """The first idle opportunity of a fresh instance."""
    io._tidy_count = 0
    io.idle_update(newly_idle=True)
    site.run()


def age(path: Path, seconds: float) -> Path:
    then = path.stat().st_mtime - seconds
    os.utime(path, (then, then))
    return path


def test_a_clean_node_is_left_as_it_is(site: Any, io: Any, lines: Any) -> None:
    """In the seed, only the beginning and the end of the task are logged."""
    site.write(io, "acq/file", b"data")
    Path(io.node.root, "just made by an instrument").mkdir()
    tidy(site, io)
    assert lines() == []
    assert Path(io.node.root, "just made by an instrument").is_dir()
    assert site.read(io, "acq/file") == b"data"


def test_the_task_is_alone_on_its_node(site: Any, io: Any) -> None:
    io.idle_update(newly_idle=True)
    task, _ = site.queue.get(0)
    assert task.exclusive
    assert task.name == "Tidy up n"


@pytest.mark.parametrize("state", [{"completed": True}, {"cancelled": True}, None])
def test_a_stale_staging_directory_goes(
    site: Any, io: Any, source: Any, lines: Any, state: dict[str, bool] | None
) -> None:
    request_id = 77
    if state:
        request_id = site.make.request("acq/f", source.node, "n", **state).id
    site.write(io, f".alpenhorn-{request_id}/acq/f", b"partial")
    tidy(site, io)
    assert [p.name for p in Path(io.node.root).iterdir()] == ["ALPENHORN_NODE"]
    assert lines("WARNING") == [
        f"Removed stale transfer directory {io.node.root}/.alpenhorn-{request_id} on n."
    ]


def test_partial_data_of_a_big_file_are_kept_while_it_is_asked_for(
    site: Any, io: Any, source: Any
) -> None:
    site.make.file("acq/f", size_b=2**40)
    request = site.make.request("acq/f", source.node, "n")
    site.write(io, f".alpenhorn-{request.id}/acq/f", b"partial")
    tidy(site, io)
    assert site.read(io, f".alpenhorn-{request.id}/acq/f") == b"partial"


def test_the_staging_of_small_files_goes_also_if_they_are_asked_for(
    site: Any, io: Any, source: Any
) -> None:
    """Batches are cut anew: nobody would find it again."""
    request = site.make.request("acq/f", source.node, "n")
    site.write(io, f".alpenhorn-{request.id}/acq/f", b"partial")
    tidy(site, io)
    assert [p.name for p in Path(io.node.root).iterdir()] == ["ALPENHORN_NODE"]


def test_an_empty_staging_directory_of_a_pending_request_goes_silently(
    site: Any, io: Any, source: Any, lines: Any
) -> None:
    request = site.make.request("acq/f", source.node, "n")
    Path(io.node.root, f".alpenhorn-{request.id}/acq").mkdir(parents=True)
    tidy(site, io)
    assert [p.name for p in Path(io.node.root).iterdir()] == ["ALPENHORN_NODE"]
    assert lines("WARNING") == []


@pytest.mark.parametrize("name", [".alpenhorn-", ".alpenhorn-x", ".alpenhorn-1x", "alpenhorn-1"])
def test_directories_that_are_not_ours_stay(site: Any, io: Any, name: str) -> None:
    site.write(io, f"{name}/file", b"data")
    tidy(site, io)
    assert site.read(io, f"{name}/file") == b"data"


def test_a_staging_directory_below_the_root_only_is_ours(site: Any, io: Any) -> None:
    site.write(io, "acq/.alpenhorn-77/file", b"data")
    tidy(site, io)
    assert site.read(io, "acq/.alpenhorn-77/file") == b"data"


@pytest.mark.parametrize("number", ["9" * 18, "9" * 30, "٣"])
def test_a_number_that_no_request_has_does_not_stop_the_tidy_up(
    site: Any, io: Any, number: str
) -> None:
    site.write(io, f".alpenhorn-{number}/file", b"data")
    site.write(io, ".alpenhorn-77/acq/f", b"partial")
    tidy(site, io)
    assert site.read(io, ".alpenhorn-77/acq/f") is None


def test_a_link_with_the_name_of_a_staging_directory_leads_nowhere(
    site: Any, io: Any, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_bytes(b"precious")
    Path(io.node.root, ".alpenhorn-77").symlink_to(tmp_path / "outside")
    tidy(site, io)
    assert (tmp_path / "outside/file").read_bytes() == b"precious"


# ---- placeholders of the public program

PLACEHOLDERS = ["acq/.file.placeholder", "2025/02/21/23/.1324.dat.placeholder"]


@pytest.mark.parametrize("path", PLACEHOLDERS)
def test_an_old_placeholder_goes(site: Any, io: Any, lines: Any, path: str) -> None:
    """Weakness 1: also for file names with a directory."""
    age(site.write(io, path, b""), DAY_AGO)
    tidy(site, io)
    assert not Path(io.node.root, path).exists()
    assert lines("WARNING") == [f"Removed stale placeholder {path} on n."]


def test_a_young_placeholder_stays(site: Any, io: Any) -> None:
    """An older daemon may be transferring at this moment."""
    place = age(site.write(io, PLACEHOLDERS[0], b""), OLD_S - 60)
    tidy(site, io)
    assert place.exists()


@pytest.mark.parametrize("name", ["acq/.file.placeholder", "acq/file.placeholder", "acq/.file"])
def test_what_is_not_an_empty_placeholder_stays(site: Any, io: Any, name: str) -> None:
    data = b"data" if name == PLACEHOLDERS[0] else b""
    place = age(site.write(io, name, data), DAY_AGO)
    tidy(site, io)
    assert place.read_bytes() == data


def test_a_medium_that_is_not_there_is_not_tidied(site: Any, io: Any) -> None:
    site.write(io, ".alpenhorn-77/acq/f", b"partial")
    Path(io.node.root, "ALPENHORN_NODE").unlink()
    tidy(site, io)
    assert site.read(io, ".alpenhorn-77/acq/f") == b"partial"


def test_only_the_first_tidy_up_reads_the_whole_tree(
    site: Any, io: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks: list[object] = []
    monkeypatch.setattr(
        "alpenhorn.io.default.tree.Tree.walk", lambda self, path: walks.append(path) or []
    )
    for _ in range(401):
        io.idle_update(newly_idle=True)
    assert site.run() == 2
    assert len(walks) == 1
