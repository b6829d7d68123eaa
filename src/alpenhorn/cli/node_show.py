"""``node show`` (spec: cli.md §9.12)."""

from __future__ import annotations

from typing import Any

import click

from alpenhorn.cli import options, render
from alpenhorn.cli.command import command
from alpenhorn.cli.render import Column
from alpenhorn.cli.stats_columns import TRANSFER_FIGURES, figures, transfer_rows
from alpenhorn.common.logger import echo
from alpenhorn.common.units import pretty_bytes, pretty_time, pretty_time_short
from alpenhorn.db import StorageNode, StorageType
from alpenhorn.db.archive import NODE_INIT_PATH
from alpenhorn.services import lookup, reports
from alpenhorn.services.reports import NodeFilter

_GIB = 2**30
_TYPES = {StorageType.ARCHIVE: "Archive", StorageType.TRANSPORT: "Transport"}


def _dash_or_yes_no(value: bool | None) -> str:
    return "-" if value is None else render.yes_no(value)


def _request_path(path: str) -> str:
    return "[Node Init]" if path == NODE_INIT_PATH else render.text(path)


_IMPORTS = (
    Column("path", "Path", _request_path),
    Column("scan", "Scan", _dash_or_yes_no),
    Column("register_new", "Register New", _dash_or_yes_no),
    Column("request_time", "Request Time", pretty_time_short),
)
_TRANSFERS = (Column("dest_group", "Dest. Group"), *TRANSFER_FIGURES)
_ACTIONS = (Column("group", "Group"), Column("action", "Action"), Column("trigger", "Trigger"))


@command("show", example="alpenhorn node show demo_storage1 --stats --transfers")
@click.argument("node")
@options.flag("-a", "--all", "everything", help="All of the following.")
@options.flag("--actions", help="Also the auto-actions of the node.")
@options.flag("--imports", help="Also pending import requests.")
@options.flag("--stats", help="Also how much is on the node.")
@options.flag("--transfers", help="Also pending transfers out of the node.")
@options.json_option
def show(
    node: str,
    everything: bool,
    actions: bool,
    imports: bool,
    stats: bool,
    transfers: bool,
    as_json: bool,
) -> None:
    """Show the storage node NODE."""
    record = lookup.node(node)
    parts: dict[str, Any] = {}
    if stats or everything:
        parts["stats"] = figures(reports.node_stats(NodeFilter(node_id=record.id))[0])
    if imports or everything:
        parts["imports"] = _import_rows(record)
    if transfers or everything:
        parts["transfers"] = transfer_rows(reports.pending_outbound(record), "dest_group")
    if actions or everything:
        parts["actions"] = _action_rows(record)
    if as_json:
        render.show_json({**_values(record), **parts})
    else:
        _print(record, parts)


def _print(node: StorageNode, parts: dict[str, Any]) -> None:
    echo(render.label_block(_labels(node)))
    echo(render.io_config_section(node.io_config))
    if "stats" in parts:
        echo(render.section("Stats", _stats_body(parts["stats"])))
    if "imports" in parts:
        body = render.table(_IMPORTS, parts["imports"])
        echo(render.section("Pending import requests", body))
    if "transfers" in parts:
        body = render.table(_TRANSFERS, parts["transfers"])
        echo(render.section("Pending outbound transfers", body))
    if "actions" in parts:
        body = render.table_or_none(_ACTIONS, parts["actions"])
        echo(render.section("Auto-actions", body))


def _labels(node: StorageNode) -> list[tuple[str, str] | None]:
    verify = f"On (Size: {node.auto_verify})" if node.auto_verify else "Off"
    return [
        ("Storage Node", render.text(node.name)),
        ("Storage Group", render.text(node.group.name)),
        ("Active", render.yes_no(node.active)),
        ("Type", _TYPES.get(node.storage_type, "-")),
        ("Notes", render.text(node.notes)),
        ("I/O Class", render.or_default(node.io_class)),
        None,
        ("Daemon Host", render.text(node.host)),
        ("Log-in Address", render.text(node.address)),
        ("Log-in Username", render.text(node.username)),
        None,
        ("Auto-Import", "On" if node.auto_import else "Off"),
        ("Auto-Verify", verify),
        ("Max Total", _gib(node.max_total_gb)),
        ("Available", _gib(node.avail_gb)),
        ("Min Available", _gib(node.min_avail_gb)),
        ("Last Checked", pretty_time(node.avail_gb_last_checked)),
    ]


def _gib(value: float | None) -> str:
    """Show an amount of GiB; unset, zero and negative as a dash."""
    return pretty_bytes(value * _GIB) if value and value > 0 else "-"


def _stats_body(stats: dict[str, Any]) -> str:
    width = len("Log-in Username")
    lines = (
        ("Total Files", str(stats["file_count"])),
        ("Total Size", render.size_or_dash(stats["total_size_b"])),
        ("Usage", f"{render.percent(stats['percent_full'])}%"),
    )
    return "\n".join(f"{label:>{width}}: {value}" for label, value in lines)


def _import_rows(node: StorageNode) -> list[dict[str, Any]]:
    rows = []
    for request in reports.pending_imports(node):
        is_init = request.path == NODE_INIT_PATH
        rows.append(
            {
                "path": request.path,
                "scan": None if is_init else bool(request.recurse),
                "register_new": None if is_init else bool(request.register),
                "request_time": request.timestamp,
            }
        )
    return rows


def _action_rows(node: StorageNode) -> list[dict[str, Any]]:
    rows = []
    for edge in reports.actions_from(node):
        group = edge.group_to.name
        if edge.autoclean:
            trigger = "File added to that group"
            rows.append({"group": group, "action": "Auto-clean", "trigger": trigger})
        if edge.autosync:
            trigger = "File added to this node"
            rows.append({"group": group, "action": "Auto-sync", "trigger": trigger})
    return rows


def _values(node: StorageNode) -> dict[str, Any]:
    """Return what the Data Index holds on a node, for JSON."""
    columns = (
        "name root host username address io_class active auto_import auto_verify"
        " max_total_gb min_avail_gb avail_gb avail_gb_last_checked notes"
    )
    return {
        **{column: getattr(node, column) for column in columns.split()},
        "group": node.group.name,
        "type": StorageType(node.storage_type).name.lower(),
        "io_config": render.io_config_value(node.io_config),
    }
