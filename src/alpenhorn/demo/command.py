"""The command ``alpenhorn demo``: prepares the stage, has the script played, clears up."""

from __future__ import annotations

import json
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from alpenhorn import db
from alpenhorn.demo.daemons import Daemons
from alpenhorn.demo.narrator import Narrator
from alpenhorn.demo.player import Player
from alpenhorn.demo.problems import DemoProblem, Unexpected
from alpenhorn.demo.script import SECTIONS
from alpenhorn.demo.shell import HOSTS
from alpenhorn.demo.site import Site, build


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
    narrator = Narrator(sys.stderr if as_json else sys.stdout)
    with _ended_by_signals():
        summary = _play(keep, narrator)
    if as_json:
        click.echo(json.dumps(summary))
    ctx.exit(0 if summary["ok"] else 1)


def _play(keep: Path | None, narrator: Narrator) -> dict[str, object]:
    """Play in `keep` or a temporary directory; that one stays only if a step went wrong."""
    home = keep or Path(tempfile.mkdtemp(prefix="alpenhorn-demo-"))
    remove = keep is None
    try:
        site = build(home)
        summary = _perform(site, narrator)
        remove = remove and bool(summary["ok"])
        if keep and summary["ok"]:
            _tell_how_to_go_on(site, narrator)
    finally:
        if remove:
            shutil.rmtree(home, ignore_errors=True)
    return summary


def _perform(site: Site, narrator: Narrator) -> dict[str, object]:
    """Play the script; afterwards no daemon runs. Returns the summary."""
    begin = time.monotonic()
    problem = None
    with Daemons(site) as daemons:
        player = Player(site, daemons, narrator)
        try:
            player.play(SECTIONS)
        except Unexpected as error:
            problem = error
        files, size_b = player.moved() if problem is None else (0, 0)
        db.close()
    summary: dict[str, object] = {
        "ok": problem is None,
        "steps": player.played,
        "files_moved": files,
        "bytes_moved": size_b,
        "seconds": round(time.monotonic() - begin, 1),
    }
    if problem is None:
        _tell_summary(summary, narrator)
        return summary
    return summary | _tell_failure(player.step_title, problem, site, narrator)


def _tell_summary(summary: dict[str, object], narrator: Narrator) -> None:
    narrator.section("That was alpenhorn")
    narrator.say(
        "All {steps} steps came out as the manual says: {files_moved} transfers between nodes with"
        " {bytes_moved} bytes, in {seconds} seconds.".format(**summary)
    )


def _tell_failure(
    title: str, problem: Unexpected, site: Site, narrator: Narrator
) -> dict[str, object]:
    logs = [str(log) for log in map(site.log, HOSTS) if log.exists()]
    narrator.failed(f'\nThe step "{title}" did not come out.')
    narrator.failed(f"Expected {problem.expected}")
    narrator.failed(f"Found {problem.found}")
    narrator.failed(f"What the daemons said is in: {', '.join(logs) or 'no daemon was started'}")
    return {
        "failed_step": title,
        "expected": problem.expected,
        "found": problem.found,
        "logs": logs,
    }


def _tell_how_to_go_on(site: Site, narrator: Narrator) -> None:
    narrator.say(f"Everything is kept in {site.home}. To go on, type in a new shell:")
    python_path = f"{shlex.quote(str(site.python))}${{PYTHONPATH:+:$PYTHONPATH}}"
    narrator.listed(
        [
            f"export ALPENHORN_CONFIG_FILE={shlex.quote(str(site.conf))} PYTHONPATH={python_path}",
            f"alpenhornd --conf {shlex.quote(str(site.host_conf(HOSTS[0])))} &",
            "alpenhorn node stats",
        ]
    )


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
