"""The README's lines do what the README says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Step:
    """A command as the README shows it, and the lines that it prints."""

    command: str
    output: list[str]


def steps(section: str) -> list[Step]:
    """Read the console blocks of one section: ``$ `` begins a command, ``> `` goes on with it."""
    text = README.split(f"\n## {section}\n")[1].split("\n## ")[0]
    found: list[Step] = []
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append(Step(line[2:], []))
            elif line.startswith("> "):
                found[-1] = Step(f"{found[-1].command}\n{line[2:]}", [])
            else:
                found[-1].output.append(line)
    return found


def test_first_screen_has_the_two_commands() -> None:
    """Somebody who opens the README sees at once how to try it and how to test it."""
    first_screen = README.splitlines()[:20]
    assert any(line.startswith("$ make demo") for line in first_screen)
    assert any(line.startswith("$ make test") for line in first_screen)


def test_ci_runs_the_test_command_of_the_readme() -> None:
    """What CI runs is what a person is told to run."""
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert lines[-1] == "make test"


@pytest.mark.slow
def test_five_minutes_by_hand(tmp_path: Path) -> None:
    """Somebody who copies the lines into a terminal sees what the README shows."""
    shown = steps("Five minutes, by hand")
    assert len(shown) > 10
    mark = "--- next command ---"
    script = "\n".join(f"{step.command}\necho '{mark}'" for step in shown)
    programs = str(Path(sys.executable).parent)
    done = subprocess.run(
        ["bash", "-s"],
        input=f"exec 2>&1\n{script}\n",
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
        env={
            "ALPENHORN": str(ROOT),
            "HOME": str(tmp_path),
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        },
        check=False,
    )
    printed = done.stdout.split(f"{mark}\n")
    for step, output in zip(shown, printed, strict=False):
        expected = [line.rstrip() for line in step.output if line.strip()]
        assert [line.rstrip() for line in output.splitlines() if line.strip()] == expected, (
            step.command
        )
    assert len(printed) == len(shown) + 1
