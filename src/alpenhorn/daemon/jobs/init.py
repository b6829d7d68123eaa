"""Is a node initialised, and its initialisation on request (spec: daemon.md §6.3)."""

from __future__ import annotations

import logging

from alpenhorn.daemon.jobs.results import complete
from alpenhorn.daemon.node import UpdateableNode
from alpenhorn.db import ArchiveFileImportRequest
from alpenhorn.db.queries import nodes as node_queries
from alpenhorn.scheduler import FairMultiFIFOQueue, Task

log = logging.getLogger(__name__)


def is_initialised(node: UpdateableNode, queue: FairMultiFIFOQueue, initialising: set[str]) -> bool:
    """Tell whether a node may be used; queue its initialisation if that was asked for.

    Args:
        node: the node.
        queue: the task queue.
        initialising: names of nodes whose initialisation is queued or running.
    """
    if not node_queries.still_active(node.db.id):
        log.warning(f'Ignoring node "{node.name}": deactivated during the update.')
        return False
    if node.check_init():
        return True
    request = node_queries.init_request(node.db)
    if request is None:
        log.warning(f'Ignoring node "{node.name}": not initialised.')
        return False
    log.info(f'Requesting init of node "{node.name}".')
    initialising.add(node.name)
    task = Task(
        init_job,
        queue=queue,
        key=node.io.fifo,
        name=f'Init Node "{node.name}"',
        args=(node, request),
    )
    task.on_cleanup(initialising.discard, (node.name,))
    return False


def init_job(task: Task, node: UpdateableNode, request: ArchiveFileImportRequest) -> None:
    """Initialise a node; the body of the task. A failure leaves the request pending."""
    if node.check_init():
        log.info(f'Node "{node.name}" already initialised.')
        complete(request, "duplicate", node)
    elif node.io.init() and node.check_init():
        log.info(f'Node "{node.name}" initialised.')
        complete(request, "success", node)
    else:
        log.warning(f'Initialisation of node "{node.name}" failed.')
