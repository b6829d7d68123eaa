"""``group list`` and ``group show`` (spec: cli.md §8.3, §8.6)."""

from __future__ import annotations

from typing import Any

import click

from alpenhorn.cli import options, render
from alpenhorn.cli.command import command
from alpenhorn.cli.render import Column
from alpenhorn.cli.stats_columns import FIGURES, TRANSFER_FIGURES, figures, transfer_rows
from alpenhorn.common.logger import echo
from alpenhorn.db import StorageGroup
from alpenhorn.services import lookup, reports
from alpenhorn.services.repair import auto_repaired
from alpenhorn.services.reports import NodeStats

_LIST = (
    Column("name", "Name"),
    Column("io_class", "I/O Class", render.or_default),
    Column("notes", "Notes"),
)
_NODE_NAME = (Column("name", "Name"),)
_NODE_DETAILS = (
    Column("host", "Host"),
    Column("active", "Active", render.yes_no),
    Column("io_class", "I/O Class", render.or_default),
)
_TRANSFERS = (Column("source_node", "Source Node"), *TRANSFER_FIGURES)
_ACTIONS = (Column("node", "Node"), Column("action", "Action"), Column("trigger", "Trigger"))


@command("list", columns=_LIST, example="alpenhorn group list")
@options.json_option
def list_groups(as_json: bool) -> None:
    """List all storage groups."""
    rows = [
        {"name": group.name, "io_class": group.io_class, "notes": group.notes}
        for group in reports.all_groups()
    ]
    render.show_rows(_LIST, rows, as_json, none="No storage groups")


@command("show", example="alpenhorn group show demo_storage2 --node-stats --actions")
@click.argument("group")
@options.flag("-a", "--all", "everything", help="All of the following.")
@options.flag("--actions", help="Also the auto-actions into the group.")
@options.flag("--node-details", help="Also host, state and I/O class of the nodes.")
@options.flag("--node-stats", help="Also how much is on the nodes.")
@options.flag("--transfers", help="Also pending transfers into the group.")
@options.json_option
def show(
    group: str,
    everything: bool,
    actions: bool,
    node_details: bool,
    node_stats: bool,
    transfers: bool,
    as_json: bool,
) -> None:
    """Show the storage group GROUP."""
    record = lookup.group(group)
    columns = (
        *_NODE_NAME,
        *(_NODE_DETAILS if node_details or everything else ()),
        *(FIGURES if node_stats or everything else ()),
    )
    report: dict[str, Any] = {
        "name": record.name,
        "notes": record.notes,
        "io_class": record.io_class,
        "io_config": render.io_config_value(record.io_config),
        "auto_repair": auto_repaired(record),
        "nodes": _node_rows(record, columns),
    }
    if transfers or everything:
        report["transfers"] = transfer_rows(reports.pending_inbound(record), "source_node")
    if actions or everything:
        report["actions"] = _action_rows(record)
    if as_json:
        render.show_json(report)
    else:
        _print(report, record, columns)


def _print(report: dict[str, Any], group: StorageGroup, columns: tuple[Column, ...]) -> None:
    labels = [
        ("Storage Group", render.text(group.name)),
        ("Notes", render.text(group.notes)),
        ("I/O Class", render.or_default(group.io_class)),
    ]
    if report["auto_repair"]:
        labels.append(("Auto-repair", "on"))
    echo(render.label_block(labels))
    echo(render.io_config_section(group.io_config))
    echo(render.section("Nodes", _nodes_body(report["nodes"], columns)))
    if "transfers" in report:
        body = render.table(_TRANSFERS, report["transfers"])
        echo(render.section("Pending inbound transfers", body))
    if "actions" in report:
        body = render.table_or_none(_ACTIONS, report["actions"])
        echo(render.section("Auto-actions", body))


def _nodes_body(rows: list[dict[str, Any]], columns: tuple[Column, ...]) -> str:
    if rows and len(columns) == 1:
        return "\n".join(f"  {render.text(row['name'])}" for row in rows)
    return render.table_or_none(columns, rows)


def _node_rows(group: StorageGroup, columns: tuple[Column, ...]) -> list[dict[str, Any]]:
    members = reports.members(group)
    found = (
        reports.node_stats(members)
        if FIGURES[0] in columns
        else [NodeStats(node) for node in reports.nodes(members)]
    )
    return [{column.key: row[column.key] for column in columns} for row in map(_node_row, found)]


def _node_row(stats: NodeStats) -> dict[str, Any]:
    node = stats.node
    details = {"host": node.host, "active": bool(node.active), "io_class": node.io_class}
    return {"name": node.name, **details, **figures(stats)}


def _action_rows(group: StorageGroup) -> list[dict[str, Any]]:
    rows = []
    for edge in reports.actions_into(group):
        node = edge.node_from.name
        if edge.autoclean:
            trigger = "File added to this group"
            rows.append({"node": node, "action": "Auto-clean", "trigger": trigger})
        if edge.autosync:
            trigger = "File added to that node"
            rows.append({"node": node, "action": "Auto-sync", "trigger": trigger})
    return rows
