"""Files that are written under their final names, without a lock file, by real programs.

Each is registered when its writer is done, and only then: as long as the writer has it open, its
length may grow, stay (preallocated, or a pause) or be right already.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from alpenhorn import db
from alpenhorn.daemon.watch import RegisterFile
from alpenhorn.io.default import writers

LIMIT_S = 20.0
"""Reached only if a promise is broken."""

_WRITER = """
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT, 0o644)
print("open", flush=True)
for line in sys.stdin:
    what, _, value = line.rstrip("\\n").partition(" ")
    if what == "append":
        os.write(fd, value.encode())
    elif what == "allocate":
        os.posix_fallocate(fd, 0, int(value))
    elif what == "close":
        os.close(fd)
    print(what, flush=True)
"""


class Writer:
    """A process that has a file open and writes to it, a step at a time."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout and self.process.stdout.readline() == "open\n"

    def __call__(self, step: str) -> None:
        assert self.process.stdin and self.process.stdout
        print(step, file=self.process.stdin, flush=True)
        assert self.process.stdout.readline().strip() == step.partition(" ")[0]

    def end(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(LIMIT_S)
        assert self.process.stdout
        self.process.stdout.close()


@pytest.fixture
def writer(daemon: Any) -> Iterator[Writer]:
    """Writes ``acq/file`` on ``node``, whose root is there."""
    daemon.root("node").mkdir()
    made = Writer(daemon.root("node") / "acq/file")
    yield made
    made.end()


@pytest.fixture(params=["leases", "no leases", "NFS"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file system with leases, and two kinds without; the settle time passes by `later`."""
    if request.param != "leases":
        code = errno.EACCES if request.param == "no leases" else errno.EAGAIN

        def refuse(fd: int, what: int, how: int) -> None:
            assert what == fcntl.F_SETLEASE
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(writers.fcntl, "fcntl", refuse)
        if request.param == "NFS":
            monkeypatch.setattr(writers, "type_of", lambda device: "nfs4")
    kind: str = request.param
    return kind


@pytest.fixture
def later(daemon: Any, kernel: str) -> Callable[[float], None]:
    """Let time pass, for the daemon and for what judges files without leases."""

    def pass_by(seconds: float) -> None:
        daemon.clock.advance(seconds)
        daemon.tick()
        daemon.work()

    return pass_by


@pytest.fixture
def node(daemon: Any, kernel: str, writer: Writer) -> Any:
    """A node without auto-import, below which somebody writes."""
    return _node(daemon)


def _node(daemon: Any, **values: Any) -> Any:
    row = daemon.make.node("node", root=str(daemon.root("node")), host="here", **values)
    (daemon.root("node") / "ALPENHORN_NODE").write_text("node\n")
    daemon.tick()
    live = daemon.live()
    live.io.writers = writers.Writers(daemon.clock)
    return row


def registered() -> tuple[int, str] | None:
    file = db.ArchiveFile.get_or_none()
    return (file.size_b, file.md5sum) if file else None


def evidence(data: bytes) -> tuple[int, str]:
    return len(data), hashlib.md5(data).hexdigest()


@pytest.mark.parametrize("recurse", [False, True], ids=["file", "scan"])
def test_a_growing_file_is_registered_with_all_its_bytes(
    daemon: Any, node: Any, writer: Writer, later: Any, kernel: str, recurse: bool
) -> None:
    """On a request or a scan, i.e. without any event: the request stays until it is done."""
    request = daemon.ask("acq" if recurse else "acq/file", recurse=recurse)
    daemon.settle()
    for _ in range(3):
        writer("append more")
        later(40)
        assert registered() is None
    writer("close")
    later(40)
    later(40)
    assert registered() == evidence(b"moremoremore")
    assert daemon.done(request)


@pytest.mark.parametrize("kernel", ["leases"], indirect=True)
@pytest.mark.parametrize("recurse", [False, True], ids=["file", "scan"])
def test_a_preallocated_file_and_a_long_pause(
    daemon: Any, node: Any, writer: Writer, later: Any, recurse: bool
) -> None:
    """Its length is right from the beginning, and nothing changes for an hour."""
    request = daemon.ask("acq" if recurse else "acq/file", recurse=recurse)
    writer("allocate 12")
    for _ in range(3):
        later(3600)
        assert registered() is None
    writer("append twelve bytes")
    later(3600)
    assert registered() is None
    writer("close")
    later(3600)
    assert registered() == evidence(b"twelve bytes")
    assert daemon.done(request)


# with the kernel's own events


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Wait until the watch has dealt with an event of this kind of ``acq/file``."""
    seen: list[str] = []
    news = threading.Condition()
    for kind in ("created", "modified", "closed"):
        original = getattr(RegisterFile, f"on_{kind}")

        def note(
            self: Any, event: Any, kind: str = kind, original: Callable[..., None] = original
        ) -> None:
            original(self, event)
            with news:
                if str(event.src_path).endswith("acq/file"):
                    seen.append(kind)
                news.notify_all()

        monkeypatch.setattr(RegisterFile, f"on_{kind}", note)

    def wait(kind: str) -> None:
        with news:
            assert news.wait_for(lambda: kind in seen, LIMIT_S), f"{kind} not in {seen}"
            seen.clear()

    return wait


@pytest.mark.parametrize("first", ["append half ", "allocate 11"])
def test_auto_import_waits_for_the_writer_however_long_he_pauses(
    daemon: Any, kernel: str, later: Any, heard: Any, first: str
) -> None:
    daemon.root("node").mkdir()
    (daemon.root("node") / "acq").mkdir()
    _node(daemon, auto_import=True)
    daemon.work()
    writer = Writer(daemon.root("node") / "acq/file")
    try:
        heard("created")
        writer(first)
        heard("modified")
        for _ in range(4):
            later(70)  # much longer than the settle time
            assert registered() is None
        if first == "allocate 11":
            writer("append half ")
            heard("modified")
            later(70)
            assert registered() is None
        writer("append a file")
        heard("modified")
        later(70)
        assert registered() is None
        writer("close")
        heard("closed")
        later(0)
        later(5)
        later(70)
        assert registered() == evidence(b"half a file")
    finally:
        writer.end()


def test_the_catch_up_comes_back_to_a_file_that_was_being_written(
    daemon: Any, kernel: str, writer: Writer, later: Any
) -> None:
    """No event is heard of its end: the watch of this node hears nothing."""
    daemon_io = _node(daemon, auto_import=True)
    daemon.live().unwatch()
    daemon.live().unwatch = lambda: None
    writer("append all")
    daemon.work()
    for _ in range(3):
        writer("append more")
        later(70)
        assert registered() is None
    writer("close")
    later(70)
    later(70)
    assert registered() == evidence(b"allmoremoremore")
    assert daemon.make.states(daemon_io) == {"acq/file": "YY"}


def test_a_file_that_nobody_finishes_is_said_once(
    daemon: Any, kernel: str, writer: Writer, later: Any
) -> None:
    _node(daemon, auto_import=True)
    for _ in range(10):
        writer("append more")
        later(70)
    assert len(daemon.lines('Skipping "acq/file": being written.')) <= 2, "event and catch-up"


@pytest.mark.parametrize("kernel", ["leases"], indirect=True)
def test_a_daemon_that_makes_one_pass_does_not_wait_for_a_writer(
    daemon: Any, kernel: str, writer: Writer
) -> None:
    daemon.loop._once = True
    _node(daemon, auto_import=True)
    daemon.work()
    assert (daemon.queue.qsize, daemon.queue.deferred_size) == (0, 0)


class TestWithoutLeases:
    """What judges a file where the kernel cannot tell."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "file"
        path.write_bytes(b"data")
        return path

    @pytest.fixture
    def busy(self, path: Path, clock: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
        monkeypatch.setattr(writers, "has_writer", lambda fd: None)
        judge = writers.Writers(clock)

        def ask() -> bool:
            with path.open("rb") as file:
                return judge.busy("file", file.fileno())

        ask.judge = judge  # type: ignore[attr-defined]
        return ask

    def test_it_must_stay_the_same_for_the_settle_time(self, busy: Any, clock: Any) -> None:
        assert busy()
        clock.advance(1.9)
        assert busy()
        clock.advance(0.2)
        assert not busy()

    def test_a_change_begins_it_anew(self, busy: Any, clock: Any, path: Path) -> None:
        assert busy()
        clock.advance(3)
        path.write_bytes(b"DATA")
        assert busy()
        clock.advance(3)
        assert not busy()

    def test_the_clock_of_a_file_server_does_not_matter(
        self, busy: Any, clock: Any, path: Path
    ) -> None:
        """A change that claims to be a minute old, and one of the future."""
        for ahead in (-60, 3600):
            os.utime(path, (time.time() + ahead,) * 2)
            assert busy()
            clock.advance(3)
            assert not busy()

    def test_old_files_are_not_looked_at_twice(
        self, busy: Any, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        later = time.time() + 400
        monkeypatch.setattr(writers.time, "time", lambda: later)
        assert not busy()

    def test_a_close_that_was_never_heard_of_does_not_hold_a_file_for_ever(
        self, busy: Any, clock: Any
    ) -> None:
        busy.judge.changed("file")
        assert busy()
        clock.advance(60)
        assert busy()
        clock.advance(writers.OPEN_S)
        assert busy()
        clock.advance(3)
        assert not busy()
