"""The chore of making sources ready, for media that must stage files first (daemon.md §10.10)."""

from __future__ import annotations

from alpenhorn.daemon.jobs.lookahead import LOOKAHEAD
from alpenhorn.daemon.node import UpdateableNode
from alpenhorn.db.queries import pending
from alpenhorn.io import registry


def dispatch(node: UpdateableNode) -> None:
    """Ask the storage class to make the sources of pending requests readable."""
    if not node.io.stages:
        return
    remote = registry.remote_for(node.db)
    requests = [
        request
        for request in pending.to_make_ready(node.db, LOOKAHEAD)
        if node.patience.ready(("stage", request.id)) and not remote.pull_ready(request.file)
    ]
    for request in requests:
        node.patience.tried(("stage", request.id))
    if requests:
        node.worked = True
        node.io.ready_pull_many(requests)
