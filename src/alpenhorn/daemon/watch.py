"""Auto-import: file-system events become import tasks (spec: daemon.md §9.2, §9.3).

One observer thread per storage class, one recursive watch per node root. A file is imported when
it was created (also by a link or a move), when its writer closed it, and when its lock file went
away. Events of our own staging directories are ignored.
"""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path, PurePath
from typing import Any

from watchdog.events import FileSystemEvent, FileSystemEventHandler

from alpenhorn.common import config
from alpenhorn.daemon.jobs.importing import queue_event_import
from alpenhorn.daemon.jobs.scan import queue_scan
from alpenhorn.daemon.node import UpdateableNode
from alpenhorn.io.default.tree import NODE_FILE, STAGING_PREFIX
from alpenhorn.io.default.writers import Writers
from alpenhorn.scheduler import FairMultiFIFOQueue

log = logging.getLogger(__name__)

_WATCHDOG_LOG = "watchdog.observers.inotify"

_observers: dict[Any, Any] = {}
"""One observer per class."""


class RegisterFile(FileSystemEventHandler):
    """Turns events below a node's root into import tasks.

    Args:
        node: the node.
        queue: where the tasks go.
    """

    def __init__(self, node: UpdateableNode, queue: FairMultiFIFOQueue) -> None:
        self._node = node
        self._queue = queue
        self._soon: set[str] = set()
        """Paths whose imports are queued and have not begun."""

    def on_created(self, event: FileSystemEvent) -> None:
        """Import a new file, whether it was written, linked or moved in from outside."""
        if not event.is_directory:
            self._import(event.src_path)

    def on_modified(self, event: FileSystemEvent) -> None:
        """Note that a file has a writer; where the kernel cannot tell, that is all we know."""
        writers, path = self._writers(), self._relative(event.src_path)
        if writers is not None and path is not None and not event.is_directory:
            writers.changed(path)

    def on_closed(self, event: FileSystemEvent) -> None:
        """Import a file whose writer has finished."""
        if not event.is_directory:
            self._has_no_writer(event.src_path)
            self._import(event.src_path)

    def on_moved(self, event: FileSystemEvent) -> None:
        """Import a file under its new name; a lock that was renamed away is a lock gone."""
        if event.is_directory:
            return
        self._has_no_writer(event.src_path)
        self._unlocked(event.src_path)
        self._import(event.dest_path)

    def on_deleted(self, event: FileSystemEvent) -> None:
        """Import the file whose lock file was removed."""
        if not event.is_directory:
            self._has_no_writer(event.src_path)
            self._unlocked(event.src_path)

    def _unlocked(self, path: bytes | str) -> None:
        lock = PurePath(_text(path))
        name = lock.name
        if name.startswith(".") and name.endswith(".lock") and len(name) > len("..lock"):
            self._import(str(lock.with_name(name[1 : -len(".lock")])))

    def _import(self, path: bytes | str) -> None:
        relative = self._relative(path)
        if relative is not None:
            self._import_soon(relative)

    def _relative(self, path: bytes | str) -> str | None:
        """Return a path relative to the root; None if no data file could be there."""
        try:
            relative = PurePath(_text(path)).relative_to(Path(self._node.db.root or "/"))
        except ValueError:
            return None
        if str(relative) in (".", NODE_FILE) or relative.name.startswith("."):
            return None
        return None if relative.parts[0].startswith(STAGING_PREFIX) else str(relative)

    def _writers(self) -> Writers | None:
        """What the storage class knows of writers, if it wants to know."""
        return getattr(self._node.io, "writers", None)

    def _has_no_writer(self, path: bytes | str) -> None:
        writers, relative = self._writers(), self._relative(path)
        if writers is not None and relative is not None:
            writers.closed(relative)

    def _import_soon(self, path: str) -> None:
        """Queue an import, unless one is queued already: events come in bunches."""
        if path in self._soon:
            return
        self._soon.add(path)
        begun = partial(self._soon.discard, path)
        queue_event_import(self._node, self._queue, path, begun)


def update(node: UpdateableNode, queue: FairMultiFIFOQueue) -> None:
    """Start or stop the watch of a node, as its record says."""
    if node.unwatch is not None and not node.db.auto_import:
        node.unwatch()
        node.unwatch = None
    if is_due(node):
        _start(node, queue)


def is_due(node: UpdateableNode) -> bool:
    """Tell whether the next `update` will walk the tree of the node, to begin its watch."""
    return node.unwatch is None and bool(node.db.auto_import)


def _start(node: UpdateableNode, queue: FairMultiFIFOQueue) -> None:
    if node.io.observer is None:
        text = f'Cannot start auto import on node "{node.name}": nothing can watch its medium.'
        node.obstacles.say("watch", text, logging.WARNING)
        return
    root = node.db.root or "/"
    try:
        observer = _observer(node.io.observer)
        watch = observer.schedule(RegisterFile(node, queue), root, recursive=True)
    except OSError as error:
        text = (
            f'Cannot watch node "{node.name}": {error.strerror}. '
            "If the inotify limit is reached, raise fs.inotify.max_user_watches."
        )
        node.obstacles.say("watch", text, logging.ERROR)
        return
    node.unwatch = partial(_unschedule, observer, watch)
    log.info(f'Watching node "{node.name}" root "{root}" for auto import.')
    queue_scan(node, queue, ".", register=True, request=None)


def _is_no_farewell(record: logging.LogRecord) -> bool:
    """Leave out what watchdog calls an error when a watch is removed: its thread's last look."""
    return "called when the thread is inactive" not in record.getMessage()


def _observer(kind: Any) -> Any:
    observer = _observers.get(kind)
    if observer is None or not observer.is_alive():
        logging.getLogger(_WATCHDOG_LOG).addFilter(_is_no_farewell)
        observer = kind(timeout=config.value("daemon.auto_import_interval"))
        observer.start()
        _observers[kind] = observer
    return observer


def _unschedule(observer: Any, watch: Any) -> None:
    try:
        observer.unschedule(watch)
    except (KeyError, OSError) as error:
        log.debug(f"Cannot remove a watch: {error!r}")


def stop_all() -> None:
    """Stop and join all observers."""
    for observer in _observers.values():
        observer.stop()
    for observer in _observers.values():
        observer.join(timeout=10)
    _observers.clear()


def _text(path: bytes | str) -> str:
    return path.decode(errors="surrogateescape") if isinstance(path, bytes) else path
