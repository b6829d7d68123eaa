"""The tree lock: directories are made in one direction, removed in the other, never both at once.

One worker must not remove a directory that has just become empty while another is about to put a
file into it (spec: io-classes.md §11). Any number of threads may hold the lock in one direction;
the other direction waits. A thread may take the direction that it holds again. Nobody starves:
while the other direction waits, newcomers queue behind it.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Literal

_Side = Literal["up", "down"]


class _Direction:
    """One direction of the lock: a context manager with `acquire` and `release`."""

    def __init__(self, lock: UpDownLock, side: _Side) -> None:
        self._lock = lock
        self._side: _Side = side

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take this direction.

        Args:
            blocking: wait if the other direction is held.
            timeout: seconds to wait; negative: for ever.

        Returns:
            Whether it was taken.

        Raises:
            RuntimeError: this thread holds the other direction.
        """
        return self._lock._acquire(self._side, blocking, timeout)

    def release(self) -> None:
        """Give it back, as often as it was taken.

        Raises:
            RuntimeError: this thread does not hold it.
        """
        self._lock._release(self._side)

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


class UpDownLock:
    """A lock with two directions, `up` and `down`."""

    def __init__(self) -> None:
        # One condition protects state and waiting, so that no wake-up is lost.
        self._changed = threading.Condition()
        self._side: _Side | None = None
        self._holders: dict[int, int] = {}
        self._waiting: dict[_Side, int] = {"up": 0, "down": 0}
        self._turn: _Side | None = None
        self.up = _Direction(self, "up")
        self.down = _Direction(self, "down")

    def __str__(self) -> str:
        if self._side is None:
            return "unlocked"
        return f"locked {self._side} ({sum(self._holders.values())})"

    def _may_enter(self, side: _Side) -> bool:
        other: _Side = "down" if side == "up" else "up"
        if self._side is None:
            # After one side left, the side that was waiting goes first.
            return self._turn in (None, side) or not self._waiting[other]
        return self._side == side and not self._waiting[other]

    def _acquire(self, side: _Side, blocking: bool, timeout: float) -> bool:
        me = threading.get_ident()
        with self._changed:
            if me in self._holders:
                if self._side != side:
                    raise RuntimeError(f"this thread holds the lock {self._side}")
                self._holders[me] += 1
                return True
            if not self._may_enter(side) and not self._wait(side, blocking, timeout):
                return False
            self._side = side
            self._holders[me] = 1
            return True

    def _wait(self, side: _Side, blocking: bool, timeout: float) -> bool:
        if not blocking:
            return False
        deadline = None if timeout < 0 else time.monotonic() + timeout
        self._waiting[side] += 1
        try:
            while not self._may_enter(side):
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    return False
                self._changed.wait(left)
            return True
        finally:
            self._waiting[side] -= 1
            self._changed.notify_all()

    def _release(self, side: _Side) -> None:
        me = threading.get_ident()
        with self._changed:
            if self._side != side or me not in self._holders:
                raise RuntimeError(f"this thread does not hold the lock {side}")
            self._holders[me] -= 1
            if not self._holders[me]:
                del self._holders[me]
            if not self._holders:
                self._side = None
                self._turn = "down" if side == "up" else "up"
                self._changed.notify_all()
