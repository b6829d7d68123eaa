"""The chore of deletion: what may probably go is handed over; what may not sleeps.

The seed shows the refusal of a deletion once per pass. We repeat it whenever its number changes,
and else at growing intervals (spec: config.md K-14).
"""

from __future__ import annotations

import logging

from alpenhorn.daemon.jobs.lookahead import FEW, LOOKAHEAD
from alpenhorn.daemon.node import UpdateableNode
from alpenhorn.db import ArchiveFileCopy
from alpenhorn.db.queries import deletion

log = logging.getLogger(__name__)


def dispatch(node: UpdateableNode) -> None:
    """Hand the copies of a node that may go to its storage class."""
    limit = LOOKAHEAD + len(node.patience.resting())
    copies = [
        copy
        for copy in deletion.deletable(node.db, limit)
        if node.patience.ready(("delete", copy.id))
    ]
    for copy in copies:
        node.patience.tried(("delete", copy.id))
    copies += _worth_a_refusal(node)
    if copies:
        node.worked = True
        for copy in copies:
            copy.node = node.db
        node.io.delete_many(sorted(copies, key=lambda copy: copy.id))


def _worth_a_refusal(node: UpdateableNode) -> list[ArchiveFileCopy]:
    """Return blocked copies whose refusal is to be told in full; else say how many there are."""
    waiting = deletion.waiting(node.db, FEW)
    news = [
        copy_id
        for copy_id, protecting in waiting.rows
        if node.obstacles.is_news(("delete", copy_id), str(protecting))
    ]
    if waiting.too_few > FEW:
        text = f"{waiting.too_few} released copies on {node.name} wait for more archive copies."
        node.obstacles.say("too few", text)
    if waiting.transfer_pending:
        text = (
            f"Skipping delete of {waiting.transfer_pending} copies on node {node.name}: "
            "transfer pending"
        )
        node.obstacles.say("transfer pending", text)
    else:
        node.obstacles.gone("transfer pending")
    return deletion.by_copy_ids(news)
