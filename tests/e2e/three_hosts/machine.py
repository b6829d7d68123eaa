"""A machine on this one: Linux namespaces with its own network, host name, processes and root.

See ``machine.sh`` for what a machine sees. Nothing outside the namespaces changes, and nothing is
left of them when the machine's first process ends, which happens at the latest when this process
does, however it ends: it holds the other end of a pipe.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from servers import Unavailable

_SCRIPT = Path(__file__).with_name("machine.sh")
_UNSHARE = ("unshare", "--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child")


class Machine:
    """One machine; it is off until `boot`, and may be booted again after `kill`.

    Args:
        name: its host name.
        stage: an empty directory for the script.
        disks: directories here by the places where the machine has them; they outlive it.
        environment: of everything that runs there.
    """

    def __init__(
        self, name: str, stage: Path, disks: Mapping[str, Path], environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.pid = 0
        self._stage = stage
        self._disks = disks
        self._environment = [f"{key}={value}" for key, value in environment.items()]
        self._first: subprocess.Popen[str] | None = None

    def boot(self) -> None:
        """Switch it on; there is no network yet but its own loopback.

        Raises:
            Unavailable: no namespaces may be made here, or what they need is missing.
        """
        self._stage.mkdir(parents=True, exist_ok=True)
        disks = [word for place, disk in self._disks.items() for word in (str(disk), place)]
        pipe = subprocess.PIPE
        first = subprocess.Popen(
            [*_UNSHARE, "/bin/sh", str(_SCRIPT), self.name, str(self._stage), *disks],
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
            start_new_session=True,  # Ctrl-C is for the tests, which then clear up
        )
        assert first.stdout is not None
        if first.stdout.readline() != "ready\n":
            _, errors = first.communicate()
            raise Unavailable(f"no machines can be made here: {' '.join(errors.split())}")
        self._first = first
        (self.pid,) = children(first.pid)

    def kill(self) -> None:
        """End all its processes at once, with SIGKILL; what was no disk is forgotten."""
        if self._first is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self._first.communicate()
            self._first = None

    def command(self, words: Sequence[str]) -> list[str]:
        """The command that runs a program on the machine, from here."""
        return [
            *("nsenter", "--all", f"--target={self.pid}", "--"),
            *("env", "--ignore-environment", *self._environment),
            *words,
        ]

    def run(self, *words: str, stdin: str = "") -> str:
        """Run a program that must succeed; returns what it printed."""
        done = subprocess.run(
            self.command(words), input=stdin, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, f"{words} on {self.name}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self, words: Sequence[str], log: IO[bytes]) -> Entered:
        """Start a program that goes on."""
        return Entered(
            self.command(words),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def write(self, path: str, text: str, mode: int = 0o600) -> None:
        """Write a file there."""
        target = Path(f"/proc/{self.pid}/root") / path.lstrip("/")
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        target.chmod(mode)


class Entered(subprocess.Popen[bytes]):
    """A program on a machine: signals are for it, not for the nsenter(1) that waits for it."""

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            for child in children(self.pid) or [self.pid]:
                os.kill(child, number)


def children(pid: int) -> list[int]:
    """The process ids of a process's children, as this process sees them."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text(errors="replace").rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has ended
        if parent == pid:
            found.append(int(path.parent.name))
    return found
