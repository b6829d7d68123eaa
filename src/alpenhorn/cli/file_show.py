"""``file show`` (spec: cli.md §7.7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from alpenhorn.cli import options, render
from alpenhorn.cli.command import command
from alpenhorn.cli.render import Column, Row
from alpenhorn.common.logger import echo
from alpenhorn.common.units import pretty_bytes, pretty_time
from alpenhorn.db import ArchiveFile, ArchiveFileCopy, ArchiveFileCopyRequest, HasFile
from alpenhorn.services import lookup
from alpenhorn.services.files import copies, group_states, requests
from alpenhorn.services.states import group_state

_GROUPS = (
    Column("group", "Group"),
    Column("state", "State"),
    Column("node", "Node", lambda node: render.text(node or "-")),
)
_NODES = (
    Column("node", "Node"),
    Column("state", "State"),
    Column("size_b", "Size on Node", pretty_bytes),
)
_TRANSFERS = (
    Column("source_node", "Source Node"),
    Column("dest_group", "Dest. Group"),
    Column("status", "Status"),
    Column("request_time", "Request Time", pretty_time),
    Column("start_time", "Start Time", pretty_time),
    Column("completion_time", "Completion Time", pretty_time),
)


@command("show", example="alpenhorn file show 2025/02/21/23/1324.dat --nodes")
@click.argument("file")
@options.flag("-a", "--all", "everything", help="All of the following.")
@options.flag("--groups", help="Also the state in each group.")
@options.flag("--nodes", help="Also the state on each node.")
@options.flag("--transfers", help="Also all requests for transfer.")
@options.json_option
def show(
    file: str, everything: bool, groups: bool, nodes: bool, transfers: bool, as_json: bool
) -> None:
    """Show the file FILE, which is <acquisition>/<file name>."""
    record = lookup.file(file)
    report = _values(record)
    if groups or everything:
        report["groups"] = [_group_row(*row) for row in group_states(record)]
    if nodes or everything:
        report["nodes"] = [_node_row(copy) for copy in copies(record)]
    if transfers or everything:
        report["transfers"] = [_transfer_row(request) for request in requests(record)]
    if as_json:
        render.show_json(report)
    else:
        _print(report)


def _print(report: dict[str, Any]) -> None:
    size = report["size_b"]
    labels = [
        ("Name", render.text(report["name"])),
        ("Acquisition", render.text(report["acquisition"])),
        ("Path", render.text(report["path"])),
        None,
        ("Size", "unknown" if size is None else pretty_bytes(size)),
        ("MD5 Hash", render.text(report["md5sum"] or "-")),
        ("Registered", pretty_time(report["registered"])),
    ]
    echo(render.label_block(labels))
    if "groups" in report:
        _print_section("Group status", _GROUPS, report["groups"], "No extant copies")
    if "nodes" in report:
        _print_section("Node status:", _NODES, report["nodes"], "No extant copies")
    if "transfers" in report:
        _print_section("Transfer requests:", _TRANSFERS, report["transfers"], "No transfers")


def _print_section(heading: str, columns: Sequence[Column], rows: Sequence[Row], none: str) -> None:
    echo(f"\n{heading}\n\n{render.table(columns, rows) if rows else none}")


def _values(file: ArchiveFile) -> dict[str, Any]:
    return {
        "name": file.name,
        "acquisition": file.acq.name,
        "path": f"{file.acq.name}/{file.name}",
        "size_b": file.size_b,
        "md5sum": file.md5sum and file.md5sum.lower(),
        "registered": file.registered,
    }


def _group_row(group: str, has_file: str | None, node: str | None) -> dict[str, Any]:
    return {"group": group, "state": group_state(has_file), "node": node}


def _node_row(copy: ArchiveFileCopy) -> dict[str, Any]:
    there = copy.has_file in (HasFile.PRESENT, HasFile.SUSPECT)
    return {
        "node": copy.node.name,
        "state": copy.state,
        "size_b": copy.size_b if there else None,
    }


def _transfer_row(request: ArchiveFileCopyRequest) -> dict[str, Any]:
    return {
        "source_node": request.node_from.name,
        "dest_group": request.group_to.name,
        "status": _status(request),
        "request_time": request.timestamp,
        "start_time": request.transfer_started,
        "completion_time": request.transfer_completed,
    }


def _status(request: ArchiveFileCopyRequest) -> str:
    if request.completed:
        return "Complete"
    return "Cancelled" if request.cancelled else "Pending"
