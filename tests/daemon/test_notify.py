"""What the service manager hears, on a real socket, from a daemon in this process."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import peewee as pw
import pytest

from alpenhorn.daemon.loop import Loop
from alpenhorn.daemon.notify import Notifier
from alpenhorn.daemon.run import Daemon
from daemon.conftest import Clock

HANDLED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGIO")
LIMIT_S = 0.5


class Manager:
    """The service manager's end of the socket."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)

    def hear(self, timeout: float = 10) -> list[str]:
        """The lines of the next message; none if nothing comes in time."""
        self.socket.settimeout(timeout)
        try:
            return self.socket.recv(65536).decode().split("\n")
        except (TimeoutError, BlockingIOError):
            return []

    def all(self) -> list[str]:
        """Every line that is waiting to be read."""
        lines: list[str] = []
        while message := self.hear(timeout=0):
            lines += message
        return lines

    def environment(self, **more: str) -> dict[str, str]:
        return {"NOTIFY_SOCKET": self.address, **more}


@pytest.fixture(params=["path", "abstract"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "n") if request.param == "path" else f"@alpenhorn-test-{tmp_path}"[:100]


@pytest.fixture
def manager(address: str) -> Iterator[Manager]:
    manager = Manager(address)
    yield manager
    manager.socket.close()


@pytest.fixture
def watched(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    """A manager of this process that waits for signs of life; pytest's handlers come back."""
    usec = str(round(LIMIT_S * 1e6))
    variables = manager.environment(WATCHDOG_USEC=usec, WATCHDOG_PID=str(os.getpid()))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    before = {name: signal.getsignal(getattr(signal, name)) for name in HANDLED}
    yield manager
    for name, handler in before.items():
        signal.signal(getattr(signal, name), handler)


def test_each_word_is_one_datagram(manager: Manager) -> None:
    """Over a socket file as well as an abstract address."""
    notifier = Notifier(manager.environment())
    notifier.ready()
    notifier.status("one\nline only " + "x" * 500)
    notifier.stopping()
    assert manager.hear() == ["READY=1"]
    (status,) = manager.hear()
    assert status.startswith("STATUS=one line only xxx")
    assert len(status) < 250
    assert manager.hear() == ["STOPPING=1"]


def test_a_status_that_has_not_changed_is_not_sent_again(manager: Manager) -> None:
    notifier = Notifier(manager.environment())
    for text in ("idle", "idle", "busy", "idle"):
        notifier.status(text)
    assert manager.all() == ["STATUS=idle", "STATUS=busy", "STATUS=idle"]


def test_signs_of_life_are_not_more_frequent_than_needed(manager: Manager, clock: Clock) -> None:
    notifier = Notifier(manager.environment(WATCHDOG_USEC="10000000"), clock)
    assert notifier.beat_s == 2
    for _ in range(100):
        notifier.alive()
        clock.advance(0.1)
    assert manager.all() == ["WATCHDOG=1"] * 5


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "-5"},
        {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"},
    ],
)
def test_without_a_limit_for_this_process_there_are_no_signs_of_life(
    manager: Manager, variables: dict[str, str]
) -> None:
    notifier = Notifier(manager.environment(**variables))
    notifier.alive()
    with notifier.unwatched():
        pass
    assert notifier.beat_s is None
    assert manager.all() == []


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "/nowhere/at/all", "relative"])
def test_nobody_listening_does_no_harm(address: str) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000000"})
    notifier.ready()
    notifier.alive()
    notifier.status("busy")
    notifier.stopping()


@pytest.mark.parametrize("address", ["path"], indirect=True)
def test_a_manager_that_does_not_read_does_not_stall_the_daemon(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("alpenhorn.daemon.notify._PATIENCE_S", 0.01)
    notifier = Notifier(manager.environment())
    # unix(7): so many messages at most wait to be read.
    limit = int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text())
    for number in range(limit + 50):
        notifier.status(str(number))
    assert 0 < len(manager.all()) < limit + 50


def test_it_is_ready_when_the_lease_is_held_and_says_when_it_ends(
    daemon: Any, watched: Manager, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings["num_workers"] = 1
    daemon.node()
    life = Daemon("here")
    before: list[list[str]] = []
    take, tick = life._lease.take, Loop.tick

    def taking() -> None:
        before.append(watched.all())
        take()

    def one(loop: Loop) -> None:
        before.append(watched.all())
        tick(loop)
        life._waker.stop()

    monkeypatch.setattr(life._lease, "take", taking)
    monkeypatch.setattr(Loop, "tick", one)
    life.run()
    assert before == [[], ["READY=1"]]
    told = watched.all()
    assert told[0] == "WATCHDOG=1"
    assert [line for line in told if line.startswith("STATUS=Nodes: 1. Tasks: ")]
    assert told[-1] == "STOPPING=1"


def test_a_second_daemon_is_never_ready(daemon: Any, watched: Manager) -> None:
    first = Daemon("here")
    first._lease.take()
    with pytest.raises(Exception, match="Another daemon"):
        Daemon("here").run()
    assert watched.all() == []
    first._lease.release()


@pytest.mark.slow
def test_a_main_loop_that_hangs_gives_no_sign_of_life(
    daemon: Any, watched: Manager, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although its other threads (workers, lease) live."""
    settings["num_workers"] = 2
    heard: list[list[str]] = []
    life = Daemon("here")

    def hangs(loop: Loop) -> None:
        watched.all()
        heard.append(watched.hear(timeout=2 * LIMIT_S))
        life._waker.stop()

    monkeypatch.setattr(Loop, "tick", hangs)
    life.run()
    assert heard == [[]]


def beats_until(manager: Manager, life: Daemon, count: int, stop: threading.Event) -> list[float]:
    """Collect the times of so many signs of life, in a thread; then the daemon is stopped."""
    times: list[float] = []

    def listen() -> None:
        while len(times) < count and not stop.is_set():
            if "WATCHDOG=1" in manager.hear(timeout=5):
                times.append(time.monotonic())
        life._waker.stop()

    threading.Thread(target=listen, daemon=True).start()
    return times


@pytest.mark.slow
@pytest.mark.parametrize("failing", [False, True], ids=["between passes", "without database"])
def test_who_waits_is_alive(
    daemon: Any,
    watched: Manager,
    settings: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    failing: bool,
) -> None:
    """Waiting is no hanging: neither for the next pass nor for a lost database."""
    settings.update(num_workers=1, update_interval=3600)
    monkeypatch.setattr("alpenhorn.daemon.run.LONGEST_WAIT_S", 3600.0)
    life, stop = Daemon("here"), threading.Event()
    monkeypatch.setattr(life._waker, "_rings", lambda: 0)

    def gone(loop: Loop) -> None:
        raise pw.OperationalError("server has gone away")

    if failing:
        monkeypatch.setattr(Loop, "tick", gone)
    times = beats_until(watched, life, 8, stop)
    begun = time.monotonic()
    life.run()
    stop.set()
    assert len(times) == 8
    assert times[-1] - begun > LIMIT_S, "longer than the manager would have waited in silence"
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert max(gaps) < LIMIT_S, gaps


def test_the_wait_for_a_database_is_the_status(
    daemon: Any, watched: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = Daemon("here")

    def gone(loop: Loop) -> None:
        life._waker.stop()
        raise pw.OperationalError("server has gone away")

    monkeypatch.setattr(Loop, "tick", gone)
    life.run()
    assert "STATUS=Waiting for the database: server has gone away" in watched.all()


@pytest.mark.parametrize("auto_import", [True, False])
def test_a_pass_is_watched_from_its_beginning_to_its_end(
    daemon: Any, watched: Manager, auto_import: bool
) -> None:
    """The walk that begins a watch too: the main loop does not wait for it."""
    daemon.node(auto_import=auto_import)
    daemon.loop._manager = Notifier()
    daemon.tick()
    daemon.tick()
    assert "WATCHDOG_USEC=0" not in watched.all()


def test_long_work_in_the_main_loop_is_not_watched(
    daemon: Any, watched: Manager, settings: dict[str, Any]
) -> None:
    """Without workers a transfer of hours runs between two passes: nobody may take it for dead."""
    settings["num_workers"] = 0
    assert Daemon("here", once=True).run() == 0
    told = watched.all()
    off = told.index("WATCHDOG_USEC=0")
    assert told[off + 1 : off + 3] == [f"WATCHDOG_USEC={round(LIMIT_S * 1e6)}", "WATCHDOG=1"]
