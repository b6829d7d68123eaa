"""Routes that rest: after a failure that concerns the connection, not the file (design P5).

A resting route is not tried by any request until its pause is over; then one request tries it, and
only if that comes off do the others follow.
"""

from __future__ import annotations

from alpenhorn import events
from alpenhorn.daemon.patience import Patience
from alpenhorn.errors import FailureClass

_OF_THE_ROUTE = (FailureClass.ROUTE, FailureClass.DESTINATION, FailureClass.INTERRUPTED)


class Routes:
    """Listens to the ends of transfers, and says which source nodes to leave alone."""

    def __init__(self, patience: Patience | None = None) -> None:
        self._patience = patience or Patience()
        self._unsubscribe = events.subscribe(events.TransferEnded, self._note)
        self._noted: set[tuple[int, int]] = set()

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

    def _note(self, event: events.TransferEnded) -> None:
        route = (event.node_from_id, event.group_to_id)
        if event.failure is None:
            self._patience.forget(route)
        elif event.failure in _OF_THE_ROUTE and route not in self._noted:
            self._noted.add(route)
            self._patience.tried(route)
