"""bbcp: many streams for a large file, where both ends have the program.

bbcp pays on fast lines over long distances. It logs in with the remote shell to start itself at the
source, and sends the bytes over connections of its own, which are not encrypted. What it cannot do,
or not here, it hands on to rsync: a failure of bbcp is never more than that.

Its command line is that of the public program (spec: io-classes.md §10.2) but for these: modes and
times are kept (``-p``); it uses any free port of a range instead of one port per worker; it does
not have the source compute an MD5, since what arrived is read back here anyway.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from alpenhorn.common.processes import run_command
from alpenhorn.errors import FailureClass, InvalidName
from alpenhorn.transfer import sharing
from alpenhorn.transfer.batch import Endpoint, Item, Limits, Outcome
from alpenhorn.transfer.below import locate, parent_of
from alpenhorn.transfer.failures import TransferFailed
from alpenhorn.transfer.ssh_failures import last_line

log = logging.getLogger(__name__)

REMEMBER_S = 3600.0
"""Seconds for which the answer holds whether bbcp works on a route."""

_ASK_S = 30.0
_PORTS = "4200:4299"
_OPTIONS = ("-V", "-f", "-z", "-p", "-e", "-s", "16", "-W", "4M", "--port", _PORTS)

# bbcp divides words at blanks, and knows tokens (%U); names that are plain need no rules at all.
_PLAIN = re.compile(r"[\w/.@+=-]+", re.ASCII)
_NOT_THERE = (None, 126, 127, 255)
"""No answer; the remote shell cannot start it, does not find it, cannot log in."""


class Ends:
    """Remembers on which routes bbcp works.

    Args:
        clock: gives seconds; only differences count.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[tuple[object, ...], tuple[bool, float]] = {}
        self._lock = threading.Lock()

    def have_it(self, source: Endpoint, remote_shell: Sequence[str]) -> bool:
        """Tell whether bbcp is here and at the source; asks there once an hour."""
        if shutil.which("bbcp") is None:
            return False
        with self._lock:
            answer, until = self._known.get(_route(source, remote_shell), (False, 0.0))
        if self._clock() < until:
            return answer
        answer = _is_there(source, remote_shell)
        self._note(source, remote_shell, answer)
        return answer

    def failed(self, source: Endpoint, remote_shell: Sequence[str]) -> None:
        """Remember that bbcp does not work on a route."""
        self._note(source, remote_shell, False)

    def _note(self, source: Endpoint, remote_shell: Sequence[str], answer: bool) -> None:
        with self._lock:
            until = self._clock() + REMEMBER_S
            self._known[_route(source, remote_shell)] = (answer, until)


ends = Ends()
"""What this process knows."""


class BbcpMover:
    """Moves large files with bbcp, one after the other; hands on what it cannot."""

    name = "bbcp"

    def __init__(self, known: Ends = ends) -> None:
        self._ends = known

    def move(
        self, items: Sequence[Item], source: Endpoint, staging: Path, limits: Limits
    ) -> Iterator[Outcome]:
        """See `Mover.move`."""
        for item in items:
            try:
                self._move_one(item, source, staging, limits)
            except (TransferFailed, InvalidName, OSError) as error:
                yield Outcome(item.key, FailureClass.ROUTE, str(error), fallback=True)
            else:
                yield Outcome(item.key)

    def _move_one(self, item: Item, source: Endpoint, staging: Path, limits: Limits) -> None:
        """Move a file.

        Raises:
            TransferFailed: bbcp cannot, or should not, move it.
        """
        target = f"{staging}/{item.path}"
        login = sharing.login(source, limits.remote_shell)
        if not all(_PLAIN.fullmatch(word) for word in (item.source, target, *login)):
            raise TransferFailed(FailureClass.ROUTE, "bbcp is not given names with odd characters")
        _require_regular(login, source.root, item.source)
        with parent_of(staging, item.path, create=True):
            if os.path.lexists(target):
                raise TransferFailed(FailureClass.ROUTE, "rsync continues what is there")
        start = " ".join([*login, "bbcp"])
        operands = [f"{source.address}:{item.source}", target]
        status, out, err = run_command(["bbcp", *_OPTIONS, "-S", start, *operands], limits.timeout)
        if status == 0 and Path(target).is_file():
            return
        Path(target).unlink(missing_ok=True)
        self._ends.failed(source, limits.remote_shell)
        reason = f"bbcp failed (status {status}): {last_line(err or out)}"
        log.warning(f"{reason}; using rsync from {source.address} for the next hour.")
        raise TransferFailed(FailureClass.ROUTE, reason)


def _require_regular(login: Sequence[str], root: str, path: str) -> None:
    """Raise TransferFailed unless `path`, a plain name, is a regular file reached without links."""
    test = ["test", "-f", path]
    base, inner = locate(root, path)
    for name in (inner, *map(str, PurePosixPath(inner).parents[:-1])):
        test += ["-a", "!", "-L", f"{base.rstrip('/')}/{name}"]
    status, _, _ = run_command([*login, *test], _ASK_S)
    if status != 0:
        raise TransferFailed(FailureClass.SOURCE, "not a regular file at the source")


def _is_there(source: Endpoint, remote_shell: Sequence[str]) -> bool:
    """Ask the source's host for bbcp."""
    try:
        login = sharing.login(source, remote_shell)
        status, _, _ = run_command([*login, "bbcp", "--version"], _ASK_S)
    except (TransferFailed, OSError):
        return False  # rsync will tell why
    return status not in _NOT_THERE


def _route(source: Endpoint, remote_shell: Sequence[str]) -> tuple[object, ...]:
    options = source.options
    return (source.address, options.port, options.identity, tuple(remote_shell))
