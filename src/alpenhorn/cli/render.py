"""Tables, label blocks and JSON from the same rows (spec: cli.md §3).

A row is a mapping of typed values, worked out once. A `Column` says how people see one of the
values; JSON has the values themselves: bytes as integers, times as ISO 8601 in UTC, null for unset.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tabulate import tabulate

from alpenhorn.cli import colour
from alpenhorn.common.logger import echo
from alpenhorn.common.units import pretty_bytes

Row = Mapping[str, Any]

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_KEY_WIDTH_LIMIT = 30


def text(value: object) -> str:
    """Show text as it is, unset as nothing; control characters cannot act on the terminal."""
    return "" if value is None else printable(str(value))


def printable(value: str) -> str:
    """Write control characters as escapes: names come from outside and must not forge lines."""
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], value)


def yes_no(value: object) -> str:
    """Show a truth value."""
    return "Yes" if value else "No"


def dash_if_zero(value: object) -> str:
    """Show a count of which zero is the good news; unset and zero as a dash."""
    return str(value) if value else "-"


def size_or_dash(value: int | None) -> str:
    """Show bytes; unknown and zero as a dash."""
    return pretty_bytes(value) if value else "-"


def percent(value: float | None) -> str:
    """Show a percentage with two decimals; unknown as a dash."""
    return "-" if value is None else f"{value:.2f}"


def or_default(value: str | None) -> str:
    """Show an I/O class; unset as ``Default``."""
    return printable(value or "Default")


@dataclass(frozen=True)
class Column:
    """One value of a row, for people and for programs."""

    key: str
    """Key in the row and in JSON."""
    heading: str
    show: Callable[[Any], str] = text
    right: bool = False
    """Right-aligned; for counts."""

    def paint(self, cell: str) -> str:
        """Colour a cell, if it holds a state."""
        return colour.state(cell) if self.key == "state" else cell


def table(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """Lay out a table in tabulate's style ``simple``; no cell is ever reformatted (D20)."""
    cells = [[column.paint(column.show(row[column.key])) for column in columns] for row in rows]
    alignment = ["right" if column.right and rows else "left" for column in columns]
    layout = tabulate(
        cells,
        headers=[column.heading for column in columns],
        tablefmt="simple",
        disable_numparse=True,
        colalign=alignment if rows else None,
    )
    return "\n".join(line.rstrip() for line in layout.splitlines())


def show_rows(
    columns: Sequence[Column], rows: Iterable[Row], as_json: bool, none: str | None = None
) -> None:
    """Print rows as a table or as a JSON list.

    Args:
        columns: what to print.
        rows: the rows; may have more keys than there are columns.
        as_json: print JSON.
        none: line printed instead of a table without rows.
    """
    found = list(rows)
    if as_json:
        show_json([{column.key: row[column.key] for column in columns} for row in found])
    elif found or none is None:
        echo(table(columns, found))
    else:
        echo(none)


def show_json(value: object) -> None:
    """Print a value as JSON, with the types of the Data Index."""
    echo(json.dumps(value, indent=2, ensure_ascii=False, default=_json_value))


def label_block(lines: Sequence[tuple[str, str] | None]) -> str:
    """Lay out ``label: value`` lines with the labels right-justified (spec: cli.md §3.6).

    Args:
        lines: label and value; None for an empty line.
    """
    width = max(len(line[0]) for line in lines if line)
    return "\n".join(f"{line[0]:>{width}}: {line[1]}" if line else "" for line in lines)


def section(heading: str, body: str) -> str:
    """Put a heading before a body, with an empty line before and after it."""
    return f"\n{heading}:\n\n{body}"


def table_or_none(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """Lay out a table, or the word ``none`` if there are no rows."""
    return table(columns, rows) if rows else "  none"


def io_config_section(stored: str | None) -> str:
    """Lay out the I/O config of a node or group (spec: cli.md §3.6)."""
    return section("I/O Config", _io_config_body(stored))


def io_config_value(stored: str | None) -> object:
    """Return the I/O config for JSON output; text if it cannot be decoded."""
    try:
        return json.loads(stored) if stored else None
    except (ValueError, RecursionError):
        return stored


def _io_config_body(stored: str | None) -> str:
    if not stored:
        return "  none"
    try:
        config = json.loads(stored)
    except (ValueError, RecursionError):
        return "INVALID (JSON decode error)"
    if not config:
        return "  empty"
    if not isinstance(config, dict):
        return f"INVALID (not a JSON object): {printable(stored)}"
    shown = {printable(key): text_of_json(value) for key, value in config.items()}
    width = min(max(map(len, shown)), _KEY_WIDTH_LIMIT)
    return "\n".join(f"  {key:>{width}}: {value}" for key, value in shown.items())


def text_of_json(value: object) -> str:
    """Show a value of an I/O config; containers as JSON."""
    return printable(json.dumps(value) if isinstance(value, dict | list) else str(value))


def _json_value(value: object) -> object:
    if isinstance(value, datetime):
        return f"{value.isoformat()}Z"
    return str(value)
