"""The daemons of the demo: real processes, each with its host's name and a log file."""

from __future__ import annotations

import signal
import subprocess
import time
from types import TracebackType

from alpenhorn.common import processes
from alpenhorn.demo.problems import Unexpected
from alpenhorn.demo.site import Site

PATIENCE_S = 10.0
"""How long daemons may take to end before they are killed."""


class Daemons:
    """The daemons that run; a context manager that leaves none behind.

    They get sessions of their own, so that Ctrl-C reaches the demo only, which then ends them. A
    guard kills them if the demo is killed itself.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Daemons:
        """Begin with none."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all."""
        self.stop()

    def start(self, host: str) -> None:
        """Start the daemon of `host`."""
        process = self._running[host] = self._site.start_daemon(host)
        processes.guard(process)

    def check(self) -> None:
        """Make sure that all are alive.

        Raises:
            Unexpected: one has ended.
        """
        for host, process in self._running.items():
            if (status := process.poll()) is not None:
                raise Unexpected(
                    f"a running daemon on {host}", f"that it ended with exit status {status}"
                )

    def stop(self) -> None:
        """Ask all daemons to end, and kill those that do not within `PATIENCE_S`."""
        try:
            for process in self._running.values():
                process.send_signal(signal.SIGTERM)
            _wait(list(self._running.values()), PATIENCE_S)
        finally:
            for process in self._running.values():
                process.kill()  # does nothing to a process that was waited for
                process.wait()
                processes.unguard(process)
            self._running.clear()


def _wait(processes: list[subprocess.Popen[bytes]], patience: float) -> None:
    until = time.monotonic() + patience
    for process in processes:
        try:
            process.wait(max(0.0, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            return
