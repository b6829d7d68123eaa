"""The chore of copy requests: the ones that can proceed go to the group (spec: daemon.md §10)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from alpenhorn import events
from alpenhorn.common import config
from alpenhorn.daemon import hanging
from alpenhorn.daemon.group import UpdateableGroup
from alpenhorn.daemon.jobs.lookahead import FEW, LOOKAHEAD, a_few_batches, is_enough
from alpenhorn.daemon.routes import Routes
from alpenhorn.db import ArchiveFileCopyRequest
from alpenhorn.db.queries import pending
from alpenhorn.db.queries.pending import Blocked
from alpenhorn.errors import AlpenhornError
from alpenhorn.io import holds, registry
from alpenhorn.io.base import BaseNodeRemote
from alpenhorn.scheduler import Held

log = logging.getLogger(__name__)

_WORDS = {
    "source_inactive": "source node not active",
    "source_suspect": "source needs check",
    "destination_suspect": "existing copy in group needs check",
}


def dispatch(group: UpdateableGroup, routes: Routes, host: str) -> None:
    """Close what is over, hand over what can proceed, count what cannot.

    What is over and what cannot proceed is found by looking through all that is pending. While
    the group is busy with a long backlog, that gets a part of the time only.
    """
    held, sources = group.in_hand(holds.pulls(group.db)), group.in_hand(holds.sources(group.db))
    queued = group.queued
    if is_enough(held, queued):
        return
    if held and not group.look_pace.is_due():
        ready = _ready(group, routes, held)
    else:
        with group.look_pace.measured():
            ready = _look_through(group, routes, held)
    ready = [
        request
        for request in ready
        if request.file_id not in held and group.patience.ready(request.id)
    ]
    readable = _readable(group, ready, host)
    requests = list(_one_on_trial(group, routes, readable, sources))
    held_b = held.total_b if queued else 0
    _hand_over(group, a_few_batches(requests, lambda request: request.file.size_b, held_b))


def _look_through(
    group: UpdateableGroup, routes: Routes, held: Held
) -> list[ArchiveFileCopyRequest]:
    """Close what is over, say what waits, and return the requests that can proceed."""
    blocked = group.standstill.glance(group.db)
    if blocked is not None:
        _say_blocked(group, blocked)
        return []
    closed = _close(group)
    ready, blocked = _ready(group, routes, held), pending.blocked(group.db)
    if not closed and not ready:
        group.standstill.searched(blocked)
    _say_blocked(group, blocked)
    return ready


def _ready(group: UpdateableGroup, routes: Routes, held: Held) -> list[ArchiveFileCopyRequest]:
    """Ask for requests that can proceed, those in hand and those that rest among them."""
    for request_id in routes.done(group.db.id):
        group.patience.forget(request_id)
    limit = LOOKAHEAD + len(group.patience.resting()) + len(held)
    order = pending.Order(config.value("daemon.pull_order"))
    return pending.ready(group.db, limit, skip_routes=routes.resting(group.db.id), order=order)


def _hand_over(group: UpdateableGroup, requests: Sequence[ArchiveFileCopyRequest]) -> None:
    if not requests:
        return
    for request in requests:
        group.patience.tried(request.id)
        request.group_to = group.db
    if group.io.do_pull_search:
        hanging.hook(f"group {group.name}", group.io.search_many, requests)
    else:
        hanging.hook(f"group {group.name}", group.io.pull_many, requests, False)


def _close(group: UpdateableGroup) -> bool:
    """Close requests for what is there already, or cannot come; tells whether there were any."""
    satisfied = pending.close_satisfied(group.db, LOOKAHEAD)
    for request, revived in satisfied:
        if revived:
            log.info(
                f"Keeping released copy of {request.file.path} on {revived}: it was asked for."
            )
        _ended(group, request, "duplicate", logging.INFO)
    hopeless = pending.close_hopeless(group.db, LOOKAHEAD)
    for request in hopeless:
        _ended(group, request, "missing", logging.WARNING)
    return bool(satisfied or hopeless)


def _ended(group: UpdateableGroup, request: ArchiveFileCopyRequest, why: str, level: int) -> None:
    group.patience.forget(request.id)
    source = request.node_from.name
    log.log(level, f"Cancelling AFCR#{request.id} for {request.file.path} from {source}: {why}.")
    events.emit(events.RequestEnded("copy", why, source, group.name))


def _readable(
    group: UpdateableGroup, requests: Sequence[ArchiveFileCopyRequest], host: str
) -> Iterator[ArchiveFileCopyRequest]:
    """Yield the requests whose sources can be read from here; cancel those that never can."""
    remotes: dict[int, BaseNodeRemote | None] = {}
    for request in requests:
        source = request.node_from
        if source.id not in remotes:
            remotes[source.id] = _remote(group, request)
        remote = remotes[source.id]
        if remote is None:
            continue
        if not source.local and not remote.remote_pull_ok(host):
            if pending.cancel([request.id]):
                _ended(group, request, "non-local", logging.WARNING)
        elif remote.pull_ready(request.file):
            yield request


def _remote(group: UpdateableGroup, request: ArchiveFileCopyRequest) -> BaseNodeRemote | None:
    """Make the remote half of a source; None, said once, if the source's row is bad."""
    source = request.node_from
    try:
        remote = registry.remote_for(source)
    except (AlpenhornError, KeyError, ValueError, RuntimeError) as error:
        text = f"Skipping requests from node {source.name}: {error}"
        group.obstacles.say(("source", source.id), text, logging.WARNING)
        return None
    return remote


def _one_on_trial(
    group: UpdateableGroup,
    routes: Routes,
    requests: Iterator[ArchiveFileCopyRequest],
    held: Held,
) -> Iterator[ArchiveFileCopyRequest]:
    """Of a route that has failed, let one request through: if it comes off, the others follow."""
    tried: set[int] = set()
    for request in requests:
        source_id = request.node_from_id
        if routes.on_trial(source_id, group.db.id):
            if source_id in tried or source_id in held:
                continue
            tried.add(source_id)
        yield request


def _say_blocked(group: UpdateableGroup, blocked: Blocked) -> None:
    """Name what cannot proceed in one line, when it changes."""
    if not blocked.total:
        group.obstacles.gone("blocked")
        return
    parts = [
        f"{count} ({words})" for name, words in _WORDS.items() if (count := getattr(blocked, name))
    ]
    text = f"Requests into group {group.name} that wait: {', '.join(parts)}."
    level = logging.WARNING if blocked.total <= FEW else logging.INFO
    group.obstacles.say("blocked", text, level)
