"""The daemon's metrics (spec: config.md §10): it listens to events, and looks at each pass's end.

Without the Prometheus library the metrics do nothing.
"""

from __future__ import annotations

import threading

from alpenhorn import events
from alpenhorn.common import hashing
from alpenhorn.common.metrics import Metric
from alpenhorn.errors import FailureClass
from alpenhorn.scheduler import EmptyPool, FairMultiFIFOQueue, FifoCounts, WorkerPool

_RESULTS = {
    None: "success",
    FailureClass.SOURCE: "integrity",
}


class _Metrics:
    """All metrics, made when the daemon starts (the label `daemon` needs the configuration)."""

    def __init__(self) -> None:
        route = ("node_from", "group_to")
        self.loop_time = Metric("main_loop_time_seconds", "Duration of the last loop")
        self.loops = Metric("main_loops", "Loops completed", counter=True)
        self.available = {
            kind: Metric(f"{kind}_available", f"The daemon manages the {kind}", unbound=("name",))
            for kind in ("node", "group")
        }
        self.idle = {
            kind: Metric(f"{kind}_idle", f"The {kind} is idle", unbound=("name",))
            for kind in ("node", "group")
        }
        self.update = {
            kind: Metric(f"{kind}_update", "Updates done", counter=True, unbound=("name",))
            for kind in ("node", "group")
        }
        self.queue_size = Metric("queue_size", "Tasks", unbound=("fifo", "status"))
        self.queue_locked = Metric("queue_locked", "An exclusive task runs", unbound=("fifo",))
        self.worker_count = Metric("worker_count", "Workers", unbound=("pool_type",))
        self.worker_running = Metric("worker_running", "Worker is alive", unbound=("id",))
        self.worker_idle = Metric("worker_idle", "Worker waits for a task", unbound=("id",))
        self.serial_loops = Metric("serialio_loops", "Loops with serial I/O", counter=True)
        self.serial_tasks = Metric("serialio_tasks", "Tasks run in the main loop", counter=True)
        self.pulls = Metric(
            "pull_running_count", "Running pulls", unbound=("node", "method", "remote")
        )
        self.transfers = Metric(
            "transfers", "Attempts by outcome", counter=True, unbound=(*route, "result")
        )
        self.pulled = Metric("pulled_bytes", "Bytes of good pulls", counter=True, unbound=route)
        self.requests = Metric(
            "requests_completed",
            "Requests brought to an end",
            counter=True,
            unbound=("type", "result", "node", "group"),
        )
        self.checks = Metric("verification_checks", "Checks begun", counter=True, unbound=("node",))
        self.deleted = Metric("deleted_files", "Files removed", counter=True, unbound=("node",))
        self.deleted_bytes = Metric(
            "deleted_bytes", "Bytes of files removed", counter=True, unbound=("node",)
        )
        Metric("hash_running_count", "MD5 computations under way").follow(hashing.running)


_metrics: _Metrics | None = None
_labels_seen: set[str] = set()
_lock = threading.Lock()


def start() -> None:
    """Make the metrics and listen to events; once per process."""
    global _metrics
    with _lock:
        if _metrics is not None:
            return
        _metrics = _Metrics()
    events.subscribe(events.RequestEnded, _on_request)
    events.subscribe(events.TransferEnded, _on_transfer)
    events.subscribe(events.PullRunning, _on_pull)
    events.subscribe(events.CheckBegun, _on_check)
    events.subscribe(events.FileDeleted, _on_deleted)


def available(kind: str, name: str, here: bool) -> None:
    """Say whether a node or group takes part in updates."""
    if _metrics is None:
        return
    _metrics.available[kind].set(int(here), name=name)
    if not here:
        _metrics.idle[kind].remove(name=name)


def updated(kind: str, name: str) -> None:
    """Count an update that was carried out."""
    if _metrics is not None:
        _metrics.update[kind].inc(name=name)


def idle(kind: str, name: str, is_idle: bool) -> None:
    """Say whether a node or group is idle."""
    if _metrics is not None:
        _metrics.idle[kind].set(int(is_idle), name=name)


def serial(tasks: int) -> None:
    """Count a round of serial I/O."""
    if _metrics is not None:
        _metrics.serial_loops.inc()
        _metrics.serial_tasks.add(tasks)


def end_of_pass(seconds: float, queue: FairMultiFIFOQueue, pool: WorkerPool | EmptyPool) -> None:
    """Record the duration of a pass, and what queue and workers look like."""
    if _metrics is None:
        return
    _metrics.loop_time.set(seconds)
    _metrics.loops.inc()
    _metrics.worker_count.set(len(pool), pool_type=type(pool).__name__)
    busy = {number for number, _, _ in pool.running()}
    for number in range(1, len(pool) + 1):
        _metrics.worker_running.set(1, id=str(number))
        _metrics.worker_idle.set(int(number not in busy), id=str(number))
    snapshot = queue.snapshot()
    total = FifoCounts(0, 0, 0, False)
    for label in _labels_seen | snapshot.keys():
        counts = snapshot.get(label, FifoCounts(0, 0, 0, False))
        total = total.plus(counts)
        _set_sizes(_metrics, label, counts)
        _metrics.queue_locked.set(int(counts.locked), fifo=label)
    _labels_seen.update(snapshot)
    _set_sizes(_metrics, "_ALL", total)


def _set_sizes(metrics: _Metrics, label: str, counts: FifoCounts) -> None:
    by_status = {
        "queued": counts.queued,
        "deferred": counts.deferred,
        "in-progress": counts.in_progress,
    }
    for status, count in by_status.items():
        metrics.queue_size.set(count, fifo=label, status=status)
    metrics.queue_size.set(sum(by_status.values()), fifo=label, status="any")


def _on_request(event: events.RequestEnded) -> None:
    if _metrics is not None:
        _metrics.requests.inc(
            type=event.kind, result=event.result, node=event.node, group=event.group
        )


def _on_transfer(event: events.TransferEnded) -> None:
    if _metrics is None:
        return
    route = {"node_from": event.node_from, "group_to": event.group_to}
    _metrics.transfers.inc(result=_RESULTS.get(event.failure, "failure"), **route)
    if event.failure is None:
        _metrics.pulled.add(event.size_b, **route)


def _on_pull(event: events.PullRunning) -> None:
    if _metrics is not None:
        remote = str(int(event.remote))
        _metrics.pulls.add(event.change, node=event.node, method=event.method, remote=remote)


def _on_check(event: events.CheckBegun) -> None:
    if _metrics is not None:
        _metrics.checks.inc(node=event.node)


def _on_deleted(event: events.FileDeleted) -> None:
    if _metrics is not None:
        _metrics.deleted.inc(node=event.node)
        _metrics.deleted_bytes.add(event.size_b, node=event.node)
