"""How lower rooms report upward: metrics, logs and the latest news of the daemon listen here.

A room that did something worth knowing calls `emit` with a small frozen dataclass; whoever cares
has called `subscribe` before. Nobody is obliged to listen, and a listener that raises is logged
and skipped: reporting never breaks the work that it reports.

Listeners run in the emitting thread, so they must be quick and safe to call from any thread.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from alpenhorn.errors import FailureClass

log = logging.getLogger(__name__)

_E = TypeVar("_E", bound="Event")
_listeners: dict[type[Event], list[Callable[[Any], None]]] = defaultdict(list)


@dataclass(frozen=True)
class Event:
    """Base of all events."""


@dataclass(frozen=True)
class RequestEnded(Event):
    """A copy or import request was completed or cancelled by a daemon.

    `kind` is ``"copy"`` or ``"import"``; `result` is a word of data-index.md §9.5 or §10.
    """

    kind: str
    result: str
    node: str
    group: str


@dataclass(frozen=True)
class TransferEnded(Event):
    """One attempt to transfer one file ended. `failure` is None for a success."""

    request_id: int
    node_from_id: int
    group_to_id: int
    node_from: str
    group_to: str
    size_b: int
    failure: FailureClass | None


@dataclass(frozen=True)
class PullRunning(Event):
    """`change` (+n or -n) transfers began or ended on a node; `method` as in config.md §10.3."""

    node: str
    method: str
    remote: bool
    change: int


@dataclass(frozen=True)
class CheckBegun(Event):
    """The verification of one copy began."""

    node: str


@dataclass(frozen=True)
class FileDeleted(Event):
    """One file was removed from a medium; `size_b` is its length, 0 if unknown."""

    node: str
    size_b: int


def subscribe(kind: type[_E], listener: Callable[[_E], None]) -> Callable[[], None]:
    """Call `listener` for each event of class `kind`.

    Args:
        kind: the event class, exactly (no subclasses).
        listener: called with the event, in the thread that emits it.

    Returns:
        A function that ends the subscription.
    """
    _listeners[kind].append(listener)
    return lambda: _listeners[kind].remove(listener)


def emit(event: Event) -> None:
    """Tell all listeners of this event's class; exceptions of listeners are logged, not raised."""
    for listener in tuple(_listeners.get(type(event), ())):
        try:
            listener(event)
        except Exception:
            log.exception("Listener failed for %s", type(event).__name__)
