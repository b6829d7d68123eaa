"""A running daemon of one of the programs that are compared."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from programs import Program

_TASKS = re.compile(r"Tasks: (\d+) queued, \d+ deferred, (\d+) in-progress")


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
