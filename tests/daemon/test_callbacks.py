"""Callbacks of import extensions in their two modes (spec: extensions.md §5.2, X-2)."""

from __future__ import annotations

from typing import Any

import pytest

from alpenhorn import db
from alpenhorn.daemon.jobs.callbacks import FIRST_PAUSE_S, LONGEST_PAUSE_S
from daemon import detectors


class Callback:
    """Writes a row of its own (a group of the file's name), after failing so many times."""

    def __init__(self, failures: int = 0, only: str = "") -> None:
        self.failures = failures
        self.only = only
        self.calls: list[tuple[Any, ...]] = []

    def __call__(self, copy: Any, new_file: Any, new_acq: Any, node: Any) -> None:
        self.calls.append((copy, new_file, new_acq, node))
        db.StorageGroup.create(name=copy.file.name)
        if self.failures and self.only in copy.file.name:
            self.failures -= 1
            raise ZeroDivisionError("in the callback")


def rows() -> set[str]:
    return {group.name for group in db.StorageGroup.select()} - {"node"}


def imported() -> set[str]:
    return {str(file.name) for file in db.ArchiveFile.select()}


@pytest.fixture
def use(daemon: Any) -> Any:
    """Use a callback, ask for the import of files, and work."""
    daemon.node()
    daemon.settle()

    def use(callback: Callback, *names: str, atomic: bool) -> list[Any]:
        detectors.use(detectors.calling(callback), atomic=atomic)
        for name in names:
            daemon.write(f"acq/{name}")
        requests = [daemon.ask(f"acq/{name}") for name in names]
        daemon.tick()
        daemon.work()
        return requests

    return use


@pytest.mark.parametrize("atomic", [True, False])
class TestBothModes:
    def test_it_gets_what_was_created(self, daemon: Any, use: Any, atomic: bool) -> None:
        callback = Callback()
        use(callback, "one", "two", atomic=atomic)
        (first, second) = callback.calls
        assert (first[0].file.name, first[1].name, first[2].name) == ("one", "one", "acq")
        assert (second[1].name, second[2]) == ("two", None), "the acquisition is no longer new"
        assert first[3] is daemon.live()
        assert rows() == {"one", "two"}

    def test_a_known_file_on_a_further_node_is_called_back_too(
        self, daemon: Any, use: Any, atomic: bool
    ) -> None:
        daemon.make.file("acq/one", md5sum="8d777f385d3dfec8815d20f7496026dc")
        callback = Callback()
        use(callback, "one", atomic=atomic)
        assert callback.calls[0][1:3] == (None, None)

    def test_a_known_copy_is_not(self, daemon: Any, use: Any, atomic: bool) -> None:
        daemon.make.copy("acq/one", db.StorageNode.get())
        callback = Callback()
        use(callback, "one", atomic=atomic)
        assert not callback.calls

    def test_the_daemon_survives_a_callback_that_raises(
        self, daemon: Any, use: Any, atomic: bool
    ) -> None:
        use(Callback(failures=1), "one", "two", atomic=atomic)
        failures = [r for r in daemon._log.records if "callback failed" in r.getMessage()]
        assert len(failures) == 1
        assert failures[0].exc_info
        assert "tests.Test" in failures[0].getMessage()
        assert "acq/one" in failures[0].getMessage()
        assert {"two"} <= imported()

    def test_what_is_not_callable_is_ignored(self, daemon: Any, use: Any, atomic: bool) -> None:
        use(Callback(), atomic=atomic)
        detectors.use(lambda path, node: ("acq", "no callback"), atomic=atomic)
        daemon.write("acq/one")
        daemon.ask("acq/one")
        daemon.settle()
        assert imported() == {"one"}


class TestAtomic:
    def test_a_failure_undoes_the_import_of_its_own_file(
        self, daemon: Any, use: Any, clock: Any
    ) -> None:
        (request,) = use(Callback(failures=1), "one", atomic=True)
        assert imported() == set()
        assert rows() == set(), "its own rows are undone with it"
        assert not db.ArchiveAcq.select().exists()
        assert not daemon.done(request)
        clock.advance(60)
        daemon.settle()
        assert imported() == rows() == {"one"}
        assert daemon.done(request)

    def test_the_rest_of_the_batch_is_imported(self, daemon: Any, use: Any, clock: Any) -> None:
        names = [f"file{n:02}" for n in range(20)]
        callback = Callback(failures=1, only="file07")
        requests = use(callback, *names, atomic=True)
        good = set(names) - {"file07"}
        assert imported() == rows() == good
        assert [daemon.done(request) for request in requests].count(False) == 1
        clock.advance(60)
        daemon.settle()
        assert imported() == rows() == set(names)

    def test_two_failures_in_one_batch(self, daemon: Any, use: Any) -> None:
        names = [f"file{n:02}" for n in range(20)]
        use(Callback(failures=3, only="file1"), *names, atomic=True)
        assert imported() == rows() == set(names) - {"file10", "file11", "file12"}

    def test_auto_sync_is_undone_with_it(self, daemon: Any, use: Any) -> None:
        node, target = db.StorageNode.get(), daemon.make.group("target")
        db.StorageTransferAction.create(node_from=node, group_to=target, autosync=True)
        use(Callback(failures=1), "one", atomic=True)
        assert not db.ArchiveFileCopyRequest.select().exists()


class TestAfterwards:
    def test_the_import_stands_and_only_the_callback_is_repeated(
        self, daemon: Any, use: Any, clock: Any
    ) -> None:
        callback = Callback(failures=2)
        (request,) = use(callback, "one", atomic=False)
        assert imported() == {"one"}
        assert daemon.done(request)
        assert rows() == set(), "its half-done rows are undone"
        first = callback.calls[0]
        clock.advance(FIRST_PAUSE_S)
        daemon.work()
        assert rows() == set()
        clock.advance(2 * FIRST_PAUSE_S - 1)
        daemon.work()
        assert len(callback.calls) == 2
        clock.advance(1)
        daemon.work()
        assert rows() == {"one"}
        assert callback.calls == [first] * 3, "with the same four arguments"
        clock.advance(LONGEST_PAUSE_S)
        daemon.work()
        assert len(callback.calls) == 3

    @pytest.mark.sqlite
    def test_it_finds_the_rows_through_any_connection(self, daemon: Any, use: Any) -> None:
        """The import is committed before the callback is called."""
        import sqlite3

        found: list[Any] = []

        def look(copy: Any, *rest: Any) -> None:
            path = db.database_proxy.obj.database
            other = sqlite3.connect(path)
            found.extend(other.execute("SELECT name FROM archivefile").fetchall())
            other.close()

        use(look, "one", atomic=False)
        assert found == [("one",)]

    def test_a_failing_callback_does_not_keep_its_node_busy(self, daemon: Any, use: Any) -> None:
        use(Callback(failures=99), "one", atomic=False)
        assert daemon.live().idle

    def test_pauses_do_not_grow_beyond_an_hour(self, daemon: Any, use: Any, clock: Any) -> None:
        callback = Callback(failures=99)
        use(callback, "one", atomic=False)
        for _ in range(10):
            clock.advance(LONGEST_PAUSE_S)
            daemon.work()
        assert len(callback.calls) == 11
