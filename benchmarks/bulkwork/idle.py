"""What a daemon costs that has nothing to do, on a large index with blocked requests."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from programs import OURS
from records import NOW

from bulkwork.index import Index
from bulkwork.program import Daemon, cpu_of
from bulkwork.report import Fact
from bulkwork.rows import HOST
from bulkwork.setting import Setting, remove

FILES_PER_ACQ = 1000
MD5 = "0" * 32


def measure(made: Setting) -> list[Fact]:
    """Let a daemon be idle; returns its pass time, processor seconds and memory."""
    directory = made.fresh()
    index = made.new_index(directory)
    fill(made, index, directory)
    with Daemon(OURS, HOST, index.url, directory / "daemon", path=made.path,
                update_interval=10) as daemon:  # fmt: skip
        daemon.wait(lambda: len(daemon.passes()) > 1, every=0.1)
        known, cpu = len(daemon.passes()), _cpu(made, daemon)
        time.sleep(made.sizes.idle_s)
        cpu = _cpu(made, daemon) - cpu
        passes = daemon.passes()[known:] or daemon.passes()[-1:]
        memory = daemon.memory_mb()
    index.close()
    remove(directory)
    what = f"{made.sizes.copies:,} copies, {made.sizes.blocked:,} blocked requests"
    slowest = f"(of {len(passes)}; slowest {max(passes):.2f} s)"
    return [
        Fact(f"idle pass: {what}", f"{statistics.median(passes):.2f} s {slowest}", "≤ 0.2 s"),
        Fact(f"CPU of {made.sizes.idle_s} idle seconds, daemon and database", f"{cpu:.2f} s",
             "≤ 0.5 s in 60 s"),
        Fact("most memory of that daemon", f"{memory:.0f} MB", "≤ 150 MB"),
    ]  # fmt: skip


def _cpu(made: Setting, daemon: Daemon) -> float:
    server = made.database and made.database._process
    return daemon.cpu() + (cpu_of(server.pid) if server else 0.0)


def fill(made: Setting, index: Index, directory: Path) -> None:
    """Make an index with two copies of each file, and requests whose source node is not active."""
    (directory / "here").mkdir()
    (directory / "here" / "ALPENHORN_NODE").write_text("here\n")
    here = index.node("here", directory / "here", HOST)
    away = index.node("away", "/nowhere", "there", "A", active=0)
    count = made.sizes.copies // 2
    index.insert("archiveacq", "id, name", [(i + 1, f"acq{i}") for i in range(_acqs(count))])
    for part in _parts(count):
        index.insert(
            "archivefile",
            "id, acq_id, name, size_b, md5sum, registered",
            ((i + 1, i // FILES_PER_ACQ + 1, f"file{i}", 1024, MD5, NOW) for i in part),
        )
    blocked = range(count - made.sizes.blocked + 1, count + 1)
    index.copies(away, range(1, count + 1), "YY")
    index.copies(here, range(1, blocked.start), "YY")
    index.copies(index.node("other", "/nowhere", "there"), blocked, "YY")
    index.requests(away, here, blocked)


def _acqs(count: int) -> int:
    return -(-count // FILES_PER_ACQ)


def _parts(count: int, size: int = 50_000) -> Iterator[range]:
    for start in range(0, count, size):
        yield range(start, min(start + size, count))
