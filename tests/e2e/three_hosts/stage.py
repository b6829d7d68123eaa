"""The five machines as a stage for the demo's script: same steps, same checks, real network."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import peewee as pw
from playhouse import db_url

from alpenhorn.demo.site import Site
from e2e.three_hosts.server import DATABASE
from e2e.three_hosts.world import HOSTS, World


@dataclass(frozen=True)
class Stage(Site):
    """Where everything is and how things are done on the machines; see `Site`."""

    world: World

    @property
    def transport(self) -> Path:
        """See `Site`."""
        return self.world.transport

    @property
    def places(self) -> dict[str, str]:
        """The same names on all hosts, as on real ones."""
        names = {f"data{number}": "/data" for number, _ in enumerate(HOSTS, start=1)}
        return names | {"transport": "/mnt/transport"}

    def log(self, host: str) -> Path:
        """See `Site`."""
        return self.world.log(host)

    def data(self, host: str) -> Path:
        """See `Site`."""
        return self.world.data(host)

    def database(self) -> pw.Database:
        """See `Site`."""
        return db_url.connect(
            self.world.server.url(DATABASE), init_command="SET SESSION TRANSACTION READ ONLY"
        )

    def in_shell(self, line: str) -> list[str]:
        """See `Site`; a real shell reads the line, as typed."""
        return self.world["alpenshell"].command(["/bin/bash", "-c", line])

    def on_host(self, host: str, line: str) -> list[str]:
        """See `Site`."""
        return self.world[host].command(["/bin/bash", "-c", f"cd /data\n{line}"])

    def daemon_line(self, host: str) -> str:
        """See `Site`."""
        return "alpenhornd &"

    def start_daemon(self, host: str) -> subprocess.Popen[bytes]:
        """See `Site`."""
        with self.log(host).open("ab") as log:
            return self.world[host].start(["alpenhornd"], log)
