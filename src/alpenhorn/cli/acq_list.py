"""``acq list`` and ``acq files`` (spec: cli.md §6.2, §6.3)."""

from __future__ import annotations

import click

from alpenhorn.cli import options, render, stream
from alpenhorn.cli.command import command, exclusive
from alpenhorn.cli.render import Column
from alpenhorn.common.units import pretty_bytes
from alpenhorn.services import acquisitions

_LIST = (Column("name", "Name"), Column("files", "Files", str, right=True))

_FILE = (Column("name", "Name"), Column("size_b", "Size", pretty_bytes))
_ON_NODE = (
    Column("state", "Node State"),
    Column("size_on_node_b", "Size on Node", pretty_bytes),
)
_IN_GROUP = (
    Column("state", "Group State"),
    Column("node", "Node", lambda v: render.text(v or "-")),
)
_MD5 = (Column("md5sum", "MD5"),)


@command("list", exclusive("node", "group"), example="alpenhorn acq list --group demo_storage2")
@options.field("--node", metavar="NODE", help="Only acquisitions with files present on this node.")
@options.field(
    "--group", metavar="GROUP", help="Only acquisitions with files present in this group."
)
@options.json_option
def list_acqs(node: str | None, group: str | None, as_json: bool) -> None:
    """List acquisitions with their numbers of files.

    With --node or --group, the present copies there are counted.
    """
    rows = [{"name": name, "files": count} for name, count in acquisitions.counts(node, group)]
    render.show_rows(_LIST, rows, as_json, none="No acquisitions")


@command(
    "files",
    exclusive("node", "group"),
    example="alpenhorn acq files 2025/02/21 --node demo_storage1",
)
@click.argument("acq")
@options.field("--node", metavar="NODE", help="Only files known on this node, with their states.")
@options.field(
    "--group", metavar="GROUP", help="Only files known in this group, with their states."
)
@options.flag("--show-removed", help="With --node or --group: show removed files too.")
@options.json_option
def files(acq: str, node: str | None, group: str | None, show_removed: bool, as_json: bool) -> None:
    """List the files of the acquisition ACQ.

    With --json there is one object per line.
    """
    rows = acquisitions.files(acq, node, group, show_removed)
    state = _ON_NODE if node is not None else _IN_GROUP if group is not None else ()
    if as_json:
        stream.print_json(rows)
    else:
        stream.print_table((*_FILE, *state, *_MD5), rows, none="No files")
