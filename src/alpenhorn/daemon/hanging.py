"""Questions to a medium, with a time limit: a dead mount must not hold up the main loop (P7).

A system call on, say, an NFS server that is gone may never return, and no signal ends it. So the
question is asked in a thread of its own, which is given up if the answer does not come. While it is
stuck, the medium hangs: nobody asks it anything more, so that at most one thread is lost on it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import TypeVar

from alpenhorn import db
from alpenhorn.common import config
from alpenhorn.errors import StorageError

log = logging.getLogger(__name__)

_T = TypeVar("_T")

_stuck: dict[Hashable, Future[object]] = {}
"""Questions that were given up, by medium."""
_lock = threading.Lock()


class MediumHangs(StorageError):
    """A medium does not answer; nothing is concluded about what is on it."""


def ask(name: str, root: str | None, question: Callable[[], _T]) -> _T:
    """Ask a medium something, but not for longer than ``daemon.medium_timeout``.

    Args:
        name: the node.
        root: its root; another root is another medium.
        question: makes the system calls.

    Returns:
        What `question` returns; its exceptions are passed on.

    Raises:
        MediumHangs: there is no answer, or an earlier question has not been answered yet.
    """
    if not db.threadsafe():
        return question()
    limit = config.value("daemon.medium_timeout")
    with _lock:
        hangs = _stuck.get((name, root))
        if hangs is not None and not hangs.done():
            raise _hangs(name, root, limit)
        _stuck.pop((name, root), None)
    answer = _start(question)
    try:
        return answer.result(limit)
    except TimeoutError:
        if answer.done():
            return answer.result()
    with _lock:
        _stuck[name, root] = answer  # type: ignore[assignment]
    raise _hangs(name, root, limit)


def _start(question: Callable[[], _T]) -> Future[_T]:
    answer: Future[_T] = Future()

    def call() -> None:
        try:
            answer.set_result(question())
        except BaseException as error:
            answer.set_exception(error)
        finally:
            db.close()  # a third party's class may have used the index

    threading.Thread(target=call, name=threading.current_thread().name, daemon=True).start()
    return answer


def _hangs(name: str, root: str | None, limit: float) -> MediumHangs:
    return MediumHangs(
        f'Node "{name}" is not available: its medium hangs, {root} does not answer within '
        f"{limit:g} s (daemon.medium_timeout). It is used again when it answers."
    )
