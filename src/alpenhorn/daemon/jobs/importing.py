"""The import of files: vet, detect, read, record in one transaction, call back (daemon.md §9.7).

One task works on a list; up to sixteen files of a pass have a task each. Kill it anywhere: what
was not recorded is found again by the same request, the catch-up, or the next event.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Protocol

from alpenhorn.common import config
from alpenhorn.common.units import pretty_bytes
from alpenhorn.daemon.jobs import callbacks
from alpenhorn.daemon.jobs.lookahead import FEW
from alpenhorn.daemon.jobs.results import complete, tell
from alpenhorn.daemon.node import UpdateableNode
from alpenhorn.db import ArchiveFileImportRequest
from alpenhorn.db.queries import imports
from alpenhorn.errors import InvalidName
from alpenhorn.extensions.detection import BadAcq, DetectFailed, Detection, detect
from alpenhorn.io.base import Examined
from alpenhorn.scheduler import FairMultiFIFOQueue, Task

log = logging.getLogger(__name__)

NOT_READY_S = 600
"""Seconds until a file that its medium must stage first is looked at again."""


AGAIN_S = 2.5
LONGEST_AGAIN_S = 60.0
"""Shortest and longest pause before auto-import looks again at a file that is being written."""


@dataclass(frozen=True)
class Candidate:
    """A path that may be a data file, and the request that named it, if any."""

    path: str
    request: ArchiveFileImportRequest | None
    seen: bool = False
    """Was it just listed as a regular file? Then it is not looked at before it is opened."""


class Progress(Protocol):
    """Somebody who wants to know when the tasks for his files have ended."""

    def add(self) -> None:
        """A task was queued."""

    def done(self, ran: bool) -> None:
        """A task ended; `ran`: it dealt with all its files."""


@dataclass(frozen=True)
class _Detected:
    candidate: Candidate
    detection: Detection

    @property
    def name(self) -> tuple[str, str]:
        return self.detection.acq_name, self.detection.file_name


@dataclass
class _Found:
    """What came of looking at some files; it counts only if the medium has stayed the same."""

    ended: list[tuple[Candidate, str]] = field(default_factory=list)
    """Files that are not to be imported, and why: results of their requests."""
    read: list[tuple[_Detected, imports.Found]] = field(default_factory=list)
    left: list[Candidate] = field(default_factory=list)
    """To be tried again later."""
    not_ready: list[Candidate] = field(default_factory=list)
    """The medium must stage them first."""
    level: int = logging.INFO
    """Of the lines that say why a file is not imported yet."""


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
    task = Task(
        import_job,
        queue=queue,
        key=node.io.fifo,
        requeue=all(candidate.request is None for candidate in batch),
        name=f"Import {what} on {node.name}",
        args=(node, queue, batch, register, state),
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
        found = _Found(level=logging.DEBUG if paused else logging.INFO)
        # Let go of again before a pause, so that the medium can be unmounted.
        with node.io.medium() as medium:
            if medium is not None:
                _look(node, candidates, register, found)
            if medium is None or not medium.is_there():
                log.warning(f"Importing nothing on {node.name}: its medium is not there.")
                found = _Found(left=list(candidates))  # what was seen may have been seen elsewhere
            left += found.left + _conclude(node, queue, found, register)
        candidates = found.not_ready
        if candidates:
            log.info(f"{len(candidates)} files on {node.name} not ready for I/O, waiting.")
            yield NOT_READY_S
    state["ran"] = not left
    again = [candidate for candidate in left if candidate.request is None]
    if again and register and node.db.auto_import and node.patient:
        _queue_again(node, queue, again, min(max(2 * paused, AGAIN_S), LONGEST_AGAIN_S))


def _look(
    node: UpdateableNode, candidates: Sequence[Candidate], register: bool, found: _Found
) -> None:
    """Find out about files what can be, and note it; nothing is recorded here."""
    vetted = [candidate for candidate in candidates if _may_import(node, candidate, found)]
    ready: list[Candidate] = []
    for one in vetted:
        (ready if node.io.ready_path(PurePath(one.path)) else found.not_ready).append(one)
    detected: list[_Detected] = []
    for candidate in _not_locked(node, ready, found.level):
        try:
            detection = _detect(node, candidate, found)
        except DetectFailed:
            found.left.append(candidate)
            continue
        if detection is not None:
            detected.append(detection)
    _read_all(node, _new_to_index(node, detected, register, found), found)
    if not _flush(node, [item.candidate.path for item, _ in found.read]):
        found.left += [item.candidate for item, _ in found.read]
        found.read.clear()


def _conclude(
    node: UpdateableNode, queue: FairMultiFIFOQueue, found: _Found, register: bool
) -> list[Candidate]:
    """Record what was found; returns the files that must be tried again later."""
    for candidate, result in found.ended:
        complete(candidate.request, result, node)
    return _record(node, queue, found.read, register)


def _not_locked(node: UpdateableNode, candidates: list[Candidate], level: int) -> list[Candidate]:
    locked = node.io.locked_many([candidate.path for candidate in candidates])
    for path in sorted(locked):
        log.log(level, f'Skipping "{path}": locked.')
    return [candidate for candidate in candidates if candidate.path not in locked]


def _flush(node: UpdateableNode, paths: list[str]) -> bool:
    """Put what was read onto the medium: only then may the index say present (P2)."""
    try:
        node.io.flush_many(paths)
    except (OSError, InvalidName) as error:
        log.warning(f"Cannot flush {len(paths)} files on {node.name}: {error}")
        return False
    return True


def _may_import(node: UpdateableNode, candidate: Candidate, found: _Found) -> bool:
    """Vet one path; ends the request of one that can never be imported."""
    path = candidate.path if candidate.seen else str(PurePath(candidate.path))
    if path in (".", "ALPENHORN_NODE"):
        found.ended.append((candidate, "ignored"))
        return False
    if not candidate.seen and not node.io.exists(PurePath(path)):
        log.info(f'Not importing "{path}": not a file.')
        found.ended.append((candidate, "non-file"))
        return False
    if path.rpartition("/")[2].startswith("."):
        log.info(f'Not importing "{path}": leading dot.')
        found.ended.append((candidate, "bad name"))
        return False
    return True


def _detect(node: UpdateableNode, candidate: Candidate, found: _Found) -> _Detected | None:
    """Ask the extensions about one file.

    Raises:
        DetectFailed: an extension is broken; try again later.
    """
    path = PurePath(candidate.path)
    try:
        detection = detect(path, node)
    except BadAcq:
        found.ended.append((candidate, "bad acq"))
        return None
    if detection is None:
        log.info(f"Not importing non-acquisition path: {path}")
        found.ended.append((candidate, "no detection"))
        return None
    return _Detected(candidate, detection)


def _new_to_index(
    node: UpdateableNode, detected: list[_Detected], register: bool, found: _Found
) -> list[_Detected]:
    """Leave out what need not be read: files that are tracked here, or may not be registered."""
    names = [item.name for item in detected]
    tracked = imports.tracked(node.db, names)
    known = set(names) if register else imports.registered(names)
    for item in detected:
        path = item.candidate.path
        if item.name in tracked:
            log.debug(f'"{path}" is already known on {node.name}.')
            found.ended.append((item.candidate, "duplicate"))
        elif item.name not in known:
            log.info(f'Not importing "{path}": not registered.')
            found.ended.append((item.candidate, "unregistered"))
    return [item for item in detected if item.name not in tracked and item.name in known]


def _read_all(node: UpdateableNode, detected: list[_Detected], found: _Found) -> None:
    """Read files completely, as far as they can be imported now."""
    wanted: list[_Detected] = []
    for item in detected:
        if _on_its_way_in(node, item.candidate.path):
            found.left.append(item.candidate)
        else:
            wanted.append(item)
    readings = node.io.examine_many([item.candidate.path for item in wanted])
    for item, reading in zip(wanted, readings, strict=True):
        evidence = _evidence(node, item, reading, found.level)
        if evidence is None:
            found.left.append(item.candidate)
        else:
            found.read.append((item, evidence))


def _evidence(
    node: UpdateableNode, item: _Detected, reading: Examined, level: int
) -> imports.Found | None:
    """Make evidence of what was read; None, with a line, if it is none."""
    path, request = item.candidate.path, item.candidate.request
    if reading is None:
        log.log(level, f'Skipping "{path}": being written.')
    elif isinstance(reading, Exception):
        loud = logging.WARNING if level == logging.INFO else logging.DEBUG
        log.log(loud, f'Cannot read "{path}" on {node.name}: {reading}')
    elif not reading.unchanged:
        log.log(level, f'Skipping "{path}": it changed while it was read.')
    elif reading.md5 is not None:
        request_id = request.id if request else None
        return imports.Found(*item.name, reading.size_b, reading.md5, reading.space_b, request_id)
    return None


def _on_its_way_in(node: UpdateableNode, path: str) -> bool:
    """Is a pull about to record this file itself?"""
    expected: Callable[[str], bool] | None = getattr(node.io, "expected", None)
    return expected is not None and expected(path)


def _record(
    node: UpdateableNode,
    queue: FairMultiFIFOQueue,
    read: list[tuple[_Detected, imports.Found]],
    register: bool,
) -> list[Candidate]:
    """Record what was read, in one transaction; returns what must be tried again later.

    An atomic callback that fails costs its own file only: the transaction is made again without.
    """
    left: list[Candidate] = []
    while read:
        calls = callbacks.Calls(node, [item.detection for item, _ in read])
        try:
            results = imports.register(node.db, [f for _, f in read], register, calls.inside)
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
    if result.new_acq is not None:
        log.info(f'Acquisition "{result.found.acq_name}" added to DB.')
    if result.new_file is not None:
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
