"""``file clean`` and ``file verify`` (spec: cli.md §7.1, §7.10)."""

from __future__ import annotations

import click

from alpenhorn.cli import options, waiting
from alpenhorn.cli.command import command, exclusive, requires
from alpenhorn.cli.confirm import counted
from alpenhorn.cli.file_options import at_least_one
from alpenhorn.cli.render import printable
from alpenhorn.common.logger import echo
from alpenhorn.db import HasFile, StorageNode, WantsFile
from alpenhorn.services import copies, lookup
from alpenhorn.services.waiting_work import check_of, removal_of

_WORDS = {HasFile.CORRUPT: "corrupt ", HasFile.ABSENT: "missing "}


@command(
    "clean",
    at_least_one(node="--node", cancel="--cancel"),
    exclusive("cancel", "now"),
    *waiting.rules("cancel"),
    requires("wait", "now"),
    example="alpenhorn file clean --now --node demo_storage1 2025/02/21/meta.txt",
)
@click.argument("file")
@options.field("--node", metavar="NODE", help="The node whose copy is meant.")
@options.flag("-n", "--now", help="Release for immediate removal, instead of when space is short.")
@options.flag("-x", "--cancel", help="Cancel cleaning of both kinds; without --node: everywhere.")
@options.flag("--archive-ok", help="Allow cleaning an archive node.")
@waiting.wait_options
def clean(
    file: str, node: str | None, now: bool, cancel: bool, archive_ok: bool, wait: bool
) -> waiting.Asked:
    """Let the copy of FILE on a storage node be removed.

    It is only really removed, by the daemon, when enough others exist on archive nodes.
    """
    record = lookup.file(file)
    place = None if node is None else lookup.node(node)
    if place is not None and place.archive and not cancel:
        if not archive_ok:
            echo(f'Not done: Node "{place.name}" is an archive node; use --archive-ok if you must.')
            return waiting.NOT_DONE
        echo(f'Node "{place.name}" is an archive node: clean is forced.')
    goal = WantsFile.KEEP if cancel else WantsFile.RELEASED if now else WantsFile.REMOVABLE
    work = removal_of(record, place) if wait and place else None
    count = copies.set_wants(record, place, goal)
    echo(_cleaned(printable(file), place, goal, count) if count else "No change.")
    return work


def _cleaned(file: str, node: StorageNode | None, goal: WantsFile, count: int) -> str:
    if node is None:
        return f'Cancelled {counted(count, "cleaning request")} for "{file}".'
    if goal is WantsFile.KEEP:
        return f'Cancelled cleaning of "{file}" on Node "{node.name}".'
    if goal is WantsFile.RELEASED:
        return f'Released "{file}" for immediate removal on Node "{node.name}".'
    return f'Marked "{file}" for discretionary cleaning on Node "{node.name}".'


@command(
    "verify", *waiting.rules(), example="alpenhorn file verify 2025/02/21/meta.txt demo_storage1"
)
@click.argument("file")
@click.argument("node")
@waiting.wait_options
def verify(file: str, node: str, wait: bool) -> waiting.Asked:
    """Have the copy of FILE on the storage node NODE verified by its daemon."""
    record, place = lookup.file(file), lookup.node(node)
    work = check_of(record, place) if wait else None
    before = copies.verify(record, place)
    what = f'file "{printable(file)}" on Node "{place.name}"'
    if before is HasFile.SUSPECT:
        echo(f"Verification of {what} is already scheduled.")
    else:
        echo(f"Requesting verification of {_WORDS.get(before, '')}{what}.")
    if work is not None and not work.tally().total:
        echo("Not waiting: the copy is released for removal, and is not verified.")
        return waiting.NOT_DONE
    return work
