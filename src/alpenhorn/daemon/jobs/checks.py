"""The chore of verification: suspect copies go to the storage class (spec: daemon.md §6.4)."""

from __future__ import annotations

import logging

from alpenhorn.daemon.jobs.lookahead import FEW, LOOKAHEAD, a_few_batches, is_enough
from alpenhorn.daemon.node import UpdateableNode
from alpenhorn.db.queries import checks
from alpenhorn.io import holds

log = logging.getLogger(__name__)


def dispatch(node: UpdateableNode) -> None:
    """Hand the suspect copies of a node to its storage class.

    A copy that stays suspect, since it cannot be read, is tried again after growing pauses.
    """
    held, queued = node.in_hand(holds.checks(node.db)), node.queued
    if is_enough(held, queued):
        return
    limit = LOOKAHEAD + len(node.patience.resting()) + len(held)
    found = checks.suspect(node.db, limit)
    node.patience.keep("check", {copy.id for copy in found})
    left = [copy for copy in found if copy.id not in held]
    copies = [copy for copy in left if node.patience.ready(("check", copy.id))]
    held_b = held.total_b if queued else 0
    copies = a_few_batches(copies, lambda copy: copy.file.size_b, held_b)
    if not copies:
        return
    for copy in copies:
        node.patience.tried(("check", copy.id))
        copy.node = node.db
        if len(copies) <= FEW:
            log.info(f'Checking copy "{copy.file.path}" on node {node.name}.')
    if len(copies) > FEW:
        log.info(f"Checking {len(copies)} copies on node {node.name}.")
    node.worked = True
    node.io.check_many(copies)
