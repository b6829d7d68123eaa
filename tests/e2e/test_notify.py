"""What a service manager hears from a real daemon, from its start to its end."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.hosts import PATIENCE_S, Host, Site


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE_S)
        yield manager


@pytest.fixture
def host(new_site: Callable[..., Site], manager: socket.socket) -> Host:
    """A host whose daemon is started as by a service manager that waits 2 s for signs of life."""
    site = new_site("alpenhost1")
    site.environment.update(NOTIFY_SOCKET=manager.getsockname(), WATCHDOG_USEC="2000000")
    return site["alpenhost1"]


def test_the_manager_hears_ready_then_what_it_does_then_that_it_stops(
    host: Host, manager: socket.socket
) -> None:
    host.start()
    told = [manager.recv(4096).decode() for _ in range(5)]
    host.send(signal.SIGTERM)
    while told[-1] != "STOPPING=1":
        told.append(manager.recv(4096).decode())
    assert host.end() == 1
    first = [told.index(word) for word in ("READY=1", "WATCHDOG=1", "STOPPING=1")]
    assert first == [0, *sorted(first[1:])]
    status = "STATUS=Nodes: 0. Tasks: 0 queued, 0 deferred, 0 in-progress on 2 workers"
    assert told.count("READY=1") == told.count("STOPPING=1") == told.count(status) == 1
    assert 0 < told.index(status) < first[2]
    assert told.count("WATCHDOG=1") >= 2


def test_a_daemon_that_cannot_start_is_never_ready(host: Host, manager: socket.socket) -> None:
    """The manager may start it again, or what depends on it not at all."""
    host.configure(num_workers=-1)
    host.start()
    assert host.end() == 1
    manager.settimeout(0)
    with pytest.raises(BlockingIOError):
        manager.recv(4096)


def test_the_managers_abort_shows_where_the_daemon_hangs(
    host: Host, manager: socket.socket
) -> None:
    host.start()
    assert manager.recv(4096) == b"READY=1"
    host.send(signal.SIGABRT)
    assert host.end() == -signal.SIGABRT
    text = host.log_path.read_text()
    assert "Fatal Python error: Aborted" in text
    assert "alpenhorn/daemon/run.py" in text
