"""Much to do: 200,000 requests on one route, and a small file beside a backlog of large ones."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from programs import OURS

from bulkwork import trees
from bulkwork.index import Index
from bulkwork.program import Daemon
from bulkwork.setting import Setting
from bulkwork.targets import Fact, at_least, at_most
from bulkwork.works import HOST, Took, make_root, pull_by_ssh

WORKERS = 2
"""Of a daemon here; a large file is a batch, so as many batches run at a time."""


def many_requests(made: Setting, rounds: int) -> list[Fact]:
    """Pull a few thousand small files over ssh, some times, then very many, once."""
    few = statistics.median(
        made.sizes.small / _pull(made, made.sizes.small).seconds for _ in range(rounds)
    )
    took = _pull(made, made.sizes.backlog)
    many = made.sizes.backlog / took.seconds
    told = f"{many:.0f} files/s: {many / few - 1:+.0%} ({made.sizes.small:,}: {few:.0f} files/s)"
    return [
        Fact(f"pull over ssh, {made.sizes.backlog:,} requests on one route", told,
             many / few - 1, at_least(-0.2), "≥ −20 %"),
        Fact("most memory of that daemon", f"{took.memory_mb:.0f} MB", took.memory_mb,
             at_most(150), "≤ 150 MB"),
    ]  # fmt: skip


def _pull(made: Setting, count: int) -> Took:
    with made.place() as source, made.place() as directory:
        root = source / "tree"
        return pull_by_ssh(made, OURS, (root, trees.small(root, count)), directory)


def beside_large_files(made: Setting, rounds: int) -> list[Fact]:
    """Ask for a small file on one node while another node of the host is busy with large ones."""
    waits, batches = [], []
    for _ in range(rounds):
        with made.place() as directory:
            wait, large = _beside_large_files(made, directory)
        waits.append(wait)
        batches.append(-(-large // WORKERS))
    size = f"{made.sizes.large} × {made.sizes.large_b >> 20} MiB"
    told = f"{max(batches)}; {statistics.median(waits):.2f} s, {max(waits):.2f} s at worst"
    return [
        Fact(f"batches before a small file on another node, backlog of {size}", told,
             max(batches), at_most(1), "≤ 1"),
    ]  # fmt: skip


def _beside_large_files(made: Setting, directory: Path) -> tuple[float, int]:
    """Returns how long the small file took, and how many large ones were done meanwhile."""
    index = made.new_index(directory)
    busy, quiet = _nodes(made, index, directory)
    with Daemon(OURS, HOST, index.url, directory / "daemon", path=made.path,
                num_workers=WORKERS) as daemon:  # fmt: skip
        daemon.wait(daemon.begun)
        index.requests(*quiet)
        index.ring(HOST)
        before = index.count(busy, "YY")
        began = time.perf_counter()
        wait = daemon.wait(lambda: index.count(quiet[1], "YY")) - began
        done = index.count(busy, "YY") - before
        daemon.wait(lambda: index.count(busy, "YY") == made.sizes.large, every=0.05)
    index.close()
    return wait, done


def _nodes(made: Setting, index: Index, directory: Path) -> tuple[int, tuple[int, int, list[int]]]:
    """Make two routes into this host; large files are asked for on the one.

    Returns:
        The node that is busy; source, target and files of the request for a small file.
    """
    way = {"address": "127.0.0.1", "username": made.server.user}
    files = index.files([*made.large[1], *made.few[1][:1]])
    large, small = files[:-1], files[-1:]
    source = index.node("large", make_root(directory, "large", made.large[0]), "there", **way)
    other = index.node("small", make_root(directory, "small", made.few[0]), "there", **way)
    busy = index.node("busy", make_root(directory, "busy"), HOST)
    quiet = index.node("quiet", make_root(directory, "quiet"), HOST)
    index.copies(source, large, "YY")
    index.copies(other, small, "YY")
    index.requests(source, busy, large)
    return busy, (other, quiet, small)
