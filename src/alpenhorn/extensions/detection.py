"""Asking the import-detect extensions about one path (spec: extensions.md §5.1, §5.3).

What they answer comes from outside and is vetted here. What went wrong is logged here, once, with
the names of the extension and the path; the caller decides what becomes of the import.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import peewee as pw

from alpenhorn.common.names import (
    ACQ_NAME_LIMIT,
    FILE_NAME_LIMIT,
    invalid_import_path,
    vet_path,
)
from alpenhorn.errors import ExtensionError, InvalidName
from alpenhorn.extensions import failures, stuck
from alpenhorn.extensions.failures import printable
from alpenhorn.extensions.import_detect import ImportCallback, ImportDetectExtension
from alpenhorn.extensions.loader import import_detection

log = logging.getLogger(__name__)

SLOW_S = 60
"""A call of `detect` that takes longer blocks a worker, and is warned about (X-7)."""


@dataclass(frozen=True)
class Detection:
    """A recognised file: its names, and what to call after the import."""

    acq_name: str
    file_name: str
    callback: ImportCallback | None
    extension: ImportDetectExtension


class DetectFailed(ExtensionError):
    """An extension raised or returned nonsense: nobody knows yet what the file is."""

    def __init__(self, extension: ImportDetectExtension, path: PurePath) -> None:
        super().__init__(f'Extension "{extension.full_name}" failed for {printable(path)}')
        self.extension = extension
        self.path = path


class BadAcq(InvalidName):
    """An extension gave a name that no acquisition or file can have."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def detect(
    path: PurePath, node: Any, clock: Callable[[], float] = time.monotonic
) -> Detection | None:
    """Ask the extensions, in order of loading, until one recognises the path.

    Args:
        path: relative to the node's root.
        node: the daemon's object for the node, handed to the extensions.
        clock: time in seconds.

    Returns:
        What the first extension made of it; None if none recognises it, or there is none.

    Raises:
        DetectFailed: an extension failed; the later ones were not asked. Logged at ERROR.
        BadAcq: the names are against the rules. Logged at WARNING.
        peewee.OperationalError: as an extension raised it: the database is away.
    """
    for extension in import_detection():
        acq_name, callback = _ask(extension, path, node, clock)
        if acq_name is None:
            continue
        log.debug(f'import detect succeeded using "{extension.full_name}"')
        try:
            file_name = _vetted_file_name(acq_name, path)
        except BadAcq as error:
            log.warning(f'Rejecting invalid acq path "{printable(acq_name)}": {error.reason}')
            raise
        return Detection(acq_name, file_name, callback, extension)
    return None


def _ask(
    extension: ImportDetectExtension, path: PurePath, node: Any, clock: Callable[[], float]
) -> tuple[str | None, ImportCallback | None]:
    """Call one extension, whatever may come of it."""
    start = clock()
    try:
        with stuck.on_record("detect", extension, path, node):
            return _understood(extension.detect(path, node))
    except pw.OperationalError:
        raise
    except (Exception, SystemExit) as error:
        failures.report("detect", extension, path, error)
        raise DetectFailed(extension, path) from error
    finally:
        seconds = clock() - start
        if seconds > SLOW_S:
            log.warning(
                f'Extension "{extension.full_name}": detect took {seconds:.0f}s'
                f" for {printable(path)}"
            )


def _understood(answer: Any) -> tuple[str | None, ImportCallback | None]:
    """Test the types of what `detect` returned (X-6)."""
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        raise TypeError(f"returned {answer!r:.80} instead of a pair (acq_name, callback)")
    acq_name, callback = answer
    if acq_name is None:
        return None, None
    if not isinstance(acq_name, (str, PurePath)):
        raise TypeError(f"returned the acq_name {acq_name!r:.80}, which is no str or path")
    return str(acq_name), callback if callable(callback) else None


def _vetted_file_name(acq_name: str, path: PurePath) -> str:
    """Return the file's name within the acquisition.

    Raises:
        BadAcq: the acquisition's name, or the file's, is against the rules (X-3).
    """
    _vet(acq_name, ACQ_NAME_LIMIT)
    above, file_name = f"{acq_name}/", str(path)
    if not file_name.startswith(above):
        raise BadAcq(f"not a parent directory of {printable(path)}")
    file_name = file_name.removeprefix(above)
    _vet(file_name, FILE_NAME_LIMIT)
    return file_name


def _vet(name: str, limit: int) -> None:
    reason = invalid_import_path(name)
    if reason:
        raise BadAcq(reason)
    try:
        vet_path(name, limit)
    except InvalidName as error:
        raise BadAcq(error.message) from error
