"""Auto-import: file-system events become import tasks (spec: daemon.md §9.2, §9.3).

One observer and one recursive watch per node root. A file is imported when
it was created (also by a link or a move), when its writer closed it, and when its lock file went
away. Events of our own staging directories are ignored.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable
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

SOON_S = 1.0
"""The main loop waits so long at most for a watch to begin or to end."""


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


class Watch:
    """The watch of one node's tree. What may hang with its medium is done in threads of its own.

    To begin a watch, the whole tree is walked: that may take hours, or for ever if the medium
    hangs. To end one, its observer is waited for. The main loop waits for neither (design P7), and
    every node has an observer, since an observer is locked while it begins or ends a watch.

    Args:
        node: the node.
        queue: where the tasks go.
    """

    def __init__(self, node: UpdateableNode, queue: FairMultiFIFOQueue) -> None:
        self.node = node
        self._queue = queue
        self._root = node.db.root or "/"
        self._lock = threading.Lock()
        self._observer: Any = None
        """Set when it watches."""
        self._ended = False

    def begin(self) -> None:
        """Begin the watch, now or when its medium answers."""
        _watches.add(self)
        self.node.unwatch = self.end
        kind, timeout = self.node.io.observer, config.value("daemon.auto_import_interval")
        if not _aside(lambda: self._begin(kind(timeout=timeout))):
            log.info(f'The watch of node "{self.node.name}" takes its time; other work goes on.')

    def is_dead(self) -> bool:
        """Tell whether it watches no longer, though nobody has ended it."""
        with self._lock:
            return self._observer is not None and not self._observer.is_alive()

    def end(self) -> None:
        """End the watch, now or as soon as its medium answers."""
        with self._lock:
            observer, self._observer, self._ended = self._observer, None, True
        _watches.discard(self)
        if observer is not None:
            _aside(partial(_stop, observer))

    def _begin(self, observer: Any) -> None:
        try:
            observer.start()
            observer.schedule(RegisterFile(self.node, self._queue), self._root, recursive=True)
        except OSError as error:
            self._cannot(error)
            _stop(observer)
            return
        with self._lock:
            if not self._ended:
                self._observer = observer
        if self._ended:
            _stop(observer)
            return
        log.info(f'Watching node "{self.node.name}" root "{self._root}" for auto import.')
        queue_scan(self.node, self._queue, ".", register=True, request=None)

    def _cannot(self, error: OSError) -> None:
        text = (
            f'Cannot watch node "{self.node.name}": {error.strerror}. '
            "If the inotify limit is reached, raise fs.inotify.max_user_watches."
        )
        self.node.obstacles.say("watch", text, logging.ERROR)
        self.end()
        if self.node.unwatch == self.end:
            self.node.unwatch = None


_watches: set[Watch] = set()


def update(node: UpdateableNode, queue: FairMultiFIFOQueue) -> None:
    """Start or stop the watch of a node, as its record says."""
    dead = any(watch.node is node and watch.is_dead() for watch in list(_watches))
    if node.unwatch is not None and (dead or not node.db.auto_import):
        node.unwatch()
        node.unwatch = None
    if node.unwatch is None and node.db.auto_import:
        _start(node, queue)


def _start(node: UpdateableNode, queue: FairMultiFIFOQueue) -> None:
    if node.io.observer is None:
        text = f'Cannot start auto import on node "{node.name}": nothing can watch its medium.'
        node.obstacles.say("watch", text, logging.WARNING)
        return
    _quieten_watchdog()
    Watch(node, queue).begin()


def stop_all() -> None:
    """Stop all watches; those that hang are left behind."""
    for watch in list(_watches):
        watch.end()


def _aside(function: Callable[[], None]) -> bool:
    """Call something in a thread of its own; returns whether it has ended soon."""
    thread = threading.Thread(target=function, name=threading.current_thread().name, daemon=True)
    thread.start()
    thread.join(min(SOON_S, config.value("daemon.medium_timeout")))
    return not thread.is_alive()


def _stop(observer: Any) -> None:
    observer.stop()
    observer.join(timeout=10)


def _quieten_watchdog() -> None:
    """Leave out what watchdog says of things that are as they should be."""
    logging.getLogger(_WATCHDOG_LOG).addFilter(_is_no_farewell)
    # It met a new directory twice: by its event, and on the walk from the one above.
    warnings.filterwarnings("ignore", "Callback with id .* already exists", RuntimeWarning)


def _is_no_farewell(record: logging.LogRecord) -> bool:
    """Leave out what watchdog calls an error when a watch is removed: its thread's last look."""
    return "called when the thread is inactive" not in record.getMessage()


def _text(path: bytes | str) -> str:
    return path.decode(errors="surrogateescape") if isinstance(path, bytes) else path
