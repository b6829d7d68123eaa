"""Three hosts with a field node and three archive nodes, and what is known of every file.

The hosts are those of `e2e.hosts`: real daemons, real rsync, one SQLite index. The third archive
node has a small disk of its own where we may mount one.
"""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from e2e.hosts import Finished, Host, Site

NODES = {"field": "one", "arc1": "one", "arc2": "two", "arc3": "three"}
"""The hosts of the nodes."""
ARCHIVES = ("arc1", "arc2", "arc3")
DISK = "24m"

COMMAND_S = 180.0
"""A command has to wait while the index is locked, again and again; how long is told at the end."""


class Fleet:
    """The site under test."""

    def __init__(self, path: Path) -> None:
        self.site = Site(path, "one", "two", "three", update_interval=1, auto_import_interval=1)
        self.roots = {node: self.host(node).directory / node for node in NODES}
        self.files: dict[str, str] = {}
        """The MD5 of every file ever written, by path."""
        self.flipped: set[tuple[str, str]] = set()
        """(path, node) of the copies that we damaged: at most one of each file."""
        self.small_disk = False
        self.writing = threading.Lock()
        """Held while new files are written, and while a root is not what it should be."""

    def host(self, node: str) -> Host:
        """The host of a node."""
        return self.site[NODES[node]]

    def set_up(self) -> None:
        """Make the index, the nodes and their roots, and start the daemons."""
        self.site.init()
        for node, root in self.roots.items():
            root.mkdir()
            if node == "arc3":
                self.small_disk = mount("-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", root)
            kind = ["--archive"] if node in ARCHIVES else []
            where = ("--create-group", f"--root={root}", f"--host={NODES[node]}", "--activate")
            log_in = ("--username=root", f"--address={NODES[node]}")
            self.site.do("node", "create", node, *where, *log_in, *kind)
            (root / "ALPENHORN_NODE").write_text(f"{node}\n")
        self.site.start(*self.site.hosts)

    def tear_down(self) -> None:
        """Take the small disk away; the site ends its own processes."""
        if self.small_disk:
            subprocess.run(["umount", "-l", str(self.roots["arc3"])], check=False)

    def run(self, *words: str) -> Finished:
        """Run a command; it may find that there is nothing to do."""
        return self.site.cli(*words, timeout=COMMAND_S)

    def write(self, rng: random.Random, count: int) -> None:
        """Write new files on the field node."""
        for _ in range(count):
            with self.writing:
                self._write_one(rng)

    def _write_one(self, rng: random.Random) -> None:
        number = len(self.files)
        path = f"2025/02/21/{number // 3600:02}/{number // 60 % 60:02}{number % 60:02}.dat"
        target = self.roots["field"] / path
        target.parent.mkdir(parents=True, exist_ok=True)
        data = f"{number}:".encode() + rng.randbytes(rng.choice([10, 4000, 100_000]))
        self.files[path] = hashlib.md5(data).hexdigest()
        hidden = target.with_name(f".{target.name}.lock")
        hidden.touch()
        target.write_bytes(data)
        hidden.unlink()

    def good(self, path: str, node: str) -> bool:
        """Has the disk of a node the right bytes of a file?"""
        try:
            data = (self.roots[node] / path).read_bytes()
        except OSError:
            return False
        return hashlib.md5(data).hexdigest() == self.files[path]

    # processes

    def children(self, host: Host) -> list[int]:
        """Processes of other programs that the daemon of a host has started."""
        assert host.process is not None
        return [pid for pid in _below(host.process.pid) if _name(pid) in ("rsync", "ssh", "sh")]


def mount(*words: str | Path) -> bool:
    """Mount something, if we may; returns whether it worked."""
    command = ["mount", *map(str, words)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _below(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found = [int(word) for word in task.read_text().split()]
        except OSError:
            continue
        for child in found:
            yield child
            yield from _below(child)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def ended(host: Host) -> bool:
    """Has the daemon of a host ended, though nobody asked it to?"""
    return host.process is not None and host.process.poll() is not None


def kill(pid: int, number: int) -> None:
    """Send a signal to a process that may be gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
