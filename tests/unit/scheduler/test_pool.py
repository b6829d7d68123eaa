"""What the pool of workers promises (spec: daemon.md §8.3)."""

from __future__ import annotations

import logging
import threading

import pytest

from alpenhorn.scheduler import (
    EmptyPool,
    FairMultiFIFOQueue,
    Task,
    TaskRunner,
    WorkerPool,
    global_abort,
    run_one,
    threadlocal,
)
from alpenhorn.scheduler.pool import rest

LONG = 30.0
"""Seconds. A time-out that is reached only if a promise is broken."""


@pytest.fixture
def queue():
    return FairMultiFIFOQueue()


@pytest.fixture
def pools(queue):
    """Makes pools, and stops them at the end."""
    made = []

    def make(num_workers, **kwargs):
        made.append(WorkerPool(num_workers, queue, **kwargs))
        return made[-1]

    yield make
    global_abort.clear()
    for pool in made:
        assert pool.shutdown(LONG)


@pytest.fixture
def started():
    """Task functions that say they have begun and wait until they may end."""
    return Gate()


class Gate:
    def __init__(self):
        self.inside = threading.Semaphore(0)
        self.open = threading.Event()

    def work(self, task):
        self.inside.release()
        assert self.open.wait(LONG)

    def wait_inside(self, count=1):
        for _ in range(count):
            assert self.inside.acquire(timeout=LONG)


def test_workers_are_named_numbered_daemon_threads_that_say_started(queue, pools, started, caplog):
    seen = []

    def work(task):
        thread = threading.current_thread()
        seen.append((thread.name, thread.daemon, threadlocal.worker_id))
        started.work(task)

    pool = pools(2)
    for _ in range(2):
        Task(work, queue, "a")
    started.wait_inside(2)
    started.open.set()
    assert queue.join(LONG)
    assert sorted(seen) == [("Worker#1", True, 1), ("Worker#2", True, 2)]
    lines = [(r.threadName, r.message) for r in caplog.records if r.message == "Started."]
    assert sorted(lines) == [("Worker#1", "Started."), ("Worker#2", "Started.")]
    assert len(pool) == 2
    assert threadlocal.worker_id == 0


def test_an_exception_in_a_task_ends_neither_its_worker_nor_the_daemon(queue, pools, caplog):
    threads = []

    def bad(task):
        threads.append(threading.current_thread())
        raise ValueError("bad")

    pool = pools(1)
    Task(bad, queue, "a")
    Task(lambda task: threads.append(threading.current_thread()), queue, "a")
    assert queue.join(LONG)
    assert threads[0] is threads[1]
    assert not global_abort.is_set()
    pool.check()
    assert "Respawning" not in caplog.text


@pytest.mark.slow
def test_a_lost_database_does_not_end_the_worker_and_the_task_is_repeated(queue, pools):
    attempts = []
    done = threading.Event()

    def work(task):
        attempts.append(threading.current_thread())
        if len(attempts) == 1:
            raise ConnectionError
        done.set()

    pools(1, transient=(ConnectionError,))
    Task(work, queue, "a", requeue=True)
    assert done.wait(LONG)
    assert attempts[0] is attempts[1]


@pytest.mark.slow
def test_a_worker_rests_longer_and_longer_while_the_database_is_away(queue, pools, monkeypatch):
    """Otherwise the whole queue would fail at once, again and again; a success ends it."""
    failed_in_a_row = []
    done = threading.Event()
    attempts = []

    def no_rest(failures):
        failed_in_a_row.append(failures)
        return 0.0

    def work(task):
        attempts.append(task)
        if len(attempts) in (1, 2, 3, 5):
            raise ConnectionError
        if len(attempts) == 6:
            done.set()

    monkeypatch.setattr("alpenhorn.scheduler.pool.rest", no_rest)
    Task(work, queue, "a", requeue=True)
    Task(work, queue, "a", requeue=True)
    pool = pools(1, transient=(ConnectionError,))
    assert done.wait(LONG)
    assert pool.shutdown(LONG)
    assert failed_in_a_row == [1, 2, 3, 0, 1, 0]


def test_rests_double_up_to_a_minute():
    assert [rest(failures) for failures in range(9)] == [0, 1, 2, 4, 8, 16, 32, 60, 60]
    assert rest(100_000) == 60


def test_a_worker_that_rests_stops_at_once(queue, pools, monkeypatch):
    monkeypatch.setattr("alpenhorn.scheduler.pool.FIRST_REST", 10 * LONG)
    monkeypatch.setattr("alpenhorn.scheduler.pool.LONGEST_REST", 10 * LONG)
    failed = threading.Event()

    def work(task):
        failed.set()
        raise ConnectionError

    pool = pools(1, transient=(ConnectionError,))
    Task(work, queue, "a")
    assert failed.wait(LONG)
    assert pool.shutdown(LONG)


def test_idle_workers_stop_at_once(queue, pools, monkeypatch, caplog):
    monkeypatch.setattr("alpenhorn.scheduler.pool.IDLE_WAIT", 10 * LONG)
    pool = pools(3)
    assert pool.shutdown(LONG) is True
    assert len(pool) == 0
    assert caplog.messages.count("Stopped.") == 3


def test_shutdown_waits_for_the_running_task_as_long_as_it_may(queue, pools, started):
    pool = pools(1)
    Task(started.work, queue, "a")
    left = Task(lambda task: None, queue, "a")
    started.wait_inside()
    assert pool.shutdown(timeout=0) is False
    started.open.set()
    assert pool.shutdown(LONG) is True
    assert queue.get(timeout=0) == (left, "a"), "a stopped worker took another task"


def test_a_removed_worker_finishes_its_task_and_shutdown_waits_for_it(queue, pools, started):
    pool = pools(1)
    Task(started.work, queue, "a")
    started.wait_inside()
    pool.del_worker()
    assert len(pool) == 0
    assert [entry[:2] for entry in pool.running()] == [(1, "Task")]
    assert pool.shutdown(timeout=0) is False
    started.open.set()
    assert pool.shutdown(LONG) is True
    assert pool.running() == []


def test_two_living_workers_never_share_a_number(queue, pools, started):
    """Tasks pick ports by number."""
    pool = pools(2)
    for _ in range(2):
        Task(started.work, queue, "a")
    started.wait_inside(2)
    pool.del_worker()  # number 2 is still busy
    pool.add_worker()
    Task(started.work, queue, "a")
    started.wait_inside()
    assert [entry[0] for entry in pool.running()] == [1, 2, 3]
    started.open.set()


def test_removing_from_a_pool_without_workers_is_a_warning(pools, caplog):
    pool = pools(0)
    pool.del_worker(blocking=False)
    assert len(pool) == 0
    assert caplog.records[-1].levelno == logging.WARNING


def test_a_signal_handler_is_refused_while_the_pool_is_being_changed(pools, caplog):
    pool = pools(1)
    with pool._lock:
        pool.add_worker(blocking=False)
        pool.del_worker(blocking=False)
    assert len(pool) == 1
    warnings = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 2
    assert all("being changed" in message for message in warnings)


def test_a_worker_that_died_is_replaced_under_its_number(queue, pools, caplog):
    done = threading.Event()
    pool = pools(2)

    def kill(task):
        raise KeyboardInterrupt

    threads = list(pool._workers)
    for _ in threads:
        Task(kill, queue, "a")
    for thread in threads:
        thread.join(LONG)
        assert not thread.is_alive()
    assert len(pool) == 2
    pool.check()
    Task(lambda task: done.set(), queue, "a")
    assert done.wait(LONG)
    assert [m for m in caplog.messages if "dead" in m] == [
        "Respawning dead worker #1.",
        "Respawning dead worker #2.",
    ]


def test_a_worker_that_cannot_connect_says_so_in_one_line_and_is_replaced(queue, pools, caplog):
    """Daemon weakness 27: it died with a bare traceback."""
    connections = iter([ConnectionError("no database"), None])
    done = threading.Event()

    def connect():
        if failure := next(connections):
            raise failure

    pool = pools(1, on_thread_start=connect)
    pool._workers[0].join(LONG)
    (error,) = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert error.message == "Cannot start: ConnectionError: no database"
    assert not error.exc_info
    pool.check()
    Task(lambda task: done.set(), queue, "a")
    assert done.wait(LONG)


def test_each_worker_opens_and_closes_its_own_connection(pools):
    events = []

    def note(what):
        return lambda: events.append((what, threadlocal.worker_id))

    pool = pools(2, on_thread_start=note("open"), on_thread_end=note("close"))
    assert pool.shutdown(LONG)
    assert sorted(events) == [("close", 1), ("close", 2), ("open", 1), ("open", 2)]


def test_a_global_abort_ends_the_workers_and_nothing_is_replaced(queue, pools, caplog):
    pool = pools(2)
    threads = list(pool._workers)
    global_abort.set()
    queue.wake()
    for thread in threads:
        thread.join(LONG)
        assert not thread.is_alive()
    pool.check()
    assert caplog.messages.count("Stopped due to global abort.") == 2
    assert "Respawning" not in caplog.text


def test_a_pool_that_gets_no_threads_goes_on_and_tries_again(queue, pools, monkeypatch, caplog):
    done = threading.Event()

    def refuse(self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        pool = pools(1)
    assert "Cannot start worker #1: can't start new thread" in caplog.messages
    pool.check()
    Task(lambda task: done.set(), queue, "a")
    assert done.wait(LONG)


def test_a_pool_that_never_got_threads_can_be_shut_down(monkeypatch, queue):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        pool = WorkerPool(1, queue)
    assert pool.shutdown(LONG) is True


def test_the_empty_pool_stays_empty_and_crashes_for_no_signal(caplog):
    """Daemon weakness 32: SIGUSR1 and SIGUSR2 crashed the daemon."""
    pool = EmptyPool()
    pool.add_worker(blocking=False)
    pool.del_worker(blocking=False)
    pool.check()
    assert len(pool) == 0
    assert pool.running() == []
    assert pool.shutdown(timeout=1) is True
    assert [r.levelno for r in caplog.records] == [logging.WARNING] * 2


def test_the_empty_pool_tells_what_the_main_thread_runs(queue):
    runner = TaskRunner()
    pool = EmptyPool(runner)
    seen = []
    Task(lambda task: seen.extend(pool.running()), queue, "a", name="Serial")
    run_one(queue, runner, timeout=0)
    assert [entry[:2] for entry in seen] == [(0, "Serial")]
