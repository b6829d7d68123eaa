"""One performance of the walkthrough: builds the stage, has the script played, clears up."""

from __future__ import annotations

import shlex
import shutil
import tempfile
import time
from pathlib import Path

from alpenhorn import db
from alpenhorn.demo.daemons import Daemons
from alpenhorn.demo.narrator import Narrator
from alpenhorn.demo.player import Player
from alpenhorn.demo.problems import Unexpected
from alpenhorn.demo.script import SECTIONS
from alpenhorn.demo.shell import HOSTS
from alpenhorn.demo.site import Site, build


def play(keep: Path | None, narrator: Narrator) -> dict[str, object]:
    """Play the whole walkthrough.

    Args:
        keep: directory to play in, which stays; None for a temporary one, which stays only if a
            step went wrong.
        narrator: tells the story.

    Returns:
        The summary, as ``alpenhorn demo --json`` prints it.

    Raises:
        DemoProblem: `keep` cannot be played in.
    """
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
