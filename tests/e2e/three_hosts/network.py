"""The network of the machines: a switch in a namespace of its own, and a cable to each machine."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from e2e.three_hosts.machine import Machine
from servers import Unavailable

RATE = "100mbit"
"""What a cable carries from a machine; slow enough to catch transfers in the middle."""


class Network:
    """A switch. Closing it unplugs all.

    Args:
        stage: an empty directory; see `Machine`.

    Raises:
        Unavailable: here, or from `plug`: the kernel lacks something; in one line.
    """

    def __init__(self, stage: Path) -> None:
        self._switch = Machine("switch", stage, {}, {})
        self._switch.boot()
        self._ip("link", "add", "name", "br0", "type", "bridge", "forward_delay", "0")
        self._ip("link", "set", "dev", "br0", "up")

    def close(self) -> None:
        """Take it away."""
        self._switch.kill()

    def plug(self, machine: Machine, address: str) -> None:
        """Lay the cable of a machine that has been booted, and give it its address."""
        port = _port(machine)
        # The same after a reboot, since others remember it.
        hardware = "02:00:" + ":".join(f"{int(part):02x}" for part in address.split("."))
        peer = ("peer", "name", "eth0", "address", hardware, "netns", str(machine.pid))
        self._ip("link", "add", "name", port, "type", "veth", *peer)
        self._ip("link", "set", "dev", port, "master", "br0", "up")
        machine.run("ip", "address", "add", f"{address}/24", "dev", "eth0")
        machine.run("ip", "link", "set", "dev", "eth0", "up")
        limit = ("root", "tbf", "rate", RATE, "burst", "64k", "latency", "50ms")
        _do(machine.command(["tc", "qdisc", "add", "dev", "eth0", *limit]))

    def unplug(self, machine: Machine) -> None:
        """Take away the cable of a machine that is gone; the kernel would do so a little later."""
        with suppress(Unavailable):
            self._ip("link", "delete", "dev", _port(machine))

    def cut(self, machine: Machine) -> None:
        """Pull out the cable of a machine: nobody is told, packets are just lost."""
        self._ip("link", "set", "dev", _port(machine), "down")

    def mend(self, machine: Machine) -> None:
        """Put it in again."""
        self._ip("link", "set", "dev", _port(machine), "up")

    def _ip(self, *words: str) -> None:
        # Only the network of the switch: the ids of other machines' processes are known here.
        _do(["nsenter", f"--target={self._switch.pid}", "--net", "--", "ip", *words])


def _do(command: Sequence[str]) -> None:
    """Run a command; what a kernel cannot do is no failure of a test."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode:
        reason = " ".join(done.stderr.split())
        raise Unavailable(f"no network of machines can be made here: {reason}")


def _port(machine: Machine) -> str:
    return f"to-{machine.name}"
