"""The tree lock: made in one direction, removed in the other, never both at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from alpenhorn.io.default.updownlock import UpDownLock

PATIENCE_S = 60
SIDES = [("up", "down"), ("down", "up")]


@pytest.fixture
def lock() -> UpDownLock:
    return UpDownLock()


class Actor:
    """A thread that does what it is told, and can be asked whether it has done it."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)

    def start(self, call: Callable[..., Any], *args: Any) -> Future[Any]:
        return self._pool.submit(call, *args)

    def do(self, call: Callable[..., Any], *args: Any) -> Any:
        return self.start(call, *args).result(PATIENCE_S)

    def end(self) -> None:
        self._pool.shutdown(wait=False)


@pytest.fixture
def actors() -> Iterator[Callable[[], Actor]]:
    made: list[Actor] = []

    def make() -> Actor:
        made.append(Actor())
        return made[-1]

    yield make
    for actor in made:
        actor.end()


def until_waiting(lock: UpDownLock, side: str, count: int = 1) -> None:
    """Return when so many threads wait for a direction."""
    arrived = threading.Event()
    for _ in range(PATIENCE_S * 1000):
        with lock._changed:
            if lock._waiting[side] >= count:  # type: ignore[index]
                return
        arrived.wait(0.001)
    raise AssertionError("nobody waits")


@pytest.mark.parametrize("side", ["up", "down"])
def test_any_number_of_threads_hold_one_direction(
    lock: UpDownLock, actors: Callable[[], Actor], side: str
) -> None:
    for _ in range(3):
        assert actors().do(getattr(lock, side).acquire, False)
    assert str(lock) == f"locked {side} (3)"


@pytest.mark.parametrize(("held", "other"), SIDES)
def test_the_other_direction_waits_until_the_last_has_left(
    lock: UpDownLock, actors: Callable[[], Actor], held: str, other: str
) -> None:
    first, second, third = actors(), actors(), actors()
    first.do(getattr(lock, held).acquire)
    second.do(getattr(lock, held).acquire)
    assert third.do(getattr(lock, other).acquire, False) is False
    waiting = third.start(getattr(lock, other).acquire)
    until_waiting(lock, other)
    first.do(getattr(lock, held).release)
    assert not waiting.done()
    second.do(getattr(lock, held).release)
    assert waiting.result(PATIENCE_S) is True
    assert str(lock) == f"locked {other} (1)"


@pytest.mark.parametrize(("side", "other"), SIDES)
def test_a_thread_may_take_its_direction_again_and_gives_it_back_as_often(
    lock: UpDownLock, actors: Callable[[], Actor], side: str, other: str
) -> None:
    mine, stranger = getattr(lock, side), actors()
    assert mine.acquire()
    assert mine.acquire()
    mine.release()
    assert str(lock) == f"locked {side} (1)"
    assert stranger.do(getattr(lock, other).acquire, False) is False
    mine.release()
    assert str(lock) == "unlocked"
    assert stranger.do(getattr(lock, other).acquire, False) is True


def test_a_holder_may_enter_again_though_the_other_direction_waits(
    lock: UpDownLock, actors: Callable[[], Actor]
) -> None:
    """Otherwise both would wait for each other for ever."""
    remover = actors()
    lock.up.acquire()
    waiting = remover.start(lock.down.acquire)
    until_waiting(lock, "down")
    assert lock.up.acquire(False)
    lock.up.release()
    lock.up.release()
    assert waiting.result(PATIENCE_S)


@pytest.mark.parametrize(("side", "other"), SIDES)
@pytest.mark.parametrize("blocking", [True, False])
def test_asking_for_the_other_direction_is_an_error(
    lock: UpDownLock, side: str, other: str, blocking: bool
) -> None:
    with getattr(lock, side):
        with pytest.raises(RuntimeError, match=side):
            getattr(lock, other).acquire(blocking)
        assert str(lock) == f"locked {side} (1)"
    assert str(lock) == "unlocked"


def test_releasing_what_one_does_not_hold_is_an_error(
    lock: UpDownLock, actors: Callable[[], Actor]
) -> None:
    with pytest.raises(RuntimeError):
        lock.up.release()
    actors().do(lock.up.acquire)
    for direction in (lock.up, lock.down):
        with pytest.raises(RuntimeError):
            direction.release()
    assert str(lock) == "locked up (1)"


@pytest.mark.parametrize("timeout", [0, 0.01])
def test_a_time_out_ends_the_wait_and_leaves_nothing_behind(
    lock: UpDownLock, actors: Callable[[], Actor], timeout: float
) -> None:
    lock.up.acquire()
    assert actors().do(lock.down.acquire, True, timeout) is False
    # Nobody waits any more, so newcomers are not held up.
    assert actors().do(lock.up.acquire, False) is True


def test_newcomers_held_up_by_a_waiter_that_gives_up_go_on(
    lock: UpDownLock, actors: Callable[[], Actor]
) -> None:
    remover, newcomer = actors(), actors()
    lock.up.acquire()
    gives_up = remover.start(lock.down.acquire, True, 0.2)
    until_waiting(lock, "down")
    enters = newcomer.start(lock.up.acquire)
    assert gives_up.result(PATIENCE_S) is False
    assert enters.result(PATIENCE_S) is True


@pytest.mark.parametrize(("steady", "rare"), SIDES)
def test_a_steady_stream_in_one_direction_does_not_starve_the_other(
    lock: UpDownLock, actors: Callable[[], Actor], steady: str, rare: str
) -> None:
    """Weakness 14: while the other direction waits, newcomers queue behind it."""
    first, newcomer, waiter = actors(), actors(), actors()
    first.do(getattr(lock, steady).acquire)
    waiting = waiter.start(getattr(lock, rare).acquire)
    until_waiting(lock, rare)
    assert newcomer.do(getattr(lock, steady).acquire, False) is False
    queued = newcomer.start(getattr(lock, steady).acquire)
    until_waiting(lock, steady)
    first.do(getattr(lock, steady).release)
    assert waiting.result(PATIENCE_S)
    assert not queued.done()
    waiter.do(getattr(lock, rare).release)
    assert queued.result(PATIENCE_S)


def test_directions_take_turns_when_both_wait(
    lock: UpDownLock, actors: Callable[[], Actor]
) -> None:
    entered: list[str] = []

    def visit(side: str) -> None:
        with getattr(lock, side):
            entered.append(side)

    holder = actors()
    holder.do(lock.up.acquire)
    visits = [actors().start(visit, "down") for _ in range(2)]
    until_waiting(lock, "down", 2)
    visits += [actors().start(visit, "up") for _ in range(2)]
    until_waiting(lock, "up", 2)
    holder.do(lock.up.release)
    for future in visits:
        future.result(PATIENCE_S)
    assert entered[0] == "down"
    assert "up" in entered[1:3], "the second direction waits for one visit at most"


def test_an_exception_inside_gives_the_lock_back(lock: UpDownLock) -> None:
    with pytest.raises(ValueError, match="bang"), lock.down:
        raise ValueError("bang")
    assert str(lock) == "unlocked"


def test_no_wake_up_is_lost_and_the_directions_never_meet(lock: UpDownLock) -> None:
    """Weakness 13: many threads, both directions, and everybody gets through."""
    inside = {"up": 0, "down": 0}
    guard = threading.Lock()
    met = []

    def visit(side: str) -> None:
        other = "down" if side == "up" else "up"
        for _ in range(300):
            with getattr(lock, side):
                with guard:
                    inside[side] += 1
                    met.extend([side] if inside[other] else [])
                with guard:
                    inside[side] -= 1

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(visit, "up" if n % 2 else "down") for n in range(8)]:
            future.result(PATIENCE_S)
    assert met == []
    assert str(lock) == "unlocked"
