"""What is due on a node or group in one pass, in order (spec: daemon.md §6.4-§6.6).

Each function looks at the index, hands lists to the storage class or to a job, and returns
quickly.
"""

from __future__ import annotations

import logging

from alpenhorn.common.units import pretty_bytes
from alpenhorn.daemon import hanging, telemetry, watch
from alpenhorn.daemon.group import UpdateableGroup
from alpenhorn.daemon.jobs import autoverify, checks, deletions, pulls, repairs, requests, staging
from alpenhorn.daemon.node import UpdateableNode
from alpenhorn.daemon.routes import Routes
from alpenhorn.db.storage import GIB
from alpenhorn.scheduler import FairMultiFIFOQueue

log = logging.getLogger(__name__)


def update_node(node: UpdateableNode, queue: FairMultiFIFOQueue) -> bool:
    """Do the regular update of a node.

    Returns:
        Whether it was carried out: a busy node is left alone, if its class cannot do with more.
    """
    idle = node.idle
    go_ahead = hanging.hook(f"node {node.name}", node.io.before_update, idle)
    watch.update(node, queue)
    node.update_free_space()
    if node.db.avail_gb is not None:
        log.info(f"Node {node.name}: {pretty_bytes(int(node.db.avail_gb * GIB))} available.")
    if not node.takes_more or not go_ahead:
        why = "cancelled" if node.takes_more else "busy"
        log.info(f'Skipping update of node "{node.name}": {why}.')
        return False
    log.info(f'Updating node "{node.name}".')
    telemetry.updated("node", node.name)
    checks.dispatch(node)
    deletions.dispatch(node)
    requests.dispatch(node, queue)
    staging.dispatch(node)
    return True


def update_group(group: UpdateableGroup, routes: Routes, host: str) -> bool:
    """Do the regular update of a group; returns whether it was carried out."""
    if not group.io.nodes:
        return False
    go_ahead = hanging.hook(f"group {group.name}", group.io.before_update, group.idle_at_start)
    if not group.takes_more or not go_ahead:
        why = "cancelled" if group.takes_more else "busy"
        log.info(f'Skipping update of group "{group.name}": {why}.')
        return False
    log.info(f'Updating group "{group.name}".')
    telemetry.updated("group", group.name)
    repairs.dispatch(group)
    pulls.dispatch(group, routes, host)
    return True


def idle_node(node: UpdateableNode) -> None:
    """Do low-priority work on a node that was updated and is idle now."""
    idle = node.idle
    telemetry.idle("node", node.name, idle)
    if not idle:
        node.worked = True
    if not node.updated or not idle:
        return
    newly_idle, node.worked = node.worked, False
    hanging.hook(f"node {node.name}", node.io.idle_update, newly_idle)
    if node.db.auto_verify > 0:
        autoverify.step(node)


def idle_group(group: UpdateableGroup) -> None:
    """Do low-priority work on a group that was updated and is idle now."""
    idle = group.idle
    telemetry.idle("group", group.name, idle)
    if group.updated and idle:
        hanging.hook(f"group {group.name}", group.io.idle_update)
