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
from typing import Any, TypeVar

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
    limit = config.value("daemon.medium_timeout")
    return _limited(
        (name, root),
        question,
        f'Node "{name}" is not available: its medium hangs, {root} does not answer within '
        f"{limit:g} s (daemon.medium_timeout). It is used again when it answers.",
    )


def hook(owner: str, function: Callable[..., _T], *args: Any) -> _T:
    """Call what a storage class does in the main loop, but for no longer than a medium may take.

    Args:
        owner: whose it is, such as ``"node storage1"``; while a call hangs, no other is made.
        function: a method of the storage class.
        *args: for it.

    Returns:
        What it returns; its exceptions are passed on.

    Raises:
        MediumHangs: it does not return, or an earlier call has not returned yet.
        StorageError: it wants to end the program.
    """
    limit = config.value("daemon.medium_timeout")
    what = f"{getattr(function, '__qualname__', function)} of {owner}"
    text = f"{what} does not return within {limit:g} s (daemon.medium_timeout); others go on."
    try:
        return _limited(("hook", owner), lambda: function(*args), text)
    except _Exited as error:
        raise StorageError(f"{what} called sys.exit({error}): ignored.") from error


class _Exited(Exception):
    """Somebody else's code has called `sys.exit`, which is not his to decide."""


def _limited(key: Hashable, question: Callable[[], _T], text: str) -> _T:
    if not db.threadsafe():
        return question()
    with _lock:
        hangs = _stuck.get(key)
        if hangs is not None and not hangs.done():
            raise MediumHangs(text)
        _stuck.pop(key, None)
    answer = _start(question)
    try:
        return answer.result(config.value("daemon.medium_timeout"))
    except TimeoutError:
        if answer.done():
            return answer.result()
    with _lock:
        _stuck[key] = answer  # type: ignore[assignment]
    raise MediumHangs(text)


def _start(question: Callable[[], _T]) -> Future[_T]:
    answer: Future[_T] = Future()

    def call() -> None:
        try:
            answer.set_result(question())
        except SystemExit as error:
            answer.set_exception(_Exited(error.code))
        except BaseException as error:
            answer.set_exception(error)
        finally:
            db.close()  # a third party's class may have used the index

    threading.Thread(target=call, name=threading.current_thread().name, daemon=True).start()
    return answer
