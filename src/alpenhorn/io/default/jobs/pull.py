"""The pull: bring files of one route onto a node, verify them, record them (design §6).

The order is the promise: stage on the target's file system, flush, read back and compare, rename
into place, flush the directories, and only then one transaction that makes the copies present. A
kill at any point leaves staged files, which are resumed or tidied, or whole files that the next
search finds and has checked; never a row that says present without the bytes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpenhorn import events
from alpenhorn.common.obstacles import Obstacles
from alpenhorn.common.units import pretty_bytes
from alpenhorn.db import ArchiveFileCopyRequest, StorageNode
from alpenhorn.db.queries import evidence, pending, transfers
from alpenhorn.errors import AlpenhornError
from alpenhorn.io import holds
from alpenhorn.io.default.jobs import report, route
from alpenhorn.io.default.jobs.batching import Tally, batches, loudness
from alpenhorn.io.default.jobs.landing import Outcomes, fail_all, land, staging_for
from alpenhorn.io.default.jobs.search import have_checked
from alpenhorn.io.default.medium import HeldMedium
from alpenhorn.scheduler import Task
from alpenhorn.transfer.bandwidth import Turns
from alpenhorn.transfer.batch import Endpoint, Item, Limits, Mover
from alpenhorn.transfer.choose import move

if TYPE_CHECKING:
    from alpenhorn.io.default.node import DefaultNodeIO

log = logging.getLogger(__name__)
_obstacles = Obstacles(log)
_turns = Turns()

TURN_S = 1.0
"""Pause before a transfer looks again whether it is its turn."""

Requests = Sequence[ArchiveFileCopyRequest]


def queue_pulls(io: DefaultNodeIO, queue: Any, requests: Requests, did_search: bool) -> None:
    """Queue the transfer of what fits onto the node, a batch per task, one route each."""
    if not _may_receive(io.node):
        return
    routes: dict[int, list[ArchiveFileCopyRequest]] = {}
    for request in requests:
        if io.reserve_bytes(request.file.size_b or 0):
            routes.setdefault(request.node_from_id, []).append(request)
        else:
            text = f"Skipping pull of files to {io.node.name}: insufficient space."
            _obstacles.say(("space", io.node.name), text, logging.WARNING)
    for one_route in routes.values():
        for batch in batches(one_route, lambda request: request.file.size_b):
            task = Task(
                _pull_in_turn,
                queue=queue,
                key=io.fifo,
                name=_task_name(io.node, batch),
                args=(io, batch, did_search),
                holds=holds.of_pulls(batch),
            )
            # Runs also if the task is thrown away while it waits.
            task.on_cleanup(_release, (io, [request.file.size_b or 0 for request in batch]))


def _pull_in_turn(
    task: Task, io: DefaultNodeIO, requests: Requests, did_search: bool
) -> Iterator[float]:
    """Do `pull_job`, when the limits on transfers at a time allow it; body of the task."""
    node = requests[0].node_from
    while not _turns.take(limits := route.turns(io, node)):
        yield TURN_S
    try:
        pull_job(task, io, requests, did_search)
    finally:
        _turns.give_back(limits)


def pull_job(
    task: Task, io: DefaultNodeIO, requests: Requests, did_search: bool, target: Any = None
) -> None:
    """Transfer one batch of one route; the body of the task.

    Args:
        task: the task.
        io: node I/O of the destination.
        requests: requests of one source node.
        did_search: has somebody looked for untracked files already?
        target: where a single file goes, if not to its own path; absolute, below the root.
    """
    since = evidence.last_claim()
    requests = _still_wanted(io, requests, did_search)
    if not requests:
        return
    node = requests[0].node_from
    try:
        source, items = route.describe(io, node, requests, target)
        limits = route.limits_for(io, source, items)
    except (ValueError, AlpenhornError) as error:
        text = f"Skipping pull from {node.name}: {error}"
        report.refused(requests, text, ("route", node.name), whole_route=True)
        return
    if items:
        by_key = {item.key: item for item in items}
        _transfer(io, source, items, limits, [r for r in requests if r.id in by_key], since)


def _still_wanted(io: DefaultNodeIO, requests: Requests, did_search: bool) -> Requests:
    """Ask the index again: requests and nodes may have changed while the task waited."""
    if not _may_receive(io.node):
        return []
    requests = pending.still_ready(requests[0].group_to, requests)
    if requests and not did_search:
        untracked = have_checked(io, requests)
        requests = [request for request in requests if request.id not in untracked]
    return requests


def _transfer(
    io: DefaultNodeIO,
    source: Endpoint,
    items: list[Item],
    limits: Limits,
    requests: Requests,
    since: int,
) -> None:
    """Move a batch, let it land, and record what came of it; `since`: see `transfers.finish`."""
    with io.medium() as medium:
        if medium is None:
            log.warning(f"Not pulling to {io.node.name}: its medium is not there.")
            return
        _transfer_to(io, medium, source, items, limits, requests, since)


def _transfer_to(
    io: DefaultNodeIO,
    medium: HeldMedium,
    source: Endpoint,
    items: list[Item],
    limits: Limits,
    requests: Requests,
    since: int,
) -> None:
    node = requests[0].node_from
    may_link = not io.node.archive and not node.archive
    movers = route.choose_movers(source, items, limits, may_link)
    started = time.time()
    outcomes: Outcomes = {}
    try:
        _announce(io, node, items, source, movers[0])
        with staging_for(io, items) as staging, _counted(io, movers[0], source, len(items)):
            for outcome in move(movers, items, source, staging, limits):
                outcomes[outcome.key] = outcome
            land(io, medium, staging.name, items, outcomes)
    except OSError as error:
        # Directories cannot be made here: nothing has landed.
        fail_all(items, outcomes, f"cannot write below {io.tree.root}: {error.strerror}")
    if not medium.is_there():  # what came of it says nothing about this one, nor about the source
        fail_all(items, outcomes, "the medium was taken away during the transfer")
    try:
        _record(io, requests, {item.key: item.path for item in items}, outcomes, started, since)
    finally:
        io.forget_expected([item.path for item in items])


def _announce(
    io: DefaultNodeIO,
    node: StorageNode,
    items: Sequence[Item],
    source: Endpoint,
    mover: Mover,
) -> None:
    level = loudness(items)
    for path in {item.path.rpartition("/")[0]: item.path for item in items}.values():
        # What cannot be made now will not be when the files are renamed into place either, and
        # that is told for these files alone.
        with suppress(OSError):
            if io.tree.make_parents(path):
                log.log(level, f'Creating directory "{Path(io.tree.root, path).parent}".')
    kind = "local" if source.local else "remote"
    if len(items) == 1:
        log.info(f"Pulling {kind} file {items[0].path} using {mover.name}")
    else:
        total = pretty_bytes(sum(item.size_b or 0 for item in items))
        what = f"{len(items)} {kind} files ({total})"
        log.info(f"Pulling {what} from {node.name} using {mover.name}")


@contextmanager
def _counted(io: DefaultNodeIO, mover: Mover, source: Endpoint, count: int) -> Iterator[None]:
    """Tell listeners that transfers are running, always balanced."""
    name, remote = io.node.name, not source.local
    events.emit(events.PullRunning(name, mover.name, remote, count))
    try:
        yield
    finally:
        events.emit(events.PullRunning(name, mover.name, remote, -count))


def _record(
    io: DefaultNodeIO,
    requests: Requests,
    paths: dict[int, str],
    outcomes: Outcomes,
    started: float,
    since: int,
) -> None:
    """Store what arrived in one transaction, then tell about everything."""
    ended = time.time()
    sizes = io.find_many([paths[request.id] for request in requests if outcomes[request.id].ok])
    arrived = {
        request.id: transfers.Arrived(
            request.id,
            request.file_id,
            sizes.get(paths[request.id]),
            started,
            ended,
            read=outcomes[request.id].method != "link",
        )
        for request in requests
        if outcomes[request.id].ok
    }
    done = transfers.finish(io.node, list(arrived.values()), since)
    good = [(r, arrived[r.id]) for r in requests if r.id in done.recorded]
    failures = [(r, outcomes[r.id]) for r in requests if not outcomes[r.id].ok]
    report.succeeded(good, done.completed, loudness(requests))
    report.failed(io.node, failures, ended - started)
    if len(requests) > 1:
        tally = Tally(log, "Pulled", quiet=False, took=ended - started)
        for request, _ in good:
            tally.add(request.file.size_b)
        tally.say()
    free = io.bytes_avail(fast=True)
    if free is not None:
        io.node.update_avail_gb(free)


def _release(io: DefaultNodeIO, sizes: Sequence[int]) -> None:
    for size in sizes:
        io.release_bytes(size)


def _task_name(node: StorageNode, batch: Requests) -> str:
    first = batch[0]
    if len(batch) == 1:
        return f"AFCR#{first.id}: {first.node_from.name} -> {node.name}"
    return f"AFCR#{first.id} and {len(batch) - 1} more: {first.node_from.name} -> {node.name}"


def _may_receive(node: StorageNode) -> bool:
    """Tell whether the node is within its limits, with a line if not."""
    if node.check_pull_dest(log_level=logging.DEBUG):
        return True
    _obstacles.say(("dest", node.name), _why_not(node))
    return False


def _why_not(node: StorageNode) -> str:
    if node.under_min:
        return (
            f"Skipping pull for StorageNode {node.name}: hit minimum free space: "
            f"({node.avail_gb:.2f} GiB < {node.min_avail_gb:.2f} GiB)"
        )
    total, limit = node.get_total_gb(), node.max_total_gb or 0.0
    return (
        f"Skipping pull for StorageNode {node.name}: node full.  "
        f"({total:.2f} GiB >= {limit:.2f} GiB)"
    )
