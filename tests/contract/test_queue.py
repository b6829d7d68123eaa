"""What every queue promises (spec: daemon.md §8.1), one implementation at present."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from alpenhorn.scheduler import FairMultiFIFOQueue

LONG = 30.0
"""Seconds. A time-out that is reached only if a promise is broken."""


class Clock:
    """A clock that stands still until told otherwise."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=[FairMultiFIFOQueue])
def queue(request: pytest.FixtureRequest, clock: Clock) -> Any:
    return request.param(clock=clock)


@pytest.fixture(params=[FairMultiFIFOQueue])
def real_time_queue(request: pytest.FixtureRequest) -> Any:
    return request.param()


def take(queue: Any) -> Any:
    """The next item that can be taken now, or None."""
    got = queue.get(timeout=0)
    return None if got is None else got[0]


class Consumer(threading.Thread):
    """One get in a thread of its own."""

    def __init__(self, queue: Any, **kwargs: Any) -> None:
        super().__init__(daemon=True)
        self.call = lambda: queue.get(**kwargs)
        self.result: Any = "nothing yet"
        self.start()

    def run(self) -> None:
        self.result = self.call()

    def outcome(self) -> Any:
        self.join(LONG)
        assert not self.is_alive(), "the consumer was not woken"
        return self.result


def waiting(queue: Any, count: int) -> None:
    """Wait until that many consumers sleep in `get`."""
    wait_until(lambda: len(queue._work._waiters) == count)


def wait_until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(3000):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("waited in vain")


# Order and fairness


def test_items_of_one_fifo_come_in_the_order_of_puts(queue):
    for n in range(5):
        assert queue.put(n, "a") is True
    assert [take(queue) for _ in range(5)] == [0, 1, 2, 3, 4]


def test_get_gives_the_item_and_its_key_and_none_after_the_time_out(queue):
    queue.put("item", ("key", 1))
    assert queue.get(timeout=0) == ("item", ("key", 1))
    assert queue.get(timeout=0) is None
    assert queue.get(timeout=0.001) is None


def test_a_full_fifo_does_not_hold_up_another(queue):
    for n in range(100):
        queue.put(f"a{n}", "a")
    queue.put("b0", "b")
    assert [take(queue), take(queue), take(queue)] == ["a0", "b0", "a1"]


def test_the_fifo_with_the_fewest_items_in_progress_comes_first(queue):
    for n in range(3):
        queue.put(f"a{n}", "a")
    assert [take(queue), take(queue)] == ["a0", "a1"]
    queue.put("b0", "b")
    queue.put("b1", "b")
    assert take(queue) == "b0"  # b: 0, a: 2 in progress
    assert take(queue) == "b1"  # b: 1, a: 2 in progress


def test_among_equals_the_least_recently_used_fifo_comes_first(queue):
    for key in "abc":
        queue.put(f"{key}0", key)
        queue.put(f"{key}1", key)
    assert [take(queue) for _ in range(3)] == ["a0", "b0", "c0"]
    for key in "bca":  # finishing is use, too
        queue.task_done(key)
    assert [take(queue) for _ in range(3)] == ["b1", "c1", "a1"]


def test_a_fifo_that_was_empty_for_long_does_not_go_to_the_end_of_the_line(queue):
    queue.put("old", "idle")
    take(queue)
    queue.task_done("idle")
    for key in "ab":
        queue.put(f"{key}0", key)
        queue.put(f"{key}1", key)
    for key in "ab":
        take(queue)
        queue.task_done(key)
    queue.put("new", "idle")
    assert take(queue) == "new"


# Exclusive items


def test_while_an_exclusive_item_runs_nothing_else_of_its_fifo_does(queue):
    queue.put("alone", "a", exclusive=True)
    queue.put("next", "a")
    queue.put("other", "b")
    assert [take(queue), take(queue), take(queue)] == ["alone", "other", None]
    queue.task_done("a")
    assert take(queue) == "next"


def test_an_exclusive_item_waits_for_the_running_ones_and_cannot_be_overtaken(queue):
    queue.put("first", "a")
    assert take(queue) == "first"
    queue.put("alone", "a", exclusive=True)
    queue.put("behind", "a")
    assert take(queue) is None
    queue.task_done("a")
    assert take(queue) == "alone"
    assert take(queue) is None


def test_a_consumer_that_finds_only_blocked_work_does_not_hold_up_others(real_time_queue):
    """Daemon weakness 29: task_done hung for seconds while a consumer slept with the lock."""
    queue = real_time_queue
    queue.put("alone", "a", exclusive=True)
    queue.put("behind", "a")
    queue.get(timeout=0)
    consumer = Consumer(queue)
    waiting(queue, 1)
    assert queue.qsize == 1  # does not block
    queue.task_done("a")
    assert consumer.outcome() == ("behind", "a")


def test_the_end_of_an_exclusive_item_frees_all_that_waited_behind_it(real_time_queue):
    queue = real_time_queue
    queue.put("alone", "a", exclusive=True)
    queue.get(timeout=0)
    for n in range(4):
        queue.put(n, "a")
    consumers = [Consumer(queue) for _ in range(4)]
    waiting(queue, 4)
    queue.task_done("a")
    assert sorted(consumer.outcome()[0] for consumer in consumers) == [0, 1, 2, 3]


# Deferred items


def test_a_deferred_item_comes_not_before_its_time(queue, clock):
    assert queue.put("later", "a", wait=10) is True
    assert (take(queue), queue.qsize, queue.deferred_size) == (None, 0, 1)
    clock.now += 9.99
    assert take(queue) is None
    clock.now += 0.01
    assert take(queue) == "later"
    assert queue.deferred_size == 0


def test_deferred_items_with_the_same_due_time_keep_the_order_of_the_puts(queue, clock):
    """Daemon weakness 30: items were compared, which raised an exception."""
    items = [object() for _ in range(20)]
    for item in items:
        queue.put(item, "a", wait=5)
    clock.now += 5
    assert [take(queue) for _ in items] == items


def test_deferred_items_come_in_the_order_of_their_due_times(queue, clock):
    for wait in (3, 1, 2):
        queue.put(wait, "a", wait=wait)
    clock.now += 60
    assert [take(queue) for _ in range(3)] == [1, 2, 3]


def test_a_deferred_exclusive_item_is_exclusive(queue, clock):
    queue.put("alone", "a", exclusive=True, wait=1)
    clock.now += 1
    queue.put("behind", "a")
    assert take(queue) == "behind"  # it was queued before anybody looked at the time
    assert take(queue) is None
    queue.task_done("a")
    assert take(queue) == "alone"


def test_a_sleeping_consumer_wakes_when_a_deferred_item_is_due(real_time_queue):
    consumers = [Consumer(real_time_queue), Consumer(real_time_queue)]
    waiting(real_time_queue, 2)
    real_time_queue.put("later", "a", wait=0.05)
    wait_until(lambda: not all(consumer.is_alive() for consumer in consumers))
    real_time_queue.put("end", "a")
    assert {consumer.outcome()[0] for consumer in consumers} == {"later", "end"}


def test_a_sleeping_consumer_learns_of_an_earlier_due_time(queue, clock):
    queue.put("much later", "a", wait=1e9)
    consumer = Consumer(queue)
    waiting(queue, 1)
    clock.now += 1
    queue.put("due", "a", wait=0.001)
    clock.now += 1
    queue.wake()
    assert consumer.outcome() == ("due", "a")


@pytest.mark.parametrize("wait", [float("inf"), float("nan"), -1, 0])
def test_odd_waits_do_no_harm(queue, wait):
    queue.put("odd", "a", wait=wait)
    queue.put("even", "a")
    assert "even" in (take(queue), take(queue))
    assert queue.get(timeout=0.001) is None


# Waking up


def test_each_put_wakes_a_consumer(real_time_queue):
    consumers = [Consumer(real_time_queue) for _ in range(8)]
    waiting(real_time_queue, 8)
    for n in range(8):
        real_time_queue.put(n, n % 3)
    assert sorted(consumer.outcome()[0] for consumer in consumers) == list(range(8))


def test_a_cancelled_consumer_leaves_at_once_and_takes_nothing(real_time_queue):
    stop = threading.Event()
    consumer = Consumer(real_time_queue, cancelled=stop.is_set)
    waiting(real_time_queue, 1)
    stop.set()
    real_time_queue.wake()
    assert consumer.outcome() is None
    real_time_queue.put("kept", "a")
    assert real_time_queue.get(cancelled=stop.is_set) is None
    assert take(real_time_queue) == "kept"


def test_a_wake_up_that_reaches_a_cancelled_consumer_is_passed_on(real_time_queue):
    stop = threading.Event()
    leaving = Consumer(real_time_queue, cancelled=stop.is_set)
    waiting(real_time_queue, 1)
    staying = Consumer(real_time_queue)
    waiting(real_time_queue, 2)
    stop.set()
    real_time_queue.put("item", "a")  # wakes the one that waits longest: the leaving one
    assert staying.outcome() == ("item", "a")
    assert leaving.outcome() is None


def test_waking_does_not_end_a_wait_that_nobody_cancelled(real_time_queue):
    consumer = Consumer(real_time_queue)
    waiting(real_time_queue, 1)
    real_time_queue.wake()
    real_time_queue.put("item", "a")
    assert consumer.outcome() == ("item", "a")


def test_many_producers_and_consumers_lose_nothing_and_repeat_nothing(real_time_queue):
    queue, count = real_time_queue, 400
    taken: list[int] = []

    def produce(start: int) -> None:
        for n in range(start, start + count):
            queue.put(n, n % 5, exclusive=n % 7 == 0, wait=0.001 if n % 11 == 0 else 0)

    def consume() -> None:
        while (got := queue.get(cancelled=lambda: len(taken) == 4 * count)) is not None:
            taken.append(got[0])
            queue.task_done(got[1])
            if len(taken) == 4 * count:
                queue.wake()

    threads = [threading.Thread(target=produce, args=(i * count,), daemon=True) for i in range(4)]
    threads += [threading.Thread(target=consume, daemon=True) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONG)
    assert not any(thread.is_alive() for thread in threads)
    assert sorted(taken) == list(range(4 * count))


# Sizes, labels


def test_sizes_tell_queued_deferred_and_running_apart(queue):
    for n in range(3):
        queue.put(n, "a")
    queue.put("later", "a", wait=9)
    queue.put("b", "b")
    take(queue)
    assert (queue.qsize, queue.inprogress_size, queue.deferred_size) == (3, 1, 1)
    assert [queue.fifo_size(key) for key in ("a", "b", "unknown")] == [3, 1, 0]


def test_the_snapshot_counts_by_label_and_adds_up_equal_labels(queue):
    queue.label_fifo(("node", 1), "Node x")
    queue.label_fifo(("node", 2), "Node x")
    queue.put(1, ("node", 1), exclusive=True)
    queue.put(2, ("node", 2))
    queue.put(3, ("node", 2), wait=5)
    queue.put(4, 77)
    take(queue)
    assert queue.snapshot() == {"Node x": (1, 1, 1, True), "77": (1, 0, 0, False)}
    assert (queue.label(("node", 1)), queue.label(77), queue.label(78)) == ("Node x", "77", "78")


def test_reporting_done_what_is_not_in_progress_is_an_error(queue):
    queue.put(1, "a")
    for key in ("a", "unknown"):
        with pytest.raises(ValueError, match="in progress"):
            queue.task_done(key)
    take(queue)
    queue.task_done("a")
    with pytest.raises(ValueError, match="in progress"):
        queue.task_done("a")


# Clearing


def test_clearing_throws_away_what_is_queued_and_deferred_but_nothing_that_runs(queue, clock):
    for n in range(3):
        queue.put(n, "a")
    queue.put("later", "a", wait=5)
    queue.put("other", "b", wait=5)
    take(queue)
    assert queue.clear_fifo("a") == (2, 1)
    assert (queue.fifo_size("a"), queue.deferred_size) == (1, 1)
    clock.now += 5
    assert [take(queue), take(queue)] == ["other", None]
    queue.task_done("a")


def test_a_cleared_fifo_can_be_used_again(queue):
    queue.put(1, "a")
    queue.clear_fifo("a")
    queue.put(2, "a")
    assert [take(queue), take(queue)] == [2, None]


def test_a_closed_fifo_refuses_puts_for_good(queue):
    queue.put(1, "a")
    take(queue)
    assert queue.clear_fifo("a", keep_clear=True) == (0, 0)
    for wait in (0, 5):
        with pytest.raises(KeyError):
            queue.put(2, "a", wait=wait)
    assert queue.fifo_size("a") == 1
    queue.task_done("a")
    with pytest.raises(KeyError):
        queue.put(2, "a")
    assert queue.snapshot() == {}


def test_clearing_or_closing_an_unknown_fifo_is_fine(queue):
    assert queue.clear_fifo("a") == (0, 0)
    assert queue.clear_fifo("b", keep_clear=True) == (0, 0)
    with pytest.raises(KeyError):
        queue.put(1, "b")


class Item:
    """Notes that it was discarded, and that the queue could be used meanwhile."""

    def __init__(self, queue: Any, fail: bool = False) -> None:
        self.queue, self.fail, self.sizes = queue, fail, []

    def discarded(self) -> None:
        other = threading.Thread(target=lambda: self.sizes.append(self.queue.qsize), daemon=True)
        other.start()
        other.join(LONG)
        if self.fail:
            raise OSError("cannot clean up")


def test_discarded_items_are_told_so_without_the_lock(queue, caplog):
    items = [Item(queue), Item(queue, fail=True), Item(queue)]
    queue.put(items[0], "a")
    queue.put(items[1], "a")
    queue.put(items[2], "a", wait=5)
    assert queue.clear_fifo("a") == (2, 1)
    assert [item.sizes for item in items] == [[0], [0], [0]]
    assert "cannot clean up" in caplog.text


# Joining


def test_join_waits_until_everything_queued_and_running_is_done(queue):
    queue.put(1, "a")
    assert queue.join(timeout=0) is False
    take(queue)
    assert queue.join(timeout=0) is False
    joiner = threading.Thread(target=queue.join, daemon=True)
    joiner.start()
    wait_until(lambda: len(queue._progress._waiters) == 1)
    queue.task_done("a")
    joiner.join(LONG)
    assert not joiner.is_alive()


def test_join_throws_away_deferred_items_and_refuses_new_ones(queue, clock):
    item = Item(queue)
    queue.put(item, "a", wait=5)
    queue.put("now", "a")
    joiner = threading.Thread(target=queue.join, daemon=True)
    joiner.start()
    wait_until(lambda: len(queue._progress._waiters) == 1)
    assert queue.put("dropped", "a", wait=1) is False
    assert queue.put("kept", "a") is True
    assert (queue.deferred_size, item.sizes) == (0, [1])
    for _ in range(2):
        take(queue)
        queue.task_done("a")
    joiner.join(LONG)
    assert not joiner.is_alive()
    assert queue.put("deferred again", "a", wait=1) is True
