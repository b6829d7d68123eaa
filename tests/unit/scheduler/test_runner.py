"""What happens to a task, and to all others, when it ends or fails (spec: daemon.md §8.3, §8.4)."""

from __future__ import annotations

import logging

import pytest

from alpenhorn.errors import StorageError
from alpenhorn.scheduler import Task, TaskRunner, global_abort, run_one, run_serial


class DatabaseAway(Exception):
    pass


def failing(exc):
    def work(task):
        raise exc

    return work


def of_level(caplog, level):
    return [record for record in caplog.records if record.levelno == level]


def test_a_task_is_logged_with_the_words_of_the_walkthrough(queue, caplog):
    Task(lambda task: None, queue, "a", name="Tidy up demo_storage1")
    assert run_one(queue, timeout=0) is True
    assert caplog.messages == [
        "Beginning task Tidy up demo_storage1",
        "Finished task: Tidy up demo_storage1",
    ]
    assert queue.inprogress_size == 0


def test_a_task_that_yields_is_logged_as_deferred(queue, caplog):
    def work(task):
        yield 5

    Task(work, queue, "a", name="Slow")
    run_one(queue, timeout=0)
    assert caplog.messages == ["Beginning task Slow", "Deferred task: Slow"]


def test_nothing_to_run_is_no_error(queue):
    assert run_one(queue, timeout=0) is False


@pytest.mark.parametrize("exc", [ValueError("bad"), OSError(5, "EIO"), SystemExit(3)])
def test_a_failing_task_fails_alone(queue, caplog, exc):
    """Daemon weakness 25: any exception stopped the daemon."""
    cleaned, reports = [], []
    task = Task(failing(exc), queue, "a", name="Bad", requeue=True)
    task.on_cleanup(cleaned.append, (1,))
    runner = TaskRunner(on_finish=lambda *report: reports.append((*report, queue.inprogress_size)))
    assert run_one(queue, runner, timeout=0) is True
    assert cleaned == [1]
    assert reports == [(task, exc, 0)]
    assert not global_abort.is_set()
    assert queue.qsize == queue.deferred_size == 0, "it would only fail again"
    (record,) = of_level(caplog, logging.ERROR)
    assert record.message.startswith(f"Task Bad failed: {type(exc).__name__}: ")
    assert record.exc_info
    assert caplog.messages[-1] == "Finished task: Bad"


def test_a_traceback_is_logged_once_per_place(queue, caplog):
    runner = TaskRunner()
    for n in range(3):
        Task(failing(ValueError(n)), queue, "a", name=f"Bad {n}")
    Task(lambda task: 1 / 0, queue, "a", name="Worse")
    for _ in range(4):
        run_one(queue, runner, timeout=0)
    errors = of_level(caplog, logging.ERROR)
    assert [bool(record.exc_info) for record in errors] == [True, False, False, True]
    assert errors[2].message == "Task Bad 2 failed: ValueError: 2"


def test_an_error_that_was_raised_on_purpose_is_one_line(queue, caplog):
    Task(failing(StorageError("Node x is not mounted.")), queue, "a", name="Bad")
    run_one(queue, timeout=0)
    (record,) = of_level(caplog, logging.ERROR)
    assert record.message == "Task Bad failed: Node x is not mounted."
    assert not record.exc_info


@pytest.mark.parametrize("requeue", [True, False])
def test_a_lost_database_is_one_line_and_the_task_is_repeated_if_its_flag_says_so(
    queue, caplog, requeue
):
    cleaned = []
    task = Task(failing(DatabaseAway("gone\naway")), queue, "a", name="Import", requeue=requeue)
    task.on_cleanup(cleaned.append, (1,))
    run_one(queue, TaskRunner(transient=(DatabaseAway,)), timeout=0)
    (record,) = of_level(caplog, logging.ERROR)
    assert record.message.endswith("DatabaseAway: gone away")
    assert not record.exc_info
    assert cleaned == [1]
    assert queue.qsize == int(requeue)
    assert queue.inprogress_size == 0


def test_an_error_before_the_task_counts_as_an_error_of_the_task(queue):
    ran, failures = [], []

    def lost():
        raise DatabaseAway

    Task(ran.append, queue, "a", requeue=True)
    runner = TaskRunner(
        transient=(DatabaseAway,),
        before_task=lost,
        on_finish=lambda task, failure: failures.append(type(failure)),
    )
    run_one(queue, runner, timeout=0)
    assert (ran, failures, queue.qsize) == ([], [DatabaseAway], 1)


def test_a_failing_clean_up_is_reported_and_harms_nobody(queue, caplog):
    cleaned = []
    task = Task(failing(ValueError("bad")), queue, "a", name="Bad")
    task.on_cleanup(cleaned.append, (1,), first=False)
    task.on_cleanup(failing(KeyError("worse")), (task,))
    run_one(queue, timeout=0)
    assert cleaned == [1]
    assert "Clean-up of task Bad failed: KeyError: 'worse'" in caplog.messages
    assert queue.inprogress_size == 0


def test_a_lost_database_during_clean_up_of_a_failed_task_is_not_told_twice(queue, caplog):
    task = Task(failing(DatabaseAway("one")), queue, "a", name="Bad")
    task.on_cleanup(failing(DatabaseAway("two")), (task,))
    run_one(queue, TaskRunner(transient=(DatabaseAway,)), timeout=0)
    assert len(of_level(caplog, logging.ERROR)) == 1


def test_a_failing_listener_harms_nobody(queue, caplog):
    def listener(task, failure):
        raise ValueError("listener")

    Task(lambda task: None, queue, "a", name="Good")
    assert run_one(queue, TaskRunner(on_finish=listener), timeout=0) is True
    assert "Report on task Good failed: ValueError: listener" in caplog.messages


def test_ctrl_c_in_serial_mode_cleans_up_and_ends_the_program(queue):
    cleaned = []
    Task(failing(KeyboardInterrupt()), queue, "a").on_cleanup(cleaned.append, (1,))
    with pytest.raises(KeyboardInterrupt):
        run_one(queue, timeout=0)
    assert (cleaned, queue.inprogress_size) == ([1], 0)


def test_what_runs_can_be_asked_for(queue, clock):
    runner = TaskRunner(clock=clock)
    seen = []

    def work(task):
        clock.now += 7
        seen.extend(runner.running())

    Task(work, queue, "a", name="Long")
    run_one(queue, runner, timeout=0)
    assert seen == [(0, "Long", 7)]
    assert runner.running() == []


# Serial mode


def test_serial_mode_runs_all_there_is(queue):
    ran = []

    def work(task, n):
        ran.append(n)
        if n < 5:
            Task(work, queue, "a", args=(n + 1,))

    Task(work, queue, "a", args=(1,))
    assert run_serial(queue, 60) == 5
    assert ran == [1, 2, 3, 4, 5]


def test_serial_mode_begins_no_task_after_its_time_but_cuts_none_off(queue, clock):
    def work(task):
        clock.now += 4

    for _ in range(5):
        Task(work, queue, "a")
    assert run_serial(queue, 10, clock) == 3
    assert queue.qsize == 2


def test_serial_mode_goes_on_after_a_failure(queue):
    ran = []
    Task(failing(ValueError()), queue, "a")
    Task(ran.append, queue, "a")
    assert run_serial(queue, 60) == 2
    assert len(ran) == 1


def test_serial_mode_does_not_wait_for_what_is_due_much_later(queue):
    queue.put("later", "a", wait=100)
    assert run_serial(queue, 60, patience=0.001) == 0


def test_no_task_begins_during_a_global_abort(queue):
    Task(lambda task: None, queue, "a")
    global_abort.set()
    assert run_serial(queue, 60) == 0
    assert queue.qsize == 1
