"""Routes that rest: after a failure that concerns the connection, not the file (design P5).

A resting route is not tried by any request until its pause is over; then one request tries it, and
only if that comes off do the others follow.
"""

from __future__ import annotations

import threading

from alpenhorn import events
from alpenhorn.daemon.patience import Patience
from alpenhorn.errors import FailureClass

_OF_THE_ROUTE = (FailureClass.ROUTE, FailureClass.DESTINATION, FailureClass.INTERRUPTED)

MOST_FAILED = 10_000
"""So many failed requests are remembered at most; the others wait for the next regular pass."""


class Routes:
    """Listens to the ends of transfers, and says which source nodes to leave alone.

    Args:
        patience: knows the pauses of routes, by the ids of node and group.
    """

    def __init__(self, patience: Patience | None = None) -> None:
        self._patience = patience or Patience()
        self._unsubscribe = events.subscribe(events.TransferEnded, self._note)
        self._noted: set[tuple[int, int]] = set()
        self._failed: dict[int, int] = {}
        """Requests that failed and did not work since, with the ids of their groups."""
        self._done: dict[int, set[int]] = {}
        """Requests that worked, by the ids of their groups, until somebody asks for them."""
        self._lock = threading.Lock()

    def close(self) -> None:
        """Stop listening."""
        self._unsubscribe()

    def begin_pass(self) -> None:
        """From now on, the failures of one batch count once again."""
        self._noted.clear()

    def resting(self, group_id: int) -> set[int]:
        """Return the ids of source nodes whose routes into a group rest."""
        found: set[int] = set()
        for key in self._patience.resting():
            if isinstance(key, tuple) and key[1] == group_id:
                found.add(key[0])
        return found

    def on_trial(self, node_id: int, group_id: int) -> bool:
        """Tell whether a route has failed and not worked since: one request is to try it."""
        return self._patience.count((node_id, group_id)) > 0

    def ends(self) -> list[float]:
        """Return when the pauses of the routes that rest will be over, by the clock."""
        return self._patience.ends()

    def failed(self, group_id: int) -> set[int]:
        """Return the ids of requests into a group that failed and did not work since."""
        with self._lock:
            return {request for request, group in self._failed.items() if group == group_id}

    def done(self, group_id: int) -> set[int]:
        """Return the ids of requests into a group that worked since this was asked last."""
        with self._lock:
            return self._done.pop(group_id, set())

    def _note(self, event: events.TransferEnded) -> None:
        route = (event.node_from_id, event.group_to_id)
        self._remember(event)
        if event.failure is None:
            self._patience.forget(route)
        elif event.failure in _OF_THE_ROUTE and route not in self._noted:
            self._noted.add(route)
            self._patience.tried(route)

    def _remember(self, event: events.TransferEnded) -> None:
        """Note whether a request has failed; workers report the ends of transfers."""
        with self._lock:
            self._failed.pop(event.request_id, None)
            if event.failure is None:
                self._done.setdefault(event.group_to_id, set()).add(event.request_id)
            if event.failure is not None and len(self._failed) < MOST_FAILED:
                self._failed[event.request_id] = event.group_to_id
