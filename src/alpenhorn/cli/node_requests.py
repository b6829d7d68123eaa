"""``node init``, ``scan`` and ``autoclean`` (spec: cli.md §9)."""

from __future__ import annotations

import click

from alpenhorn.cli import options
from alpenhorn.cli.command import command
from alpenhorn.cli.render import printable
from alpenhorn.common.logger import echo
from alpenhorn.services import actions, lookup, nodes


@command("init")
@click.argument("node")
def init(node: str) -> None:
    """Have the storage node NODE initialised by its daemon."""
    nodes.request_init(node)
    echo(f'Requested initialisation of Node "{node}".')


@command("scan")
@click.argument("node")
@click.argument("path", default=".")
@options.flag("-n", "--register-new", help="Allow unknown files to be registered.")
def scan(node: str, path: str, register_new: bool) -> None:
    """Have the directory PATH on the storage node NODE scanned for files to import.

    PATH is relative to the node root, or absolute and below it; without PATH the whole node is
    scanned.
    """
    stored = nodes.request_scan(node, path, register_new)
    echo(f'Added request for scan of "{printable(stored)}" on Node "{node}".')


@command("autoclean")
@click.argument("node")
@click.argument("group")
@options.flag("--remove", help="Stop cleaning automatically.")
def autoclean(node: str, group: str, remove: bool) -> None:
    """Clean NODE automatically of files that arrive in GROUP.

    From now on, a file that is added to GROUP is released for removal from NODE. Files that are
    in GROUP already are not; use "node clean" for these.
    """
    node_from, group_to = lookup.node(node), lookup.group(group)
    if not actions.set_autoclean(node_from, group_to, on=not remove):
        echo("No change.")
    elif remove:
        echo(f'Auto-clean trigger: Group "{group}" removed.')
    else:
        echo(f'Auto-clean trigger: Group "{group}" added')
