"""The works that are measured.

A work is put into a fresh index while no daemon runs. Then the daemon is started, and the time
counts from the beginning of its first task until the index says that all is done: what the start
of a program, or the pause between two looks at the index, adds is measured elsewhere (`latency`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from programs import OURS, Program

from bulkwork.index import Index
from bulkwork.program import Daemon, run
from bulkwork.setting import Setting
from bulkwork.trees import Tree, rewrite

HOST = "here"

PEER_INTERVAL_S = 1
"""The public program has no doorbell: have it look often, so that the pauses do not count."""


@dataclass(frozen=True)
class Took:
    """What one run took."""

    seconds: float
    cpu: float
    """Processor seconds of the daemon; not of rsync and ssh."""
    memory_mb: float


def _import(made: Setting, program: Program, tree: Tree, directory: Path, extension: str) -> Took:
    index = made.new_index(directory, program)
    if extension == "pattern_importer":
        _make_patterns(made, directory)
    root = make_root(directory, "n1", tree[0])
    node = index.node("n1", root, HOST)
    _fill(made, index, [node])
    index.scan(node)
    have = index.count(node, "YY")
    done = lambda: index.count(node, "YY") == have + len(tree[1])  # noqa: E731
    return _run(made, program, index, directory, done, extension)


def import_by_path(made: Setting, program: Program, tree: Tree, directory: Path) -> Took:
    """Import by scan; the detector looks only at the path."""
    return _import(made, program, tree, directory, "path_importer")


def import_by_pattern(made: Setting, program: Program, tree: Tree, directory: Path) -> Took:
    """Import by scan; the detector is the example, which writes rows of its own."""
    return _import(made, program, tree, directory, "pattern_importer")


def _pull(made: Setting, program: Program, tree: Tree, directory: Path, remote: bool) -> Took:
    index = made.new_index(directory, program)
    way = {"address": "127.0.0.1", "username": made.server.user} if remote else {}
    source_root = make_root(directory, "source", tree[0])
    source = index.node("source", source_root, "there" if remote else HOST, **way)
    target = index.node("target", make_root(directory, "target"), HOST)
    files = index.files(tree[1])
    _fill(made, index, [source, target])
    have = index.count(target, "YY")
    index.copies(source, files, "YY")
    index.requests(source, target, files)
    done = lambda: index.count(target, "YY") == have + len(files)  # noqa: E731
    return _run(made, program, index, directory, done)


def pull_by_ssh(made: Setting, program: Program, tree: Tree, directory: Path) -> Took:
    """Pull from another host."""
    return _pull(made, program, tree, directory, remote=True)


def pull_locally(made: Setting, program: Program, tree: Tree, directory: Path) -> Took:
    """Pull from a node on the same file system; neither is an archive, so a link is allowed."""
    return _pull(made, program, tree, directory, remote=False)


def check(made: Setting, program: Program, tree: Tree, directory: Path) -> Took:
    """Verify suspect copies."""
    index = made.new_index(directory, program)
    node = index.node("n1", make_root(directory, "n1", tree[0]), HOST)
    files = index.files(tree[1])
    index.copies(node, files, "MY")
    _fill(made, index, [node])
    return _run(made, program, index, directory, lambda: index.count(node, "MY") == 0)


def delete(made: Setting, program: Program, tree: Tree, directory: Path) -> Took:
    """Delete released copies that two archives hold."""
    index = made.new_index(directory, program)
    node = index.node("n1", make_root(directory, "n1", tree[0]), HOST)
    files = index.files(tree[1])
    index.copies(node, files, "YN")
    archives = [index.node(name, directory / name, name, "A") for name in ("arc1", "arc2")]
    for archive in archives:
        index.copies(archive, files, "YY")
    _fill(made, index, [node, *archives])
    return _run(made, program, index, directory, lambda: index.count(node, "NN") == len(files))


def _fill(made: Setting, index: Index, nodes: Sequence[int]) -> None:
    """Let the index hold other files already, on all these nodes, where growth is measured."""
    if not made.already:
        return
    files = index.older_files(made.already)
    for node in nodes:
        index.copies(node, files, "YY")


def _run(
    made: Setting,
    program: Program,
    index: Index,
    directory: Path,
    done: Callable[[], bool],
    extension: str = "path_importer",
) -> Took:
    """Run a daemon until all is done."""
    settings: dict[str, Any] = {} if program is OURS else {"update_interval": PEER_INTERVAL_S}
    with Daemon(program, HOST, index.url, directory / "daemon", extension, made.path,
                **settings) as daemon:  # fmt: skip
        began = daemon.wait(daemon.begun)
        cpu = daemon.cpu()
        seconds = daemon.wait(done, every=0.02) - began
        took = Took(seconds, daemon.cpu() - cpu, daemon.memory_mb())
    index.close()
    return took


def make_root(directory: Path, node: str, tree: Path | None = None) -> Path:
    """Make the root of a node, with a copy of a tree in it."""
    root = directory / node
    if tree is None:
        root.mkdir()
    else:
        rewrite(tree, root)
    (root / "ALPENHORN_NODE").write_text(f"{node}\n")
    return root


def _make_patterns(made: Setting, directory: Path) -> None:
    environment = os.environ | {
        "ALPENHORN_CONFIG_FILE": str(directory / "shell.conf"),
        "PYTHONPATH": os.pathsep.join(map(str, made.path)),
    }
    code = "import pattern_importer; pattern_importer.demo_init()"
    run([sys.executable, "-c", code], env=environment)
