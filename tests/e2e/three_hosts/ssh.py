"""ssh between the machines: keys of hosts and users, known hosts, and a server on each host."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO

from e2e.three_hosts.machine import Entered, Machine, children

_SERVER = """\
HostKey /etc/ssh/host_key
PasswordAuthentication no
PermitRootLogin prohibit-password
UsePAM no
LogLevel VERBOSE
"""

# Time-outs are the user's affair: with those of the defaults a dead connection is noticed after a
# minute only.
_CLIENT = """\
Host *
    ConnectTimeout 3
    ServerAliveInterval 1
    ServerAliveCountMax 3
"""


class Keys:
    """A host key and a user key for each machine, and what each machine knows of the others.

    Args:
        directory: where to keep them.
        machines: names of the machines.
    """

    def __init__(self, directory: Path, machines: Iterable[str]) -> None:
        self._directory = directory
        directory.mkdir(parents=True)
        self._machines = list(machines)
        for name in self._machines:
            self._make(f"{name}.host")
            self._make(f"{name}.user")

    def _make(self, name: str) -> None:
        words = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f")
        subprocess.run([*words, str(self._directory / name)], check=True, timeout=60)

    def _read(self, name: str) -> str:
        return (self._directory / name).read_text()

    @property
    def authorized(self) -> str:
        """The public keys of all users."""
        return "".join(self._read(f"{name}.user.pub") for name in self._machines)

    def give(self, machine: Machine) -> None:
        """Put all that a machine needs where ssh looks for it."""
        hosts = (f"{name} {self._read(f'{name}.host.pub')}" for name in self._machines)
        machine.write("/root/.ssh/known_hosts", "".join(hosts))
        machine.write("/root/.ssh/id_ed25519", self._read(f"{machine.name}.user"))
        machine.write("/root/.ssh/config", _CLIENT)
        machine.write("/root/.ssh/authorized_keys", self.authorized)
        machine.write("/etc/ssh/host_key", self._read(f"{machine.name}.host"))


def serve(machine: Machine, log: IO[bytes]) -> Entered:
    """Run the ssh server of a machine."""
    machine.write("/etc/ssh/sshd_config", _SERVER)
    machine.run("mkdir", "-p", "-m", "755", "/run/sshd")
    return machine.start(["/usr/sbin/sshd", "-D", "-e"], log)


def end_sessions(server: Entered) -> None:
    """End all sessions that a server has open; it goes on."""
    for sshd in children(server.pid):
        for session in children(sshd):
            with suppress(ProcessLookupError):
                os.kill(session, signal.SIGKILL)
