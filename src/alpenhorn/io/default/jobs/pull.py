"""The pull: bring files of one route onto a node, verify them, record them (design §6).

The order is the promise: stage on the target's file system, flush, read back and compare, rename
into place, flush the directories, and only then one transaction that makes the copies present. A
kill at any point leaves staged files, which are resumed or tidied, or whole files that the next
search finds and has checked; never a row that says present without the bytes.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alpenhorn import events
from alpenhorn.common import config
from alpenhorn.common.obstacles import Obstacles
from alpenhorn.common.units import pretty_bytes
from alpenhorn.db import ArchiveFileCopyRequest, StorageNode
from alpenhorn.db.queries import transfers
from alpenhorn.errors import FailureClass, InvalidName, StorageError
from alpenhorn.io import registry
from alpenhorn.io.default.jobs import report
from alpenhorn.io.default.jobs.batching import Tally, batches, loudness
from alpenhorn.io.default.jobs.search import have_checked
from alpenhorn.io.default.tree import STAGING_PREFIX
from alpenhorn.scheduler import Task
from alpenhorn.transfer.batch import Endpoint, Item, Limits, Mover, Outcome, time_limit
from alpenhorn.transfer.choose import move, movers_for
from alpenhorn.transfer.flush import flush_batch
from alpenhorn.transfer.verify import verify_staged

if TYPE_CHECKING:
    from alpenhorn.io.default.node import DefaultNodeIO

log = logging.getLogger(__name__)
_obstacles = Obstacles(log)

Requests = Sequence[ArchiveFileCopyRequest]

_WORTH_RESUMING = (FailureClass.ROUTE, FailureClass.INTERRUPTED)


def queue_pulls(io: DefaultNodeIO, queue: Any, requests: Requests, did_search: bool) -> None:
    """Queue the transfer of what fits onto the node, a batch per task, one route each."""
    if not io.node.check_pull_dest(log_level=logging.DEBUG):
        _obstacles.say(("dest", io.node.name), _why_not(io.node))
        return
    routes: dict[int, list[ArchiveFileCopyRequest]] = {}
    for request in requests:
        if io.reserve_bytes(request.file.size_b or 0):
            routes.setdefault(request.node_from_id, []).append(request)
        else:
            text = f"Skipping pull of files to {io.node.name}: insufficient space."
            _obstacles.say(("space", io.node.name), text, logging.WARNING)
    for route in routes.values():
        for batch in batches(route, lambda request: request.file.size_b):
            task = Task(
                pull_job,
                queue=queue,
                key=io.fifo,
                name=_task_name(io.node, batch),
                args=(io, batch, did_search),
            )
            # Runs also if the task is thrown away while it waits.
            task.on_cleanup(_release, (io, [request.file.size_b or 0 for request in batch]))


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
    requests = _still_wanted(io, requests, did_search)
    if not requests:
        return
    source_node = requests[0].node_from
    try:
        source, items = _describe(io, source_node, requests, target)
    except (ValueError, StorageError, InvalidName) as error:
        text = f"Skipping pull from {source_node.name}: {error}"
        _obstacles.say(("route", source_node.name), text, logging.WARNING)
        return
    may_link = not io.node.archive and not source_node.archive
    movers = movers_for(source.local, may_link)
    _announce(io, source_node, items, source, movers[0])
    started = time.time()
    with _staging(io, requests) as staging, _counted(io, movers[0], source, len(items)):
        outcomes = {o.key: o for o in move(movers, items, source, staging, _limits(requests))}
        good = _verify(staging, items, outcomes)
        _install(io, staging, good, outcomes)
    _record(io, requests, {item.key: item.path for item in items}, outcomes, started)


def _still_wanted(io: DefaultNodeIO, requests: Requests, did_search: bool) -> Requests:
    """Ask the index again: requests and nodes may have changed while the task waited."""
    ids = [request.id for request in requests]
    requests = transfers.ready(requests[0].group_to, len(ids), ids=ids)
    if not requests or not io.check_init():
        return []
    if not did_search:
        untracked = have_checked(io, requests)
        requests = [request for request in requests if request.id not in untracked]
    return requests


def _describe(
    io: DefaultNodeIO, node: StorageNode, requests: Requests, target: Any
) -> tuple[Endpoint, list[Item]]:
    """Say where the batch comes from and what is in it."""
    remote = registry.remote_for(node)
    items = [
        Item(
            key=request.id,
            path=io.tree.relative(target or request.file.path),
            source=remote.file_path(request.file),
            size_b=request.file.size_b,
            md5=request.file.md5sum,
        )
        for request in requests
    ]
    root = node.root or "/"
    if node.local:
        return Endpoint(local=True, address=None, root=root), items
    address = remote.file_addr(requests[0].file).partition(":" + items[0].source)[0]
    return Endpoint(local=False, address=address, root=root), items


def _announce(
    io: DefaultNodeIO,
    node: StorageNode,
    items: Sequence[Item],
    source: Endpoint,
    mover: Mover,
) -> None:
    level = loudness(items)
    for item in items:
        if io.tree.make_parents(item.path):
            log.log(level, f'Creating directory "{Path(io.tree.root, item.path).parent}".')
    kind = "local" if source.local else "remote"
    if len(items) == 1:
        log.info(f"Pulling {kind} file {items[0].path} using {mover.name}")
    else:
        total = pretty_bytes(sum(item.size_b or 0 for item in items))
        what = f"{len(items)} {kind} files ({total})"
        log.info(f"Pulling {what} from {node.name} using {mover.name}")


@contextmanager
def _staging(io: DefaultNodeIO, requests: Requests) -> Iterator[Path]:
    """Provide the staging directory of a batch; its name lets the next attempt find it again."""
    staging = Path(io.tree.root, staging_name(requests[0].id))
    staging.mkdir(mode=0o700, exist_ok=True)
    yield staging
    # Not in a finally: after an exception the tidy-up, or the next attempt, takes care of it.
    if not _worth_keeping(staging, requests):
        shutil.rmtree(staging, ignore_errors=True)


def staging_name(request_id: int) -> str:
    """Return the name of the staging directory of a batch that begins with this request."""
    return f"{STAGING_PREFIX}{request_id}"


def _worth_keeping(staging: Path, requests: Requests) -> bool:
    """Keep partial data of a big file that travels alone, for resumption."""
    large = config.value("daemon.single_file_bytes")
    if len(requests) > 1 or (requests[0].file.size_b or 0) <= large:
        return False
    return any(path.is_file() for path in staging.rglob("*"))


@contextmanager
def _counted(io: DefaultNodeIO, mover: Mover, source: Endpoint, count: int) -> Iterator[None]:
    """Tell listeners that transfers are running, always balanced."""
    name, remote = io.node.name, not source.local
    events.emit(events.PullRunning(name, mover.name, remote, count))
    try:
        yield
    finally:
        events.emit(events.PullRunning(name, mover.name, remote, -count))


def _limits(requests: Requests) -> Limits:
    total = sum(request.file.size_b or 0 for request in requests)
    base = config.value("daemon.pull_timeout_base")
    speed = config.value("daemon.pull_bytes_per_second")
    return Limits(
        timeout=time_limit(total, base, speed),
        remote_shell=tuple(config.value("daemon.remote_shell")),
    )


def _verify(staging: Path, items: Sequence[Item], outcomes: dict[int, Outcome]) -> list[Item]:
    """Flush what arrived, read it back, and note what differs; returns what is good."""
    arrived = [item for item in items if outcomes[item.key].ok]
    try:
        flush_batch(staging, [item.path for item in arrived])
    except OSError as error:
        _fail_all(arrived, outcomes, f"cannot flush to the medium: {error.strerror}")
        return []
    good = []
    for item in arrived:
        outcome = _compare(staging, item, outcomes[item.key])
        if outcome.ok:
            good.append(item)
            continue
        outcomes[item.key] = outcome
        Path(staging, item.path).unlink(missing_ok=True)
    return good


def _compare(staging: Path, item: Item, outcome: Outcome) -> Outcome:
    """Read a staged file back; a link shares its source's bytes and so its state (P2)."""
    if outcome.method == "link":
        status = Path(staging, item.path).stat(follow_symlinks=False)
        if item.size_b is None or status.st_size == item.size_b:
            return outcome
    return verify_staged(staging, item)


def _install(
    io: DefaultNodeIO, staging: Path, good: Sequence[Item], outcomes: dict[int, Outcome]
) -> None:
    """Rename verified files into place and flush their directories."""
    if not good:
        return
    if not io.check_init():
        _fail_all(good, outcomes, "the medium is not there any more")
        return
    installed = []
    for item in good:
        io.expect(item.path)
        try:
            io.tree.install(staging.name, item.path)
            installed.append(item)
        except OSError as error:
            _fail_all([item], outcomes, f"cannot rename into place: {error.strerror}")
    try:
        io.tree.flush_parents([item.path for item in installed])
    except OSError as error:
        _fail_all(installed, outcomes, f"cannot flush to the medium: {error.strerror}")


def _fail_all(items: Sequence[Item], outcomes: dict[int, Outcome], message: str) -> None:
    for item in items:
        outcomes[item.key] = Outcome(item.key, FailureClass.DESTINATION, message)


def _record(
    io: DefaultNodeIO,
    requests: Requests,
    paths: dict[int, str],
    outcomes: dict[int, Outcome],
    started: float,
) -> None:
    """Store what arrived in one transaction, then tell about everything."""
    ended = time.time()
    arrived = {
        request.id: transfers.Arrived(
            request.id, request.file_id, io.storage_used(paths[request.id]), started, ended
        )
        for request in requests
        if outcomes[request.id].ok
    }
    recorded = transfers.finish(io.node, list(arrived.values())) if arrived else set()
    io.forget_expected(paths.values())
    done = [(r, arrived[r.id]) for r in requests if r.id in recorded]
    failures = [(r, outcomes[r.id]) for r in requests if not outcomes[r.id].ok]
    report.succeeded(done, loudness(requests))
    report.failed(io.node, failures, ended - started)
    if len(requests) > 1:
        tally = Tally(log, "Pulled", quiet=False, took=ended - started)
        for request, _ in done:
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
