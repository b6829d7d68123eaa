"""``file history``: what happened to a file."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from alpenhorn.cli import options, render
from alpenhorn.cli.command import command
from alpenhorn.cli.render import Column, Row
from alpenhorn.common.logger import echo
from alpenhorn.common.units import pretty_time
from alpenhorn.db import ArchiveFile
from alpenhorn.db.enums import copy_state
from alpenhorn.db.queries.history import Place
from alpenhorn.services import history as service
from alpenhorn.services import lookup
from alpenhorn.services.history import Event, History

_EVENTS = (
    Column("time", "Time", pretty_time),
    Column("event", "Event", lambda event: str(event).capitalize()),
    Column("where", "Where"),
    Column("details", "Details"),
)
_PLACES = (
    Column("node", "Node"),
    Column("state", "State"),
    Column("verified", "Last Verified", lambda time: pretty_time(time) if time else "-"),
    Column("failed", "Last Found Bad", lambda time: pretty_time(time) if time else "-"),
    Column("last_update", "Last Update", pretty_time),
)


@command("history", example="alpenhorn file history 2025/02/21/meta.txt")
@click.argument("file")
@options.json_option
def history(file: str, as_json: bool) -> None:
    """Show what happened to the file FILE, oldest first, and its copies now.

    That is: when it was registered and imported; the transfers that were tried, and how they
    ended; who released copies; and for each deletion the copies on which it relied, and when these
    had last been verified. What older programs did is shown as far as they kept it.
    """
    record = lookup.file(file)
    found = service.of(record)
    if as_json:
        render.show_json(_as_object(record, found))
        return
    echo(f"History of {render.printable(f'{record.acq.name}/{record.name}')}\n")
    echo(render.table(_EVENTS, [_event_row(event) for event in found.events]))
    echo("\nCopies now:\n")
    rows = [_place_row(place) for place in found.places]
    echo(render.table(_PLACES, rows) if rows else "No copies")


def _as_object(file: ArchiveFile, found: History) -> dict[str, Any]:
    return {
        "path": f"{file.acq.name}/{file.name}",
        "size_b": file.size_b,
        "md5sum": file.md5sum and file.md5sum.lower(),
        "events": [asdict(event) for event in found.events],
        "copies": [
            {"state": copy_state(place.has_file, place.wants_file), **asdict(place)}
            for place in found.places
        ],
    }


def _event_row(event: Event) -> Row:
    where = [name for name in (event.node, event.group) if name]
    return {
        "time": event.time,
        "event": event.event,
        "where": " -> ".join(where),
        "details": "; ".join(_details(event)),
    }


def _details(event: Event) -> list[str]:
    parts = []
    if event.outcome:
        parts.append(f"{event.outcome} ({event.failure})" if event.failure else event.outcome)
    if event.message:
        parts.append(event.message)
    if event.event == "claimed":
        parts.append(f"relying on {', '.join(map(_proof, event.copies)) or 'no other copy'}")
        when = f" at {pretty_time(event.released)}" if event.released else ""
        parts.append(f"released by {event.by or 'somebody unknown'}{when}")
    elif event.by:
        parts.append(f"by {event.by}")
    return parts


def _proof(copy: dict[str, Any]) -> str:
    verified = copy["verified"]
    when = f"verified {pretty_time(verified)}" if verified else "verification not on record"
    return f"{copy['node']} ({when})"


def _place_row(place: Place) -> Row:
    return {
        "node": place.node,
        "state": copy_state(place.has_file, place.wants_file),
        "verified": place.verified,
        "failed": place.failed,
        "last_update": place.last_update,
    }
