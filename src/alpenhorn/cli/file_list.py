"""``file list`` and ``file find`` (spec: cli.md §7.3, §7.5)."""

from __future__ import annotations

import click

from alpenhorn.cli import options, render, stream
from alpenhorn.cli.command import command, exclusive, given, together
from alpenhorn.cli.file_options import STATES, chosen_states, state_flags
from alpenhorn.cli.render import Column
from alpenhorn.common.units import pretty_bytes, pretty_time
from alpenhorn.db import StorageGroup, StorageNode
from alpenhorn.services import file_select
from alpenhorn.services.file_select import FileList, Wish

_DETAILS = (
    Column("file", "File"),
    Column("size_b", "Size", pretty_bytes),
    Column("md5sum", "MD5 Hash", lambda md5: render.text(md5 or "-")),
    Column("registered", "Registration Time", pretty_time),
)
_STATE = Column("state", "State")
_ON_NODE = (_STATE, Column("size_on_node_b", "Size on Node", pretty_bytes))
_IN_GROUP = (_STATE, Column("node", "Node", lambda node: render.text(node or "-")))
_FOUND = (Column("file", "File"), Column("node", "Node"), _STATE)


def _needs_place(ctx: click.Context) -> None:
    """States are those of copies at a positive place (D10); ``--all`` is about places."""
    here = given(ctx, "nodes") or given(ctx, "groups")
    for state in STATES:
        if given(ctx, state) and not here:
            raise click.UsageError(f"--{state} may only be used with --node or --group", ctx)
    elsewhere = given(ctx, "absent_nodes") or given(ctx, "absent_groups")
    if given(ctx, "every_place") and not (here or elsewhere):
        places = "--node, --group, --absent-node or --absent-group"
        raise click.UsageError(f"--all may only be used with {places}", ctx)


def _place(spelling: str, param: str, metavar: str, help: str) -> options.Decorator:
    return click.option(spelling, param, metavar=metavar, multiple=True, help=help)


@command(
    "list",
    together("source", "dest"),
    *(exclusive(state, "source") for state in STATES),
    _needs_place,
    example="alpenhorn file list --from demo_storage1 --to demo_storage2 --details",
)
@options.acq_option
@_place("--node", "nodes", "NODE", "Files on this node; may be repeated.")
@_place("--group", "groups", "GROUP", "Files in this group; may be repeated.")
@_place("--absent-node", "absent_nodes", "NODE", "Files not healthy on this node; repeatable.")
@_place("--absent-group", "absent_groups", "GROUP", "Files not healthy in this group; repeatable.")
@options.flag("-a", "--all", "every_place", help="Files at all the places, not just at any.")
@state_flags
@click.option("--from", "source", metavar="SRC", help="Files that a sync from this node ...")
@click.option("--to", "dest", metavar="DEST", help="... to this group could concern.")
@options.flag("--details", help="Show more than the paths.")
@options.json_option
def list_files(
    acqs: tuple[str, ...],
    nodes: tuple[str, ...],
    groups: tuple[str, ...],
    absent_nodes: tuple[str, ...],
    absent_groups: tuple[str, ...],
    every_place: bool,
    source: str | None,
    dest: str | None,
    details: bool,
    as_json: bool,
    **flags: bool,
) -> None:
    """List files by where they are and where they are not.

    A file is at a place if it has a healthy copy there, or one in any of the states given by
    --corrupt, --healthy, --missing, --suspect. With --json there is one object per line.
    """
    wish = Wish(
        acqs=acqs,
        nodes=nodes,
        groups=groups,
        absent_nodes=absent_nodes,
        absent_groups=absent_groups,
        every_place=every_place,
        states=chosen_states(flags),
        source=source,
        dest=dest,
    )
    found = file_select.select(wish)
    if as_json:
        stream.print_json(found.details() if details else found.paths())
    elif details:
        stream.print_table(_columns(found), found.details())
    else:
        stream.print_lines(render.text(row["file"]) for row in found.paths())


@command("find", example="alpenhorn file find --acq 2025/02/21 --corrupt --suspect")
@options.acq_option
@_place("--node", "nodes", "NODE", "Copies on this node; may be repeated.")
@_place("--group", "groups", "GROUP", "Copies in this group; may be repeated.")
@state_flags
@options.json_option
def find(
    acqs: tuple[str, ...],
    nodes: tuple[str, ...],
    groups: tuple[str, ...],
    as_json: bool,
    **flags: bool,
) -> None:
    """Find copies of files; healthy ones unless states are given.

    With --json there is one object per line.
    """
    rows = file_select.find_copies(acqs, nodes, groups, chosen_states(flags))
    if as_json:
        stream.print_json(rows)
    else:
        stream.print_table(_FOUND, rows, none="No match")


def _columns(found: FileList) -> tuple[Column, ...]:
    if isinstance(found.place, StorageNode):
        return (*_DETAILS, *_ON_NODE)
    if isinstance(found.place, StorageGroup):
        return (*_DETAILS, *_IN_GROUP)
    return _DETAILS
