"""The main loop: `tick` looks at the index once and turns what it finds into tasks.

A pass never does long I/O itself. Whatever goes wrong with one node or group is isolated, said
once per change, and costs only that node or group its pass (design P7). A lost database is waited
for, in pauses that grow.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import peewee as pw

from alpenhorn.common.obstacles import Obstacles
from alpenhorn.common.units import pretty_deltat
from alpenhorn.daemon import hanging, telemetry, updates
from alpenhorn.daemon.group import UpdateableGroup
from alpenhorn.daemon.hanging import MediumHangs
from alpenhorn.daemon.jobs.init import is_initialised
from alpenhorn.daemon.node import UpdateableNode
from alpenhorn.daemon.notify import Notifier
from alpenhorn.daemon.routes import Routes
from alpenhorn.db import StorageNode
from alpenhorn.db.queries import nodes as node_queries
from alpenhorn.errors import AlpenhornError
from alpenhorn.extensions import stuck
from alpenhorn.extensions.failures import printable
from alpenhorn.scheduler import EmptyPool, FairMultiFIFOQueue, WorkerPool

log = logging.getLogger(__name__)

TOGETHER_S = 2.0
"""Pauses between tries of transfers that end within this time get one pass."""

LOST_DATABASE = (pw.OperationalError, pw.InterfaceError)


class Loop:
    """The state that is kept from pass to pass.

    Args:
        host: name of the daemon host.
        queue: where tasks go.
        pool: who runs them.
        clock: gives seconds, for the duration of a pass.
        manager: hears between the steps of a pass that we are alive; None: nobody.
        once: there will be one pass only; nothing is to wait for what comes later.
    """

    def __init__(
        self,
        host: str,
        queue: FairMultiFIFOQueue,
        pool: WorkerPool | EmptyPool,
        clock: Callable[[], float] = time.monotonic,
        manager: Notifier | None = None,
        once: bool = False,
    ) -> None:
        self.host = host
        self.queue = queue
        self.pool = pool
        self.nodes: dict[str, UpdateableNode] = {}
        self.groups: dict[str, UpdateableGroup] = {}
        self.routes = Routes()
        self._clock = clock
        self._once = once
        self._manager = manager or Notifier({})
        self._obstacles = Obstacles(log)
        self._initialising: set[str] = set()

    def tick(self) -> None:
        """Make one pass (spec: daemon.md §6.1)."""
        started = self._clock()
        self.routes.begin_pass()
        available = self._find()
        self._update_nodes(available)
        self._update_groups()
        self._idle_updates(available)
        self._finish(available, started)

    def due(self) -> float | None:
        """Return when something that was put off may be done; None: there is nothing.

        A transfer that has failed, or a search that is too dear to be made all the time. By the
        clock of the pauses. Those that end soon after the first are waited for: a route and
        the requests of its last batch get a pass together.
        """
        paces = [node.deletion_pace.ends() for node in self.nodes.values()]
        ends = self.routes.ends() + [end for end in paces if end is not None]
        for group in self.groups.values():
            ends += group.patience.ends(self.routes.failed(group.db.id))
        return max((end for end in ends if end <= min(ends) + TOGETHER_S), default=None)

    def close(self) -> None:
        """Stop all nodes and groups."""
        for node in self.nodes.values():
            node.stop()
        for group in self.groups.values():
            group.stop()
        self.routes.close()

    # 1. which nodes and groups are here

    def _find(self) -> list[UpdateableNode]:
        rows = node_queries.active_on(self.host)
        if not rows:
            log.warning(f"No active nodes on host ({self.host})!")
        self._drop_nodes({row.name for row in rows})
        available = [node for row in rows if (node := self._refresh_node(row)) is not None]
        self._refresh_groups(available)
        return available

    def _drop_nodes(self, keep: set[str]) -> None:
        for name in [name for name in self.nodes if name not in keep]:
            self._forget_node(name)

    def _forget_node(self, name: str) -> None:
        log.info(f'Node "{name}" no longer available.')
        telemetry.available("node", name, False)
        self.nodes.pop(name).stop()

    def _refresh_node(self, row: StorageNode) -> UpdateableNode | None:
        """Make or refresh a node; None if it cannot be used in this pass."""
        with self._isolated(f"node {row.name}", "look-up"):
            node = self.nodes.get(row.name)
            if node is not None:
                node.reinit(row)
            elif row.name in self._initialising:
                return None
            else:
                log.info(f'Node "{row.name}" now available.')
                node = UpdateableNode(self.queue, row)
                node.patient = not self._once
            if self._is_usable(node):
                self.nodes[row.name] = node
                telemetry.available("node", row.name, True)
                return node
        # Not usable: forgotten, so that the next pass begins anew (daemon.md §6.2).
        if row.name in self.nodes:
            self._forget_node(row.name)
        return None

    def _is_usable(self, node: UpdateableNode) -> bool:
        """Tell whether a node's medium is there; workers that hang on it are replaced."""
        try:
            return is_initialised(node, self.queue, self._initialising)
        except MediumHangs:
            self.pool.replace_workers_on(node.io.fifo)
            raise

    def _refresh_groups(self, available: list[UpdateableNode]) -> None:
        members: dict[str, list[UpdateableNode]] = {}
        for node in available:
            members.setdefault(node.db.group.name, []).append(node)
        for name in [name for name in self.groups if name not in members]:
            log.info(f'Group "{name}" no longer available.')
            telemetry.available("group", name, False)
            self.groups.pop(name).stop()
        for name, nodes in members.items():
            with self._isolated(f"group {name}", "look-up"):
                self._refresh_group(name, nodes)

    def _refresh_group(self, name: str, nodes: list[UpdateableNode]) -> None:
        idle = all(node.idle for node in nodes)
        row = nodes[0].db.group
        if name in self.groups:
            self.groups[name].reinit(group=row, nodes=nodes, idle=idle)
            return
        log.info(f'Group "{name}" now available.')
        self.groups[name] = UpdateableGroup(queue=self.queue, group=row, nodes=nodes, idle=idle)
        telemetry.available("group", name, True)

    # 2., 3., 4. what is due

    def _update_nodes(self, available: list[UpdateableNode]) -> None:
        for node in available:
            with self._isolated(f"node {node.name}", "update"):
                node.updated = False
                node.updated = updates.update_node(node, self.queue)

    def _update_groups(self) -> None:
        for group in list(self.groups.values()):
            with self._isolated(f"group {group.name}", "update"):
                group.updated = False
                group.updated = updates.update_group(group, self.routes, self.host)

    def _idle_updates(self, available: list[UpdateableNode]) -> None:
        for node in available:
            with self._isolated(f"node {node.name}", "idle update"):
                updates.idle_node(node)
        for group in list(self.groups.values()):
            with self._isolated(f"group {group.name}", "idle update"):
                updates.idle_group(group)

    # 5. the end of the pass

    def _finish(self, available: list[UpdateableNode], started: float) -> None:
        for group in list(self.groups.values()):
            with self._isolated(f"group {group.name}", "end of pass"):
                hanging.hook(f"group {group.name}", group.io.after_update)
        for node in available:
            with self._isolated(f"node {node.name}", "end of pass"):
                hanging.hook(f"node {node.name}", node.io.after_update)
        self._replace_stuck()
        self.pool.check()
        took = self._clock() - started
        telemetry.end_of_pass(took, self.queue, self.pool)
        log.info(f"Main loop execution was {pretty_deltat(took)}.")
        self.say_tasks()

    def _replace_stuck(self) -> None:
        """Replace workers that an extension does not let go of."""
        for call in stuck.news():
            name = call.extension.full_name
            log.error(f'Extension "{name}": {call.what} hangs for {printable(call.path)}.')
            self.pool.replace_workers_on(call.node.io.fifo)

    def say_tasks(self) -> None:
        """Write the line about the queue."""
        log.info(self.tasks())

    def tasks(self) -> str:
        """Say in one line what the queue holds."""
        return (
            f"Tasks: {self.queue.qsize} queued, {self.queue.deferred_size} deferred, "
            f"{self.queue.inprogress_size} in-progress on {len(self.pool)} workers"
        )

    @contextmanager
    def _isolated(self, what: str, step: str) -> Iterator[None]:
        """Keep what goes wrong with one part from all others; a lost database concerns all.

        Args:
            what: the node or group.
            step: the part of the pass; a later step that works does not make the error new.
        """
        self._manager.alive()
        try:
            yield
        except LOST_DATABASE:
            raise
        except AlpenhornError as error:
            self._obstacles.say((what, step), error.message, logging.ERROR)
        except Exception as error:
            if self._obstacles.is_news((what, step), repr(error)):
                log.exception(f"Error with {what}; the others go on.")
        else:
            self._obstacles.gone((what, step))
