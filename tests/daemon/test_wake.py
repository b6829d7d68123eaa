"""What ends the daemon's sleep; and that no reason to wake is lost."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from alpenhorn import db
from alpenhorn.daemon import wake
from alpenhorn.daemon.wake import Waker
from alpenhorn.db.queries import doorbell

FAR = 3600.0
"""A pass so far away that a test which sleeps until then has failed."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wake, "DOORBELL_S", 0.01)
    monkeypatch.setattr(wake, "SHORTEST_GAP_S", 0.0)


def sleeps(waker: Waker, until: float = FAR, reason: Callable[[], None] | None = None) -> bool:
    """Sleep in a thread of its own; tell whether it ended within a few seconds."""
    woken = threading.Event()

    def sleep() -> None:
        waker.sleep(time.monotonic() + until)
        woken.set()

    threading.Thread(target=sleep, daemon=True).start()
    if reason is not None:
        assert not woken.wait(0.05), "there was no reason to wake yet"
        reason()
    ended = woken.wait(10)
    if not ended:
        waker.stop()
    return ended


class Bell:
    count: int | None = 0

    def __call__(self) -> int | None:
        return self.count


def test_the_interval_ends_the_sleep() -> None:
    waker = Waker(lambda: 0)
    waker.listen()
    assert sleeps(waker, until=0.05)


def test_finished_work_ends_the_sleep() -> None:
    waker = Waker(lambda: 0)
    waker.listen()
    assert sleeps(waker, reason=waker.wake)


def test_the_doorbell_ends_the_sleep() -> None:
    bell = Bell()
    waker = Waker(bell)
    waker.listen()
    assert sleeps(waker, reason=lambda: setattr(bell, "count", 1))


def test_a_request_to_stop_ends_the_sleep_and_every_later_one() -> None:
    waker = Waker(lambda: 0)
    waker.listen()
    assert sleeps(waker, reason=waker.stop)
    assert waker.stopping
    waker.listen()
    assert sleeps(waker)
    waker.pause(FAR)


def test_a_wake_during_the_pass_is_not_lost() -> None:
    """Between listening and sleeping the pass looks at the index; what happens then must count."""
    waker = Waker(lambda: 0)
    waker.listen()
    waker.wake()
    assert sleeps(waker)


def test_a_ring_during_the_pass_is_not_lost() -> None:
    bell = Bell()
    waker = Waker(bell)
    waker.listen()
    bell.count = 1
    assert sleeps(waker)


def test_a_stop_before_listening_is_not_lost() -> None:
    waker = Waker(lambda: 0)
    waker.stop()
    waker.listen()
    assert sleeps(waker)


def test_wakes_from_many_threads_are_never_lost() -> None:
    """Each wake that comes after a `listen` ends the sleep after it, whenever it comes."""
    waker = Waker(lambda: None)
    seen = threading.Semaphore(0)
    rounds = 300

    def other() -> None:
        for _ in range(rounds):
            seen.acquire(timeout=10)
            waker.wake()

    threading.Thread(target=other, daemon=True).start()
    for _ in range(rounds):
        waker.listen()
        seen.release()
        started = time.monotonic()
        waker.sleep(started + 10)
        assert time.monotonic() - started < 9


@pytest.mark.slow
def test_a_signal_may_come_at_any_moment() -> None:
    """The handler runs in the thread that sleeps, also while that holds the lock: no deadlock."""
    code = """
        import random, signal, time
        from alpenhorn.daemon import wake
        wake.SHORTEST_GAP_S = 0.0
        waker = wake.Waker(lambda: 0)
        signal.signal(signal.SIGALRM, lambda *_: waker.wake())
        for _ in range(10_000):
            waker.listen()
            signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-6, 1e-4))
            waker.sleep(time.monotonic() + 1e-4)
            signal.setitimer(signal.ITIMER_REAL, 0)
        """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], timeout=60, check=True)


def test_where_there_is_no_doorbell_the_interval_counts() -> None:
    waker = Waker(lambda: None)
    waker.listen()
    assert sleeps(waker, until=0.05)


def test_passes_do_not_follow_one_another_without_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often somebody rings, the index is not looked at all the time."""
    monkeypatch.setattr(wake, "SHORTEST_GAP_S", 0.1)
    waker = Waker(lambda: 0)
    waker.listen()
    waker.wake()
    started = time.monotonic()
    waker.sleep(started + FAR)
    assert 0.1 <= time.monotonic() - started < 5


def test_the_command_line_rings(make: Any) -> None:
    make.node("n", host="here")
    before = doorbell.rings("here")
    with db.connection.change():
        doorbell.ring(["here"])
    assert before is not None
    assert doorbell.rings("here") == before + 1
