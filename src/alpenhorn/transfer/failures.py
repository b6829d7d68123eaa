"""Which class of failure an operating system error belongs to (design principle P5).

Only a file that is certainly missing, or certainly no file, is the source's fault. One that cannot
be read just now is not: it says nothing about the bytes, so it counts as a failure of the route.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

from alpenhorn.errors import FailureClass
from alpenhorn.transfer.batch import Outcome
from alpenhorn.transfer.below import LinkedDirectory

_DESTINATION = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
LINKED_DIRECTORY = "a directory on the way to it is a link at the source: links are not followed"

_NO_FILE = {errno.ENOENT, errno.ELOOP, errno.ENOTDIR}


class TransferFailed(Exception):
    """A file could not be moved; carries what the outcome shall say."""

    def __init__(self, failure: FailureClass, message: str, fallback: bool = False) -> None:
        super().__init__(message)
        self.failure = failure
        self.fallback = fallback

    def outcome(self, key: int) -> Outcome:
        """Return the outcome of item number `key`."""
        return Outcome(key, self.failure, str(self), self.fallback)


def cause(error: OSError) -> str:
    """Return the system's words for an error, without file names, e.g. ``Permission denied``."""
    return error.strerror or str(error)


def at_source(error: OSError) -> TransferFailed:
    """Return the failure for an error met while a source file was opened or read."""
    if isinstance(error, LinkedDirectory):  # says nothing about the bytes of the source
        return TransferFailed(FailureClass.ROUTE, LINKED_DIRECTORY)
    if error.errno in _NO_FILE:
        return TransferFailed(FailureClass.SOURCE, f"no such file at the source: {cause(error)}")
    return TransferFailed(FailureClass.ROUTE, f"cannot read at the source: {cause(error)}")


def require_root(root: str) -> None:
    """Raise TransferFailed if a local source's root is not there.

    Its files are not missing then: perhaps the medium is not mounted.
    """
    if not Path(root).is_dir():
        raise TransferFailed(FailureClass.ROUTE, f"{root} is not there: is it mounted?")


def at_destination(error: OSError) -> TransferFailed:
    """Return the failure for an error met while a staged file was created, written or read."""
    return TransferFailed(FailureClass.DESTINATION, f"cannot write here: {cause(error)}")


def on_either_side(error: OSError) -> TransferFailed:
    """Return the failure for an error of a call that both reads and writes."""
    side: Callable[[OSError], TransferFailed] = (
        at_destination if error.errno in _DESTINATION else at_source
    )
    return side(error)


def not_regular() -> TransferFailed:
    """Return the failure for a source that is a link, a directory or a device."""
    return TransferFailed(FailureClass.SOURCE, "not a regular file at the source")
