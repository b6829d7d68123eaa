"""The daemon's live object for a group: its record, its storage class, its nodes here."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from alpenhorn.common.obstacles import Obstacles
from alpenhorn.daemon.node import UpdateableNode, discard
from alpenhorn.daemon.pace import Pace
from alpenhorn.daemon.patience import Patience
from alpenhorn.daemon.standstill import Standstill
from alpenhorn.db import StorageGroup
from alpenhorn.errors import AlpenhornError
from alpenhorn.io import holds, registry
from alpenhorn.io.base import BaseGroupIO, InternalIO
from alpenhorn.scheduler import FairMultiFIFOQueue, Held

log = logging.getLogger(__name__)

LONGEST_PAUSE_S = 600.0
"""Longest pause between two tries of one request."""


class UpdateableGroup:
    """A group with at least one available node on this host.

    Args:
        queue: where its tasks go.
        group: the record.
        nodes: its available nodes on this host.
        idle: were all of them idle at the start of the pass?

    Raises:
        AlpenhornError: its storage class is unknown or cannot work with its configuration.
    """

    def __init__(
        self,
        *,
        queue: FairMultiFIFOQueue,
        group: StorageGroup,
        nodes: Sequence[UpdateableNode],
        idle: bool,
    ) -> None:
        self._queue = queue
        self.db = group
        self.io_class: InternalIO
        self.io: BaseGroupIO
        self.patience = Patience(longest=LONGEST_PAUSE_S)
        self.obstacles = Obstacles(log)
        self.standstill = Standstill()
        self.look_pace = Pace()
        """Of looking through all that is pending, while the group is busy."""
        self.idle_at_start = idle
        self.updated = False
        self._make_io()
        self._offer(nodes)

    @property
    def name(self) -> str:
        """Name of the group."""
        return self.db.name

    @property
    def idle(self) -> bool:
        """Is nothing queued or running for the group or any of its nodes, and is there a node?"""
        return (
            self._queue.fifo_size(self.io.fifo) == 0
            and bool(self.io.nodes)
            and all(node.idle for node in self.io.nodes)
        )

    @property
    def takes_more(self) -> bool:
        """May it get requests in this pass: was it idle, or can its classes do with more?"""
        classes = [self.io, *(node.io for node in self.io.nodes)]
        return self.idle_at_start or all(io.takes_more for io in classes)

    @property
    def queued(self) -> bool:
        """Does any task of it, or of its nodes, wait for a worker?"""
        return self._queue.queued(self.io.fifo) > 0 or any(node.queued for node in self.io.nodes)

    def in_hand(self, kind: holds.Kind) -> Held:
        """Return what tasks hold of one kind of work; to be asked before the index is."""
        return self._queue.in_hand.of(kind)

    def reinit(self, *, group: StorageGroup, nodes: Sequence[UpdateableNode], idle: bool) -> None:
        """Take the freshly read record and nodes."""
        old, self.db = self.db, group
        # Searches that are still queued would be queued again (daemon.md §22.31).
        self.idle_at_start = idle and self._queue.fifo_size(self.io.fifo) == 0
        if (old.id, old.io_class, old.io_config) == (group.id, group.io_class, group.io_config):
            self.io.set_storage(group)
        else:
            log.info(f'Configuration of group "{self.name}" has changed: re-initialising.')
            self.stop()
            self._make_io()
        self._offer(nodes)

    def _make_io(self) -> None:
        self.io_class = registry.entry_for(self.db)
        fifo = (True, self.db.name, time.monotonic())
        self._queue.label_fifo(fifo, f"Group {self.db.name}")
        assert self.io_class.group_class is not None
        try:
            config = registry.parse_config(self.db.io_config)
            self.io = self.io_class.group_class(self.db, config, self._queue, fifo)
        except AlpenhornError as error:
            raise AlpenhornError(f'Cannot use group "{self.db.name}": {error.message}') from error
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            raise AlpenhornError(f'Cannot use group "{self.db.name}": {error!r}') from error

    def _offer(self, nodes: Sequence[UpdateableNode]) -> None:
        try:
            self.io.nodes = list(nodes)
        except ValueError as error:
            self.obstacles.say("nodes", str(error), logging.WARNING)
        else:
            self.obstacles.gone("nodes")

    def stop(self) -> None:
        """Throw away what is queued; running tasks are left to finish."""
        discard(self._queue, self.io.fifo, f"group {self.name}")
