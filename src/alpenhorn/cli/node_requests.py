"""``node init``, ``scan`` and ``autoclean`` (spec: cli.md §9)."""

from __future__ import annotations

import click

from alpenhorn.cli import options, waiting
from alpenhorn.cli.command import command
from alpenhorn.cli.render import printable
from alpenhorn.common.logger import echo
from alpenhorn.services import actions, lookup, nodes
from alpenhorn.services.waiting_work import scan_of


@command("init", example="alpenhorn node init demo_storage2")
@click.argument("node")
def init(node: str) -> None:
    """Have the storage node NODE initialised by its daemon."""
    nodes.request_init(node)
    echo(f'Requested initialisation of Node "{node}".')


@command(
    "scan", *waiting.rules(), example="alpenhorn node scan demo_storage1 2025/02/21 --register-new"
)
@click.argument("node")
@click.argument("path", default=".")
@options.flag("-n", "--register-new", help="Allow unknown files to be registered.")
@waiting.wait_options
def scan(node: str, path: str, register_new: bool, wait: bool) -> waiting.Asked:
    """Have the directory PATH on the storage node NODE scanned for files to import.

    PATH is relative to the node root, or absolute and below it; without PATH the whole node is
    scanned.
    """
    work = scan_of(node, path) if wait else None
    stored = nodes.request_scan(node, path, register_new)
    echo(f'Added request for scan of "{printable(stored)}" on Node "{node}".')
    return work


@command("autoclean", example="alpenhorn node autoclean demo_storage1 demo_storage3")
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
