"""Façade: auto-import under the names of spec daemon.md §23."""

from pathlib import PurePath
from typing import Any

from alpenhorn.daemon.jobs.candidates import Candidate
from alpenhorn.daemon.jobs.importing import queue_imports
from alpenhorn.daemon.jobs.scan import scan_job as scan
from alpenhorn.daemon.node import UpdateableNode
from alpenhorn.daemon.watch import RegisterFile
from alpenhorn.daemon.watch import stop_all as stop_observers
from alpenhorn.daemon.watch import update as _update

__all__ = ["RegisterFile", "import_file", "scan", "stop_observers", "update_observer"]


def import_file(
    node: UpdateableNode, queue: Any, path: PurePath | str, register: bool, req: Any
) -> None:
    """Queue the import of one file; a path below the root may be absolute."""
    pure = PurePath(path)
    if pure.is_absolute():
        pure = pure.relative_to(node.db.root or "/")
    queue_imports(node, queue, [Candidate(str(pure), req)], register)


def update_observer(node: UpdateableNode, queue: Any, force_stop: bool = False) -> None:
    """Start or stop the watch of a node, as its record says; `force_stop`: stop it."""
    if not force_stop:
        _update(node, queue)
    elif node.unwatch is not None:
        node.unwatch()
        node.unwatch = None
