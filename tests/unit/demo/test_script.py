"""The script plays the walkthrough: all of its commands, in its order."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from alpenhorn.demo.script import SECTIONS
from alpenhorn.demo.site import Site
from alpenhorn.demo.steps import Holds, InShell, Logs, OnHost, StartDaemon, Step
from alpenhorn.demo.templates import fill, pattern

STEPS = [step for section in SECTIONS for step in section.steps]
PLACES = Site(Path("/demo")).places

# Nouns and verbs of the walkthrough's transcripts, in order (spec: cli.md, Appendix A).
WALKTHROUGH = """
    db init, group create, node create, node activate, node init, node stats, file list,
    node stats, file list, node modify, node show, node stats, file import, node scan, node stats,
    node create, node init, node show, node stats, node modify, node activate, file sync,
    node stats, node sync, node stats, node sync, file show, node stats, node verify, node stats,
    file state, node sync, node stats, file clean, node modify, node show, node create, node sync,
    node stats, node clean, node stats, group autosync, group show, node scan, group autosync,
    node scan, node stats, node sync, node stats, node clean, node autoclean, node show, node scan,
    node stats, group create, node create, node sync, group show, node deactivate, node activate,
    node sync, node stats, node clean
"""


def test_all_commands_are_played_in_order() -> None:
    lines = [a.line for step in STEPS for a in step.actions if isinstance(a, InShell)]
    played = [" ".join(line.split()[1:3]) for line in lines if line.startswith("alpenhorn ")]
    assert played == [name.strip() for name in WALKTHROUGH.split(",")]


def test_three_daemons_are_started() -> None:
    started = [a.host for step in STEPS for a in step.actions if isinstance(a, StartDaemon)]
    assert started == ["alpenhost1", "alpenhost2", "alpenhost3"]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.title)
def test_each_step_is_explained_and_can_be_played(step: Step) -> None:
    assert step.title and step.why.endswith((".", ")"))
    for action in step.actions:
        if isinstance(action, InShell):
            assert shlex.split(fill(action.line, PLACES))[0] in ("alpenhorn", "python")
        if isinstance(action, (InShell, OnHost)):
            fill(action.line, PLACES)
            pattern(action.prints, PLACES)
            assert (action.prints if isinstance(action, InShell) else "x") != ""


def test_each_step_that_asks_a_daemon_for_work_waits_for_it() -> None:
    """Else the next step would meet the work half done."""
    asks = re.compile(r"node (sync|scan|verify|clean|deactivate)|file (import|sync|clean)")
    for step in STEPS:
        lines = [a.line for a in step.actions if isinstance(a, InShell)]
        replies = [a.prints for a in step.actions if isinstance(a, InShell)]
        if any(map(asks.search, lines)) and "No files to sync." not in replies:
            assert any(isinstance(e, (Logs, Holds)) for e in step.expectations), step.title
