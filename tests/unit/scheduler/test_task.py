"""What a task promises (spec: daemon.md §8.2)."""

from __future__ import annotations

import pytest

from alpenhorn.scheduler import Task


def step(queue):
    """Take the next item and run it, as a worker would."""
    task, key = queue.get(timeout=0)
    try:
        return task()
    finally:
        queue.task_done(key)


def test_creating_a_task_queues_it_and_its_text_is_its_name(queue):
    task = Task(print, queue, "a", name='Init Node "x"')
    assert queue.fifo_size("a") == 1
    assert str(task) == 'Init Node "x"'
    assert str(Task(print, queue, "a")) == "Task"


def test_the_function_gets_the_task_and_its_arguments(queue):
    calls = []
    task = Task(
        lambda *args, **kw: calls.append((args, kw)), queue, "a", args=(1,), kwargs={"b": 2}
    )
    assert step(queue) is True
    assert calls == [((task, 1), {"b": 2})]


def test_a_task_for_a_closed_fifo_is_ignored_with_a_word(queue, caplog):
    queue.clear_fifo("a", keep_clear=True)
    released = []
    task = Task(print, queue, "a", name="Late")
    task.on_cleanup(released.append, ("space",))
    assert released == ["space"]
    assert "Ignoring task Late: its FIFO is closed." in caplog.messages


def test_a_generator_goes_on_after_the_pauses_it_yields(queue, clock):
    done = []

    def work(task):
        done.append(1)
        yield 5
        done.append(2)
        yield
        done.append(3)

    task = Task(work, queue, "a")
    task.on_cleanup(done.append, ("clean",))
    assert step(queue) is False
    assert (queue.qsize, queue.deferred_size) == (0, 1)
    clock.now += 5
    assert step(queue) is False
    assert (queue.qsize, queue.deferred_size) == (1, 0)
    assert step(queue) is True
    assert done == [1, 2, 3, "clean"]


def test_an_exclusive_task_is_exclusive_in_every_step(queue, clock):
    """Daemon weakness 30: after a yield it was an ordinary task."""

    def work(task):
        yield 1

    Task(work, queue, "a", exclusive=True)
    step(queue)
    other = Task(print, queue, "a")
    clock.now += 1
    assert queue.get(timeout=0) == (other, "a")
    assert queue.get(timeout=0) is None, "the exclusive step ran beside another task"
    queue.task_done("a")
    assert queue.get(timeout=0) is not None
    Task(print, queue, "a")
    assert queue.get(timeout=0) is None


def test_a_generator_whose_fifo_was_closed_meanwhile_ends_and_cleans_up(queue):
    done = []

    def work(task):
        task.on_cleanup(done.append, ("clean",))
        try:
            queue.clear_fifo("a", keep_clear=True)
            yield 5
        finally:
            done.append("closed")

    Task(work, queue, "a")
    assert step(queue) is True
    assert done == ["closed", "clean"]


def test_clean_up_runs_in_the_order_asked_for_and_once(queue):
    order = []
    task = Task(lambda task: None, queue, "a")
    task.on_cleanup(order.append, ("middle",))
    task.on_cleanup(order.append, args=("first",))
    task.on_cleanup(lambda *, what: order.append(what), kwargs={"what": "last"}, first=False)
    step(queue)
    task.do_cleanup()
    task.finish()
    assert order == ["first", "middle", "last"]


def test_one_failing_clean_up_function_does_not_keep_the_others_from_running(queue):
    order = []
    task = Task(print, queue, "a")
    task.on_cleanup(order.append, (1,), first=False)
    task.on_cleanup(lambda: 1 / 0, first=False)
    task.on_cleanup(order.append, (2,), first=False)
    with pytest.raises(ZeroDivisionError):
        task.do_cleanup()
    assert order == [1, 2]


def test_clean_up_asked_for_after_the_end_runs_at_once(queue):
    """The task may have ended before its creator gets round to registering."""
    task = Task(lambda task: None, queue, "a")
    step(queue)
    released = []
    task.on_cleanup(released.append, ("space",))
    assert released == ["space"]


@pytest.mark.parametrize("end", ["clear", "close", "join"])
def test_a_discarded_task_gives_back_what_it_had_reserved(queue, end):
    """Daemon weakness 34: reservations of discarded pulls leaked."""
    released = []

    def work(task):
        try:
            yield 60
        finally:
            released.append("generator")

    started = Task(work, queue, "a")
    started.on_cleanup(released.append, ("started",))
    step(queue)
    if end == "join":
        assert queue.join(timeout=0) is True
        assert released == ["generator", "started"]
    else:
        Task(print, queue, "a").on_cleanup(released.append, ("queued",))
        queue.clear_fifo("a", keep_clear=end == "close")
        assert released == ["queued", "generator", "started"]


def test_only_a_task_with_the_flag_is_requeued(queue):
    task = Task(print, queue, "a", name="Once")
    queue.get(timeout=0)
    assert task.requeue() is False
    assert queue.qsize == 0


def test_a_requeued_task_is_a_copy_that_starts_from_the_beginning(queue, clock, caplog):
    steps = []

    def work(task, what):
        steps.append(what)
        yield 0
        steps.append("second")

    task = Task(work, queue, "a", requeue=True, exclusive=True, name="Again", args=("first",))
    task.on_cleanup(steps.append, ("clean",))
    step(queue)
    queue.get(timeout=0)
    task.finish()
    queue.task_done("a")
    assert task.requeue() is True
    assert "Requeueing task Again." in caplog.messages
    while queue.qsize:
        step(queue)
    assert steps == ["first", "clean", "first", "second"]


def test_a_task_that_keeps_failing_is_repeated_less_and_less_often(queue, clock):
    Task(print, queue, "a", requeue=True)
    waits = []
    for _ in range(10):
        waited = 0
        while (got := queue.get(timeout=0)) is None:
            clock.now += 1
            waited += 1
        waits.append(waited)
        queue.task_done("a")
        got[0].requeue()
    assert waits == [0, 0, 1, 2, 4, 8, 16, 32, 60, 60]


def test_a_subclass_may_probe_its_database_before_each_step(queue):
    class Probing(Task):
        probes = 0

        def db_check(self):
            Probing.probes += 1

    def work(task):
        yield 0

    Probing(work, queue, "a", requeue=True).requeue()
    while queue.qsize:
        step(queue)
    assert Probing.probes == 4
