"""The shell completes commands, options, and the names that the index has."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alpenhorn.cli import names
from alpenhorn.cli.main import run as run_program
from alpenhorn.io import registry

Complete = Callable[..., list[str]]


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Complete:
    """Return a function that gives what the shell offers at the end of a line.

    It speaks click's protocol for bash, in this process.
    """

    def complete(*words: str, conf: Path | None = None) -> list[str]:
        head = ["alpenhorn", "--test-isolation", *(["--conf", str(conf)] if conf else [])]
        line = [*head, *words]
        monkeypatch.setenv("_ALPENHORN_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", " ".join(line))
        monkeypatch.setenv("COMP_CWORD", str(len(line) - 1))
        with pytest.raises(SystemExit) as ended:
            run_program([])
        assert not ended.value.code
        printed = capsys.readouterr()
        assert printed.err == ""
        return [item.partition(",")[2] for item in printed.out.split()]

    return complete


@pytest.fixture
def places(make: Any) -> None:
    make.node("alpha", group="archives")
    make.node("alps", group="archives")
    make.node("with blank", group="archives")
    make.node("line\nbreak", group="archives")
    make.node("Alarm", group="archives")
    make.file("2025/01/01/f")
    make.file("2025/02/01/f")
    make.file("2024%/f")


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["no"], ["node"]),
        (["comp"], ["completion"]),
        (["doc"], ["doctor"]),
        (["doctor", "--no"], ["--no-routes", "--node"]),
        (["completion", ""], ["bash", "fish", "zsh"]),
        (["node", "st"], ["stats"]),
        (["node", "stats", "--ex"], ["--extra-stats"]),
        (["nodes", "st"], []),
    ],
)
def test_words_of_the_program(complete: Complete, words: list[str], offered: list[str]) -> None:
    """These need no configuration."""
    assert sorted(complete(*words)) == offered


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["node", "show", "al"], ["alpha", "alps"]),
        (["node", "show", "A"], ["Alarm"]),
        (["doctor", "--node", "alp"], ["alpha", "alps"]),
        (["node", "show", ""], ["Alarm", "alpha", "alps"]),
        (["node", "show", "nothing"], []),
        (["node", "sync", "alpha", "a"], ["archives"]),
        (["group", "sync", "archives", "alp"], ["alpha", "alps"]),
        (["group", "show", "ar"], ["archives"]),
        (["file", "list", "--node", "alp"], ["alpha", "alps"]),
        (["file", "list", "--from", "alpha", "--to", ""], ["archives"]),
        (["node", "clean", "alpha", "--target", "a"], ["archives"]),
        (["acq", "show", "2025/0"], ["2025/01/01", "2025/02/01"]),
        (["acq", "show", "2024%"], ["2024%"]),
        (["acq", "show", "20_"], []),
        (["node", "create", "x", "--class", "P"], ["Polling"]),
        (["group", "create", "x", "--class", "Tr"], ["Transport"]),
        (["node", "create", "x", "--class", "Tr"], []),
        (["node", "create", "al"], []),
    ],
)
def test_names_of_the_index(
    complete: Complete, places: None, conf: Path, words: list[str], offered: list[str]
) -> None:
    """Names that a shell cannot take as one word are not offered."""
    assert complete(*words, conf=conf) == offered


EXTENSION = """
from alpenhorn.extensions import IOClassExtension
from alpenhorn.io.base import BaseNodeIO

class Tape(BaseNodeIO):
    pass

def register_extensions():
    return [IOClassExtension("Tape Library", "1.0", "Tape", node_class=Tape)]
"""


def test_io_classes_of_extensions(
    complete: Complete, index: Any, conf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A class of somebody's own module is offered where it can be used."""
    (tmp_path / "our_tape_library.py").write_text(EXTENSION)
    monkeypatch.syspath_prepend(tmp_path)
    conf.write_text(conf.read_text() + "extensions: [our_tape_library]\n")
    assert complete("node", "modify", "n", "--class", "T", conf=conf) == ["Tape"]
    registry.reset()


def test_without_configuration_nothing_is_offered(complete: Complete) -> None:
    assert complete("node", "show", "a") == []
    assert complete("node", "modify", "n", "--class", "D") == []


def test_without_an_index_nothing_is_offered(complete: Complete, tmp_path: Path) -> None:
    """No error either, and nothing is made where the index would be."""
    conf = tmp_path / "alpenhorn.conf"
    conf.write_text(f"database:\n  url: sqlite:///{tmp_path}/none/index.db\n")
    assert complete("node", "show", "a", conf=conf) == []
    conf.write_text("database: [\n")
    assert complete("node", "show", "a", conf=conf) == []
    conf.write_text("extensions: [no_such_module]\n")
    assert complete("node", "show", "a", conf=conf) == []


def test_a_database_that_does_not_answer_is_left_alone(
    complete: Complete, conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user gets the prompt back."""
    reading, writing = os.pipe()
    monkeypatch.setattr(names, "PATIENCE_S", 0.05)
    monkeypatch.setattr(names.bootstrap, "start", lambda **_: os.read(reading, 1))
    began = time.monotonic()
    assert complete("node", "show", "a", conf=conf) == []
    assert time.monotonic() - began < 30
    os.close(writing)
    os.close(reading)


def test_what_extensions_print_does_not_reach_the_line(
    complete: Complete, conf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(names.bootstrap, "start", lambda **_: print("hello"))
    assert complete("node", "show", "a", conf=conf) == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_needs_no_configuration(capsys: pytest.CaptureFixture[str], shell: str) -> None:
    assert run_program(["--test-isolation", "completion", shell]) == 0
    printed = capsys.readouterr()
    assert "_ALPENHORN_COMPLETE" in printed.out
    assert f"{shell}_complete" in printed.out
    assert printed.err == ""


def test_another_shell_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_program(["completion", "csh"]) == 2
    assert "'bash', 'zsh', 'fish'" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.sqlite
def test_in_a_real_bash(places: None, conf: Path, tmp_path: Path) -> None:
    """The script defines the function that bash calls, and the function fills COMPREPLY."""
    program = tmp_path / "alpenhorn"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m alpenhorn "$@"\n')
    program.chmod(0o755)
    script = """
        eval "$(alpenhorn completion bash)"
        COMP_WORDS=(alpenhorn node show alp); COMP_CWORD=3
        $(complete -p alpenhorn | sed 's/.*-F \\([^ ]*\\).*/\\1/') alpenhorn alp show
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        env={
            "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "ALPENHORN_CONFIG_FILE": str(conf),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == ["alpha", "alps"]
    assert done.stderr == ""
