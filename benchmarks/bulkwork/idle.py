"""What a daemon costs that has nothing to do, on a large index with blocked requests."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

from programs import OURS
from records import NOW

from bulkwork.index import Index
from bulkwork.program import Daemon, cpu_of
from bulkwork.setting import Setting
from bulkwork.targets import Fact, at_most
from bulkwork.works import HOST

FILES_PER_ACQ = 1000
MD5 = "0" * 32

CPU_SHARE = 0.5 / 60
"""To reach: processor seconds per second, daemon and database together."""

STATEMENTS = 20
"""To reach: statements of a pass. "A fixed handful", for one node and one group."""

_STATEMENT = re.compile(r"\[MainThread\] \(['\"](?!.*alpenhorn_doorbell)")
_END_OF_PASS = "Main loop execution was"


def measure(made: Setting, rounds: int) -> list[Fact]:
    """Let a daemon be idle; returns its pass time, processor seconds, memory and statements."""
    with made.place() as directory:
        index = made.new_index(directory)
        fill(made, index, directory)
        facts = [*_cost(made, index, directory), _statements(made, index, directory)]
        index.close()
    return facts


def _cost(made: Setting, index: Index, directory: Path) -> list[Fact]:
    """Look at the clocks of daemon and database server for a while."""
    with Daemon(OURS, HOST, index.url, directory / "daemon", path=made.path,
                update_interval=10) as daemon:  # fmt: skip
        daemon.wait(lambda: len(daemon.passes()) > 1, every=0.1)
        known, cpu, server_cpu = len(daemon.passes()), daemon.cpu(), _server_cpu(made)
        time.sleep(made.sizes.idle_s)
        cpu, server_cpu = daemon.cpu() - cpu, _server_cpu(made) - server_cpu
        passes = daemon.passes()[known:] or daemon.passes()[-1:]
        memory = daemon.memory_mb()
    sizes = made.sizes
    what = f"{sizes.copies:,} copies, {sizes.blocked:,} blocked requests"
    took = statistics.median(passes)
    allowed = CPU_SHARE * sizes.idle_s
    return [
        Fact(f"idle pass: {what}", f"{took:.2f} s (of {len(passes)}; slowest {max(passes):.2f} s)",
             took, at_most(0.2), "≤ 0.2 s"),
        Fact(f"CPU of {sizes.idle_s} idle seconds",
             f"{cpu + server_cpu:.2f} s (daemon {cpu:.2f} s, database server {server_cpu:.2f} s)",
             cpu + server_cpu, at_most(allowed), f"≤ {allowed:.2f} s"),
        Fact("most memory of that daemon", f"{memory:.0f} MB", memory, at_most(150), "≤ 150 MB"),
    ]  # fmt: skip


def _server_cpu(made: Setting) -> float:
    """Processor seconds of the database server until now; SQLite has none."""
    return cpu_of(made.database.pid) if made.database else 0.0


def _statements(made: Setting, index: Index, directory: Path) -> Fact:
    """Have a daemon log its statements; those of a pass are counted, without the doorbell's."""
    with Daemon(OURS, HOST, index.url, directory / "talkative", path=made.path,
                levels={"peewee": "DEBUG"}, update_interval=2) as daemon:  # fmt: skip
        daemon.wait(lambda: len(daemon.passes()) > 4, every=0.1)
        log = daemon.log.read_text(errors="replace")
    counts = [len(_STATEMENT.findall(part)) for part in log.split(_END_OF_PASS)[2:-1]]
    most = max(counts)
    told = f"{statistics.median(counts):.0f} (of {len(counts)}; most {most})"
    return Fact("statements of an idle pass", told, most, at_most(STATEMENTS), f"≤ {STATEMENTS}")


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
