"""One piece of work in the queue (spec: daemon.md §8.2, extensions.md §7.4).

What it promises: each clean-up function runs exactly once, whatever becomes of the task: it ends,
fails, is thrown away while it is queued or deferred, or was never accepted by its FIFO.
"""

from __future__ import annotations

import copy
import functools
import logging
import threading
from collections import deque
from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from contextlib import ExitStack
from types import GeneratorType
from typing import Any

from alpenhorn.scheduler.in_hand import Holds
from alpenhorn.scheduler.queue import FairMultiFIFOQueue

log = logging.getLogger(__name__)

MAX_REPEAT_WAIT = 60.0
"""Seconds. The longest pause before a task that keeps failing is repeated."""


class Task:
    """A function call that waits in a FIFO. Creating a task puts it in the queue.

    Args:
        func: called as ``func(task, *args, **kwargs)``. If that gives a generator, it is advanced
            one step per run; each value that it yields is a pause in seconds (None or 0: none).
        queue: the queue.
        key: the FIFO in `queue`. If it is closed, the task ends without having run.
        requeue: repeat the task if it fails for a passing reason (a lost database).
        exclusive: run alone within the FIFO. This holds for each step of a generator; between
            steps other tasks may run.
        name: what logs and status call the task.
        args: positional arguments for `func`.
        kwargs: keyword arguments for `func`.
        holds: the rows that it works on, until it ends (`alpenhorn.scheduler.in_hand`).
    """

    def __init__(
        self,
        func: Callable[..., Any],
        queue: FairMultiFIFOQueue,
        key: Hashable,
        requeue: bool = False,
        exclusive: bool = False,
        name: str = "Task",
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        holds: Holds | None = None,
    ) -> None:
        self.name = name
        self.key = key
        self.exclusive = exclusive
        self._queue = queue
        self._holds = holds or {}
        self._requeue = requeue
        self._repeats = 0
        self._call = functools.partial(func, *args, **(kwargs or {}))
        self._begin_afresh()
        self._enqueue()

    def _begin_afresh(self) -> None:
        self._lock = threading.Lock()
        self._steps: Generator[Any, Any, Any] | None = None
        self._queue.in_hand.take(self._holds)
        give_back = functools.partial(self._queue.in_hand.give_back, self._holds)
        self._cleanup: deque[Callable[[], Any]] = deque([give_back])
        self._ended = False

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    def __call__(self) -> bool:
        """Run the task, or its next step.

        Returns:
            True if the task has ended, False if it is in the queue again.

        Raises:
            Exception: whatever the function or a clean-up function raises. After an exception of
                the function, the caller calls `finish`.
        """
        self.db_check()
        if self._steps is None:
            result = self._call_function()
            if not isinstance(result, GeneratorType):
                self.finish()
                return True
            self._steps = result
        try:
            pause = next(self._steps)
        except StopIteration:
            self.finish()
            return True
        # From here on the task may be running in another thread: touch nothing.
        return not self._enqueue(pause or 0)

    def _call_function(self) -> Any:
        call = self._call
        return call.func(self, *call.args, **call.keywords)

    def _enqueue(self, wait: float = 0) -> bool:
        """Put the task in its FIFO; if that does not take it, the task ends."""
        try:
            accepted = self._queue.put(self, self.key, exclusive=self.exclusive, wait=wait)
        except KeyError:
            log.info(f"Ignoring task {self.name}: its FIFO is closed.")
            accepted = False
        if not accepted:
            self.finish()
        return accepted

    def db_check(self) -> None:
        """Probe this thread's database connection; runs before each step.

        Does nothing here. The daemon's subclass overrides it.
        """

    def requeue(self) -> bool:
        """Put a copy of this task, from its beginning, in the same FIFO if its flag allows.

        The first repeat is queued at once; from then on each waits 1, 2, 4 ... seconds (at most
        a minute), so that a database that is away is not hammered.

        Returns:
            Whether the task will be repeated.
        """
        if not self._requeue:
            return False
        log.info(f"Requeueing task {self.name}.")
        again = copy.copy(self)
        again._begin_afresh()
        again._repeats += 1
        return again._enqueue(_pause_before_repeat(again._repeats))

    # The end

    def on_cleanup(
        self,
        func: Callable[..., Any],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        first: bool = True,
    ) -> None:
        """Have a function called when the task ends, or at once if it has ended already.

        Args:
            func: the function.
            args: its positional arguments.
            kwargs: its keyword arguments.
            first: put it before those that are registered already, not after them.
        """
        call = functools.partial(func, *args, **(kwargs or {}))
        with self._lock:
            if not self._ended:
                (self._cleanup.appendleft if first else self._cleanup.append)(call)
                return
        call()

    def do_cleanup(self) -> None:
        """Run the registered clean-up functions now; none of them will run again.

        One that raises does not keep the others from running.

        Raises:
            Exception: what a clean-up function raised; the last one if several did.
        """
        with self._lock:
            calls = list(self._cleanup)
            self._cleanup.clear()
        with ExitStack() as stack:  # runs all, in reverse order, exceptions or not
            for call in reversed(calls):
                stack.callback(call)

    def finish(self) -> None:
        """End the task: close its generator, then clean up. Harmless if repeated.

        Raises:
            Exception: as `do_cleanup`.
        """
        with self._lock:
            self._ended = True
        with ExitStack() as stack:
            stack.callback(self.do_cleanup)
            if self._steps is not None:
                stack.callback(self._steps.close)

    def discarded(self) -> None:
        """The queue threw this task away before it ended (see `FairMultiFIFOQueue.put`)."""
        self.finish()


def _pause_before_repeat(repeats: int) -> float:
    """Seconds before the n-th repeat, n from 1."""
    if repeats <= 1:
        return 0.0
    return min(2.0 ** min(repeats - 2, 10), MAX_REPEAT_WAIT)
