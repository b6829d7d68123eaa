"""Much to do: 200,000 requests on one route, and a small file beside a backlog of large ones."""

from __future__ import annotations

import time
from pathlib import Path

from programs import OURS

from bulkwork import trees
from bulkwork.index import Index
from bulkwork.program import Daemon
from bulkwork.report import Fact
from bulkwork.rows import HOST, make_root, pull_by_ssh
from bulkwork.setting import Setting, remove


def measure(made: Setting) -> list[Fact]:
    """Measure both."""
    return [*_many_requests(made), *_beside_large_files(made)]


def _many_requests(made: Setting) -> list[Fact]:
    """Pull a few thousand small files, then very many, over ssh."""
    rates, memory = [], 0.0
    for count in (made.sizes.small, made.sizes.backlog):
        root = made.fresh() / "tree"
        tree = root, trees.small(root, count)
        directory = made.fresh()
        took = pull_by_ssh(made, OURS, tree, directory)
        remove(directory, root.parent)
        rates.append(count / took.seconds)
        memory = took.memory_mb
    few, many = rates
    what = f"pull over ssh, {made.sizes.backlog:,} requests on one route"
    told = f"{many:.0f} files/s: {many / few - 1:+.0%} ({made.sizes.small}: {few:.0f} files/s)"
    return [
        Fact(what, told, "≥ −20 %"),
        Fact("most memory of that daemon", f"{memory:.0f} MB", "≤ 150 MB"),
    ]


def _beside_large_files(made: Setting) -> list[Fact]:
    """Ask for a small file on one node while another node of the host is busy with large ones."""
    directory = made.fresh()
    index = made.new_index(directory)
    busy, quiet = _nodes(made, index, directory)
    with Daemon(OURS, HOST, index.url, directory / "daemon", path=made.path) as daemon:
        daemon.wait(daemon.begun)
        index.requests(*quiet)
        index.ring(HOST)
        began = time.perf_counter()
        soon = daemon.wait(lambda: index.count(quiet[1], "YY"), every=0.01) - began
        left = made.sizes.large - index.count(busy, "YY")
        daemon.wait(lambda: index.count(busy, "YY") == made.sizes.large, every=0.05)
        whole = time.perf_counter() - began
    index.close()
    remove(directory)
    size = f"{made.sizes.large} × {made.sizes.large_b >> 20} MiB"
    told = f"{soon:.2f} s, with {left} of {made.sizes.large} left; all in {whole:.2f} s"
    batch_s = 2 * whole / made.sizes.large  # two workers, a large file each
    what = f"a small file on another node beside {size}"
    return [Fact(what, told, f"≤ one batch: {batch_s:.1f} s")]


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
