"""The import of files: vet, detect, read, record in one transaction, call back (daemon.md §9.7).

One task works on a list; up to sixteen files of a pass have a task each. Kill it anywhere: what
was not recorded is found again by the same request, the catch-up, or the next event.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from typing import Protocol

from alpenhorn.common import config
from alpenhorn.common.units import pretty_bytes
from alpenhorn.daemon.jobs import callbacks
from alpenhorn.daemon.jobs.candidates import Candidate, Detected, Findings, look
from alpenhorn.daemon.jobs.lookahead import FEW
from alpenhorn.daemon.jobs.results import complete, tell
from alpenhorn.daemon.node import UpdateableNode
from alpenhorn.db.queries import imports
from alpenhorn.io import holds
from alpenhorn.scheduler import FairMultiFIFOQueue, Task

log = logging.getLogger(__name__)

NOT_READY_S = 600
"""Seconds until a file that its medium must stage first is looked at again."""


AGAIN_S = 2.5
LONGEST_AGAIN_S = 60.0
"""Shortest and longest pause before auto-import looks again at a file that is being written."""


class Progress(Protocol):
    """Somebody who wants to know when the tasks for his files have ended."""

    @property
    def request_id(self) -> int | None:
        """Id of the import request that the tasks are for; None: there is none."""

    def add(self) -> None:
        """A task was queued."""

    def done(self, ran: bool) -> None:
        """A task ended; `ran`: it dealt with all its files."""


def import_batch_size() -> int:
    """Return how many files an import task gets at most."""
    return int(config.value("daemon.batch_files"))


def queue_imports(
    node: UpdateableNode,
    queue: FairMultiFIFOQueue,
    candidates: Sequence[Candidate],
    register: bool,
    progress: Progress | None = None,
    batched: bool = False,
) -> None:
    """Queue the import of files.

    Args:
        node: where they are.
        queue: the task queue.
        candidates: the files.
        register: may acquisitions and files be created?
        progress: is told about the tasks.
        batched: these files are part of a longer list: no task of its own for each.
    """
    size = 1 if len(candidates) <= FEW and not batched else import_batch_size()
    for start in range(0, len(candidates), size):
        _queue_one(node, queue, list(candidates[start : start + size]), register, progress)


def _queue_one(
    node: UpdateableNode,
    queue: FairMultiFIFOQueue,
    batch: list[Candidate],
    register: bool,
    progress: Progress | None,
) -> None:
    what = batch[0].path if len(batch) == 1 else f"{len(batch)} files"
    state = {"ran": False}
    if progress is not None:
        progress.add()
    request_ids = [candidate.request.id for candidate in batch if candidate.request]
    if progress is not None and progress.request_id is not None:
        request_ids.append(progress.request_id)
    task = Task(
        import_job,
        queue=queue,
        key=node.io.fifo,
        requeue=all(candidate.request is None for candidate in batch),
        name=f"Import {what} on {node.name}",
        args=(node, queue, batch, register, state),
        holds=holds.of_imports(node.db, request_ids),
    )
    if progress is not None:
        task.on_cleanup(lambda: progress.done(state["ran"]))


def queue_event_import(
    node: UpdateableNode, queue: FairMultiFIFOQueue, path: str, begun: Callable[[], None]
) -> None:
    """Queue the import of a file that an event has told of.

    Args:
        node: where it is.
        queue: the task queue.
        path: the file, relative to the root.
        begun: called when the import begins, or is thrown away.
    """
    task = Task(
        _event_job,
        queue=queue,
        key=node.io.fifo,
        requeue=True,
        name=f"Import {path} on {node.name}",
        args=(node, queue, path, begun),
    )
    task.on_cleanup(begun)


def _event_job(
    task: Task,
    node: UpdateableNode,
    queue: FairMultiFIFOQueue,
    path: str,
    begun: Callable[[], None],
) -> Generator[float, None, None]:
    """Import one file; an event that comes from now on queues it again."""
    begun()
    yield from import_job(task, node, queue, [Candidate(path, None)], True, {})


def _queue_again(
    node: UpdateableNode, queue: FairMultiFIFOQueue, candidates: list[Candidate], pause: float
) -> None:
    """See to files that auto-import could not import yet: perhaps no event tells of their end."""
    what = candidates[0].path if len(candidates) == 1 else f"{len(candidates)} files"
    Task(
        _again_job,
        queue=queue,
        key=node.io.fifo,
        requeue=True,
        name=f"Import {what} on {node.name} later",
        args=(node, queue, candidates, pause),
    )


def _again_job(
    task: Task,
    node: UpdateableNode,
    queue: FairMultiFIFOQueue,
    candidates: list[Candidate],
    pause: float,
) -> Generator[float, None, None]:
    yield pause
    yield from import_job(task, node, queue, candidates, True, {}, pause)


def import_job(
    task: Task,
    node: UpdateableNode,
    queue: FairMultiFIFOQueue,
    candidates: Sequence[Candidate],
    register: bool,
    state: dict[str, bool],
    paused: float = 0.0,
) -> Generator[float, None, None]:
    """Import files; the body of the task. Sets ``state["ran"]`` if none is left to do.

    With auto-import, files that no request names are tried again after growing pauses; `paused`
    is the last of them, in seconds.
    """
    left: list[Candidate] = []
    while candidates:
        found = Findings(level=logging.DEBUG if paused else logging.INFO)
        # Let go of again before a pause, so that the medium can be unmounted.
        with node.io.medium() as medium:
            if medium is not None:
                look(node, candidates, register, found)
            if medium is None or not medium.is_there():
                log.warning(f"Importing nothing on {node.name}: its medium is not there.")
                found = Findings(
                    left=list(candidates)
                )  # what was seen may have been seen elsewhere
            left += found.left + _conclude(node, queue, found, register)
        candidates = found.not_ready
        if candidates:
            log.info(f"{len(candidates)} files on {node.name} not ready for I/O, waiting.")
            yield NOT_READY_S
    state["ran"] = not left
    again = [candidate for candidate in left if candidate.request is None]
    if again and register and node.db.auto_import and node.patient:
        _queue_again(node, queue, again, min(max(2 * paused, AGAIN_S), LONGEST_AGAIN_S))


def _conclude(
    node: UpdateableNode, queue: FairMultiFIFOQueue, found: Findings, register: bool
) -> list[Candidate]:
    """Record what was found; returns the files that must be tried again later."""
    for candidate, result in found.ended:
        complete(candidate.request, result, node)
    return _record(node, queue, found.read, register)


def _record(
    node: UpdateableNode,
    queue: FairMultiFIFOQueue,
    read: list[tuple[Detected, imports.Found]],
    register: bool,
) -> list[Candidate]:
    """Record what was read, in one transaction; returns what must be tried again later.

    An atomic callback that fails costs its own file only: the transaction is made again without.
    """
    left: list[Candidate] = []
    while read:
        calls = callbacks.Calls(node, [item.detection for item, _ in read])
        try:
            found = [evidence for _, evidence in read]
            results = imports.register(node.db, found, register, calls.inside, rows=calls.any)
        except callbacks.CallbackFailed as failed:
            item, _ = read.pop(failed.index)
            left.append(item.candidate)
            continue
        _tell_all(node, [item.candidate for item, _ in read], results)
        calls.after(results, queue)
        break
    return left


def _tell_all(
    node: UpdateableNode, candidates: list[Candidate], results: list[imports.Registered]
) -> None:
    """Write the log lines of a batch: of each file if they are few, else one for all."""
    level = logging.INFO if len(results) <= FEW else logging.DEBUG
    for candidate, result in zip(candidates, results, strict=True):
        _tell(node, candidate, result, level)
    if level == logging.DEBUG:
        added = [result.found.size_b for result in results if result.added]
        log.info(f"Imported {len(added)} files ({pretty_bytes(sum(added))}) on {node.name}.")


def _tell(
    node: UpdateableNode, candidate: Candidate, result: imports.Registered, level: int
) -> None:
    """Write the log lines of one import; their order is fixed by the seed."""
    if result.made_acq:
        log.info(f'Acquisition "{result.found.acq_name}" added to DB.')
    if result.made_file:
        log.log(level, f'File "{candidate.path}" added to DB.')
    if result.added:
        _tell_copy(node, candidate.path, result, level)
    if candidate.request is not None:
        node.import_patience.forget(("import", candidate.request.id))
        tell(candidate.request, result.outcome, node)


def _tell_copy(node: UpdateableNode, path: str, result: imports.Registered, level: int) -> None:
    if result.mismatch:
        log.error(f"File {path} on node {node.name} is corrupt! {result.mismatch}")
        return
    if result.was_missing:
        log.warning(f'Imported missing file "{path}" on node {node.name}: verified.')
    log.log(level, f'Imported file copy "{path}" on node "{node.name}".')
