"""Functions of extensions that do not return: each may cost one worker, and no more (design P7).

Nothing can end such a call. So calls are on record while they last: the main loop replaces the
worker of one that takes too long, and until it returns its extension is not asked anything more.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from alpenhorn.errors import ExtensionError
from alpenhorn.extensions.base import Extension

STUCK_S = 120.0
"""A call that takes longer is taken to hang."""


@dataclass(eq=False)
class Call:
    """A call that goes on."""

    extension: Extension
    what: str
    path: object
    node: Any
    since: float
    told: bool = False


class ExtensionHangs(ExtensionError):
    """An earlier call of the extension has not returned yet."""


_calls: set[Call] = set()
_lock = threading.Lock()


@contextmanager
def on_record(
    what: str,
    extension: Extension,
    path: object,
    node: Any,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[None]:
    """Keep a call on record while it lasts.

    Args:
        what: which of the extension's functions, such as ``"detect"``.
        extension: whose function.
        path: the file that it is about.
        node: the daemon's object for the node.
        clock: time in seconds.

    Raises:
        ExtensionHangs: another call of the extension hangs.
    """
    call = Call(extension, what, path, node, clock())
    with _lock:
        if any(c.extension is extension and _hangs(c, call.since) for c in _calls):
            raise ExtensionHangs(f'Extension "{extension.full_name}" hangs: not asked again yet.')
        _calls.add(call)
    try:
        yield
    finally:
        with _lock:
            _calls.discard(call)


def news(clock: Callable[[], float] = time.monotonic) -> list[Call]:
    """Return the calls that hang, each once."""
    with _lock:
        found = [call for call in _calls if not call.told and _hangs(call, clock())]
        for call in found:
            call.told = True
    return found


def _hangs(call: Call, now: float) -> bool:
    return now - call.since > STUCK_S
