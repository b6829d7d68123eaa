"""The figures of a node as a row, and their columns; for several reports (spec: cli.md §9.11)."""

from __future__ import annotations

from typing import Any

from alpenhorn.cli.render import Column, dash_if_zero, percent, size_or_dash
from alpenhorn.common.units import pretty_bytes
from alpenhorn.db.queries.stats import NodeStats

FIGURES = (
    Column("file_count", "File Count", str, right=True),
    Column("total_size_b", "Total Size", size_or_dash),
    Column("percent_full", "% Full", percent),
)

EXTRA_FIGURES = (
    Column("corrupt_files", "Corrupt Files", dash_if_zero),
    Column("suspect_files", "Suspect Files", dash_if_zero),
    Column("missing_files", "Missing Files", dash_if_zero),
)

TRANSFER_FIGURES = (
    Column("request_count", "Request Count", str, right=True),
    Column("total_size_b", "Total Size", pretty_bytes),
)


def figures(stats: NodeStats) -> dict[str, Any]:
    """Return the figures of a node under the keys of the columns."""
    return {
        "file_count": stats.files,
        "total_size_b": stats.size_b,
        "percent_full": stats.percent_full,
        "corrupt_files": stats.corrupt,
        "suspect_files": stats.suspect,
        "missing_files": stats.missing,
    }


def transfer_rows(pending: list[tuple[str, int, int | None]], key: str) -> list[dict[str, Any]]:
    """Make rows of pending transfers; `key` is that of the other end's name."""
    return [
        {key: name, "request_count": count, "total_size_b": size} for name, count, size in pending
    ]
