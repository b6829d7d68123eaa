"""The two programs that are compared, and a running daemon of one of them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_TASKS = re.compile(r"Tasks: (\d+) queued, \d+ deferred, (\d+) in-progress")


@dataclass(frozen=True)
class Program:
    """How a program is started."""

    name: str
    shell: tuple[str, ...]
    daemon: tuple[str, ...]


OURS = Program(
    "ours",
    (sys.executable, "-m", "alpenhorn", "--test-isolation"),
    (sys.executable, "-m", "alpenhorn.daemon", "--test-isolation"),
)


def public(directory: Path) -> Program:
    """The public program, from the directory that holds its commands."""
    return Program(
        "public",
        (str(directory / "alpenhorn"), "--test-isolation"),
        (str(directory / "alpenhornd"), "--test-isolation"),
    )


class Daemon:
    """A running daemon.

    Args:
        program: whose.
        conf: its configuration file.
        log: the file that gets its output.
        environment: its environment variables.
    """

    def __init__(
        self, program: Program, conf: Path, log: Path, environment: Mapping[str, str]
    ) -> None:
        self.log_path = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*program.daemon, "-c", str(conf)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
            )

    @property
    def alive(self) -> bool:
        """Has it not ended?"""
        return self._process.poll() is None

    @property
    def log(self) -> str:
        """What it has written."""
        return self.log_path.read_text(errors="replace")

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def idle_passes(self) -> list[bool]:
        """For each pass until now: was nothing left to do at its end?"""
        return [(queued, running) == ("0", "0") for queued, running in _TASKS.findall(self.log)]

    def stop(self) -> None:
        """End it, by its process id."""
        if self.alive:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
