"""Rows that are printed as they come from the database, however many there are.

JSON is one object per line (NDJSON). A table needs its column widths before its first line, so its
cells are laid down in a temporary file, of which no more than `SPOOL_BYTES` are held in memory.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import IO

from alpenhorn.cli.render import Column, Row
from alpenhorn.common.logger import echo
from alpenhorn.errors import AlpenhornError

SPOOL_BYTES = 2**20

_LINES_AT_ONCE = 1000
_LEAST_PADDING = 2
_CELL_END = "\t"  # cells have no control characters


def print_lines(lines: Iterable[str]) -> None:
    """Print many lines with few writes."""
    rest = iter(lines)
    while some := list(islice(rest, _LINES_AT_ONCE)):
        echo("\n".join(some))


def print_json(rows: Iterable[Row]) -> None:
    """Print each row as a JSON object on a line of its own."""
    print_lines(json.dumps(row, ensure_ascii=False, default=_json_value) for row in rows)


def print_table(columns: Sequence[Column], rows: Iterable[Row], none: str | None = None) -> None:
    """Print rows in the form of `render.table`.

    Args:
        columns: what to print.
        rows: the rows; may have more keys than there are columns.
        none: printed instead if there are no rows; None: print nothing then.

    Raises:
        AlpenhornError: there is no room for temporary files.
    """
    with tempfile.SpooledTemporaryFile(SPOOL_BYTES, "w+", encoding="utf-8", newline="\n") as spool:
        widths = _lay_down(columns, rows, spool)
        if widths:
            spool.seek(0)
            print_lines(_table_lines(columns, widths, spool))
        elif none is not None:
            echo(none)


def _lay_down(columns: Sequence[Column], rows: Iterable[Row], spool: IO[str]) -> list[int]:
    """Write the cells, one row a line; return the widest cell of each column, or [] if no rows."""
    widths: list[int] = []
    for row in rows:
        cells = [column.show(row[column.key]).strip() for column in columns]
        lengths = map(len, cells)
        widths = list(map(max, widths, lengths)) if widths else list(lengths)
        try:
            spool.write(_CELL_END.join(cells) + "\n")
        except OSError as error:
            where = tempfile.gettempdir()
            cause = error.strerror or error
            raise AlpenhornError(f"Unable to lay out the table in {where}: {cause}") from error
    return widths


def _table_lines(
    columns: Sequence[Column], cell_widths: Sequence[int], spool: Iterable[str]
) -> Iterator[str]:
    headings = [column.heading for column in columns]
    widths = [
        max(len(heading) + _LEAST_PADDING, width)
        for heading, width in zip(headings, cell_widths, strict=True)
    ]
    yield _line(headings, widths)
    yield _line(["-" * width for width in widths], widths)
    for line in spool:
        cells = map(str.ljust, line.rstrip("\n").split(_CELL_END), widths)
        yield "  ".join(map(Column.paint, columns, cells)).rstrip()


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(map(str.ljust, cells, widths)).rstrip()


def _json_value(value: object) -> str:
    return f"{value.isoformat()}Z" if isinstance(value, datetime) else str(value)
