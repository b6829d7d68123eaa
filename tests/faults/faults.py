"""The faults, by kind: each is done to the fleet, lasts a while, and is undone.

A fault returns what it hit, or None if there was nothing to hit.
"""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from faults.fleet import ARCHIVES, NODES, Fleet, kill, mount

Fault = Callable[[Fleet, random.Random], str | None]


def kill_daemon(fleet: Fleet, rng: random.Random) -> str | None:
    """kill -9 of a daemon; it is started again a little later."""
    name = rng.choice(list(fleet.site.hosts))
    fleet.site.kill9(name)
    _last(rng, 1)
    fleet.site.start(name)
    return name


def kill_transfer(fleet: Fleet, rng: random.Random) -> str | None:
    """kill -9 of the programs that a daemon has started."""
    until = time.monotonic() + 2
    while time.monotonic() < until:
        for name, host in fleet.site.hosts.items():
            if pids := fleet.children(host):
                pid = rng.choice(pids)
                kill(pid, signal.SIGKILL)
                return f"{pid} on {name}"
        time.sleep(0.005)
    return None


def flip_byte(fleet: Fleet, rng: random.Random) -> str | None:
    """Change a byte of a copy; of each file at most one, and only if another one stays good."""
    hit = {path for path, _ in fleet.flipped}
    for path in rng.sample(sorted(fleet.files), len(fleet.files)):
        holders = [node for node in ARCHIVES if fleet.good(path, node)]
        if path not in hit and len(holders) >= 2:
            node = rng.choice(holders)
            fleet.flipped.add((path, node))
            return f"{path} on {node}" if _flip(fleet.roots[node] / path, rng) else None
    return None


def _flip(file: Path, rng: random.Random) -> bool:
    try:
        with file.open("r+b") as stream:
            stream.seek(rng.randrange(file.stat().st_size))
            byte = stream.read(1)[0]
            stream.seek(-1, 1)
            stream.write(bytes([byte ^ 1 << rng.randrange(8)]))
    except OSError:
        return False  # deleted at this moment
    return True


def root_away(fleet: Fleet, rng: random.Random) -> str | None:
    """A root vanishes, and comes back."""
    node = rng.choice([node for node in NODES if node != "arc3" or not fleet.small_disk])
    root = fleet.roots[node]
    away = root.with_name(f"{node}.away")
    with fleet.writing:
        root.rename(away)
        _last(rng, 3)
        if root.exists():
            raise AssertionError(f"somebody made {root} while it was away")
        away.rename(root)
    return node


def marker_away(fleet: Fleet, rng: random.Random) -> str | None:
    """The node file vanishes, and comes back."""
    node = rng.choice(list(NODES))
    marker = fleet.roots[node] / "ALPENHORN_NODE"
    away = marker.with_name(".away")
    marker.rename(away)
    _last(rng, 3)
    away.rename(marker)
    return node


def read_only(fleet: Fleet, rng: random.Random) -> str | None:
    """The small disk is read-only for a while."""
    root = fleet.roots["arc3"]
    if not (fleet.small_disk and mount("-o", "remount,ro", root)):
        return None
    _last(rng, 3)
    if not mount("-o", "remount,rw", root):
        raise AssertionError("cannot make the small disk writable again")
    return "arc3"


def unmount(fleet: Fleet, rng: random.Random) -> str | None:
    """Something empty is mounted over a root, and taken away again."""
    node = rng.choice(list(NODES))
    root = fleet.roots[node]
    with fleet.writing:
        if not mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", root):
            return None
        _last(rng, 3)
        subprocess.run(["umount", "-l", str(root)], check=True)
    return node


def full_disk(fleet: Fleet, rng: random.Random) -> str | None:
    """The small disk is full for a while."""
    if not fleet.small_disk:
        return None
    filler = fleet.roots["arc3"] / ".filler"
    try:
        with filler.open("wb", buffering=0) as stream:
            while stream.write(bytes(1 << 16)):
                pass
    except OSError:
        _last(rng, 3)
    filler.unlink(missing_ok=True)
    return "arc3"


def locked_index(fleet: Fleet, rng: random.Random) -> str | None:
    """Another program holds the write lock of the index."""
    connection = sqlite3.connect(fleet.site.index, timeout=20, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        _last(rng, 3)
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError:
        return None
    finally:
        connection.close()
    return "index"


def _last(rng: random.Random, most_s: float) -> None:
    """The fault lasts so long at most: its length is part of what the seed decides."""
    time.sleep(rng.uniform(0, most_s))


FAULTS: dict[str, Fault] = {
    "daemon killed": kill_daemon,
    "rsync killed": kill_transfer,
    "byte flipped": flip_byte,
    "root away": root_away,
    "node file away": marker_away,
    "read-only disk": read_only,
    "empty disk mounted over a root": unmount,
    "full disk": full_disk,
    "index locked": locked_index,
}
