"""Run one task, and decide what an exception means (spec: daemon.md §8.3, §8.4).

Worker threads and the serial mode share this code, so they log and fail alike:

* A *transient* exception (which ones, the caller says) is one ERROR line; the task is repeated if
  its flag allows. A worker rests after it, longer each time (`pool.py`).
* Any other exception fails this task and nothing else. The traceback is logged once per place
  that raises; after that, and always for alpenhorn's own errors, it is one line.
* In every case the clean-up runs and the item is reported done.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

from alpenhorn.errors import AlpenhornError
from alpenhorn.scheduler.queue import FairMultiFIFOQueue
from alpenhorn.scheduler.task import Task

log = logging.getLogger(__name__)

global_abort = threading.Event()
"""Set by whoever wants the daemon to end: no task begins any more (spec: daemon.md §8.5)."""


class _ThreadLocal(threading.local):
    worker_id: int = 0
    """The worker's number, from 1; 0 in threads that are no workers."""
    transient_failures: int = 0
    """How many tasks of this thread, without another in between, failed for a passing reason."""


threadlocal = _ThreadLocal()


class TaskRunner:
    """How tasks are run; one object serves all threads.

    Args:
        transient: exceptions that say nothing about the task (the database went away).
        before_task: called in the thread that is about to run a task; what it raises is treated
            as if the task had raised it.
        on_finish: called with each task that has ended and its exception or None, after the task
            has been reported done to the queue.
        clock: gives the time in seconds that `running` measures with.
    """

    def __init__(
        self,
        *,
        transient: tuple[type[BaseException], ...] = (),
        before_task: Callable[[], None] | None = None,
        on_finish: Callable[[Task, BaseException | None], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transient = transient
        self._before_task = before_task
        self._on_finish = on_finish
        self._clock = clock
        self._running: dict[int, tuple[int, Task, float]] = {}
        self._seen_places: set[tuple[object, ...]] = set()

    def running(self) -> list[tuple[int, str, float]]:
        """What runs now: worker number (0: no worker), task name, and seconds since it began."""
        now = self._clock()
        running = self._running.copy().values()
        return sorted((number, task.name, now - begun) for number, task, begun in running)

    def workers_on(self, key: Hashable) -> set[int]:
        """Return the numbers of the workers that run a task of the FIFO `key`."""
        return {number for number, task, _ in self._running.copy().values() if task.key == key}

    def run(self, task: Task) -> tuple[bool, BaseException | None]:
        """Run a task, or its next step, and clean up if it fails.

        Returns:
            Whether the task has ended, and the exception that ended it.

        Raises:
            KeyboardInterrupt: a person wants the program to end (after the clean-up).
        """
        log.info(f"Beginning task {task}")
        try:
            with self._on_record(task):
                if self._before_task:
                    self._before_task()
                finished = task()
                threadlocal.transient_failures = 0
                return finished, None
        except KeyboardInterrupt:
            self._clean_up(task)
            raise
        except BaseException as failure:
            transient = isinstance(failure, self._transient)
            threadlocal.transient_failures = threadlocal.transient_failures + 1 if transient else 0
            self._report(f"Task {task} failed", failure)
            self._clean_up(task)
            return True, failure

    @contextmanager
    def _on_record(self, task: Task) -> Iterator[None]:
        thread = threading.get_ident()
        self._running[thread] = (threadlocal.worker_id, task, self._clock())
        try:
            yield
        finally:
            del self._running[thread]

    def _clean_up(self, task: Task) -> None:
        try:
            task.finish()
        except BaseException as failure:
            if not isinstance(failure, self._transient):
                self._report(f"Clean-up of task {task} failed", failure)

    def _report(self, what: str, failure: BaseException) -> None:
        log.error(
            f"{what}: {one_line(failure)}", exc_info=failure if self._is_new(failure) else None
        )

    def _is_new(self, failure: BaseException) -> bool:
        """Whether a traceback of this failure would tell something new."""
        if isinstance(failure, (AlpenhornError, *self._transient)):
            return False
        place = _place(failure)
        if place in self._seen_places:
            return False
        self._seen_places.add(place)
        return True

    def ended(self, task: Task, failure: BaseException | None) -> None:
        """Tell about the end of a task that has been reported done, and repeat it if that helps."""
        log.info(f"Finished task: {task}")
        if isinstance(failure, self._transient):
            task.requeue()
        if self._on_finish:
            try:
                self._on_finish(task, failure)
            except Exception as exc:
                self._report(f"Report on task {task} failed", exc)


def run_one(
    queue: FairMultiFIFOQueue,
    runner: TaskRunner | None = None,
    *,
    timeout: float | None = None,
    cancelled: Callable[[], bool] = global_abort.is_set,
) -> bool:
    """Take one task from the queue and run it in this thread.

    Args:
        queue: the queue; all its items are tasks.
        runner: how to run it.
        timeout: seconds to wait for a task; None for ever.
        cancelled: see `FairMultiFIFOQueue.get`.

    Returns:
        Whether a task was taken.
    """
    runner = runner or TaskRunner()
    got = queue.get(timeout, cancelled)
    if got is None:
        return False
    task, key = got
    try:
        finished, failure = runner.run(task)
    finally:
        queue.task_done(key)
    if finished:
        runner.ended(task, failure)
    else:
        log.info(f"Deferred task: {task}")
    return True


def run_serial(
    queue: FairMultiFIFOQueue,
    limit_seconds: float,
    clock: Callable[[], float] = time.monotonic,
    *,
    runner: TaskRunner | None = None,
    patience: float = 1.0,
) -> int:
    """Run tasks in this thread until there are none or the time is over ("serial I/O").

    The limit is tested between tasks; a running task is not cut off.

    Args:
        queue: the queue; all its items are tasks.
        limit_seconds: begin no task after that many seconds.
        clock: measures the limit.
        runner: how to run them. Keep one for all rounds, so that it knows what it has reported.
        patience: seconds to wait for a task, if some are deferred; there is no waiting otherwise.

    Returns:
        How many tasks (or steps) were run.
    """
    runner = runner or TaskRunner()
    end = clock() + limit_seconds
    count = 0
    while (left := end - clock()) > 0:
        timeout = min(patience, left) if queue.deferred_size else 0
        if not run_one(queue, runner, timeout=timeout):
            break
        count += 1
    return count


def one_line(failure: BaseException) -> str:
    """What an exception says, in one line."""
    if isinstance(failure, AlpenhornError):
        return failure.format_message()
    return " ".join("".join(traceback.format_exception_only(failure)).split())


def _place(failure: BaseException) -> tuple[object, ...]:
    """The exception's class and the line of code that raised it."""
    frames = [(frame.f_code, line) for frame, line in traceback.walk_tb(failure.__traceback__)]
    return (type(failure), *frames[-1:])
