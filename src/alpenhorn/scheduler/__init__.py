"""A fair queue of FIFOs, the tasks in it, and the worker threads that run them.

`queue.py` chooses what runs next (its parts are in `fifo.py`), `task.py` is one piece of work,
`in_hand.py` knows which rows are worked on,
`runner.py` runs one task and decides what an exception means, `pool.py` is the threads. Nothing
here has heard of databases, metrics or files: the daemon hands in what it needs as functions.
"""

from alpenhorn.scheduler.fifo import FifoCounts
from alpenhorn.scheduler.in_hand import Held, Holds, InHand
from alpenhorn.scheduler.pool import EmptyPool, WorkerPool
from alpenhorn.scheduler.queue import FairMultiFIFOQueue
from alpenhorn.scheduler.runner import (
    TaskRunner,
    global_abort,
    run_one,
    run_serial,
    threadlocal,
)
from alpenhorn.scheduler.task import Task

__all__ = [
    "EmptyPool",
    "FairMultiFIFOQueue",
    "FifoCounts",
    "Held",
    "Holds",
    "InHand",
    "Task",
    "TaskRunner",
    "WorkerPool",
    "global_abort",
    "run_one",
    "run_serial",
    "threadlocal",
]
