"""What is said, counted and kept about the outcomes of a pull."""

from __future__ import annotations

import logging
from collections.abc import Collection, Hashable, Sequence

from alpenhorn import events
from alpenhorn.common.obstacles import Obstacles
from alpenhorn.db import ArchiveFileCopyRequest, StorageNode
from alpenhorn.db.queries import transfers
from alpenhorn.db.record_methods import describe_pull
from alpenhorn.errors import FailureClass
from alpenhorn.transfer.batch import Outcome

log = logging.getLogger(__name__)

_obstacles = Obstacles(log)


def succeeded(
    done: Sequence[tuple[ArchiveFileCopyRequest, transfers.Arrived]],
    completed: Collection[int],
    level: int,
) -> None:
    """Tell about files that were recorded; `completed`: requests that were not over before."""
    for request, arrived in done:
        _obstacles.gone(request.id)
        seconds = arrived.ended - arrived.started
        if log.isEnabledFor(level):
            log.log(level, describe_pull(request.file.path, request.file.size_b, seconds))
        _emit(request, None)
        if request.id in completed:
            names = (request.node_from.name, request.group_to.name)
            events.emit(events.RequestEnded("copy", "success", *names))
    transfers.record_attempts(
        [transfers.Attempt(r.id, None, "", r.file.size_b, a.ended - a.started) for r, a in done]
    )


def failed(
    node_to: StorageNode,
    failures: Sequence[tuple[ArchiveFileCopyRequest, Outcome]],
    seconds: float,
) -> None:
    """Tell about transfers that failed, and do what their classes ask for.

    Only evidence about the source's bytes touches the source's state (principle P5).
    """
    blamed = [r for r, outcome in failures if outcome.failure is FailureClass.SOURCE]
    if blamed:
        transfers.suspect_sources(blamed)
    for request, outcome in failures:
        _tell(node_to, request, outcome)
        _emit(request, outcome.failure)
    transfers.record_attempts(
        [
            transfers.Attempt(
                r.id, o.failure.value if o.failure else None, o.message, None, seconds
            )
            for r, o in failures
        ]
    )


def refused(
    requests: Sequence[ArchiveFileCopyRequest],
    text: str,
    what: Hashable,
    level: int = logging.WARNING,
    whole_route: bool = False,
) -> None:
    """Tell about requests that cannot be tried as things are; they stay pending.

    Args:
        requests: the requests; nobody's bytes are to blame.
        text: the reason, one line.
        what: the obstacle that the line is about.
        level: of the line.
        whole_route: the reason holds for all requests of their route, which is to rest.
    """
    _obstacles.say(what, text, level)
    route = FailureClass.ROUTE
    for request in requests if whole_route else ():
        _emit(request, route)
    transfers.record_attempts(
        [transfers.Attempt(request.id, route.value, text, None, 0.0) for request in requests]
    )


def _tell(node_to: StorageNode, request: ArchiveFileCopyRequest, outcome: Outcome) -> None:
    """One line per change: all requests of a route that fail for one reason share a line."""
    source = request.node_from.name
    if outcome.failure is FailureClass.SOURCE:
        text = (
            f"Pull of {request.file.path} from {source} to {node_to.name} failed: "
            f"{outcome.message}; source marked suspect."
        )
        _obstacles.say(request.id, text, logging.ERROR)
        return
    kind = outcome.failure.value if outcome.failure else "unknown"
    text = f"Pull from {source} to {node_to.name} failed ({kind}): {outcome.message}"
    _obstacles.say((source, node_to.name), text, logging.WARNING)


def _emit(request: ArchiveFileCopyRequest, failure: FailureClass | None) -> None:
    events.emit(
        events.TransferEnded(
            request_id=request.id,
            node_from_id=request.node_from_id,
            group_to_id=request.group_to_id,
            node_from=request.node_from.name,
            group_to=request.group_to.name,
            size_b=request.file.size_b or 0,
            failure=failure,
        )
    )
