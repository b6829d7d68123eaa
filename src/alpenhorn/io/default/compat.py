"""Task bodies that third-party storage classes reuse (spec: io-classes.md §9).

They have the signatures that modules know, and run the same jobs as our own classes. `path`, for
classes that keep files elsewhere than at ``root/path``, is an absolute location below the root.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from alpenhorn.db import ArchiveFileCopy, ArchiveFileCopyRequest, StorageNode
from alpenhorn.io.default.jobs.check import check_job
from alpenhorn.io.default.jobs.delete import delete_job
from alpenhorn.io.default.jobs.pull import pull_job
from alpenhorn.io.default.node import DefaultNodeIO
from alpenhorn.io.default.tree import Tree
from alpenhorn.io.default.updownlock import UpDownLock
from alpenhorn.scheduler import FairMultiFIFOQueue

log = logging.getLogger(__name__)


def check_async(task: Any, io: Any, copy: ArchiveFileCopy, path: Any = None) -> None:
    """Verify one copy; the body of a task."""
    check_job(task, io, [copy], path)


def delete_async(task: Any, tree_lock: UpDownLock, copies: list[ArchiveFileCopy]) -> None:
    """Delete copies of one node, each only if enough others protect it; the body of a task."""
    if copies:
        delete_job(task, _io_of(copies[0].node, tree_lock), [copy.id for copy in copies])


def pull_async(
    task: Any,
    io: Any,
    tree_lock: UpDownLock,
    req: ArchiveFileCopyRequest,
    did_search: bool,
    path: Any = None,
) -> None:
    """Carry out one request; the body of a task. The caller has reserved the space."""
    task.on_cleanup(io.release_bytes, (req.file.size_b or 0,))
    pull_job(task, io, [req], did_search, path)


def remove_filedir(node: StorageNode, dirname: Path | str, tree_lock: UpDownLock) -> None:
    """Remove a directory if it is empty, then its parents, never the node root.

    Raises:
        ValueError: `dirname` is not absolute, or not below the root.
    """
    tree = Tree(os.path.normpath(node.root or "/"), tree_lock)
    directory = Path(dirname)
    if not directory.is_absolute() or not directory.is_relative_to(tree.root):
        raise ValueError(f"{dirname} is not an absolute path below {tree.root}")
    if directory == Path(tree.root):
        return
    inside = str(directory.relative_to(tree.root) / "x")
    try:
        tree.remove_empty_parents(
            inside, lambda removed: log.info(f"Removed directory {removed} on {node.name}")
        )
    except OSError as error:
        log.warning(f"Cannot remove directory {dirname} on {node.name}: {error}")


def _io_of(node: StorageNode, tree_lock: UpDownLock) -> DefaultNodeIO:
    """Make a node I/O that shares the caller's tree lock."""
    io = DefaultNodeIO(node, {}, FairMultiFIFOQueue(), node.name)
    io.tree_lock = tree_lock
    return io
