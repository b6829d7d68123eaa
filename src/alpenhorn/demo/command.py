"""The command ``alpenhorn demo``.

Nothing heavy is imported here before it runs: the help text of the program lists it.
"""

from __future__ import annotations

import json
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from alpenhorn.demo.problems import DemoProblem


@click.command("demo")
@click.option(
    "--keep",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Play in this new or empty directory, and leave everything there to go on with.",
)
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print a summary in JSON on standard output; the story goes to standard error.",
)
@click.pass_context
def demo(ctx: click.Context, keep: Path | None, as_json: bool) -> None:
    """Play the walkthrough of the manual on this machine, in about a minute.

    Three daemons with three storage nodes and a transport disk import, copy, check, repair and
    delete real files in a temporary directory. Each step is explained, and its result checked.
    Nothing outside that directory is touched; needs rsync.
    """
    if shutil.which("rsync") is None:
        raise DemoProblem("rsync is missing: install the package rsync, then try again.")
    # Only now: it takes the whole program, which the help text can do without.
    from alpenhorn.demo.narrator import Narrator
    from alpenhorn.demo.performance import play

    narrator = Narrator(sys.stderr if as_json else sys.stdout)
    with _ended_by_signals():
        summary = play(keep, narrator)
    if as_json:
        click.echo(json.dumps(summary))
    ctx.exit(0 if summary["ok"] else 1)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the demo in an orderly way, as Ctrl-C does."""

    def end(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
