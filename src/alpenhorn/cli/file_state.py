"""``file state`` (spec: cli.md §7.8)."""

from __future__ import annotations

from typing import Any

import click

from alpenhorn.cli import colour, options, render
from alpenhorn.cli.command import command, exclusive
from alpenhorn.common.logger import echo
from alpenhorn.db import ArchiveFile, StorageNode
from alpenhorn.services import copies, lookup
from alpenhorn.services.states import full_state


@command(
    "state",
    exclusive("ready", "unready"),
    *(exclusive("as_json", change) for change in ("new_state", "ready", "unready")),
    example="alpenhorn file state 2025/02/21/23/1324.dat demo_storage1",
)
@click.argument("file")
@click.argument("node")
@click.option(
    "--set",
    "new_state",
    metavar="STATE",
    type=click.Choice([state.capitalize() for state in copies.SETTABLE], case_sensitive=False),
    help="Force the state: Healthy, Suspect, Corrupt, Missing or Absent.",
)
@options.flag("--ready", help="Mark the copy as ready to be read.")
@options.flag("--unready", help="Mark the copy as not ready to be read.")
@options.json_option
def state(
    file: str, node: str, new_state: str | None, ready: bool, unready: bool, as_json: bool
) -> None:
    """Show or force the state of the copy of FILE on the storage node NODE.

    Forcing changes only what the Data Index says; no file is touched.
    """
    record, place = lookup.file(file), lookup.node(node)
    if new_state is None and not ready and not unready:
        _show(record, place, as_json)
        return
    bit = True if ready else False if unready else None
    changed = copies.set_state(record, place, new_state and new_state.lower(), bit)
    echo("State updated." if changed else "No change.")


def _show(file: ArchiveFile, node: StorageNode, as_json: bool) -> None:
    copy = copies.copy_of(file, node)
    if not as_json:
        echo(colour.state(full_state(copy)))
        return
    columns: dict[str, Any] = dict.fromkeys(("has_file", "wants_file", "ready", "size_b"))
    if copy is not None:
        columns = {name: getattr(copy, name) for name in columns}
    path = f"{file.acq.name}/{file.name}"
    render.show_json({"file": path, "node": node.name, "state": full_state(copy), **columns})
