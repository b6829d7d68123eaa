"""``alpenhorn demo`` with everything real: daemons, rsync, the shell of a new user."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

DEMO = [sys.executable, "-m", "alpenhorn", "demo"]
LIMIT_S = 600


def processes_with(text: str) -> list[str]:
    """The command lines of running processes that mention `text`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has ended
        if text in words:
            found.append(words)
    return found


def wait_for(condition: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.05)


@dataclass(frozen=True)
class Played:
    """A demo that was played and kept."""

    home: Path
    code: int
    summary: dict[str, Any]
    story: str


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    home = tmp_path_factory.mktemp("it's kept") / "demo"
    command = [*DEMO, "--json", "--keep", str(home)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return Played(home, done.returncode, json.loads(done.stdout), done.stderr)


def test_all_steps_of_the_walkthrough_come_out(played: Played) -> None:
    assert played.summary["ok"] is True
    assert played.summary["steps"] > 40
    # 1 + 4 to the second node, 1 repaired, 5 to the third, 5 by auto-sync and after, 8 out, 8 back
    assert played.summary["files_moved"] == 33


def test_the_story_is_plain_text_with_commands_and_log_lines(played: Played) -> None:
    assert "\x1b" not in played.story
    assert "\nalpenshell$ alpenhorn node stats\nName             File Count" in played.story
    assert "--test-isolation" not in played.story
    assert "\nalpenhost2 | " in played.story
    assert "\nchecked: demo_storage3 holds 8 files, in the Data Index" in played.story


def test_no_daemon_is_left_running(played: Played) -> None:
    assert processes_with(str(played.home)) == []


def test_a_new_user_in_a_new_shell_can_go_on(played: Played) -> None:
    """The lines printed at the end work as they are, and the daemon does its work."""
    lines = [line.strip() for line in played.story.splitlines()[-3:]]
    assert [line.split()[0] for line in lines] == ["export", "alpenhornd", "alpenhorn"]
    new_file = "2025/02/26/03/0000.dat"
    (played.home / "alpenhost1/data" / new_file).parent.mkdir(parents=True)
    (played.home / "alpenhost1/data" / new_file).write_text("more\n")
    script = "\n".join(
        [
            *lines,
            "trap 'kill $!; wait' EXIT",
            f"alpenhorn file import --register-new {new_file} demo_storage1",
            f"until alpenhorn file show {new_file}; do sleep 0.1; done",
        ]
    )
    environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": "/nowhere"}
    done = subprocess.run(
        ["/bin/sh", "-c", script], env=environment, capture_output=True, text=True, timeout=LIMIT_S
    )
    assert "demo_storage3             8         185 B         -" in done.stdout
    assert "   Name: 03/0000.dat" in done.stdout, done.stderr
    assert f'Imported file copy "{new_file}" on node "demo_storage1".' in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT])
def test_when_it_is_interrupted_nothing_is_left(tmp_path: Path, number: signal.Signals) -> None:
    """In the middle of the play, with two daemons running."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with (tmp_path / "story").open("wb") as story:
        demo = subprocess.Popen(DEMO, env=environment, stdout=story, stderr=story)
    try:
        wait_for(
            lambda: "alpenhost2 | " in (tmp_path / "story").read_text(), "the second daemon's start"
        )
        assert processes_with(str(tmp_path)) != []
        demo.send_signal(number)
        assert demo.wait(LIMIT_S) == (1 if number == signal.SIGINT else 128 + number)
    finally:
        demo.kill()
    assert processes_with(str(tmp_path)) == []
    assert [path.name for path in tmp_path.iterdir()] == ["story"]


def test_when_it_is_killed_by_force_its_daemons_end(tmp_path: Path) -> None:
    """Nobody has to look for them; only the directory is left."""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with (tmp_path / "story").open("wb") as story:
        demo = subprocess.Popen(DEMO, env=environment, stdout=story, stderr=story)
    try:
        wait_for(
            lambda: "alpenhost2 | " in (tmp_path / "story").read_text(), "the second daemon's start"
        )
        assert len(processes_with(f"{tmp_path}/")) >= 2
    finally:
        demo.kill()
    assert demo.wait(LIMIT_S) == -signal.SIGKILL
    wait_for(lambda: processes_with(str(tmp_path)) == [], "the end of the daemons")
