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
from bulkwork.report import Fact
from bulkwork.setting import Setting, remove
from bulkwork.trees import ACQ

ROUNDS = 10
COUNT = "SELECT COUNT(*) FROM archivefilecopy WHERE node_id = ? AND has_file = ? AND wants_file = ?"


def measure(made: Setting) -> list[Fact]:
    """Measure on three hosts: `field` imports, `middle` and `end` are archives."""
    directory = made.fresh()
    index = made.new_index(directory)
    nodes = [
        _node(made, index, directory, name, kind, auto)
        for name, kind, auto in (("field", "F", 1), ("middle", "A", 0), ("end", "A", 0))
    ]
    index.ring("middle")  # makes its row, as the first request of a site does
    with ExitStack() as stack:
        daemons = [
            stack.enter_context(
                Daemon(OURS, name, index.url, directory / f"daemon-{name}", path=made.path)
            )
            for name in ("field", "middle", "end")
        ]
        for daemon in daemons:
            daemon.wait(partial(_calm, daemon))
        world = _World(index, directory, nodes, daemons)
        drops = [world.drop() for _ in range(ROUNDS)]
        pulls = [world.request() for _ in range(ROUNDS)]
        world.connect()
        chains = [world.chain() for _ in range(ROUNDS)]
    index.close()
    remove(directory)
    return [
        Fact("file dropped → registered", _spread(drops), "≤ 0.1 s"),
        Fact("transfer requested → complete, two hosts, ssh", _spread(pulls), "≤ 2 s"),
        Fact("import → sync → sync → clean, three hosts, ssh", _spread(chains), "≤ 6 s"),
    ]


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


def _spread(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f} s ({min(seconds):.2f}–{max(seconds):.2f})"
