"""What people see on a terminal only: colours of states, and progress."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from alpenhorn.cli import waiting
from alpenhorn.cli.main import run as run_program
from alpenhorn.db import ArchiveFileCopyRequest

GREEN, YELLOW, RED = "\x1b[32m", "\x1b[33m", "\x1b[31m"


class PseudoTerminal:
    """The other end of a pseudo-terminal: what was written to it."""

    def __init__(self) -> None:
        self._master, slave = os.openpty()
        self.stream = os.fdopen(slave, "w", encoding="utf-8")
        self._read = b""
        self._reader = threading.Thread(target=self._keep_reading)
        self._reader.start()

    def _keep_reading(self) -> None:
        try:
            while some := os.read(self._master, 4096):
                self._read += some
        except OSError:
            pass  # Linux says EIO when the other end is closed

    def text(self) -> str:
        """Close it; return everything."""
        self.stream.close()
        self._reader.join(timeout=10)
        return self._read.decode()

    def close(self) -> None:
        self.text()
        os.close(self._master)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[PseudoTerminal]:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = PseudoTerminal()
    yield terminal
    terminal.close()


@pytest.fixture
def see(conf: Any, screen: PseudoTerminal, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run a command line on a terminal; return what is on it."""

    def see(*args: str, stream: str = "stdout") -> str:
        with monkeypatch.context() as patch:
            patch.setattr(sys, stream, screen.stream)
            run_program(["--conf", str(conf), *args])
        return screen.text()

    return see


@pytest.fixture
def node(make: Any) -> Any:
    node = make.node("n")
    states = ("YY", "YM", "YN", "MY", "XY", "NY", "NN")
    for state in states:
        make.copy(f"a/{state}", node, *state)
    return node


def lines_of(text: str) -> dict[str, str]:
    return {line.split()[0]: line for line in text.splitlines() if line.startswith("a/")}


SHOWN = {
    "a/YY": f"{GREEN}Healthy",
    "a/YM": f"{YELLOW}Removable",
    "a/MY": f"{YELLOW}Suspect",
    "a/XY": f"{RED}Corrupt",
    "a/NY": f"{RED}Missing",
}
LIST = ("file", "find", "--healthy", "--suspect", "--corrupt", "--missing")


def test_states_are_coloured_on_a_terminal(node: Any, see: Callable[..., str]) -> None:
    lines = lines_of(see(*LIST))
    assert {path: shown in lines[path] for path, shown in SHOWN.items()} == dict.fromkeys(
        SHOWN, True
    )


def test_colours_do_not_move_the_columns(node: Any, run: Any, see: Callable[..., str]) -> None:
    plain = run(*LIST).stdout.splitlines()
    seen = see(*LIST)
    for code in (GREEN, YELLOW, RED, "\x1b[0m"):
        seen = seen.replace(code, "")
    assert seen.splitlines() == plain


def test_tables_of_one_file_are_coloured(node: Any, see: Callable[..., str]) -> None:
    assert f"{RED}Corrupt\x1b[0m" in see("file", "show", "a/XY", "--nodes")


@pytest.mark.parametrize(
    ("state", "colour"), [("YY", GREEN), ("YN", YELLOW), ("MY", YELLOW), ("XY", RED)]
)
def test_a_single_state_is_coloured(
    node: Any, see: Callable[..., str], state: str, colour: str
) -> None:
    assert see("file", "state", f"a/{state}", "n").startswith(colour)


def test_findings_of_the_doctor_are_coloured(make: Any, see: Callable[..., str]) -> None:
    make.node("n", host=os.uname().nodename.partition(".")[0], root="/nowhere")
    seen = see("doctor")
    for colour, word in ((GREEN, "ok"), (YELLOW, "warning"), (RED, "problem")):
        assert f"\n  {colour}{word}\x1b[0m " in seen


def test_what_is_gone_on_purpose_has_no_colour(node: Any, see: Callable[..., str]) -> None:
    assert see("file", "state", "a/NN", "n") == "Absent\r\n"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_who_wants_no_colours_gets_none(
    node: Any,
    see: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
) -> None:
    monkeypatch.setenv(name, value)
    assert "\x1b" not in see(*LIST)


def test_there_are_no_colours_in_pipes(node: Any, run: Any) -> None:
    assert "\x1b" not in run(*LIST).stdout
    assert "\x1b" not in run("file", "show", "a/XY", "--nodes").stdout


def test_json_has_no_colours(node: Any, see: Callable[..., str]) -> None:
    assert "\x1b" not in see(*LIST, "--json")


def test_progress_is_shown_and_goes_away(
    make: Any, see: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """How far, at what rate, and why something is stuck: on standard error, while it lasts."""
    source, dest = make.node("src", active=False), make.node("dst", group="g")
    make.copy("a/1", source)
    steps = iter([lambda: make.copy("a/1", dest), _complete])
    now = iter(range(100))
    monkeypatch.setattr(waiting, "clock", lambda: float(next(now)))
    monkeypatch.setattr(waiting, "pause", lambda _seconds: next(steps)())
    text = see("node", "sync", "src", "g", "--force", "--wait", stream="stderr")
    assert "0 of 1 file (0 B) in 1.0s" in text
    assert "the source node is not active (1 file)" in text
    assert "no daemon is alive for host" in text
    assert "1 of 1 file (4 B) in 3.0s, 0.3 files/s, 1 B/s" in text
    assert text.rstrip().endswith("\x1b[2K")  # the last line was erased


def _complete() -> None:
    ArchiveFileCopyRequest.update(completed=True).execute()
