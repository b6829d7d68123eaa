"""Tidy-up: remove what a killed daemon, ours or an older one, left behind (daemon.md §14).

The task is exclusive in the node's FIFO, so no pull of this node is running: staging directories
belong to nobody, except those of big files, whose partial data are kept for resumption.
"""

from __future__ import annotations

import logging
import re
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpenhorn.common import config
from alpenhorn.db.queries import pending
from alpenhorn.io.default.medium import HeldMedium
from alpenhorn.io.default.tree import STAGING_PREFIX, Tree
from alpenhorn.scheduler import Task

if TYPE_CHECKING:
    from alpenhorn.io.default.node import DefaultNodeIO

log = logging.getLogger(__name__)

_STAGING = re.compile(re.escape(STAGING_PREFIX) + "([0-9]{1,18})")
"""No number that a database would choke on."""

OLD_S = 24 * 3600
"""Leftovers of older programs are removed only when they are this old."""


def queue_tidy(io: DefaultNodeIO, queue: Any, thorough: bool) -> None:
    """Queue the tidy-up on the node's FIFO.

    Args:
        io: the node.
        queue: the task queue.
        thorough: search the whole tree for leftovers of older programs too.
    """
    name = f"Tidy up {io.node.name}"
    Task(tidy_job, queue=queue, key=io.fifo, exclusive=True, name=name, args=(io, thorough))


def tidy_job(task: Task, io: DefaultNodeIO, thorough: bool) -> None:
    """Remove leftovers; the body of the task."""
    with io.medium() as medium:
        if medium is None:
            return
        _remove_staging(io, medium)
        if thorough:
            _remove_foreign_leftovers(io, medium.tree)


def _remove_staging(io: DefaultNodeIO, medium: HeldMedium) -> None:
    directories = {
        int(found[1]): path
        for path in Path(io.tree.root).glob(f"{STAGING_PREFIX}*")
        if (found := _STAGING.fullmatch(path.name))
    }
    # Batches are cut anew, so only a big file, which travels alone, finds its directory again.
    large = config.value("daemon.single_file_bytes")
    resumable = pending.larger_than(large, list(directories))
    for request_id, path in directories.items():
        if request_id in resumable and _holds_files(path):
            continue
        if not medium.is_there():
            return
        stale = _holds_files(path)
        shutil.rmtree(path, ignore_errors=True)
        if stale and not path.exists():
            log.warning(f"Removed stale transfer directory {path} on {io.node.name}.")


def _holds_files(path: Path) -> bool:
    return any(child.is_file() for child in path.rglob("*"))


def _remove_foreign_leftovers(io: DefaultNodeIO, tree: Tree) -> None:
    """Remove old placeholders of the public program: ``.<name>.placeholder``, empty files."""
    before = time.time() - OLD_S
    for path in tree.walk("."):
        name = path.rpartition("/")[2]
        if not (name.startswith(".") and name.endswith(".placeholder")):
            continue
        with suppress(OSError):
            status = tree.stat(path)
            if status is None or status.st_size != 0 or status.st_mtime >= before:
                continue
            if tree.unlink(path):
                log.warning(f"Removed stale placeholder {path} on {io.node.name}.")
