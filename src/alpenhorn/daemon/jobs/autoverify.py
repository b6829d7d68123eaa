"""Auto-verify: a few copies per idle update are marked for checking (spec: daemon.md §12)."""

from __future__ import annotations

import logging
import time

from alpenhorn.common import config
from alpenhorn.daemon.node import UpdateableNode
from alpenhorn.db.queries import checks

log = logging.getLogger(__name__)


def step(node: UpdateableNode) -> None:
    """Look at the node's next copies, in id order from a random start, round and round."""
    now = time.monotonic()
    if now < node.verify_again_at:
        return  # this pass was made because somebody woke us
    node.verify_again_at = now + config.value("daemon.update_interval")
    if node.verify_cursor is None:
        node.verify_cursor = checks.random_start(node.db)
    marked, node.verify_cursor = checks.stale(
        node.db,
        node.verify_cursor,
        node.db.auto_verify,
        config.value("daemon.auto_verify_min_days"),
    )
    if marked:
        log.info(f"Auto-verifying {len(marked)} copies on node {node.name}: {marked}")
