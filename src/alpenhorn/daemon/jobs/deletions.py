"""The chore of deletion: what may probably go is handed over; what may not sleeps.

The seed shows the refusal of a deletion once per pass. We repeat it whenever its number changes,
and else at growing intervals (spec: config.md K-14).
"""

from __future__ import annotations

import logging

from alpenhorn.daemon.jobs.lookahead import FEW, LOOKAHEAD, is_enough
from alpenhorn.daemon.node import UpdateableNode
from alpenhorn.db import ArchiveFileCopy
from alpenhorn.db.queries import deletion, evidence, overdue, protection
from alpenhorn.db.queries.protection import Protection
from alpenhorn.io import holds
from alpenhorn.scheduler import Held

log = logging.getLogger(__name__)


def dispatch(node: UpdateableNode) -> None:
    """Hand the copies of a node that may go to its storage class."""
    held = node.in_hand(holds.deletions(node.db))
    if is_enough(held, node.queued) or not node.deletion_pace.is_due():
        return
    with node.deletion_pace.measured():
        _dispatch(node, held)


def _dispatch(node: UpdateableNode, held: Held) -> None:
    rule = protection.configured()
    if not held:  # else there are claims of ours that live
        evidence.end_stale_claims(node.db)
    limit = LOOKAHEAD + len(node.patience.resting()) + len(held)
    found = deletion.deletable(node.db, limit, rule)
    node.patience.keep("delete", {copy.id for copy in found})
    left = [copy for copy in found if copy.id not in held]
    copies = [copy for copy in left if node.patience.ready(("delete", copy.id))]
    for copy in copies:
        node.patience.tried(("delete", copy.id))
    _have_checked(node, rule)
    copies += [copy for copy in _worth_a_refusal(node, rule) if copy.id not in held]
    if copies:
        node.worked = True
        for copy in copies:
            copy.node = node.db
        node.io.delete_many(sorted(copies, key=lambda copy: copy.id))


def _have_checked(node: UpdateableNode, rule: Protection) -> None:
    """Put up for a check the archive copies whose age keeps released copies of the node."""
    count = overdue.put_up_for_check(node.db, rule, LOOKAHEAD)
    if count:
        log.info(
            f"Requesting verification of {count} archive copies, on which released copies on "
            f"{node.name} wait: not verified for {rule.max_age_days} days."
        )


def _worth_a_refusal(node: UpdateableNode, rule: Protection) -> list[ArchiveFileCopy]:
    """Return blocked copies whose refusal is to be told in full; else say how many there are."""
    waiting = deletion.waiting(node.db, FEW, rule)
    news = [
        copy_id
        for copy_id, protecting in waiting.rows
        if node.obstacles.is_news(("delete", copy_id), str(protecting))
    ]
    if waiting.too_few > FEW:
        text = f"{waiting.too_few} released copies on {node.name} wait for more archive copies."
        node.obstacles.say("too few", text)
    _say_unverified(node, waiting.unverified)
    if waiting.transfer_pending:
        text = (
            f"Skipping delete of {waiting.transfer_pending} copies on node {node.name}: "
            "transfer pending"
        )
        node.obstacles.say("transfer pending", text)
    else:
        node.obstacles.gone("transfer pending")
    return deletion.by_copy_ids(news)


def _say_unverified(node: UpdateableNode, count: int) -> None:
    if not count:
        node.obstacles.gone("unverified")
        return
    text = (
        f"{count} released copies on {node.name} wait until archive copies have been verified again"
    )
    node.obstacles.say("unverified", f"{text}.")
