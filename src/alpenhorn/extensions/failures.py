"""Exceptions of an extension's functions in the log: in full once, then shortly (X-1).

A broken extension fails for each of a hundred thousand files; one traceback is enough. Two errors
are the same if they are of the same class and were raised at the same line.
"""

from __future__ import annotations

import logging
import traceback
from pathlib import PurePath

from alpenhorn.extensions.base import Extension

log = logging.getLogger(__name__)

_reported: set[tuple[object, ...]] = set()


def report(what: str, extension: Extension, path: PurePath, error: BaseException) -> None:
    """Log an ERROR about one exception; may be called from any thread.

    Args:
        what: which of the extension's functions raised, such as ``"detect"``.
        extension: whose function.
        path: the file that it was about, relative to the node's root.
        error: what was raised; its traceback is logged the first time.
    """
    key = (extension.full_name, what, type(error), _place(error))
    first = key not in _reported
    _reported.add(key)
    log.error(
        f'Extension "{extension.full_name}": {what} failed for {printable(path)}:'
        f" {type(error).__name__}: {error}",
        exc_info=error if first else None,
    )


def reset() -> None:
    """Report the next error of each kind in full again."""
    _reported.clear()


def printable(name: object) -> str:
    """Return a name from outside as text that cannot forge log lines."""
    text = str(name)
    return text if text.isprintable() else ascii(text)[1:-1]


def _place(error: BaseException) -> tuple[str, int | None] | None:
    frames = traceback.extract_tb(error.__traceback__)
    return (frames[-1].filename, frames[-1].lineno) if frames else None
