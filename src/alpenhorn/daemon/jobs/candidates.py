"""What can be found out about files before their import is recorded (daemon.md §9.7).

They are vetted, shown to the extensions, compared with the index, read completely, and flushed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from alpenhorn.daemon.node import UpdateableNode
from alpenhorn.db import ArchiveFileImportRequest
from alpenhorn.db.queries import imports
from alpenhorn.errors import InvalidName
from alpenhorn.extensions.detection import BadAcq, DetectFailed, Detection, detect
from alpenhorn.io.base import Examined

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Candidate:
    """A path that may be a data file, and the request that named it, if any."""

    path: str
    request: ArchiveFileImportRequest | None
    seen: bool = False
    """Was it just listed as a regular file? Then it is not looked at before it is opened."""


@dataclass(frozen=True)
class Detected:
    """A candidate that an extension has recognised."""

    candidate: Candidate
    detection: Detection

    @property
    def name(self) -> tuple[str, str]:
        """Names of acquisition and file."""
        return self.detection.acq_name, self.detection.file_name


@dataclass
class Findings:
    """What came of looking at some files; it counts only if the medium has stayed the same."""

    ended: list[tuple[Candidate, str]] = field(default_factory=list)
    """Files that are not to be imported, and why: results of their requests."""
    read: list[tuple[Detected, imports.Found]] = field(default_factory=list)
    left: list[Candidate] = field(default_factory=list)
    """To be tried again later."""
    not_ready: list[Candidate] = field(default_factory=list)
    """The medium must stage them first."""
    level: int = logging.INFO
    """Of the lines that say why a file is not imported yet."""


def look(
    node: UpdateableNode, candidates: Sequence[Candidate], register: bool, found: Findings
) -> None:
    """Find out about files what can be, and note it; nothing is recorded here."""
    vetted = [candidate for candidate in candidates if _may_import(node, candidate, found)]
    ready: list[Candidate] = []
    for one in vetted:
        (ready if node.io.ready_path(PurePath(one.path)) else found.not_ready).append(one)
    detected: list[Detected] = []
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


def _may_import(node: UpdateableNode, candidate: Candidate, found: Findings) -> bool:
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


def _detect(node: UpdateableNode, candidate: Candidate, found: Findings) -> Detected | None:
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
    return Detected(candidate, detection)


def _new_to_index(
    node: UpdateableNode, detected: list[Detected], register: bool, found: Findings
) -> list[Detected]:
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


def _read_all(node: UpdateableNode, detected: list[Detected], found: Findings) -> None:
    """Read files completely, as far as they can be imported now."""
    wanted: list[Detected] = []
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
    node: UpdateableNode, item: Detected, reading: Examined, level: int
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
