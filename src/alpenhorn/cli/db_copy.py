"""``db copy``: move an index between database systems."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from alpenhorn.cli import colour, options
from alpenhorn.cli.command import command
from alpenhorn.cli.render import printable
from alpenhorn.common.logger import echo
from alpenhorn.db.copying import LeftOut
from alpenhorn.db.copying_rows import Report
from alpenhorn.services import index_copy

_DOING = {"copy": "Copying", "compare": "Comparing"}


@command(
    "copy",
    check_schema=False,
    example="alpenhorn db copy sqlite:////data/alpenhorn.db \\\n"
    "    postgresql://alpenhorn@db.example.org/alpenhorn",
)
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@options.flag("--restart", help="Empty TO first, if a copy into it was cut off.")
def copy(source: str, target: str, restart: bool) -> None:
    """Copy the Data Index FROM into the empty database TO.

    Both are URLs as in database.url. All rows are copied with their ids, then read again from both
    sides and compared; FROM is only read. Stop all daemons before. TO cannot be used before it is
    complete.

    A password that is not in a URL is taken as for database.url, from the environment or the file.
    """
    with _progress() as begin:
        copied = index_copy.copy(source, target, restart, begin)
    for table, rows in copied.rows.items():
        echo(f"{table}: {rows}")
    _say_what_is_left_out(copied.left_out)
    echo(f"Copied and compared {sum(copied.rows.values())} rows to {index_copy.shown(target)}.")
    echo("Now set database.url to it on all hosts, and start the daemons.")


def _say_what_is_left_out(left_out: LeftOut) -> None:
    for noun, names in (("tables", left_out.tables), ("columns", left_out.columns)):
        if names:
            listed = ", ".join(map(printable, names))
            click.echo(
                f"Warning: not copied, since they are not alpenhorn's: {noun} {listed}", err=True
            )


class _Begin:
    """Draws one bar for copying and comparing, if somebody looks."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def __call__(self, rows: int) -> Report:
        bar = self._progress.add_task("Copying", total=2 * rows, table="")

        def report(doing: str, table: str, rows: int) -> None:
            self._progress.update(bar, advance=rows, description=_DOING[doing], table=table)

        return report


@contextmanager
def _progress() -> Iterator[_Begin]:
    columns = (
        TextColumn("{task.description} {task.fields[table]}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    shown = colour.is_terminal(sys.stderr)
    with Progress(*columns, console=console, transient=True, disable=not shown) as progress:
        yield _Begin(progress)
