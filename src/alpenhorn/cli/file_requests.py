"""``file import`` and ``file sync`` (spec: cli.md §7.4, §7.9)."""

from __future__ import annotations

import click

from alpenhorn.cli import options, waiting
from alpenhorn.cli.command import command
from alpenhorn.cli.confirm import counted
from alpenhorn.cli.file_options import at_least_one
from alpenhorn.cli.render import printable
from alpenhorn.common.logger import echo
from alpenhorn.services import lookup, requests
from alpenhorn.services.waiting_work import copy_of, import_of


def _relative(ctx: click.Context) -> None:
    if ctx.params["path"].startswith("/"):
        raise click.UsageError("PATH must be relative to the node root.", ctx)


@command(
    "import",
    _relative,
    *waiting.rules(),
    example="alpenhorn file import --register-new 2025/02/21/23/1330.dat demo_storage1",
)
@click.argument("path")
@click.argument("node")
@options.flag("-n", "--register-new", help="Allow an unknown file to be registered.")
@waiting.wait_options
def import_file(path: str, node: str, register_new: bool, wait: bool) -> waiting.Asked:
    """Have the file PATH on the storage node NODE imported by its daemon.

    PATH is relative to the node root.
    """
    work = import_of(node, path) if wait else None
    requests.request_import(path, node, register_new)
    echo("Added new import request.")
    return work


@command(
    "sync",
    at_least_one(source="--from", cancel="--cancel"),
    at_least_one(dest="--to", cancel="--cancel"),
    *waiting.rules("cancel"),
    example="alpenhorn file sync 2025/02/21/meta.txt \\\n"
    "    --from demo_storage1 --to demo_storage2",
)
@click.argument("file")
@click.option("--from", "source", metavar="NODE", help="The source.")
@click.option("--to", "dest", metavar="GROUP", help="The destination.")
@options.flag("--force", help="Request it even if the source has no good copy now.")
@options.flag("--cancel", help="Cancel pending requests instead; --from and --to limit which.")
@waiting.wait_options
def sync(
    file: str, source: str | None, dest: str | None, force: bool, cancel: bool, wait: bool
) -> waiting.Asked:
    """Have FILE copied from a storage node to a storage group."""
    record = lookup.file(file)
    node = None if source is None else lookup.node(source)
    group = None if dest is None else lookup.group(dest)
    if cancel or node is None or group is None:
        count = requests.cancel_requests(record, node, group)
        echo(f"Cancelled {counted(count, 'request')}." if count else "No requests to cancel.")
        return None
    work = copy_of(record, node, group) if wait else None
    answer = requests.request_copy(record, node, group, force)
    name = printable(file)
    if answer.holder is not None:
        place = f'on Node "{answer.holder}" in Group "{group.name}"'
        echo(f'Not done: File "{name}" is already present {place}.')
        return None
    if not answer.source_good:
        missing = f'File "{name}" is missing from Node "{node.name}"'
        echo(f"{missing}: request is forced." if answer.requested else f"Not done: {missing}.")
    if not answer.requested:
        return waiting.NOT_DONE
    echo("Request submitted.")
    return work
