"""``node list`` and ``node stats`` (spec: cli.md §9.7, §9.11)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from alpenhorn.cli import options, render
from alpenhorn.cli.command import command
from alpenhorn.cli.render import Column
from alpenhorn.cli.stats_columns import EXTRA_FIGURES, FIGURES, figures
from alpenhorn.db import StorageNode, StorageType
from alpenhorn.services import reports

_ROLES = {
    StorageType.ARCHIVE: "archive",
    StorageType.TRANSPORT: "transport",
    StorageType.FIELD: "field",
}


def _show_role(role: str | None) -> str:
    return "-" if role == "field" else role or "???"


_LIST = (
    Column("name", "Name"),
    Column("group", "Group"),
    Column("role", "Role", _show_role),
    Column("io_class", "I/O Class"),
    Column("host", "Host"),
    Column("active", "Active", render.yes_no),
    Column("root", "Root"),
    Column("notes", "Notes"),
)


@command("list", columns=_LIST, example="alpenhorn node list --active --host alpenhost1")
@options.node_selection
@options.json_option
def list_nodes(active: bool | None, group: str | None, host: str | None, as_json: bool) -> None:
    """List storage nodes."""
    selection = reports.select_nodes(active, group, host)
    rows = [_row(node) for node in reports.nodes(selection)]
    render.show_rows(_LIST, rows, as_json, none="no nodes")


@command(
    "stats",
    columns=(_LIST[0], *FIGURES, *EXTRA_FIGURES),
    example="alpenhorn node stats --active --extra-stats",
)
@options.node_selection
@options.flag("--extra-stats", help="Also count corrupt, suspect and missing files.")
@options.json_option
def stats(
    active: bool | None, group: str | None, host: str | None, extra_stats: bool, as_json: bool
) -> None:
    """Show how many files are on storage nodes, and their size.

    Sizes are those of the files, not the space that they take on the node.
    """
    selection = reports.select_nodes(active, group, host)
    rows = [{"name": row.node.name, **figures(row)} for row in reports.node_stats(selection)]
    shown = (*FIGURES, *(EXTRA_FIGURES if extra_stats else ()))
    columns = (Column("name", "Name"), *(replace(column, right=True) for column in shown))
    render.show_rows(columns, rows, as_json, none="no nodes")


def _row(node: StorageNode) -> dict[str, Any]:
    return {
        "name": node.name,
        "group": node.group.name,
        "role": _ROLES.get(node.storage_type),
        "io_class": node.io_class,
        "host": node.host,
        "active": bool(node.active),
        "root": node.root,
        "notes": node.notes,
    }
