"""``acq show`` (spec: cli.md §6.4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click

from alpenhorn.cli import options, render
from alpenhorn.cli.command import command
from alpenhorn.cli.render import Column, Row
from alpenhorn.common.logger import echo
from alpenhorn.common.units import pretty_bytes
from alpenhorn.db import ArchiveAcq
from alpenhorn.services import acquisitions, lookup
from alpenhorn.services.acquisitions import GroupHoldings, Holding

_EMPTY_ROW = {"name": "", "count": "", "size_b": ""}


def _size(value: int | str | None) -> str:
    return value if isinstance(value, str) else pretty_bytes(value)


@command("show", example="alpenhorn acq show 2025/02/21 --show-nodes")
@click.argument("acq")
@options.flag("--show-groups", help="Also how much is in which group.")
@options.flag("--show-nodes", help="Also how much is on which node.")
@options.json_option
def show(acq: str, show_groups: bool, show_nodes: bool, as_json: bool) -> None:
    """Show the acquisition ACQ.

    Only present copies are counted for groups and nodes.
    """
    record = lookup.acq(acq)
    report = _report(record, show_groups, show_nodes)
    if as_json:
        render.show_json(report)
        return
    labels = [
        ("Acquisition", render.text(report["name"])),
        ("File Count", str(report["file_count"])),
        ("Total Size", pretty_bytes(report["total_size_b"])),
    ]
    echo(render.label_block(labels))
    if show_groups and show_nodes:
        _print_breakdown("Group/Node", list(_nested(report["groups"])))
    elif show_groups:
        _print_breakdown("Group", report["groups"])
    elif show_nodes:
        _print_breakdown("Node", report["nodes"])


def _report(acq: ArchiveAcq, show_groups: bool, show_nodes: bool) -> dict[str, Any]:
    count, size_b = acquisitions.totals(acq)
    report: dict[str, Any] = {"name": acq.name, "file_count": count, "total_size_b": size_b}
    if not (show_groups or show_nodes):
        return report
    groups = acquisitions.by_group(acq)
    if show_groups:
        report["groups"] = [_group_row(group, show_nodes) for group in groups]
    else:
        nodes = [node for group in groups for node in group.nodes]
        report["nodes"] = [_node_row(node) for node in sorted(nodes, key=lambda node: node.node)]
    return report


def _print_breakdown(what: str, rows: Sequence[Row]) -> None:
    columns = (
        Column("name", what),
        Column("count", "Count", str, right=True),
        Column("size_b", "Size", _size),
    )
    body = render.table(columns, rows) if rows else "No nodes with data"
    if rows and rows[-1] is _EMPTY_ROW:
        body += "\n"  # the layout drops an empty line at its end
    echo(render.section(f"{what} breakdown", body))


def _group_row(group: GroupHoldings, show_nodes: bool) -> dict[str, Any]:
    nodes = {"nodes": [_node_row(node) for node in group.nodes]} if show_nodes else {}
    return {"name": group.name, "count": group.count, "size_b": group.size_b, **nodes}


def _node_row(node: Holding) -> dict[str, Any]:
    return {"name": node.node, "count": node.count, "size_b": node.size_b}


def _nested(groups: Sequence[dict[str, Any]]) -> Iterator[Row]:
    """Yield a row per group, one for each of its nodes, and an empty one."""
    for group in groups:
        yield group
        for node in group["nodes"]:
            yield {**node, "name": f"-- {node['name']}"}
        yield _EMPTY_ROW
