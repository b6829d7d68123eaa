"""``alpenhorn demo``: what the user sees when it works, when it does not, and when it cannot."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest

from alpenhorn.cli.main import run
from alpenhorn.demo import performance
from alpenhorn.demo.steps import InShell, OnHost, Section, StartDaemon, Step

DB_INIT = Step(
    "Create the index", "Why.", (InShell("alpenhorn db init", "Data Index version 2 initialised."),)
)
START = Step("Start", "Why.", (StartDaemon("alpenhost1"),))
WRONG = Step("Go wrong", "Why.", (OnHost("alpenhost1", "echo no", "yes"),))


@pytest.fixture(autouse=True)
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory for temporary files."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    return directory


def script(monkeypatch: pytest.MonkeyPatch, *steps: Step) -> None:
    monkeypatch.setattr(performance, "SECTIONS", (Section("Chapter", steps),))


Capture = pytest.CaptureFixture[str]


def test_it_clears_up_after_itself(
    monkeypatch: pytest.MonkeyPatch, temp: Path, capfd: Capture
) -> None:
    script(monkeypatch, DB_INIT)
    assert run(["demo"]) == 0
    printed = capfd.readouterr()
    assert "All 1 steps came out as the manual says" in printed.out
    assert printed.err == ""
    assert "\x1b" not in printed.out
    assert not list(temp.iterdir())


def test_the_first_step_that_fails_is_named_with_the_logs(
    monkeypatch: pytest.MonkeyPatch, temp: Path, capfd: Capture
) -> None:
    script(monkeypatch, DB_INIT, START, WRONG, DB_INIT)
    assert run(["demo"]) == 1
    out = capfd.readouterr().out
    (home,) = temp.iterdir()
    assert out.endswith(
        'The step "Go wrong" did not come out.\nExpected this output:\nyes\nFound this:\nno\n'
        f"What the daemons said is in: {home}/alpenhost1/alpenhornd.log\n"
    )
    assert (home / "alpenhost1/alpenhornd.log").exists()


def test_json_is_all_that_is_on_standard_output(
    monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    script(monkeypatch, DB_INIT)
    assert run(["demo", "--json"]) == 0
    printed = capfd.readouterr()
    summary = json.loads(printed.out)
    assert summary.pop("seconds") > 0
    assert summary == {"ok": True, "steps": 1, "files_moved": 0, "bytes_moved": 0}
    assert "Create the index" in printed.err


def test_a_failure_in_json(monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> None:
    script(monkeypatch, DB_INIT, WRONG)
    assert run(["demo", "--json"]) == 1
    summary = json.loads(capfd.readouterr().out)
    assert summary["ok"] is False
    assert summary["steps"] == 1
    assert summary["failed_step"] == "Go wrong"
    assert (summary["expected"], summary["found"]) == ("this output:\nyes", "this:\nno")
    assert summary["logs"] == []


def test_without_rsync_nothing_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temp: Path, capfd: Capture
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run(["demo", "--keep", str(tmp_path / "kept")]) == 1
    printed = capfd.readouterr()
    assert printed.out == ""
    assert printed.err == "Error: rsync is missing: install the package rsync, then try again.\n"
    assert not list(temp.iterdir())
    assert not (tmp_path / "kept").exists()


def test_a_directory_in_use_is_not_played_in(tmp_path: Path, capfd: Capture) -> None:
    (tmp_path / "thesis.tex").touch()
    assert run(["demo", "--keep", str(tmp_path)]) == 1
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "is not empty" in printed.err and len(printed.err.splitlines()) == 1


def test_an_interrupt_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, temp: Path, capfd: Capture
) -> None:
    interrupt = Step("Interrupt", "Why.", (OnHost("alpenhost1", f"kill -INT {os.getpid()}"),))
    script(monkeypatch, DB_INIT, START, interrupt)
    assert run(["demo"]) == 1
    assert capfd.readouterr().err.endswith("Aborted!\n")
    assert not list(temp.iterdir())
