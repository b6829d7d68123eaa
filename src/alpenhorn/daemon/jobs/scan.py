"""Scans: find the files below a path that the index does not know, and import them (§9.4).

A scan request counts as done only when the imports that it led to have ended: if the daemon is
killed in between, the request is still pending and the scan is made again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import PurePath

from alpenhorn.daemon.jobs.candidates import Candidate
from alpenhorn.daemon.jobs.importing import import_batch_size, queue_imports
from alpenhorn.daemon.jobs.known import Known
from alpenhorn.daemon.jobs.results import tell
from alpenhorn.daemon.node import UpdateableNode
from alpenhorn.db import ArchiveFileImportRequest
from alpenhorn.db.archive import NODE_INIT_PATH
from alpenhorn.db.queries import imports
from alpenhorn.io import holds
from alpenhorn.scheduler import FairMultiFIFOQueue, Task

log = logging.getLogger(__name__)


MOST_QUEUED = 16
"""Import tasks of a scan that are queued at a time: the rest of what it finds is not in memory."""

PAUSE_S = 0.2
"""Pause of a scan, before it looks whether some of them are done."""


class Outstanding:
    """Counts the import tasks of a scan, and completes its request after the last one.

    Args:
        request: the scan's request, if it has one.
        node: where it is made.
    """

    def __init__(self, request: ArchiveFileImportRequest | None, node: UpdateableNode) -> None:
        self._request = request
        self._node = node
        self._lock = threading.Lock()
        self._left = 1  # the scan itself
        self._all_ran = True

    @property
    def request_id(self) -> int | None:
        """Id of the request, None without one."""
        return None if self._request is None else int(self._request.id)

    @property
    def many(self) -> bool:
        """Are so many tasks queued that no more should be?"""
        return self._left > MOST_QUEUED

    def add(self) -> None:
        """Note that an import task was queued."""
        with self._lock:
            self._left += 1

    def done(self, ran: bool) -> None:
        """Note the end of a task; `ran` is False if it was thrown away or has files left to do."""
        with self._lock:
            self._left -= 1
            self._all_ran &= ran
            complete = self._left == 0 and self._all_ran
            again = self._left == 0 and not self._all_ran
        if self._request is None:
            return
        if complete:
            imports.complete(self._request.id)
            self._node.import_patience.forget(("import", self._request.id))
            self._node.scans_told.discard(self._request.id)
        elif again:
            log.info(
                f"Scan of import request #{self._request.id} will be repeated: "
                "some of its files could not be imported yet."
            )


def queue_scan(
    node: UpdateableNode,
    queue: FairMultiFIFOQueue,
    path: str,
    register: bool,
    request: ArchiveFileImportRequest | None,
) -> None:
    """Queue a scan; without a request it is the catch-up of auto-import."""
    name = f'Scan "{path}" on {node.name}' if request else f"Catch-up on {node.name}"
    Task(
        scan_job,
        queue=queue,
        key=node.io.fifo,
        requeue=request is None,
        name=name,
        args=(node, queue, path, register, request),
        holds=holds.of_imports(node.db, [request.id] if request else []),
    )


def scan_job(
    task: Task,
    node: UpdateableNode,
    queue: FairMultiFIFOQueue,
    path: str,
    register: bool,
    request: ArchiveFileImportRequest | None,
) -> Iterator[float]:
    """Walk, and queue imports for what is new; the body of the task, which pauses now and then."""
    outstanding = Outstanding(request, node)
    with node.io.medium() as medium:
        if medium is not None:
            yield from _walk(node, queue, path, register, outstanding)
        complete = medium is not None and medium.is_there()
    if not complete:  # an empty mount point has no files
        log.warning(f'Scan of "{path}" on {node.name} was cut off: its medium is not there.')
    elif request is not None and request.id not in node.scans_told:
        node.scans_told.add(request.id)
        tell(request, "success", node)
    outstanding.done(ran=complete)


def _walk(
    node: UpdateableNode,
    queue: FairMultiFIFOQueue,
    path: str,
    register: bool,
    outstanding: Outstanding,
) -> Iterator[float]:
    known = Known(node.db)
    log.info(f'Scanning "{path}" on "{node.name}" for new files.')
    found: list[Candidate] = []
    many = False
    directory: str | None = None
    size = import_batch_size()
    for file in node.io.file_walk(PurePath(path)):
        relative = _relative(node, file)
        above = relative.rpartition("/")[0]
        if above != directory:
            directory = above
            known.enter(PurePath(directory))
            log.info(f'Scanning "{directory or "."}".')
        if relative not in known and relative != NODE_INIT_PATH:
            found.append(Candidate(relative, None, seen=True))
        if len(found) >= size:
            queue_imports(node, queue, found, register, outstanding)
            found, many = [], True
            while outstanding.many:
                yield PAUSE_S
    queue_imports(node, queue, found, register, outstanding, batched=many)


def _relative(node: UpdateableNode, file: PurePath) -> str:
    """Return a path that a walk has yielded, relative to the root."""
    root = f"{(node.db.root or '').rstrip('/')}/"
    path = str(file)
    if path.startswith(root):
        return path.removeprefix(root)
    return str(file.relative_to(node.db.root or "/")) if file.is_absolute() else path
