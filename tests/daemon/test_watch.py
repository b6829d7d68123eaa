"""Auto-import: which file-system events lead to an import (spec: daemon.md §9.3)."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileClosedNoWriteEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileOpenedEvent,
    FileSystemEvent,
)

from alpenhorn import db
from alpenhorn.daemon import watch
from alpenhorn.daemon.watch import RegisterFile
from alpenhorn.io.default import DefaultNodeIO
from alpenhorn.io.default.tree import STAGING_PREFIX


class Source:
    """Delivers events for paths below the root of a node, as an observer does."""

    def __init__(self, daemon: Any) -> None:
        self._daemon = daemon
        self._handler = RegisterFile(daemon.live(), daemon.queue)

    def path(self, name: str) -> str:
        return str(self._daemon.root("node") / name)

    def __call__(self, kind: type[FileSystemEvent], *names: str) -> list[str]:
        """Deliver an event; the names of the files whose imports it queued."""
        self._handler.dispatch(kind(*map(self.path, names)))
        queued = self._daemon.tasks()
        self._daemon.work()
        return [name.removeprefix("Import ").removesuffix(" on node") for name in queued]


@pytest.fixture
def event(daemon: Any) -> Source:
    daemon.node()
    daemon.settle()
    return Source(daemon)


@pytest.mark.parametrize(
    ("kind", "names", "imported"),
    [
        # created, by writing, linking, or moving in from outside
        (FileCreatedEvent, ["acq/file"], ["acq/file"]),
        (FileCreatedEvent, ["acq/.file"], []),
        (FileCreatedEvent, ["acq/.dir/file"], ["acq/.dir/file"]),
        (FileCreatedEvent, ["acq/.file.lock"], []),
        (FileCreatedEvent, ["ALPENHORN_NODE"], []),
        (FileCreatedEvent, ["acq/ALPENHORN_NODE"], ["acq/ALPENHORN_NODE"]),
        # written completely
        (FileClosedEvent, ["acq/file"], ["acq/file"]),
        (FileClosedEvent, ["acq/.file"], []),
        # renamed: the new name counts
        (FileMovedEvent, ["acq/old", "acq/new"], ["acq/new"]),
        (FileMovedEvent, ["acq/old", "acq/.new"], []),
        (FileMovedEvent, ["acq/.old", "acq/new"], ["acq/new"]),
        # locks: removed, or renamed away (weakness 38)
        (FileDeletedEvent, ["acq/.file.lock"], ["acq/file"]),
        (FileDeletedEvent, ["acq/.file.lock.lock"], ["acq/file.lock"]),
        (FileMovedEvent, ["acq/.file.lock", "acq/.other"], ["acq/file"]),
        (FileMovedEvent, ["acq/.file.lock", "acq/new"], ["acq/file", "acq/new"]),
        # no lock files at all (the first one ended the observer's thread)
        (FileDeletedEvent, ["acq/.lock"], []),
        (FileDeletedEvent, ["acq/..lock"], []),
        (FileDeletedEvent, ["acq/file"], []),
        (FileDeletedEvent, ["acq/file.lock"], []),
        (FileDeletedEvent, ["acq/.file"], []),
        # a lock of a file that is never imported
        (FileDeletedEvent, ["acq/..hidden.lock"], []),
        # directories: their files have events of their own
        (DirCreatedEvent, ["acq/dir"], []),
        (DirMovedEvent, ["acq/dir", "acq/other"], []),
        # everything else
        (FileModifiedEvent, ["acq/file"], []),
        (FileOpenedEvent, ["acq/file"], []),
        (FileClosedNoWriteEvent, ["acq/file"], []),
        # our own staging directories
        (FileCreatedEvent, [f"{STAGING_PREFIX}1/acq/file"], []),
        (FileClosedEvent, [f"{STAGING_PREFIX}1/acq/file"], []),
        (FileMovedEvent, [f"{STAGING_PREFIX}1/acq/a", f"{STAGING_PREFIX}1/acq/b"], []),
    ],
)
def test_what_an_event_leads_to(
    event: Source, kind: type[FileSystemEvent], names: list[str], imported: list[str]
) -> None:
    assert event(kind, *names) == imported


def test_an_event_outside_the_root_is_ignored(event: Source) -> None:
    """The root was changed a moment ago, and an old event comes late."""
    event._handler.dispatch(FileCreatedEvent("/somewhere/else"))
    assert not event._daemon.tasks()


def test_bytes_as_paths(event: Source) -> None:
    """watchdog allows both."""
    event._handler.dispatch(FileCreatedEvent(event.path("acq/file").encode()))
    assert event._daemon.tasks() == ["Import acq/file on node"]


def test_events_that_come_in_bunches_are_one_import(event: Source) -> None:
    handler, path = event._handler, event.path("acq/file")
    for _ in range(5):
        handler.dispatch(FileCreatedEvent(path))
        handler.dispatch(FileClosedEvent(path))
    assert event._daemon.tasks() == ["Import acq/file on node"]


def test_an_event_after_the_import_began_is_not_lost(event: Source, daemon: Any) -> None:
    """The file may have been unlocked or completed after the import looked at it."""
    daemon.write("acq/file")
    daemon.write("acq/.file.lock")
    assert event(FileCreatedEvent, "acq/file") == ["acq/file"]
    daemon.write("acq/.file.lock").unlink()
    assert event(FileDeletedEvent, "acq/.file.lock") == ["acq/file"]
    assert db.ArchiveFileCopy.get().has_file == "Y"


def test_an_import_that_was_thrown_away_can_be_queued_again(event: Source, daemon: Any) -> None:
    handler, path = event._handler, event.path("acq/file")
    handler.dispatch(FileCreatedEvent(path))
    daemon.queue.clear_fifo(daemon.live().io.fifo)
    handler.dispatch(FileCreatedEvent(path))
    assert daemon.tasks() == ["Import acq/file on node"]


# the watch itself


class Observer:
    """Notes what it is asked to watch."""

    made: list[Any] = []  # noqa: RUF012

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.watched: dict[str, Any] = {}
        self.alive = False
        Observer.made.append(self)

    def start(self) -> None:
        self.alive = True

    def stop(self) -> None:
        self.alive = False

    def join(self, timeout: float | None = None) -> None:
        pass

    def is_alive(self) -> bool:
        return self.alive

    def schedule(self, handler: Any, path: str, recursive: bool) -> str:
        assert recursive
        self.watched[path] = handler
        return path

    def unschedule(self, watched: str) -> None:
        del self.watched[watched]


@pytest.fixture
def observers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Observer]]:
    Observer.made.clear()
    monkeypatch.setattr(DefaultNodeIO, "observer", Observer)
    yield Observer.made
    watch.stop_all()


def watching(observers: list[Observer]) -> list[str]:
    return [Path(p).name for seen in observers if seen.alive for p in seen.watched]


def test_the_flag_starts_the_watch_and_a_catch_up(
    daemon: Any, observers: list[Observer], settings: dict[str, Any]
) -> None:
    settings["auto_import_interval"] = 17
    daemon.node(auto_import=True)
    daemon.tick()
    root = daemon.root("node")
    assert f'Watching node "node" root "{root}" for auto import.' in daemon.said
    assert daemon.tasks()[0] == "Catch-up on node"
    assert watching(observers) == ["node"]
    assert observers[0].timeout == 17


def test_the_catch_up_imports_what_came_while_nobody_watched(
    daemon: Any, observers: list[Observer]
) -> None:
    row = daemon.node(auto_import=True)
    daemon.write("acq/file")
    daemon.settle()
    assert daemon.make.states(row) == {"acq/file": "YY"}


def test_the_watch_is_started_once(daemon: Any, observers: list[Observer]) -> None:
    daemon.node(auto_import=True)
    for _ in range(3):
        daemon.settle()
    assert len(daemon.lines("Watching node")) == 1
    assert daemon.said.count("Beginning task Catch-up on node") == 1


def test_every_node_has_an_observer(daemon: Any, observers: list[Observer]) -> None:
    """An observer is locked while it begins a watch: one that hangs must not hold up another."""
    daemon.node("a", auto_import=True)
    daemon.node("b", auto_import=True)
    daemon.settle()
    assert len(observers) == 2
    assert watching(observers) == ["a", "b"]


@pytest.fixture
def hung(settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The medium of node ``a`` does not answer whoever walks it, until the event is set."""
    settings["medium_timeout"] = 0.05
    go_on = threading.Event()
    schedule = Observer.schedule

    def wait(self: Observer, handler: Any, path: str, recursive: bool) -> str:
        if path.endswith("/a"):
            assert go_on.wait(30)
        return schedule(self, handler, path, recursive)

    monkeypatch.setattr(Observer, "schedule", wait)
    yield go_on
    go_on.set()


def test_a_watch_that_cannot_begin_holds_up_nobody(
    daemon: Any, observers: list[Observer], hung: threading.Event
) -> None:
    """Its node, the others and the passes go on; it begins, once, when the medium answers."""
    daemon.node("a", auto_import=True)
    daemon.node("b", auto_import=True)
    request = daemon.ask("acq/file", node=db.StorageNode.get(name="a"))
    daemon.write("acq/file", node="a")
    for _ in range(3):
        daemon.settle()
    assert daemon.done(request)
    assert watching(observers) == ["b"]
    assert daemon.lines("takes its time") == [
        'The watch of node "a" takes its time; other work goes on.'
    ]
    hung.set()
    eventually(lambda: len(daemon.lines('Watching node "a"')) == 1)
    daemon.settle()
    assert sorted(watching(observers)) == ["a", "b"]
    assert "Beginning task Catch-up on a" in daemon.said


def test_a_watch_that_was_given_up_ends_when_its_medium_answers(
    daemon: Any, observers: list[Observer], hung: threading.Event
) -> None:
    row = daemon.node("a", auto_import=True)
    daemon.tick()
    type(row).update(auto_import=False).execute()
    daemon.tick()
    assert daemon.live("a").unwatch is None
    hung.set()
    eventually(lambda: observers[0].watched and not observers[0].alive)
    assert not daemon.lines("Watching node")


def test_a_watch_that_cannot_end_holds_up_nobody(
    daemon: Any,
    observers: list[Observer],
    settings: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """E.g. a polling observer in the middle of a walk."""
    settings["medium_timeout"] = 0.05
    row = daemon.node(auto_import=True)
    daemon.settle()
    go_on = threading.Event()
    monkeypatch.setattr(Observer, "stop", lambda self: go_on.wait(30))
    type(row).update(auto_import=False).execute()
    daemon.settle()
    assert 'Updating node "node".' in daemon.said
    go_on.set()


def eventually(fact: Callable[[], Any]) -> None:
    """Wait until another thread has got so far."""
    deadline = time.monotonic() + 30
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("change", [{"auto_import": False}, {"active": False}])
def test_the_watch_ends_with_the_flag_or_the_node(
    daemon: Any, observers: list[Observer], change: dict[str, bool]
) -> None:
    row = daemon.node(auto_import=True)
    daemon.settle()
    type(row).update(change).execute()
    daemon.settle()
    assert watching(observers) == []


def test_a_new_root_is_watched_instead_of_the_old(daemon: Any, observers: list[Observer]) -> None:
    """Weakness 39."""
    row = daemon.node(auto_import=True)
    daemon.settle()
    daemon.root("node").rename(daemon.root("moved"))
    type(row).update(root=str(daemon.root("moved"))).execute()
    daemon.settle()
    assert watching(observers) == ["moved"]


def test_a_dead_observer_is_replaced(daemon: Any, observers: list[Observer]) -> None:
    daemon.node("a", auto_import=True)
    daemon.settle()
    observers[0].alive = False
    daemon.settle()
    assert watching(observers[1:]) == ["a"]
    assert observers[-1].alive
    assert daemon.said.count("Beginning task Catch-up on a") == 2, "something may have been missed"


def test_a_medium_that_cannot_be_watched_is_said_once(
    daemon: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DefaultNodeIO, "observer", None)
    daemon.node(auto_import=True)
    for _ in range(3):
        daemon.settle()
    assert len(daemon.lines("Cannot start auto import")) == 1
    assert 'Updating node "node".' in daemon.said


def test_the_inotify_limit_is_said_with_what_to_do(
    daemon: Any, observers: list[Observer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weakness 26: it ended the daemon."""

    def refuse(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr(Observer, "schedule", refuse)
    daemon.node(auto_import=True)
    for _ in range(3):
        daemon.settle()
    (line,) = daemon.lines("Cannot watch")
    assert "fs.inotify.max_user_watches" in line
    assert 'Updating node "node".' in daemon.said


# with the kernel's own events


@pytest.fixture
def noticed(daemon: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Wait until the real observer has led to the import of a file."""
    queued = threading.Condition()
    names: list[str] = []

    def note(self: Any, path: str) -> None:
        with queued:
            names.append(path)
            queued.notify_all()

    monkeypatch.setattr(RegisterFile, "_import_soon", note)

    def wait(name: str) -> None:
        with queued:
            assert queued.wait_for(lambda: name in names, timeout=10), names
            names.clear()

    daemon.node(auto_import=True)
    daemon.write("acq/there")
    daemon.settle()
    return wait


def test_real_events(daemon: Any, noticed: Callable[[str], None]) -> None:
    path = daemon.write("acq/file")
    noticed("acq/file")
    path.rename(path.with_name("renamed"))
    noticed("acq/renamed")
    path.with_name("linked").hardlink_to(path.with_name("renamed"))
    noticed("acq/linked")
    lock = daemon.write("acq/.other.lock")
    lock.rename(lock.with_name(".gone"))
    noticed("acq/other")


def test_deleting_a_file_called_lock_does_not_end_the_watch(
    daemon: Any, noticed: Callable[[str], None]
) -> None:
    """Weakness 38: auto-import was dead until the daemon was restarted."""
    daemon.write("acq/.lock").unlink()
    daemon.write("acq/after")
    noticed("acq/after")


def test_files_in_a_directory_that_is_moved_in(daemon: Any, noticed: Callable[[str], None]) -> None:
    daemon.write("new/acq/file", node="outside")
    (daemon.root("outside") / "new").rename(daemon.root("node") / "new")
    noticed("new/acq/file")


def test_a_directory_that_watchdog_meets_twice_is_no_news(daemon: Any) -> None:
    """Its warning would stand in the log like a crash."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        daemon.node(auto_import=True)
        daemon.tick()
        text = "Callback with id '140' already exists for watch <bound method Watch.short_str>."
        warnings.warn(text, RuntimeWarning, stacklevel=1)
    assert seen == []
