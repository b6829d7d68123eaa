"""Methods that third-party modules call on records (spec: extensions.md §9.2).

The tables know nothing of the queries; these methods do, and are attached to the classes here.
Nothing of ours calls them: we work with lists, through `alpenhorn.db.queries`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from alpenhorn import events
from alpenhorn.common.units import pretty_bytes, pretty_deltat
from alpenhorn.db.archive import (
    ArchiveFileCopy,
    ArchiveFileCopyRequest,
    ArchiveFileImportRequest,
)
from alpenhorn.db.connection import change
from alpenhorn.db.enums import HasFile
from alpenhorn.db.queries import autoactions, imports, pending, transfers
from alpenhorn.db.queries.common import lock_files
from alpenhorn.db.storage import StorageNode
from alpenhorn.errors import FailureClass

log = logging.getLogger(__name__)

source_is_ready: Callable[[ArchiveFileCopyRequest], bool] = lambda request: True  # noqa: E731
"""Asks the I/O class of the source; set by `alpenhorn.io.registry`, which db may not import."""


def set_source_probe(probe: Callable[[ArchiveFileCopyRequest], bool]) -> None:
    """Say how `ArchiveFileCopyRequest.check` finds out whether a source is ready to be read."""
    global source_is_ready
    source_is_ready = probe


def describe_pull(path: object, size_b: int | None, seconds: float) -> str:
    """Return the log line of a completed pull (the seed fixes its form)."""
    took = pretty_deltat(seconds)
    if size_b is None:
        return f"Pull of {path} complete. Transferred - in {took}"
    rate = pretty_bytes(int(size_b / seconds)) if seconds > 0 else pretty_bytes(size_b)
    return f"Pull of {path} complete. Transferred {pretty_bytes(size_b)} in {took} [{rate}/s]"


def _cancel(self: ArchiveFileCopyRequest, reason: str) -> None:
    """Cancel the request if it is pending.

    Raises:
        ValueError: `reason` is empty or ``success``.
    """
    if not reason or reason == "success":
        raise ValueError("bad reason")
    level = logging.INFO if reason == "duplicate" else logging.WARNING
    log.log(level, f"Cancelling request #{self.id} for {self.file.path}: {reason}.")
    if pending.cancel([self.id]):
        self.cancelled = True
        node, group = self.node_from.name, self.group_to.name
        events.emit(events.RequestEnded("copy", reason, node, group))


def _check(self: ArchiveFileCopyRequest, node_to: StorageNode | None = None) -> bool:
    """Tell whether the request can proceed, cancelling it if it never will (§9.4)."""
    state, _ = self.group_to.state_on_node(self.file)
    if state == HasFile.PRESENT:
        _close_duplicate(self)
        return False
    if state == HasFile.SUSPECT:
        log.warning(f"Skipping request #{self.id}: existing copy in group needs check.")
        return False
    source = StorageNode.get_by_id(self.node_from_id)
    if not source.active:
        log.warning(f"Skipping request #{self.id}: source node {source.name} not active.")
        return False
    has = source.filecopy_state(self.file)
    if has in (HasFile.ABSENT, HasFile.CORRUPT):
        _cancel(self, "missing")
        return False
    if has == HasFile.SUSPECT:
        log.info(f"Skipping request #{self.id}: source needs check.")
        return False
    if not source_is_ready(self):
        return False
    return node_to is None or node_to.check_pull_dest()


def _close_duplicate(self: ArchiveFileCopyRequest) -> None:
    """Cancel the request; if the good copies are all released, keep one of them (W-7)."""
    for request, revived in pending.close_satisfied(self.group_to, 1, ids=[self.id]):
        if revived:
            log.info(f"Keeping released copy of {self.file.path} on {revived}: it was asked for.")
        log.info(f"Cancelling request #{request.id} for {self.file.path}: duplicate.")
        self.cancelled = True
        node, group = self.node_from.name, self.group_to.name
        events.emit(events.RequestEnded("copy", "duplicate", node, group))


def _md5_agrees(found: bool | str, known: str | None) -> bool:
    """Compare case-blind (W-10); an MD5 that nobody knows contradicts nothing (W-8)."""
    if isinstance(found, str):
        return not known or found.lower() == known.lower()
    return found


def _finish(
    self: ArchiveFileCopyRequest,
    node_to: StorageNode,
    size: int | Callable[[Any], int | None] | None,
    success: bool,
    md5ok: bool | str,
    start_time: float,
    check_src: bool = True,
    stderr: str | None = None,
    path: Any = None,
) -> bool:
    """Record the outcome of one transfer made by a third-party I/O class (§9.6)."""
    if success and _md5_agrees(md5ok, self.file.md5sum):
        return _finish_good(self, node_to, size, start_time, path)
    if success:
        log.error(f"MD5 mismatch on node {node_to.name}: {self.file.path}; source marked suspect.")
        failure = FailureClass.SOURCE
    else:
        failure = FailureClass.SOURCE if check_src else FailureClass.DESTINATION
        blame = "; source marked suspect" if check_src else ""
        log.error(f"Copy of {self.file.path} to {node_to.name} failed{blame}.")
        if stderr:
            log.info(f"Output: {stderr}")
    if failure is FailureClass.SOURCE:
        transfers.suspect_sources([self])
    _emit_transfer(self, failure)
    return False


def _finish_good(
    self: ArchiveFileCopyRequest, node_to: StorageNode, size: Any, start_time: float, path: Any
) -> bool:
    ended = time.time()
    log.info(describe_pull(self.file.path, self.file.size_b, ended - start_time))
    space = size(path or self.file.path) if callable(size) else size
    arrived = transfers.Arrived(self.id, self.file_id, space, start_time, ended)
    done = transfers.finish(node_to, [arrived])
    if done.recorded:
        _emit_transfer(self, None)
    if done.completed:
        node, group = self.node_from.name, self.group_to.name
        events.emit(events.RequestEnded("copy", "success", node, group))
    return bool(done.recorded)


def _emit_transfer(request: ArchiveFileCopyRequest, failure: FailureClass | None) -> None:
    events.emit(
        events.TransferEnded(
            request_id=request.id,
            node_from_id=request.node_from_id,
            group_to_id=request.group_to_id,
            node_from=request.node_from.name,
            group_to=request.group_to.name,
            size_b=request.file.size_b or 0,
            failure=failure,
        )
    )


def _complete(self: ArchiveFileImportRequest, result: str) -> None:
    """Mark the request as dealt with, once.

    Raises:
        ValueError: `result` is empty.
    """
    if not result:
        raise ValueError("empty result")
    if not imports.complete(self.id):
        return
    self.completed = True
    level = logging.DEBUG if imports.is_init(self) else logging.INFO
    log.log(level, f"Completed import request #{self.id}.")
    if result != "success":
        log.info(f'Import request #{self.id} for "{self.path}": {result}.')
    node = self.node
    events.emit(events.RequestEnded("import", result, node.name, node.group.name))


def _trigger_autoactions(self: ArchiveFileCopy) -> None:
    """Do the auto-actions of this copy, if it is present (§11, W-36); one transaction."""
    with change():
        lock_files([self.file_id])
        fresh = type(self).get_by_id(self.id)
        if fresh.has_file == HasFile.PRESENT:
            autoactions.apply(self.node, [self.file_id])


_METHODS: tuple[tuple[type, str, Callable[..., Any]], ...] = (
    (ArchiveFileCopyRequest, "cancel", _cancel),
    (ArchiveFileCopyRequest, "check", _check),
    (ArchiveFileCopyRequest, "finish", _finish),
    (ArchiveFileImportRequest, "complete", _complete),
    (ArchiveFileCopy, "trigger_autoactions", _trigger_autoactions),
)

for _model, _name, _method in _METHODS:
    setattr(_model, _name, _method)
