"""The works that are measured, each with its yardstick.

A work is put into a fresh index while no daemon runs. Then the daemon is started, and the time
counts from the beginning of its first task until the index says that all is done: what the start
of a program, or the pause between two looks at the index, adds is measured elsewhere (`latency`).
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from programs import OURS, Program

from bulkwork.index import Index
from bulkwork.program import Daemon, run
from bulkwork.setting import Setting, remove
from bulkwork.trees import File, rewrite

Tree = tuple[Path, list[File]]
Work = Callable[[Setting, Program, Tree, Path], "Took"]
Yardstick = Callable[[Setting, Tree, Path], float]

HOST = "here"

GROWTH = 10
"""How many times the files of a work an index holds already, where growth is measured."""

PEER_INTERVAL_S = 1
"""The public program has no doorbell: have it look often, so that the pauses do not count."""


@dataclass(frozen=True)
class Took:
    """What one run took."""

    seconds: float
    cpu: float
    """Processor seconds of the daemon; not of rsync and ssh."""
    memory_mb: float


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    name: str
    work: Work
    yardstick: Yardstick
    measured_by: str
    ratio: float
    """To reach: the yardstick's seconds divided by ours."""
    tree: str = "small"
    rate: float | None = None
    """To reach: files per second."""
    grows: bool = False
    """Is it also measured in an index that holds ten times the files already?"""
    peer_ratio: float | None = None
    """To reach: our files per second, divided by the public program's; None: not compared."""


@dataclass
class Result:
    """What was measured for one row."""

    row: Row
    files: int
    size_b: int
    yardstick: list[float] = field(default_factory=list)
    ours: list[Took] = field(default_factory=list)
    grown: list[Took] = field(default_factory=list)
    """Ours, in an index that held files already."""
    peer_rate: float | None = None
    peer_failure: str = ""


def measure(made: Setting, row: Row, rounds: int, peer: Program | None) -> Result:
    """Measure one row: yardstick and ours in turn, then the public program once."""
    tree = _tree(made, row.tree)
    result = Result(row, len(tree[1]), sum(file.size_b for file in tree[1]))
    for _ in range(rounds):
        directory = made.fresh()
        result.yardstick.append(row.yardstick(made, tree, directory))
        result.ours.append(row.work(made, OURS, tree, directory))
        remove(directory)
        if row.grows:
            directory = made.fresh()
            made.already = GROWTH * len(tree[1])
            result.grown.append(row.work(made, OURS, tree, directory))
            made.already = 0
            remove(directory)
    if peer is not None and row.peer_ratio is not None:
        few = made.few if row.tree == "small" else tree
        directory = made.fresh()
        try:
            result.peer_rate = len(few[1]) / row.work(made, peer, few, directory).seconds
        except RuntimeError as error:
            result.peer_failure = str(error).strip().splitlines()[-1]
        remove(directory)
    return result


def _tree(made: Setting, name: str) -> Tree:
    if name == "small":
        return made.small
    if name == "large":
        return made.large
    root = made.directory / "mixed"
    if not root.exists():
        shutil.copytree(made.small[0], root)
        shutil.copytree(made.large[0], root, dirs_exist_ok=True)
        os.sync()
    return root, made.small[1] + made.large[1]


# yardsticks: seconds


def md5sum(made: Setting, tree: Tree, directory: Path) -> float:
    """Read all of it."""
    return run(["find", str(tree[0]), "-type", "f", "-exec", "md5sum", "{}", "+"])


def md5sum_two(made: Setting, tree: Tree, directory: Path) -> float:
    """Read two files at a time."""
    command = 'find "$0" -type f -print0 | xargs -0 -n 1 -P 2 md5sum'
    return run(["sh", "-c", command, str(tree[0])])


def rsync(made: Setting, tree: Tree, directory: Path) -> float:
    """One rsync over ssh."""
    target = directory / "rsync"
    source = f"{made.server.address}:{tree[0]}/"
    shell = str(made.tools / "ssh")
    took = run(["rsync", "-a", "-e", shell, source, str(target)])
    remove(target)
    return took


def rsync_and_md5sum(made: Setting, tree: Tree, directory: Path) -> float:
    """One rsync over ssh, then read the result."""
    target = directory / "rsync"
    source = f"{made.server.address}:{tree[0]}/"
    took = run(["rsync", "-a", "-e", str(made.tools / "ssh"), source, str(target)])
    took += md5sum(made, (target, tree[1]), directory)
    remove(target)
    return took


def link(made: Setting, tree: Tree, directory: Path) -> float:
    """Link all of it."""
    target = directory / "linked"
    took = run(["cp", "-al", str(tree[0]), str(target)])
    remove(target)
    return took


def rm(made: Setting, tree: Tree, directory: Path) -> float:
    """Remove a copy of it."""
    target = directory / "removed"
    rewrite(tree[0], target)
    return run(["rm", "-r", str(target)])


# works


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
    settings = {} if program is OURS else {"update_interval": PEER_INTERVAL_S}
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


ROWS: Sequence[Row] = (
    Row("import small, path only", import_by_path, md5sum, "find … md5sum", 0.06,
        rate=3000, peer_ratio=40, grows=True),
    Row("import small, pattern_importer", import_by_pattern, md5sum, "find … md5sum", 0.0,
        rate=1500),
    Row("import large", import_by_path, md5sum_two, "md5sum, two at a time", 0.9, "large",
        peer_ratio=1),
    Row("pull small over ssh", pull_by_ssh, rsync, "rsync -a -e ssh", 0.5, peer_ratio=150,
        grows=True),
    Row("pull large over ssh", pull_by_ssh, rsync_and_md5sum, "rsync -a -e ssh, md5sum", 1.0,
        "large", peer_ratio=1),
    Row("pull small locally", pull_locally, link, "cp -al", 0.2, peer_ratio=40,
        grows=True),
    Row("check small and large", check, md5sum, "md5sum", 0.8, "mixed"),
    Row("check small", check, md5sum, "md5sum", 0.0, peer_ratio=20, grows=True),
    Row("delete small", delete, rm, "rm -r", 0.1, rate=3000, peer_ratio=20,
        grows=True),
)  # fmt: skip
