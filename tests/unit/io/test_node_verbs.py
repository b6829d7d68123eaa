"""The Default node's verbs, and how its work is queued (spec: io-classes.md §6.3-§6.6)."""

from __future__ import annotations

import errno
import os
from pathlib import Path, PurePath
from typing import Any

import pytest
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver
from watchdog.observers.polling import PollingObserver

from alpenhorn.io.default import DefaultNodeIO
from alpenhorn.io.polling import PollingNodeIO

EMPTY_MD5 = "d41d8cd98f00b204e9800998ecf8427e"
DATA_MD5 = "8d777f385d3dfec8815d20f7496026dc"


@pytest.fixture
def io(site: Any) -> Any:
    io = site.node("n")
    site.write(io, "2025/02/21/meta.txt", b"data")
    site.write(io, "2025/02/21/empty", b"")
    return io


PATH = "2025/02/21/meta.txt"


@pytest.mark.parametrize("absolute", [False, True])
def test_sizes_take_absolute_and_relative_paths(io: Any, absolute: bool) -> None:
    path = PurePath(io.node.root, PATH) if absolute else PurePath(PATH)
    assert io.filesize(path) == 4
    assert io.storage_used(path) == Path(io.node.root, PATH).stat().st_blocks * 512
    assert io.exists(path)
    assert io.md5(path) == DATA_MD5


def test_the_size_of_nothing_is_an_error_and_the_space_of_nothing_is_unknown(io: Any) -> None:
    with pytest.raises(FileNotFoundError):
        io.filesize("absent")
    assert io.storage_used("absent") is None


def test_only_a_regular_file_exists(io: Any, site: Any) -> None:
    (Path(io.node.root) / "link").symlink_to(site.tmp / "n" / PATH)
    assert not io.exists("2025/02/21")
    assert not io.exists("absent/deeper")
    assert not io.exists("link"), "a link could lead out of the node"
    assert not io.exists("../n/2025/02/21/meta.txt")


def test_md5_joins_its_segments(io: Any) -> None:
    assert io.md5("2025/02/21", "meta.txt") == DATA_MD5
    assert io.md5("2025", "02", "21", "empty") == EMPTY_MD5


def test_an_md5_that_cannot_be_computed_is_none_with_a_warning(
    io: Any, lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weakness 6: a read error must not end the daemon."""
    for name in ("absent", "2025/02/21", "../outside"):
        assert io.md5(name) is None

    def broken(*args: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "preadv", broken)
    assert io.md5(PATH) is None
    assert len(lines("WARNING")) == 4
    assert "Input/output error" in lines("WARNING")[-1]


def test_open_reads_bytes_or_text_below_the_root(io: Any) -> None:
    with io.open(PATH) as file:
        assert file.read() == b"data"
    with io.open(PurePath(PATH), binary=False) as file:
        assert file.read() == "data"
    with pytest.raises(ValueError):
        io.open(PurePath(io.node.root, PATH))
    with pytest.raises(FileNotFoundError):
        io.open("absent")


def test_opening_a_pipe_does_not_wait(io: Any) -> None:
    os.mkfifo(Path(io.node.root, "pipe"))
    with pytest.raises(OSError):
        io.open("pipe")


def test_a_walk_gives_absolute_paths(io: Any) -> None:
    root = Path(io.node.root)
    assert list(io.file_walk("2025")) == [root / "2025/02/21/empty", root / PATH]
    assert list(io.file_walk(PurePath(PATH))) == [root / PATH]
    assert list(io.file_walk("absent")) == []
    with pytest.raises(ValueError):
        list(io.file_walk(root))


@pytest.mark.parametrize("count", [3, 100])
def test_locks_are_found_for_few_files_and_for_many(io: Any, site: Any, count: int) -> None:
    """A lock is a regular file; of many files, only their directory is looked at."""
    paths = [f"{directory}/{number}" for directory in ("acq/a", "b") for number in range(count)]
    for path in paths:
        site.write(io, path, b"")
    site.write(io, "acq/a/.0.lock", b"")
    site.write(io, "b/.2.lock", b"")
    Path(io.node.root, "b/.1.lock").mkdir()
    Path(io.node.root, "b/.0.lock").symlink_to(".2.lock")
    assert io.locked_many([*paths, "none/file", "none/other"]) == {"acq/a/0", "b/2"}
    assert io.locked_many([f"none/{number}" for number in range(count)]) == set()


def test_many_files_are_found_as_one_is(io: Any, site: Any) -> None:
    site.write(io, "acq/big", bytes(10_000))
    Path(io.node.root, "acq/link").symlink_to("big")
    Path(io.node.root, "linked").symlink_to("acq")
    paths = [PATH, "acq/big", "acq/absent", "acq/link", "linked/big", "acq", "none/file", "../x"]
    found = io.find_many(paths)
    assert found == {path: io.storage_used(path) for path in paths if io.exists(path)}
    assert found.keys() == {PATH, "acq/big"}
    assert found["acq/big"] >= 10_000


def test_a_class_with_a_search_of_its_own_is_asked_for_each_file(io: Any) -> None:
    class Own(type(io)):
        def exists(self, path: Any) -> bool:
            return str(path) != PATH

    own = Own(io.node, {}, io._queue, "own")
    assert own.find_many([PATH, "elsewhere"]) == {"elsewhere": None}


def test_a_lock_file_beside_it_locks_a_file(io: Any, site: Any) -> None:
    assert not io.locked(PATH)
    site.write(io, "2025/02/21/.meta.txt.lock", b"")
    assert io.locked(PATH)
    assert io.locked(Path(io.node.root, PATH))
    assert not io.locked("2025/02/21/empty")


def test_files_are_always_ready(io: Any, site: Any) -> None:
    assert io.ready_path("absent") is True
    assert io.stages is False
    io.ready_pull_many([site.make.request("a/f", io.node, "g")] * 3)
    assert site.run() == 0


def test_a_file_on_its_way_in_is_expected_until_it_is_forgotten(io: Any) -> None:
    io.expect("a/1")
    io.expect("a/2")
    io.forget_expected(["a/1", "never"])
    assert not io.expected("a/1")
    assert io.expected("a/2")


def test_the_observers_are_those_of_the_platform_and_polling() -> None:
    assert DefaultNodeIO.observer is Observer
    assert PollingNodeIO.observer is PollingObserver
    for cls in (DefaultNodeIO, PollingNodeIO):
        assert isinstance(cls.observer(timeout=1), BaseObserver)


def test_a_new_record_moves_the_node(io: Any, site: Any) -> None:
    other = site.node("elsewhere")
    site.write(other, "only/there", b"x")
    io.set_storage(other.node)
    assert io.exists("only/there")


# ---- tasks


def names(site: Any) -> list[str]:
    """The names of the queued tasks, which are thrown away."""
    found = []
    while (got := site.queue.get(0)) is not None:
        found.append(got[0].name)
        got[0].finish()
        site.queue.task_done(got[1])
    return found


def test_few_files_are_a_task_each(io: Any, site: Any) -> None:
    copies = [site.put(io, f"acq/{n}", has="M") for n in range(2)]
    io.check_many(copies)
    io.check(copies[0])
    assert names(site) == [f"Check file acq/{n} on n" for n in (0, 1, 0)]


def test_many_files_are_one_task(io: Any, site: Any) -> None:
    io.check_many([site.make.copy(f"acq/{n}", io.node, "M") for n in range(17)])
    assert names(site) == ["Check 17 files on n"]


def test_deletions_name_their_copies(io: Any, site: Any) -> None:
    copies = [site.make.copy(f"acq/{n}", io.node, wants="N") for n in range(12)]
    ids = [copy.id for copy in copies]
    io.delete_many(copies)
    assert names(site) == [
        f"Delete copies {ids[:10]} from n",
        f"Delete copies {ids[10:]} from n",
    ]
    io.delete([])
    assert names(site) == []


def test_many_deletions_are_one_task(io: Any, site: Any) -> None:
    io.delete_many([site.make.copy(f"acq/{n}", io.node, wants="N") for n in range(17)])
    assert names(site) == ["Delete 17 copies from n"]


def test_a_pull_names_its_request_and_both_ends(io: Any, site: Any) -> None:
    source = site.node("src")
    site.put(source, "acq/f")
    request = site.make.request("acq/f", source.node, "n")
    io.pull(request, did_search=True)
    assert names(site) == [f"AFCR#{request.id}: src -> n"]


def test_a_batch_of_checks_is_bounded_by_bytes(io: Any, site: Any, daemon_config: Any) -> None:
    daemon_config(batch_bytes=40, single_file_bytes=30)
    copies = [site.make.copy(f"acq/{n}", io.node, "M") for n in range(17)]
    for copy in copies:
        copy.file.size_b = 4
    copies[5].file.size_b = 31
    io.check_many(copies)
    assert names(site) == [
        "Check 10 files on n",
        "Check file acq/5 on n",
        "Check 6 files on n",
    ]


def test_tidy_up_comes_at_the_first_idle_update_and_at_every_400th(io: Any, site: Any) -> None:
    """2 001 opportunities give 6 tasks; not newly idle is no opportunity."""
    for _ in range(2001):
        io.idle_update(newly_idle=True)
        io.idle_update(newly_idle=False)
    assert names(site) == ["Tidy up n"] * 6


def test_the_hooks_let_an_update_go_on(io: Any) -> None:
    assert io.before_update(True) is True
    assert io.before_update(False) is True
    io.after_update()
