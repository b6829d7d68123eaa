"""The daemon's live object for a node: its record, its storage class, and what is due on it.

Three things are called so that they cannot be mixed up: the *row* (`.db`), the *node* (this
object), and the *io* (`.io`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from alpenhorn.common.obstacles import Obstacles
from alpenhorn.daemon import hanging
from alpenhorn.daemon.pace import Pace
from alpenhorn.daemon.patience import Patience
from alpenhorn.db import StorageNode
from alpenhorn.db.queries import stores
from alpenhorn.errors import AlpenhornError
from alpenhorn.io import holds, registry
from alpenhorn.io.base import BaseNodeIO, InternalIO
from alpenhorn.scheduler import FairMultiFIFOQueue, Held

log = logging.getLogger(__name__)

LONGEST_IMPORT_PAUSE_S = 30.0
"""A file that was locked is looked at again soon: its writer will be done."""


class UpdateableNode:
    """A node of this host.

    Args:
        queue: where its tasks go.
        node: the record.

    Raises:
        AlpenhornError: its storage class is unknown or cannot work with its configuration.
    """

    def __init__(self, queue: FairMultiFIFOQueue, node: StorageNode) -> None:
        self._queue = queue
        self.db = node
        self.io_class: InternalIO
        self.io: BaseNodeIO
        self.patience = Patience()
        """For checks, deletions and staging that did not come off."""
        self.deletion_pace = Pace()
        """Of the search for copies that may go: of those that must stay there may be very many."""
        self.import_patience = Patience(longest=LONGEST_IMPORT_PAUSE_S)
        self.patient = True
        """May tasks wait for files to be finished? Not if the daemon makes one pass only."""
        self.scans_told: set[int] = set()
        """Requests of scans that are repeated since some of their files cannot be imported yet."""
        self.obstacles = Obstacles(log)
        self.updated = False
        """Was the regular update of this pass carried out?"""
        self.worked = True
        """Was any I/O done since the last idle update?"""
        self.verify_cursor: int | None = None
        self.verify_again_at = 0.0
        """When auto-verify may go on (`time.monotonic`): once per update interval."""
        self.unwatch: Callable[[], None] | None = None
        """Ends the watch of auto-import, if there is one."""
        self._make_io()

    @property
    def name(self) -> str:
        """Name of the node."""
        return self.db.name

    @property
    def idle(self) -> bool:
        """Is nothing queued or running for this node?"""
        return self._queue.fifo_size(self.io.fifo) == 0

    @property
    def takes_more(self) -> bool:
        """May it get work in this pass: is it idle, or can its class do with more?"""
        return self.idle or self.io.takes_more

    @property
    def queued(self) -> bool:
        """Does any task of it wait for a worker?"""
        return self._queue.queued(self.io.fifo) > 0

    def in_hand(self, kind: holds.Kind) -> Held:
        """Return what tasks hold of one kind of work; to be asked before the index is."""
        return self._queue.in_hand.of(kind)

    def reinit(self, node: StorageNode) -> bool:
        """Take the freshly read record; make a new storage object if it must be another one.

        Returns:
            Whether a new one was made.
        """
        old, self.db = self.db, node
        same = (old.id, old.io_class, old.io_config) == (node.id, node.io_class, node.io_config)
        if same and old.root == node.root:
            self.io.set_storage(node)
            return False
        log.info(f'Configuration of node "{self.name}" has changed: re-initialising.')
        self.stop()
        self._make_io()
        return True

    def _make_io(self) -> None:
        self._store: str | None = None
        self.io_class = registry.entry_for(self.db)
        fifo = (False, self.db.name, time.monotonic())
        self._queue.label_fifo(fifo, f"Node {self.db.name}")
        assert self.io_class.node_class is not None
        try:
            config = registry.parse_config(self.db.io_config)
            self.io = self.io_class.node_class(self.db, config, self._queue, fifo)
        except AlpenhornError as error:
            raise AlpenhornError(f'Cannot use node "{self.db.name}": {error.message}') from error
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise AlpenhornError(f'Cannot use node "{self.db.name}": {error!r}') from error

    def stop(self) -> None:
        """Stop watching, throw away what is queued; running tasks are left to finish."""
        if self.unwatch is not None:
            self.unwatch()
            self.unwatch = None
        discard(self._queue, self.io.fifo, f"node {self.name}")

    def check_init(self) -> bool:
        """Tell whether the medium is this node's.

        Raises:
            MediumHangs: it does not answer.
        """
        return hanging.ask(self.name, self.db.root, self.io.check_init)

    def update_free_space(self) -> None:
        """Measure free space and store it, and say which file system it is that of.

        Raises:
            MediumHangs: the medium does not answer.
        """
        free, store = hanging.ask(self.name, self.db.root, self._measure)
        self.db.update_avail_gb(free)
        if store and store != self._store:
            stores.publish(self.db, store)
            self._store = store

    def _measure(self) -> tuple[int | None, str | None]:
        return self.io.bytes_avail(fast=False), self.io.store_name()


def discard(queue: FairMultiFIFOQueue, fifo: Any, whose: str) -> None:
    """Empty and close a FIFO, saying how much was thrown away."""
    queued, deferred = queue.clear_fifo(fifo, keep_clear=True)
    if queued or deferred:
        log.info(
            f"Discarded {queued + deferred} tasks of {whose} "
            f"({queued} pending, {deferred} deferred)."
        )


class RemoteNode:
    """A node as the source of a pull: its record, and the remote half of its storage class."""

    def __init__(self, node: StorageNode) -> None:
        self.db = node
        self.io = registry.remote_for(node)

    @property
    def name(self) -> str:
        """Name of the node."""
        return self.db.name
