"""Façade: the scheduler under the name that third-party modules import (extensions.md §9)."""

from alpenhorn.db.connection import ensure_usable
from alpenhorn.scheduler import (
    EmptyPool,
    FairMultiFIFOQueue,
    WorkerPool,
    global_abort,
    threadlocal,
)
from alpenhorn.scheduler import Task as _Task


class Task(_Task):
    """A task that probes its thread's database connection before each step."""

    def db_check(self) -> None:
        """Make the connection of this thread usable, or raise the database's error."""
        ensure_usable()


__all__ = [
    "EmptyPool",
    "FairMultiFIFOQueue",
    "Task",
    "WorkerPool",
    "global_abort",
    "threadlocal",
]
