"""How soon small things happen, with the default `update_interval`."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from programs import OURS
from records import NOW

from bulkwork.index import Index
from bulkwork.program import Daemon
from bulkwork.setting import Setting
from bulkwork.targets import Fact, at_most
from bulkwork.trees import ACQ

HOSTS = ("field", "middle", "end")

TIMES = 10
"""How often each is measured: a delay once in a while is to be seen."""

COUNT = "SELECT COUNT(*) FROM archivefilecopy WHERE node_id = ? AND has_file = ? AND wants_file = ?"


def measure(made: Setting, rounds: int) -> list[Fact]:
    """Measure on three hosts: `field` imports, `middle` and `end` are archives."""
    with made.place() as directory:
        index = made.new_index(directory)
        nodes = [
            _node(made, index, directory, name, kind, auto)
            for name, kind, auto in zip(HOSTS, "FAA", (1, 0, 0), strict=True)
        ]
        index.ring("middle")  # makes its row, as the first request of a site does
        with ExitStack() as stack:
            daemons = [
                stack.enter_context(
                    Daemon(OURS, name, index.url, directory / f"daemon-{name}", path=made.path)
                )
                for name in HOSTS
            ]
            for daemon in daemons:
                daemon.wait(partial(_calm, daemon))
            facts = _measure(_World(index, directory, nodes, daemons))
        index.close()
    return facts


def _measure(world: _World) -> list[Fact]:
    drops = [world.drop() for _ in range(TIMES)]
    pulls = [world.request() for _ in range(TIMES)]
    world.connect()
    chains = [world.chain() for _ in range(TIMES)]
    return [
        _fact("file dropped → registered", drops, 0.1),
        _fact("transfer requested → complete, two hosts, ssh", pulls, 2),
        _fact("import → sync → sync → clean, three hosts, ssh", chains, 6),
    ]


def _fact(name: str, seconds: list[float], most_s: float) -> Fact:
    """Judge the median; the worst is told."""
    median, worst = statistics.median(seconds), max(seconds)
    told = f"{median:.2f} s (of {len(seconds)}; {worst:.2f} s at worst)"
    return Fact(name, told, median, at_most(most_s), f"≤ {most_s:g} s")


class _World:
    """Three hosts; a file is known by its number."""

    def __init__(
        self, index: Index, directory: Path, nodes: list[int], daemons: list[Daemon]
    ) -> None:
        self._index, self._root = index, directory / "field" / ACQ
        self._nodes, self._daemon = nodes, daemons[0]
        self._root.mkdir(parents=True)
        self._dropped = 0
        time.sleep(2)  # have the watch notice the directory

    def drop(self) -> float:
        """Drop a file; seconds until it is registered."""
        began = self._drop()
        return self._until(lambda: self._count(0, "YY") >= self._dropped) - began

    def request(self) -> float:
        """Ask for the newest file on the next host, as the command line does: with the bell."""
        newest = self._index.value("SELECT MAX(id) FROM archivefile")
        before = self._count(1, "YY")
        began = time.perf_counter()
        self._index.insert(
            "archivefilecopyrequest",
            "file_id, group_to_id, node_from_id, completed, cancelled, timestamp",
            [(newest - before, self._nodes[1], self._nodes[0], 0, 0, NOW)],
        )
        self._index.ring("middle")
        return self._until(lambda: self._count(1, "YY") > before) - began

    def connect(self) -> None:
        """From now on each file goes on by itself, and is cleaned from the field at the end."""
        field, middle, end = self._nodes
        self._index.insert(
            "storagetransferaction",
            "node_from_id, group_to_id, autosync, autoclean",
            [(field, middle, 1, 0), (middle, end, 1, 0), (field, end, 0, 1)],
        )

    def chain(self) -> float:
        """Drop a file; seconds until it is on both archives and gone from the field."""
        gone = self._count(0, "NN")
        began = self._drop()
        return self._until(lambda: self._count(0, "NN") > gone) - began

    def _drop(self) -> float:
        began = time.perf_counter()
        (self._root / f"{self._dropped:06d}.dat").write_bytes(b"x" * 1024)
        self._dropped += 1
        return began

    def _count(self, node: int, states: str) -> int:
        return int(self._index.value(COUNT, self._nodes[node], *states))

    def _until(self, fact: Callable[[], bool]) -> float:
        return self._daemon.wait(fact, every=0.005)


def _node(made: Setting, index: Index, directory: Path, name: str, kind: str, auto: int) -> int:
    root = directory / name
    root.mkdir()
    (root / "ALPENHORN_NODE").write_text(f"{name}\n")
    return index.node(name, root, name, kind, auto_import=auto, address="127.0.0.1",
                      username=made.server.user)  # fmt: skip


def _calm(daemon: Daemon) -> bool:
    idle = b"0 queued, 0 deferred, 0 in-progress"
    return len(daemon.passes()) > 1 or idle in daemon.log.read_bytes()
