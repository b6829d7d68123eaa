"""The worker threads (spec: daemon.md §8.3).

A worker lives until it is told to stop; an exception in a task does not end it (`runner.py`). After
one that will pass, it rests for times that grow, or all tasks would fail one after the other. One
that dies all the same, for instance because its `on_thread_start` failed, is replaced by the next
`WorkerPool.check`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

from alpenhorn.scheduler.queue import FairMultiFIFOQueue
from alpenhorn.scheduler.runner import TaskRunner, global_abort, one_line, run_one, threadlocal
from alpenhorn.scheduler.task import Task

log = logging.getLogger(__name__)

IDLE_WAIT = 5.0
"""Seconds. How long an idle worker waits before it looks at the global abort again."""

FIRST_REST = 1.0
LONGEST_REST = 60.0


def _nothing() -> None:
    pass


def rest(failures: int) -> float:
    """How long a worker rests, in seconds, after so many transient failures in a row."""
    return min(FIRST_REST * 2 ** min(failures - 1, 10), LONGEST_REST) if failures else 0.0


class _Worker(threading.Thread):
    """One thread that takes tasks from the queue; a daemon thread."""

    def __init__(
        self,
        number: int,
        queue: FairMultiFIFOQueue,
        runner: TaskRunner,
        on_start: Callable[[], None],
        on_end: Callable[[], None],
    ) -> None:
        super().__init__(name=f"Worker#{number}", daemon=True)
        self.number = number
        self.told_to_stop = threading.Event()
        self._queue = queue
        self._runner = runner
        self._on_start = on_start
        self._on_end = on_end

    def run(self) -> None:
        threadlocal.worker_id = self.number
        try:
            self._on_start()
        except Exception as exc:
            log.error(f"Cannot start: {one_line(exc)}")
            return
        try:
            log.info("Started.")
            self._work()
        except BaseException:
            log.exception("Died of an unexpected error.")
        finally:
            self._leave()

    def _leave(self) -> None:
        try:
            self._on_end()
        except Exception as exc:
            log.error(f"Cannot end cleanly: {one_line(exc)}")

    def _work(self) -> None:
        while not self._must_stop():
            ran = run_one(self._queue, self._runner, timeout=IDLE_WAIT, cancelled=self._must_stop)
            if ran and (pause := rest(threadlocal.transient_failures)):
                self.told_to_stop.wait(pause)
        log.info("Stopped due to global abort." if global_abort.is_set() else "Stopped.")

    def _must_stop(self) -> bool:
        return global_abort.is_set() or self.told_to_stop.is_set()


class WorkerPool:
    """Some worker threads that serve one queue.

    Args:
        num_workers: how many to start.
        queue: the queue; all its items are tasks.
        transient: exceptions that say nothing about the task (see `TaskRunner`).
        before_task: called in the worker before each task (see `TaskRunner`).
        on_thread_start: called in each worker before anything else; if it raises, the worker ends
            and `check` replaces it.
        on_thread_end: called in each worker at its end.
        on_finish: called with each ended task and its exception or None.
    """

    def __init__(
        self,
        num_workers: int,
        queue: FairMultiFIFOQueue,
        *,
        transient: tuple[type[BaseException], ...] = (),
        before_task: Callable[[], None] | None = None,
        on_thread_start: Callable[[], None] = _nothing,
        on_thread_end: Callable[[], None] = _nothing,
        on_finish: Callable[[Task, BaseException | None], None] | None = None,
    ) -> None:
        self.runner = TaskRunner(transient=transient, before_task=before_task, on_finish=on_finish)
        self._queue = queue
        self._on_thread_start = on_thread_start
        self._on_thread_end = on_thread_end
        # Not re-entrant: a signal handler that interrupts a change must be refused.
        self._lock = threading.Lock()
        self._workers: list[_Worker] = []
        self._retired: list[_Worker] = []
        """Told to stop, but perhaps still at their last task."""
        for _ in range(num_workers):
            self.add_worker()

    def __len__(self) -> int:
        """Workers not told to stop; dead ones that `check` will replace count."""
        return len(self._workers)

    def running(self) -> list[tuple[int, str, float]]:
        """What runs now: worker number, task name, and seconds since it began."""
        return self.runner.running()

    def add_worker(self, blocking: bool = True) -> None:
        """Start one more worker.

        Args:
            blocking: wait while the pool is being changed; if false, give up with a warning
                (for signal handlers).
        """
        with self._changing(blocking, "add") as allowed:
            if allowed:
                self._workers.append(self._start(self._free_number()))
                self._workers.sort(key=lambda worker: worker.number)

    def del_worker(self, blocking: bool = True) -> None:
        """Tell the worker with the highest number to stop after its current task.

        Args:
            blocking: as for `add_worker`.
        """
        with self._changing(blocking, "remove") as allowed:
            if allowed and self._workers:
                self._retire(self._workers[-1:])
            elif allowed:
                log.warning("Cannot remove a worker: there is none.")

    def check(self) -> None:
        """Replace workers that have died; nothing during a global abort."""
        if global_abort.is_set():
            return
        with self._lock:
            for index, worker in enumerate(self._workers):
                if not worker.is_alive():
                    log.warning(f"Respawning dead worker #{worker.number}.")
                    self._workers[index] = self._start(worker.number)

    def replace_workers_on(self, key: Hashable) -> None:
        """Start new workers for those that run tasks of the FIFO `key`, which hang.

        They are told to stop: should their tasks come to an end, so do they.
        """
        if global_abort.is_set():
            return
        with self._lock:
            busy = self.runner.workers_on(key)
            for worker in [worker for worker in self._workers if worker.number in busy]:
                self._retire([worker])
                self._workers.append(self._start(number := self._free_number()))
                log.warning(f"Worker #{worker.number} hangs: started worker #{number} instead.")
            self._workers.sort(key=lambda worker: worker.number)

    def shutdown(self, timeout: float | None = None) -> bool:
        """Tell all workers to stop after their current task, and wait for all of them.

        Args:
            timeout: seconds to wait; None for ever.

        Returns:
            Whether all have ended, those removed earlier included.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            self._retire(self._workers)
            leaving = list(self._retired)
        for worker in leaving:
            _join(worker, deadline)
        return not any(worker.is_alive() for worker in leaving)

    @contextmanager
    def _changing(self, blocking: bool, verb: str) -> Iterator[bool]:
        if not self._lock.acquire(blocking=blocking):
            log.warning(f"Cannot {verb} a worker: the pool is being changed; try again.")
            yield False
            return
        try:
            yield True
        finally:
            self._lock.release()

    def _free_number(self) -> int:
        """The lowest number that no living thread has, so that it is nobody else's."""
        self._retired = [worker for worker in self._retired if worker.is_alive()]
        taken = {worker.number for worker in self._workers + self._retired}
        return next(n for n in range(1, len(taken) + 2) if n not in taken)

    def _start(self, number: int) -> _Worker:
        worker = _Worker(
            number, self._queue, self.runner, self._on_thread_start, self._on_thread_end
        )
        try:
            worker.start()
        except RuntimeError as exc:  # no more threads to be had; `check` will try again
            log.error(f"Cannot start worker #{number}: {exc}")
        return worker

    def _retire(self, workers: list[_Worker]) -> None:
        for worker in workers:
            worker.told_to_stop.set()
        self._retired += workers
        self._workers = [worker for worker in self._workers if worker not in workers]
        self._queue.wake()


def _join(worker: _Worker, deadline: float | None) -> None:
    if worker.ident is not None:  # it was started
        worker.join(None if deadline is None else max(0.0, deadline - time.monotonic()))


class EmptyPool:
    """A pool that never has workers: all tasks run in the main thread (spec: daemon.md §8.4).

    Args:
        runner: what the main thread runs tasks with, for `running`.
    """

    def __init__(self, runner: TaskRunner | None = None) -> None:
        self.runner = runner or TaskRunner()

    def __len__(self) -> int:
        return 0

    def running(self) -> list[tuple[int, str, float]]:
        """What the main thread runs now, with worker number 0."""
        return self.runner.running()

    def add_worker(self, blocking: bool = True) -> None:
        """Refuse, with a warning."""
        log.warning("Cannot add a worker: tasks run in the main thread only.")

    def del_worker(self, blocking: bool = True) -> None:
        """Refuse, with a warning."""
        log.warning("Cannot remove a worker: tasks run in the main thread only.")

    def check(self) -> None:
        """Nothing to replace."""

    def replace_workers_on(self, key: Hashable) -> None:
        """Nothing to replace: what hangs is the main thread."""

    def shutdown(self, timeout: float | None = None) -> bool:
        """Nothing to wait for."""
        return True
