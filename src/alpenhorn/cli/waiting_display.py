"""The progress of work on a terminal: a bar, and a line for each reason why something is stuck.

It is drawn on standard error, once per look, and is gone afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from alpenhorn.services.waiting import Progress, Stuck

_BAR_WIDTH = 30


@contextmanager
def display(
    amount: Callable[[Progress], str], reason: Callable[[Stuck], str]
) -> Iterator[Callable[[Progress], None]]:
    """Show progress while the context lasts.

    Args:
        amount: says how far it is.
        reason: says why something is stuck.

    Yields:
        Shows what a look found.
    """
    # No thread draws in between: a look comes about once a second anyway.
    live = Live(console=Console(stderr=True), transient=True, auto_refresh=False)
    with live:
        yield lambda progress: live.update(_drawn(progress, amount, reason), refresh=True)


def _drawn(
    progress: Progress, amount: Callable[[Progress], str], reason: Callable[[Stuck], str]
) -> RenderableType:
    tally = progress.tally
    line = Table.grid(padding=(0, 1))
    ended = tally.done[0] + tally.failed[0]
    bar = ProgressBar(total=tally.total, completed=ended, width=_BAR_WIDTH)
    line.add_row(bar, Text(amount(progress)))
    if tally.failed[0]:
        line.add_row("", Text(f"{tally.failed[0]} {tally.failed_as}", style="red"))
    return Group(line, *(Text(reason(stuck), style="yellow") for stuck in progress.stuck))
