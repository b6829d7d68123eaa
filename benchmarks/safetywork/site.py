"""A site of one program, for one scenario: an index, nodes on disks, daemons, a way over ssh."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from programs import Program

import sshd
from safetywork.disks import Disk
from safetywork.index import Index
from safetywork.program import Daemon
from servers import Server

PLUGINS = Path(__file__).parent / "plugins"
ACQ = "2025/02/21"
PATIENCE_S = 120.0
LONG_AGO = 1_700_000_000
"""Seconds: when all files were written, as rsync would have it."""


class Site:
    """Everything that one program has in one scenario; a context manager that ends all of it.

    Args:
        program: whose.
        directory: for all of its files; must not exist.
        server: the ssh server by which hosts reach one another.
        database: the server of the index; None: SQLite.
    """

    def __init__(
        self, program: Program, directory: Path, server: sshd.Sshd, database: Server | None
    ) -> None:
        self.program = program
        self.directory = directory
        self.server = server
        self.roots: dict[str, Path] = {}
        self.disks: dict[str, Disk] = {}
        self.daemons: dict[str, Daemon] = {}
        directory.mkdir()
        self.tools = directory / "tools"
        self.tools.mkdir()
        self._script("ssh", shutil.which("ssh"), "-p", server.port, "-i", server.key, "-o",
                     f"UserKnownHostsFile={server.directory}/known_hosts", "-o",
                     "GlobalKnownHostsFile=/dev/null")  # fmt: skip
        url = f"sqlite:///{directory}/index.db"
        if database:
            url = database.new_database(f"safety_{program.name}")
        self._url = url
        self._conf("shell")
        self.do("db", "init")
        self.index = Index(url)

    def __enter__(self) -> Site:
        return self

    def __exit__(self, *exception: object) -> None:
        for daemon in self.daemons.values():
            daemon.stop()
        self.index.close()

    # what is there

    def disk(self, name: str) -> Path:
        """Add a disk; returns its root."""
        self.disks[name] = Disk(self.directory / f"disk-{name}")
        return self.disks[name].root

    def node(self, name: str, host: str, root: Path | None = None, *options: str) -> Path:
        """Add an active, initialised node with a group of its own, on a disk of its own unless a
        root is given; returns the root."""
        root = root or self.disk(name)
        root.mkdir(exist_ok=True)
        (root / "ALPENHORN_NODE").write_text(f"{name}\n")
        self.roots[name] = root
        place = [f"--root={root}", f"--host={host}", f"--username={self.server.user}"]
        place += ["--address=127.0.0.1", "--create-group", "--activate"]
        self.do("node", "create", name, *place, *options)
        return root

    def archive(self, name: str, host: str, root: Path | None = None) -> Path:
        """Add an archive node."""
        return self.node(name, host, root, "--archive")

    def register(
        self, *nodes: str, count: int = 10, size_b: int = 10_000, acq: str = ACQ
    ) -> dict[str, bytes]:
        """Put random files with healthy copies on nodes; returns the true contents by path."""
        made = {f"{acq}/file{n}": random.randbytes(size_b) for n in range(count)}
        for node in nodes:
            (self.roots[node] / acq).mkdir(parents=True, exist_ok=True)
            for path, data in made.items():
                (self.roots[node] / path).write_bytes(data)
                os.utime(self.roots[node] / path, (LONG_AGO, LONG_AGO))
        known = [
            (Path(path).name, size_b, hashlib.md5(data).hexdigest()) for path, data in made.items()
        ]
        self.index.files(acq, known)
        for node in nodes:
            self.index.copies(node, acq)
        return made

    # what is done

    def do(self, *words: str, tries: int = 10) -> str:
        """Run a command that has to work; returns what it says.

        If SQLite was locked, it is repeated, as a person would.
        """
        command = [*self.program.shell, "-c", str(self.directory / "shell.conf"), *words]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        if done.returncode and "database is locked" in done.stderr and tries > 1:
            return self.do(*words, tries=tries - 1)
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:]
            raise RuntimeError(f"{self.program.name}: {' '.join(words)}: {' '.join(last)}")
        return done.stdout.strip()

    def start(self, *hosts: str, workers: int = 2, interval_s: int = 1, **slow: float) -> None:
        """Start the daemons of hosts, at once; `slow`: what `plugins/sitecustomize.py` reads."""
        environment = {name: str(value) for name, value in slow.items()}
        for host in hosts:
            conf = self._conf(host, workers, interval_s)
            log = self.directory / f"{host}.log"
            self.daemons[host] = Daemon(self.program, conf, log, self._environment() | environment)
        for host in hosts:
            self.wait(self.daemons[host].idle_passes, f"the daemon of {host} has made a pass")

    def spoil_rsync(self) -> None:
        """Have rsync damage whatever it brings."""
        real = shutil.which("rsync")
        self._script("rsync", sys.executable, PLUGINS / "flipping_rsync.py", real)

    # what is seen

    def wait(self, fact: Callable[[], object], what: str, timeout_s: float = PATIENCE_S) -> None:
        """Wait until a fact is true.

        Raises:
            RuntimeError: it does not come true, or all daemons have ended.
        """
        deadline = time.monotonic() + timeout_s
        while not fact():
            if time.monotonic() > deadline or not any(d.alive for d in self.daemons.values()):
                raise RuntimeError(f"{self.program.name}: waited in vain until {what}")
            time.sleep(0.005)

    def settle(self, quiet_s: float = 3, timeout_s: float = PATIENCE_S) -> None:
        """Wait until the index has not changed for a while, and the daemons have nothing to do.

        What never comes off is tried again for ever: three times the while is enough then.
        """
        last, since = self.index.fingerprint(), time.monotonic()
        deadline = since + timeout_s
        while (now := time.monotonic()) < deadline:
            time.sleep(0.1)
            seen = self.index.fingerprint()
            if seen != last:
                last, since = seen, now
            elif now - since > quiet_s * (1 if self._idle() else 3):
                return

    def _idle(self) -> bool:
        """Has each daemon ended, or had nothing to do at the end of its last pass?"""
        passes = [daemon.idle_passes() for daemon in self.daemons.values() if daemon.alive]
        return all(idle and idle[-1] for idle in passes)

    def deaths(self) -> str:
        """A remark on daemons that have ended by themselves, or nothing."""
        dead = [host for host, daemon in self.daemons.items() if not daemon.alive]
        return f"; {len(dead)} of {len(self.daemons)} daemons died" if dead else ""

    def contents(self, node: str, paths: Mapping[str, bytes]) -> dict[str, bytes]:
        """Those of some files that are there, on the disk of a node."""
        return read(self.roots[node], paths)

    def _conf(self, host: str, workers: int = 1, interval_s: int = 1) -> Path:
        path = self.directory / f"{host}.conf"
        path.write_text(
            f"base:\n  hostname: {host}\ndatabase:\n  url: {self._url}\n"
            "extensions:\n  - day_importer\nlogging:\n  level: INFO\n"
            f"daemon:\n  num_workers: {workers}\n  update_interval: {interval_s}\n"
        )
        if host == "shell":
            path.write_text(f"database:\n  url: {self._url}\n")
        return path

    def _environment(self) -> dict[str, str]:
        environment = os.environ | {
            "PATH": f"{self.tools}:{os.environ['PATH']}",
            "PYTHONPATH": str(PLUGINS),
            "HOME": str(self.directory),
        }
        for name in ("ALPENHORN_CONFIG_FILE", "SSH_AUTH_SOCK"):
            environment.pop(name, None)
        return environment

    def _script(self, name: str, *words: object) -> None:
        """Make a program of this name that puts words before its arguments."""
        path = self.tools / name
        path.write_text(f'#!/bin/sh\nexec {" ".join(map(str, words))} "$@"\n')
        path.chmod(0o755)


def read(root: Path, paths: Mapping[str, bytes]) -> dict[str, bytes]:
    """Read those of some files that are there."""
    found = {}
    for path in paths:
        with suppress(FileNotFoundError):
            found[path] = (root / path).read_bytes()
    return found


def flip_bit(path: Path) -> None:
    """Flip one bit of a file whose length and times stay, as a rotting disk does."""
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
