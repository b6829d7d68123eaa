"""The pre-pull search: is the file on the destination's medium though the index does not know?

A file that is found is not trusted: it becomes a suspect copy and is checked; its request waits
for the verdict (daemon.md §10.3).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from alpenhorn.db import ArchiveFileCopyRequest
from alpenhorn.db.queries import checks, pending, transfers
from alpenhorn.io import holds
from alpenhorn.io.default.jobs.batching import FEW
from alpenhorn.scheduler import Task

if TYPE_CHECKING:
    from alpenhorn.io.default.group import DefaultGroupIO

log = logging.getLogger(__name__)

BATCH = 1000


def queue_search(
    group_io: DefaultGroupIO, queue: Any, requests: Sequence[ArchiveFileCopyRequest]
) -> None:
    """Queue the search for the files of `requests` on the group's FIFO."""
    size = 1 if len(requests) <= FEW else BATCH
    for start in range(0, len(requests), size):
        batch = list(requests[start : start + size])
        what = str(batch[0].file.path) if size == 1 else f"{len(batch)} files"
        name = f"Pre-pull search for {what} in {group_io.group.name}"
        Task(
            search_job,
            queue=queue,
            key=group_io.fifo,
            name=name,
            args=(group_io, batch),
            holds=holds.of_pulls(batch),
        )


def search_job(
    task: Task, group_io: DefaultGroupIO, requests: Sequence[ArchiveFileCopyRequest]
) -> None:
    """Have untracked files checked, and pull the rest; the body of the task."""
    requests = pending.still_ready(group_io.group, requests)
    untracked: set[int] = set()
    for node in group_io.nodes:
        untracked |= have_checked(node.io, requests)
    left = [request for request in requests if request.id not in untracked]
    if left:
        group_io.pull_many(left, did_search=True)


def have_checked(io: Any, requests: Sequence[ArchiveFileCopyRequest]) -> set[int]:
    """Ask for the check of files that are on a node's medium but not in the index.

    Args:
        io: node I/O of the destination.
        requests: requests whose files the index says are absent or corrupt there.

    Returns:
        Ids of the requests whose files were found. A known corrupt copy does not count: it will be
        overwritten.
    """
    corrupt = transfers.corrupt_on(io.node, [request.file_id for request in requests])
    with io.medium() as medium:
        asked = [(r, str(r.file.path)) for r in requests if r.file_id not in corrupt]
        sizes = io.find_many([path for _, path in asked]) if medium else {}
        found = [(request, sizes[path]) for request, path in asked if path in sizes]
        if not (found and medium.is_there()):
            return set()
        checks.ask_for_check(io.node, [(request.file_id, space_b) for request, space_b in found])
    for request, _ in found:
        path, name = request.file.path, io.node.name
        log.warning(f"Skipping pull of {path}: it is on {name} already; requesting its check.")
    return {request.id for request, _ in found}
