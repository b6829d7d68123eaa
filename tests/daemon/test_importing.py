"""The import of files: every outcome of daemon.md §9.7, for single files and in bulk."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

import peewee as pw
import pytest

from alpenhorn import db
from alpenhorn.common.hashing import md5_of
from alpenhorn.daemon.jobs.candidates import Candidate
from alpenhorn.daemon.jobs.importing import queue_event_import, queue_imports
from alpenhorn.db.queries import imports
from alpenhorn.io.default import examine
from daemon import detectors

MD5 = hashlib.md5(b"data").hexdigest()


def broken_medium(fd: int, **hint: Any) -> tuple[str, int]:
    raise OSError(errno.EIO, "Input/output error")


@pytest.fixture
def node(daemon: Any) -> Any:
    """The row of a node in use, without auto-import."""
    row = daemon.node()
    daemon.settle()
    daemon.forget()
    return row


@pytest.fixture
def outcome(daemon: Any, node: Any, ended: list[Any]) -> Callable[..., str | None]:
    """Ask for the import of a file and let the daemon work; the result word, None if pending."""

    def ask(path: str, register: bool = True) -> str | None:
        ended.clear()
        request = daemon.ask(path, register=register)
        daemon.tick()
        daemon.work()
        results = [event.result for event in ended if event.kind == "import"]
        assert daemon.done(request) == bool(results)
        assert len(results) <= 1
        if results:
            assert f"Completed import request #{request.id}." in daemon.said
        return results[0] if results else None

    return ask


def untouched() -> bool:
    """Nothing was registered."""
    return not any(model.select().exists() for model in (db.ArchiveAcq, db.ArchiveFile))


class TestOutcomes:
    def test_success(self, daemon: Any, node: Any, outcome: Any) -> None:
        daemon.write("acq/file")
        assert outcome("acq/file") == "success"
        file, copy = db.ArchiveFile.get(), db.ArchiveFileCopy.get()
        assert (file.name, file.size_b, file.md5sum) == ("file", 4, MD5)
        assert (copy.has_file, copy.wants_file, copy.ready) == ("Y", "Y", True)
        assert copy.size_b >= 4

    def test_the_lines_of_an_import_on_request(self, daemon: Any, outcome: Any) -> None:
        daemon.write("acq/file")
        outcome("acq/file")
        start = daemon.said.index("Beginning task Import acq/file on node")
        assert daemon.said[start : start + 6] == [
            "Beginning task Import acq/file on node",
            'Acquisition "acq" added to DB.',
            'File "acq/file" added to DB.',
            'Imported file copy "acq/file" on node "node".',
            "Completed import request #1.",
            "Finished task: Import acq/file on node",
        ]

    @pytest.mark.parametrize("path", ["acq/missing", "acq"])
    def test_non_file(self, daemon: Any, outcome: Any, path: str) -> None:
        daemon.write("acq/file")
        assert outcome(path) == "non-file"
        assert f'Not importing "{path}": not a file.' in daemon.said

    def test_a_link_is_no_file(self, daemon: Any, outcome: Any) -> None:
        target = daemon.write("acq/file")
        target.with_name("link").symlink_to(target)
        assert outcome("acq/link") == "non-file"
        assert untouched()

    def test_a_fifo_is_no_file_and_does_not_hang_the_daemon(
        self, daemon: Any, outcome: Any
    ) -> None:
        daemon.write("acq/file")
        os.mkfifo(daemon.root("node") / "acq" / "fifo")
        assert outcome("acq/fifo") == "non-file"

    def test_a_file_below_a_linked_directory_is_not_reached(
        self, daemon: Any, outcome: Any
    ) -> None:
        """Weakness 41: files outside the root were imported through links."""
        daemon.write("acq/secret", node="outside")
        (daemon.root("node") / "acq").symlink_to(daemon.root("outside") / "acq")
        assert outcome("acq/secret") == "non-file"
        assert untouched()

    def test_bad_name(self, daemon: Any, outcome: Any) -> None:
        daemon.write("acq/.hidden")
        assert outcome("acq/.hidden") == "bad name"
        assert untouched()

    def test_a_directory_with_a_leading_dot_is_not_special(self, daemon: Any, outcome: Any) -> None:
        daemon.write("acq/.deep/file")
        assert outcome("acq/.deep/file") == "success"

    def test_locked_stays_pending(self, daemon: Any, outcome: Any, clock: Any) -> None:
        daemon.write("acq/file")
        lock = daemon.write("acq/.file.lock", b"")
        assert outcome("acq/file") is None
        assert 'Skipping "acq/file": locked.' in daemon.said
        assert untouched()
        lock.unlink()
        clock.advance(60)
        daemon.settle()
        assert db.ArchiveFileCopy.get().has_file == "Y"

    def test_a_locked_file_is_not_tried_in_every_pass(
        self, daemon: Any, outcome: Any, clock: Any
    ) -> None:
        daemon.write("acq/file")
        daemon.write("acq/.file.lock", b"")
        outcome("acq/file")
        for _ in range(20):
            daemon.settle()
            clock.advance(10)
        assert 3 <= len(daemon.lines("locked.")) <= 10

    def test_no_detection(self, daemon: Any, outcome: Any) -> None:
        daemon.write("file")
        assert outcome("file") == "no detection"
        assert "Not importing non-acquisition path: file" in daemon.said

    @pytest.mark.parametrize(
        "name", ["", "../acq", "/acq", "acq/", "a//b", "other", "acq/file", "x" * 65]
    )
    def test_bad_acq(self, daemon: Any, outcome: Any, name: str) -> None:
        """Weakness 25: an acquisition that is no parent of the path ended the daemon."""
        detectors.use(lambda path, node: (name, None))
        daemon.write("acq/file")
        assert outcome("acq/file") == "bad acq"
        assert untouched()

    def test_a_name_that_the_index_cannot_hold(self, daemon: Any, outcome: Any) -> None:
        path = "acq/" + "d" * 200 + "/" + "f" * 100
        daemon.write(path)
        assert outcome(path) == "bad acq"
        assert untouched()

    @pytest.mark.parametrize("has", ["Y", "X"])
    def test_duplicate_without_hashing(
        self,
        daemon: Any,
        node: Any,
        outcome: Any,
        has: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A copy that is known, even as corrupt, is not read again."""
        daemon.make.copy("acq/file", node, has=has)
        daemon.write("acq/file")

        def read(*args: Any) -> str:
            raise AssertionError("the file was read")

        monkeypatch.setattr(examine, "md5_of", read)
        assert outcome("acq/file") == "duplicate"
        assert daemon.make.states(node) == {"acq/file": f"{has}Y"}

    def test_unregistered_file(self, daemon: Any, node: Any, outcome: Any) -> None:
        daemon.make.file("acq/other")
        daemon.write("acq/file")
        assert outcome("acq/file", register=False) == "unregistered"
        assert 'Not importing "acq/file": not registered.' in daemon.said
        assert db.ArchiveFile.select().count() == 1

    def test_unregistered_acquisition(self, daemon: Any, outcome: Any) -> None:
        daemon.write("acq/file")
        assert outcome("acq/file", register=False) == "unregistered"
        assert untouched()

    def test_a_registered_file_is_imported_without_register(
        self, daemon: Any, node: Any, outcome: Any
    ) -> None:
        daemon.make.file("acq/file", md5sum=MD5)
        daemon.write("acq/file")
        assert outcome("acq/file", register=False) == "success"
        assert daemon.make.states(node) == {"acq/file": "YY"}

    @pytest.mark.parametrize(
        ("data", "said"),
        [(b"DATA", f"MD5: {hashlib.md5(b'DATA').hexdigest()}; expected: {MD5}"), (b"", "Size: 0")],
    )
    def test_other_bytes_under_a_known_name_become_a_corrupt_copy(
        self, daemon: Any, node: Any, outcome: Any, data: bytes, said: str
    ) -> None:
        """Weakness 3: such a copy was recorded as healthy."""
        daemon.make.file("acq/file", md5sum=MD5)
        daemon.write("acq/file", data)
        assert outcome("acq/file") == "success"
        assert daemon.make.states(node) == {"acq/file": "XY"}
        line = daemon.lines("File acq/file on node node is corrupt! ")[0]
        assert said in line
        assert daemon.level_of(line) == "ERROR"
        assert not daemon.lines("Imported file copy")

    def test_a_missing_file_that_came_back_is_verified(
        self, daemon: Any, node: Any, outcome: Any
    ) -> None:
        daemon.make.file("acq/file", md5sum=MD5)
        daemon.make.copy("acq/file", node, has="N")
        daemon.write("acq/file")
        assert outcome("acq/file") == "success"
        assert daemon.make.states(node) == {"acq/file": "YY"}
        assert daemon.lines('Imported missing file "acq/file"')

    @pytest.mark.parametrize("path", ["/etc/passwd", "a//b", "./a", "../a", "a/..", "a/../b", ""])
    def test_invalid_paths(self, daemon: Any, outcome: Any, path: str) -> None:
        assert outcome(path) == "invalid"
        assert not daemon.lines("Beginning task Import")
        assert untouched()

    def test_without_any_extension_nothing_is_imported(self, daemon: Any, outcome: Any) -> None:
        from alpenhorn.extensions import loader

        loader.reset()
        daemon.write("acq/file")
        assert outcome("acq/file") == "no detection"
        assert "Attempt to import file with no import-detect extensions." in daemon.said


class TestNotNow:
    """What cannot be imported yet stays pending, and nothing is registered."""

    @pytest.fixture
    def later(self, daemon: Any, clock: Any) -> Callable[[], None]:
        def come_back() -> None:
            clock.advance(3600)
            daemon.settle()

        return come_back

    def test_changed_while_it_was_read(
        self, daemon: Any, outcome: Any, later: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = daemon.write("acq/file")

        def slow(fd: int, **hint: Any) -> tuple[str, int]:
            result = md5_of(fd)
            path.write_bytes(b"data and more")
            return result

        with monkeypatch.context() as patch:
            patch.setattr(examine, "md5_of", slow)
            assert outcome("acq/file") is None
        assert 'Skipping "acq/file": it changed while it was read.' in daemon.said
        assert untouched()
        later()
        assert db.ArchiveFile.get().size_b == len(b"data and more")

    def test_replaced_while_it_was_read(
        self, daemon: Any, outcome: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Same length, same time stamp, another file: the inode tells."""
        path = daemon.write("acq/file")

        def swap(fd: int, **hint: Any) -> tuple[str, int]:
            result = md5_of(fd)
            status = path.stat()
            other = path.with_name("other")
            other.write_bytes(b"DATA")
            os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
            other.rename(path)
            return result

        monkeypatch.setattr(examine, "md5_of", swap)
        assert outcome("acq/file") is None
        assert untouched()

    def test_being_written(self, daemon: Any, outcome: Any, later: Any) -> None:
        """Weakness 37: a file filled slowly under its final name was imported empty."""
        path = daemon.write("acq/file", b"")
        with path.open("wb") as writer:
            writer.write(b"da")
            writer.flush()
            assert outcome("acq/file") is None
            assert 'Skipping "acq/file": being written.' in daemon.said
            assert untouched()
            writer.write(b"ta")
        later()
        assert db.ArchiveFile.get().md5sum == MD5

    def test_unreadable(
        self, daemon: Any, outcome: Any, later: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A read error is no reason to register anything, nor to end the daemon."""
        daemon.write("acq/file")
        with monkeypatch.context() as patch:
            patch.setattr(examine, "md5_of", broken_medium)
            assert outcome("acq/file") is None
        assert untouched()
        later()
        assert db.ArchiveFile.get().md5sum == MD5

    def test_vanished_while_it_was_read(
        self, daemon: Any, outcome: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = daemon.write("acq/file")

        def lose(fd: int, **hint: Any) -> tuple[str, int]:
            result = md5_of(fd)
            path.unlink()
            return result

        monkeypatch.setattr(examine, "md5_of", lose)
        assert outcome("acq/file") is None
        assert daemon.lines('Cannot read "acq/file" on node: ')
        assert untouched()

    def test_a_broken_extension(self, daemon: Any, outcome: Any, later: Any) -> None:
        """X-1: it costs its own imports, nothing else; in full once, then shortly."""

        def broken(path: PurePath, node: Any) -> Any:
            raise ZeroDivisionError("in the extension")

        detectors.use(broken)
        daemon.write("acq/file")
        daemon.write("acq/other")
        assert outcome("acq/file") is None
        assert outcome("acq/other") is None
        failures = [r for r in daemon._log.records if "detect failed" in r.getMessage()]
        assert len(failures) == 2
        assert [bool(r.exc_info) for r in failures] == [True, False]
        assert "tests.Test" in failures[0].getMessage()
        assert "acq/file" in failures[0].getMessage()
        detectors.use()
        later()
        assert db.ArchiveFile.select().count() == 2

    def test_a_file_that_a_pull_is_bringing_is_left_to_the_pull(
        self, daemon: Any, outcome: Any
    ) -> None:
        """Weakness 42: the watcher marked a pulled copy present before it was verified."""
        daemon.write("acq/file")
        daemon.live().io.expect("acq/file")
        assert outcome("acq/file") is None
        assert untouched()
        daemon.live().io.forget_expected(["acq/file"])

    def test_a_medium_that_must_stage_first(
        self, daemon: Any, node: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The task is deferred for ten minutes; it does not hold a worker."""
        daemon.write("acq/file")
        request = daemon.ask("acq/file")
        with monkeypatch.context() as patch:
            patch.setattr(daemon.live().io, "ready_path", lambda path: False)
            daemon.tick()
            daemon.work()
            assert daemon.queue.deferred_size == 1
            assert not daemon.done(request)
        clock.advance(599)
        daemon.work()
        assert not daemon.done(request)
        clock.advance(1)
        daemon.work()
        assert daemon.done(request)

    def test_a_lost_database_leaves_the_request_pending(
        self, daemon: Any, node: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        daemon.write("acq/file")
        request = daemon.ask("acq/file")

        def gone(*args: Any) -> Any:
            raise pw.OperationalError("server has gone away")

        with monkeypatch.context() as patch:
            patch.setattr(imports, "register", gone)
            daemon.tick()
            daemon.work()
        assert not daemon.done(request)
        clock.advance(60)
        daemon.settle()
        assert daemon.done(request)


class TestRaces:
    def test_two_tasks_for_one_file_import_it_once(self, daemon: Any, node: Any) -> None:
        """Two events, or event and scan: harmless."""
        calls: list[Any] = []
        detectors.use(detectors.calling(lambda *args: calls.append(args)))
        daemon.write("acq/file")
        for _ in range(3):
            queue_imports(daemon.live(), daemon.queue, [Candidate("acq/file", None)], True)
        daemon.work()
        assert db.ArchiveFileCopy.select().count() == 1
        assert daemon.said.count('Imported file copy "acq/file" on node "node".') == 1
        assert len(calls) == 1

    def test_another_importer_is_quicker_between_look_and_record(
        self, daemon: Any, node: Any, outcome: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        daemon.write("acq/file")

        def other(fd: int, **hint: Any) -> tuple[str, int]:
            daemon.make.file("acq/file", md5sum=MD5)
            daemon.make.copy("acq/file", node)
            return md5_of(fd)

        monkeypatch.setattr(examine, "md5_of", other)
        assert outcome("acq/file") == "duplicate"
        assert not daemon.lines("Imported file copy")

    def test_an_event_import_tells_when_it_begins(self, daemon: Any, node: Any) -> None:
        """Events that come from then on must queue the file again."""
        begun: list[str] = []
        daemon.write("acq/file")
        queue_event_import(daemon.live(), daemon.queue, "acq/file", lambda: begun.append("begun"))
        assert not begun
        daemon.work()
        assert begun
        assert daemon.make.states(node) == {"acq/file": "YY"}


class TestBulk:
    def test_more_requests_than_a_few_are_one_task(self, daemon: Any, node: Any) -> None:
        requests = []
        for n in range(20):
            daemon.write(f"acq/{n}")
            requests.append(daemon.ask(f"acq/{n}"))
        daemon.tick()
        assert daemon.tasks() == ["Import 20 files on node"]
        daemon.work()
        assert all(daemon.done(request) for request in requests)
        assert set(daemon.make.states(node).values()) == {"YY"}

    def test_one_bad_file_of_a_batch_costs_nothing_but_itself(
        self, daemon: Any, node: Any, clock: Any
    ) -> None:
        good = [daemon.ask(f"acq/{n}") for n in range(20)]
        for n in range(20):
            daemon.write(f"acq/{n}")
        daemon.write("acq/locked")
        daemon.write("acq/.locked.lock")
        locked, missing = daemon.ask("acq/locked"), daemon.ask("acq/missing")
        daemon.tick()
        daemon.work()
        assert all(daemon.done(request) for request in good)
        assert daemon.done(missing)
        assert not daemon.done(locked)

    def test_a_batch_that_fails_is_recorded_not_at_all(
        self, daemon: Any, node: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One transaction: half a batch is never seen."""
        for n in range(20):
            daemon.write(f"acq/{n}")
            daemon.ask(f"acq/{n}")

        def fail(*args: Any) -> None:
            raise pw.OperationalError("disk I/O error")

        with monkeypatch.context() as patch:
            patch.setattr(imports.autoactions, "apply", fail)
            daemon.tick()
            daemon.work()
        assert untouched()
        clock.advance(60)
        daemon.settle()
        assert db.ArchiveFileCopy.select().count() == 20


def test_auto_sync_is_part_of_the_import(daemon: Any, node: Any, outcome: Any) -> None:
    target = daemon.make.group("target")
    db.StorageTransferAction.create(node_from=node, group_to=target, autosync=True)
    daemon.write("acq/file")
    outcome("acq/file")
    request = db.ArchiveFileCopyRequest.get()
    assert (request.node_from_id, request.group_to_id) == (node.id, target.id)
    assert not request.completed


def test_the_node_file_is_ignored_however_it_is_written(daemon: Any, node: Any) -> None:
    queue_imports(daemon.live(), daemon.queue, [Candidate("./ALPENHORN_NODE", None)], True)
    daemon.work()
    assert untouched()
    assert Path(daemon.root("node"), "ALPENHORN_NODE").exists()
