"""What happened to a file, put into one order (`alpenhorn file history`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from alpenhorn.db import ArchiveFile, WantsFile
from alpenhorn.db.queries import file_report
from alpenhorn.db.queries import history as rows
from alpenhorn.db.queries.history import Deletion, Place

_WISHES = {
    WantsFile.RELEASED.value: "released",
    WantsFile.REMOVABLE.value: "marked",
    WantsFile.KEEP.value: "kept",
}


@dataclass(frozen=True)
class Event:
    """Something that happened to a file."""

    time: datetime | None
    event: str
    """registered, imported, pulled, requested, transfer, released, marked, kept, claimed, removed,
    given back."""
    node: str | None = None
    """Where; of transfers the source."""
    group: str | None = None
    """Where a transfer leads to."""
    outcome: str | None = None
    failure: str | None = None
    """The class of a failure (`alpenhorn.errors.FailureClass`)."""
    message: str | None = None
    by: str | None = None
    """Who wanted it."""
    released: datetime | None = None
    copies: list[dict[str, Any]] = field(default_factory=list)
    """Copies on which a deletion relied: node, and when it was last verified."""


@dataclass(frozen=True)
class History:
    """What is on record about a file."""

    events: list[Event]
    """Oldest first; those without a time at the end."""
    places: list[Place]
    """Its copies as they are now."""


def of(file: ArchiveFile) -> History:
    """Return what happened to a file; a few statements."""
    places = rows.places(file)
    events = [
        Event(file.registered, "registered"),
        *_added(places),
        *_requests(file),
        *_transfers(file),
        *_wishes(file),
        *(event for deletion in rows.deletions(file) for event in _deletion(deletion)),
    ]
    # Stable: what happened at one moment stays in the order above.
    events.sort(key=lambda event: event.time or datetime.max)
    return History(events, places)


def _added(places: list[Place]) -> Iterator[Event]:
    """Additions that are on record: of each copy the last one."""
    for place in places:
        if place.added is not None:
            word = "imported" if place.added_by == "import" else "pulled"
            yield Event(place.added, word, place.node)


def _requests(file: ArchiveFile) -> Iterator[Event]:
    for request in file_report.requests(file):
        outcome = "pending"
        if request.completed or request.cancelled:
            outcome = "completed" if request.completed else "cancelled"
        names = (request.node_from.name, request.group_to.name)
        yield Event(request.timestamp, "requested", *names, outcome=outcome)


def _transfers(file: ArchiveFile) -> Iterator[Event]:
    for attempt in rows.attempts(file):
        yield Event(
            attempt.ended,
            "transfer",
            attempt.node_from,
            attempt.group_to,
            outcome="failed" if attempt.failure else "done",
            failure=attempt.failure,
            message=attempt.message or None,
        )


def _wishes(file: ArchiveFile) -> Iterator[Event]:
    for wish in rows.wishes(file):
        yield Event(wish.at, _WISHES.get(wish.wants_file, "kept"), wish.node, by=wish.by)


def _deletion(deletion: Deletion) -> Iterator[Event]:
    """Tell the claim with its evidence, and the end, if it has ended."""
    proof = [
        {"node": copy.get("node"), "verified": _time(copy.get("verified"))}
        for copy in _copies(deletion.protected_by)
    ]
    yield Event(
        deletion.claimed,
        "claimed",
        deletion.node,
        by=deletion.released_by,
        released=deletion.released,
        copies=proof,
    )
    if deletion.removed is not None:
        yield Event(deletion.removed, "removed", deletion.node)
    elif deletion.given_back is not None:
        yield Event(deletion.given_back, "given back", deletion.node)


def _copies(kept: str) -> list[dict[str, Any]]:
    """Read what was kept as evidence; nothing that anybody wrote there can break the report."""
    try:
        found = json.loads(kept)
    except (ValueError, RecursionError):
        return []
    return [copy for copy in found if isinstance(copy, dict)] if isinstance(found, list) else []


def _time(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)) if text else None
    except ValueError:
        return None
