"""Scans: the order of lines, and when a request for one counts as done (spec: daemon.md §9.4)."""

from __future__ import annotations

import errno
from pathlib import PurePath
from typing import Any

import pytest

from alpenhorn import db
from alpenhorn.daemon.jobs import scan as scan_module
from alpenhorn.daemon.jobs.known import Known
from alpenhorn.daemon.jobs.lookahead import FEW


def registered() -> set[str]:
    return {str(file.path) for file in db.ArchiveFile.select()}


def scan(daemon: Any, path: str = ".", register: bool = True) -> Any:
    return daemon.ask(path, recurse=True, register=register)


def broken_for_bad(path: str, reading: Any) -> Any:
    return OSError(errno.EIO, "Input/output error") if path == "acq/bad" else reading


def test_the_lines_of_a_scan_in_order(daemon: Any) -> None:
    """One line per directory in which a file is met, in the order of names."""
    daemon.node()
    for path in ("2025/b/2", "2025/a", "2025/b/1", "other/c"):
        daemon.write(path)
    request = scan(daemon, "2025")
    daemon.tick()
    daemon.forget()
    daemon.work(1)
    assert daemon.said == [
        'Beginning task Scan "2025" on node',
        'Scanning "2025" on "node" for new files.',
        'Scanning "2025".',
        'Scanning "2025/b".',
        f"Completed import request #{request.id}.",
        'Finished task: Scan "2025" on node',
    ]


def test_the_node_file_is_met_and_never_imported(daemon: Any) -> None:
    daemon.node()
    scan(daemon)
    daemon.settle()
    assert 'Scanning ".".' in daemon.said
    assert not daemon.lines("Import")


def test_a_scan_imports_what_is_below_its_path_and_new(daemon: Any) -> None:
    row = daemon.node()
    daemon.make.copy("acq/known", row)
    for path in ("acq/known", "acq/new", "acq/deep/er", "else/where"):
        daemon.write(path)
    scan(daemon, "acq")
    daemon.settle()
    assert registered() == {"acq/known", "acq/new", "acq/deep/er"}
    assert not daemon.lines("Import acq/known on node")


@pytest.mark.parametrize("path", ["acq/file", "./acq/file"])
def test_a_scan_of_a_file_imports_it(daemon: Any, path: str) -> None:
    daemon.node()
    daemon.write("acq/file")
    daemon.write("acq/other")
    scan(daemon, path)
    daemon.settle()
    assert registered() == {"acq/file"}


def test_without_register_nothing_new_is_registered(daemon: Any) -> None:
    row = daemon.node()
    daemon.write("acq/known")
    daemon.write("acq/new")
    daemon.make.file("acq/known", size_b=4, md5sum="8d777f385d3dfec8815d20f7496026dc")
    request = scan(daemon, register=False)
    daemon.settle()
    assert daemon.make.states(row) == {"acq/known": "YY"}
    assert registered() == {"acq/known"}
    assert daemon.done(request)


@pytest.mark.parametrize("path", ["nowhere", "nowhere/at/all"])
def test_a_scan_of_nothing_is_completed(daemon: Any, path: str) -> None:
    daemon.node()
    request = scan(daemon, path)
    daemon.settle()
    assert daemon.done(request)


@pytest.mark.parametrize("path", ["../other", "a/../../other", "..", "/etc"])
def test_a_scan_never_leaves_the_tree(daemon: Any, path: str, ended: list[Any]) -> None:
    daemon.node()
    daemon.write("acq/secret", node="other")
    request = scan(daemon, path)
    daemon.settle()
    assert daemon.done(request)
    assert registered() == set()
    assert [event.result for event in ended] == ["invalid"]


def test_links_are_not_followed(daemon: Any) -> None:
    """Weakness 41, and a cycle of links does not hang the scan (weakness 25)."""
    daemon.node()
    outside = daemon.write("acq/secret", node="outside")
    (daemon.root("node") / "acq").mkdir()
    (daemon.root("node") / "acq" / "link").symlink_to(outside)
    (daemon.root("node") / "acq" / "loop").symlink_to(daemon.root("node"))
    (daemon.root("node") / "out").symlink_to(outside.parent)
    request = scan(daemon)
    daemon.settle()
    assert registered() == set()
    assert daemon.done(request)


def test_a_root_that_is_a_link_can_be_scanned(daemon: Any) -> None:
    """Weakness 40: every scan request was out of tree."""
    row = daemon.node()
    daemon.write("acq/file")
    link = daemon.root("link")
    link.symlink_to(daemon.root("node"))
    type(row).update(root=str(link)).execute()
    request = scan(daemon, "acq")
    daemon.settle()
    assert registered() == {"acq/file"}
    assert daemon.done(request)


class TestCompletion:
    def test_a_request_is_completed_only_when_its_imports_have_ended(self, daemon: Any) -> None:
        """Kill the daemon in between: the request is still pending, and the scan is repeated."""
        daemon.node()
        daemon.write("acq/1")
        daemon.write("acq/2")
        request = scan(daemon)
        daemon.tick()
        daemon.work(1)
        assert sorted(daemon.tasks())[:2] == ["Import acq/1 on node", "Import acq/2 on node"]
        assert not daemon.done(request)
        daemon.work(1)
        assert not daemon.done(request)
        daemon.work()
        assert daemon.done(request)

    def test_a_discarded_import_leaves_it_pending(self, daemon: Any) -> None:
        row = daemon.node()
        daemon.write("acq/1")
        daemon.write("acq/2")
        request = scan(daemon)
        daemon.tick()
        daemon.work(2)
        type(row).update(active=False).execute()
        daemon.tick()
        assert not daemon.queue.qsize
        assert not daemon.done(request)
        type(row).update(active=True).execute()
        daemon.settle()
        assert daemon.done(request)
        assert registered() == {"acq/1", "acq/2"}

    def test_a_file_that_could_not_be_read_leaves_it_pending(
        self, daemon: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        daemon.node()
        daemon.write("acq/bad")
        daemon.write("acq/good")
        request = scan(daemon)
        daemon.tick()
        io = daemon.live().io
        original = io.examine_many
        monkeypatch.setattr(
            io, "examine_many", lambda paths: map(broken_for_bad, paths, original(paths))
        )
        daemon.work()
        assert registered() == {"acq/good"}
        assert not daemon.done(request)
        assert daemon.lines(f"Scan of import request #{request.id} will be repeated")
        monkeypatch.undo()
        clock.advance(60)
        daemon.settle()
        assert registered() == {"acq/good", "acq/bad"}
        assert daemon.done(request)

    def test_a_scan_that_is_discarded_leaves_it_pending(self, daemon: Any) -> None:
        row = daemon.node()
        daemon.write("acq/1")
        request = scan(daemon)
        daemon.tick()
        type(row).update(active=False).execute()
        daemon.tick()
        assert not daemon.done(request)

    def test_a_scan_that_fails_leaves_it_pending(
        self, daemon: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        daemon.node()
        request = scan(daemon)
        daemon.tick()

        def broken(path: PurePath) -> Any:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(daemon.live().io, "file_walk", broken)
        daemon.work()
        assert not daemon.done(request)
        assert daemon.lines('Task Scan "." on node failed')


class TestBulk:
    def test_few_files_are_a_task_each(self, daemon: Any) -> None:
        daemon.node()
        for n in range(FEW):
            daemon.write(f"acq/{n:02}")
        scan(daemon)
        daemon.tick()
        daemon.work(1)
        assert sum(name.startswith("Import acq/") for name in daemon.tasks()) == FEW

    def test_more_files_are_one_task(self, daemon: Any) -> None:
        daemon.node()
        for n in range(FEW + 1):
            daemon.write(f"acq/{n:02}")
        request = scan(daemon)
        daemon.tick()
        daemon.work(1)
        assert f"Import {FEW + 1} files on node" in daemon.tasks()
        daemon.work()
        assert len(registered()) == FEW + 1
        assert daemon.done(request)

    def test_a_batch_is_told_about_in_one_line(self, daemon: Any) -> None:
        daemon.node()
        for n in range(FEW + 1):
            daemon.write(f"acq/{n:02}")
        scan(daemon)
        daemon.settle()
        assert not daemon.lines("Imported file copy")
        assert not daemon.lines('File "acq/')
        lines = [line for line in daemon.lines("Imported ") if f"{FEW + 1} files" in line]
        assert len(lines) == 1, daemon.said
        assert "68 B" in lines[0]

    def test_a_long_list_becomes_several_batches(
        self, daemon: Any, settings: dict[str, Any]
    ) -> None:
        settings["batch_files"] = 20
        daemon.node()
        for n in range(50):
            daemon.write(f"acq/{n:02}")
        request = scan(daemon)
        daemon.tick()
        daemon.work(1)
        batches = [name for name in daemon.tasks() if name.startswith("Import")]
        assert batches == [f"Import {n} files on node" for n in (20, 20, 10)]
        daemon.work(2)
        assert not daemon.done(request)
        daemon.work()
        assert daemon.done(request)
        assert len(registered()) == 50

    def test_the_statements_of_a_batch_do_not_grow_with_its_files(
        self, daemon: Any, statements: Any
    ) -> None:
        """Weakness 21: work per file is hashing; the index is asked per batch."""

        def cost(count: int, acq: str) -> int:
            for n in range(count):
                daemon.write(f"{acq}/{n:03}")
            scan(daemon, acq)
            daemon.tick()
            with statements() as seen:
                daemon.work()
            return len(seen) - count  # one insert of a copy per file

        daemon.node()
        small, large = cost(20, "a"), cost(200, "b")
        assert large <= small + 10


def test_what_is_known_is_kept_for_the_directories_around_only(
    daemon: Any, statements: Any
) -> None:
    """The daemon's memory does not grow with the files on the node; one question per directory."""
    row = daemon.node()
    for path in ("a/1", "a/b/2", "a/b/c/3", "a/d/4", "e/5"):
        daemon.make.copy(path, row)
        daemon.write(path)
    daemon.write("e/new")
    scan(daemon)
    daemon.tick()
    with statements() as seen:
        daemon.work(1)
    assert len([sql for sql in seen if "archivefilecopy" in sql]) == 5
    daemon.settle()
    assert registered() == {"a/1", "a/b/2", "a/b/c/3", "a/d/4", "e/5", "e/new"}
    known = Known(row)
    for directory in ("a", "a/b/c", "e"):
        known.enter(PurePath(directory))
    assert "e/5" in known
    assert "e/new" in known  # registered by now
    assert list(known._names) == ["e"]


def test_a_scan_waits_while_many_of_its_imports_are_queued(
    daemon: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million new files are not a million paths in memory."""
    daemon.node()
    monkeypatch.setattr(scan_module, "MOST_QUEUED", 2)
    monkeypatch.setattr(scan_module, "import_batch_size", lambda: 20)
    for n in range(140):
        daemon.write(f"acq/{n:03}")
    request = scan(daemon)
    daemon.tick()
    daemon.work(1)
    assert daemon.queue.qsize == 2
    daemon.work()
    assert not daemon.done(request)
    while not daemon.done(request):
        daemon.clock.advance(scan_module.PAUSE_S)
        assert daemon.work() > 0
    assert len(registered()) == 140
