"""What the works are measured by: plain tools on the same files; each function gives seconds."""

from __future__ import annotations

from pathlib import Path

from bulkwork.program import run
from bulkwork.setting import Setting, remove
from bulkwork.trees import Tree, rewrite


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
