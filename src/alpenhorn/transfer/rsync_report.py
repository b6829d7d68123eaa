r"""Understand what rsync said: its exit status and its messages.

Messages are those of the C locale, in which rsync writes every byte of a name that is not
printable ASCII as ``\#`` and three octal digits (rsync(1), ``--8-bit-output``). A file that rsync
complains about stands in double quotes. Anything that is not understood counts as a failure of the
route: it must neither blame the source's bytes nor the disk here (design principle P5).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass

from alpenhorn.errors import FailureClass
from alpenhorn.transfer.ssh_failures import explain

_FINISHED = (0, 23, 24)
"""rsync came to its end, perhaps with complaints about single files (rsync(1), EXIT VALUES)."""
_CONNECTION = (2, 12, 30, 127, 255)
"""Protocol incompatibility or error, silence; from the remote shell: no such program, no login."""
_INTERRUPTED = (19, 20)
"""SIGUSR1; SIGINT, SIGTERM or SIGHUP."""

_NO_CONNECTION = re.compile(
    r"connection unexpectedly closed|Failed to exec|ssh:|Host key verification"
    r"|write error|Broken pipe|Connection reset|Permission denied(, | \([a-z])|io timeout|protocol"
)
_METADATA = re.compile(r"\b(chown|chgrp|failed to set (times|permissions))\b")
_HERE_IS_FULL = re.compile(
    r"^rsync: .*(No space left|Read-only file system|quota exceeded|write failed on)"
)
_HERE = re.compile(
    r"\[(receiver|generator)\]|mkstemp|recv_generator|ERROR: .*\bdestination\b"
    r"|^rsync: (\[Receiver\] )?(open|mkdir|rename|change_dir#)"
)
_THERE = re.compile(r"\[sender\]|link_stat|send_files|opendir|readlink_stat|read errors mapping")
_MISSING = re.compile(r"link_stat .* failed: No such file|send_files .*: No such file|has vanished")
_NO_FILE = re.compile(r"^skipping (non-regular file|directory)")
_VERIFICATION = re.compile(r"(?:ERROR|WARNING): (.*) failed verification")
_SPOILT = re.compile(rf"{_VERIFICATION.pattern}|read errors mapping")
_QUOTED = re.compile(r'"(.*)"')
_PREFIX = re.compile(r"^(rsync: )?(\[\w+\] )?")


@dataclass(frozen=True)
class Complaint:
    """A message, and whom it blames. `spoils_bytes`: the file is wrong even at full length."""

    failure: FailureClass
    message: str
    spoils_bytes: bool = False


@dataclass(frozen=True)
class Report:
    """All that one run of rsync said.

    `status` is its exit status, negative for a signal, None after the time limit. `overall`
    explains the failure of a file that no message names.
    """

    status: int | None
    overall: Complaint
    by_name: dict[str, Complaint]

    @property
    def finished(self) -> bool:
        """Whether rsync worked through the whole batch."""
        return self.status in _FINISHED

    def about(self, *names: str) -> Complaint | None:
        """Return the first complaint about a file, which rsync may call by any of `names`."""
        return next((self.by_name[name] for name in names if name in self.by_name), None)


def read_report(
    status: int | None, text: str, timeout: float | None, address: str | None = None
) -> Report:
    """Read what rsync printed.

    Args:
        status: exit status; negative if killed by a signal, None if killed after the time limit.
        text: standard output and standard error.
        timeout: that limit in seconds, for the message.
        address: ``user@host`` of a remote source, for the message.
    """
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    lines = [line for line in lines if not _METADATA.search(line)]
    overall = _overall(status, lines, timeout)
    if overall.failure is FailureClass.ROUTE:
        overall = _of_the_host(status, text, timeout, address) or overall
    return Report(status, overall, _complaints(lines))


def _complaints(lines: Iterable[str]) -> dict[str, Complaint]:
    """Sort messages by the file they name; the worst one about a file counts, then the first."""
    found: dict[str, Complaint] = {}
    for line in lines:
        name = _named(line)
        if name is None:
            continue
        complaint = Complaint(_blame(line), _short(line), bool(_SPOILT.search(line)))
        if name not in found or complaint.spoils_bytes:
            found[name] = complaint
    return found


def _named(line: str) -> str | None:
    """Return the file that a message is about, as a path in our own encoding."""
    match = _VERIFICATION.search(line) or _QUOTED.search(line)
    return _unescape(match[1]) if match else None


def _unescape(name: str) -> str:
    r"""Undo rsync's notation ``\#ooo``."""
    raw = re.sub(rb"\\#([0-7]{3})", lambda m: bytes([int(m[1], 8) & 0xFF]), os.fsencode(name))
    return os.fsdecode(raw)


def _blame(line: str) -> FailureClass:
    """Return the class of failure that a message stands for, whatever file it names."""
    line = _QUOTED.sub('""', line)
    if _MISSING.search(line) or _NO_FILE.search(line):
        return FailureClass.SOURCE
    if _THERE.search(line) or _SPOILT.search(line) or _NO_CONNECTION.search(line):
        return FailureClass.ROUTE
    if _HERE_IS_FULL.search(line) or _HERE.search(line):
        return FailureClass.DESTINATION
    return FailureClass.ROUTE


def _of_the_host(
    status: int | None, text: str, timeout: float | None, address: str | None
) -> Complaint | None:
    """Explain what is wrong with the other host, if that was the reason."""
    user, _, host = (address or "").partition("@")
    reason = None
    if host and status is None:
        limit = f"the time limit of {timeout or 0:.0f} s"
        reason = f"stopped after {limit}: is {host} that slow? (daemon.pull_bytes_per_second)"
    elif host and status in _CONNECTION:
        reason = explain(text, user, host)
    return Complaint(FailureClass.ROUTE, reason) if reason else None


def _overall(status: int | None, lines: list[str], timeout: float | None) -> Complaint:
    """Explain why rsync did not deliver the files that no message names."""
    if status is None:
        return Complaint(
            FailureClass.ROUTE, f"stopped after the time limit of {timeout or 0:.0f} s"
        )
    if status < 0 or status in _INTERRUPTED:
        return Complaint(FailureClass.INTERRUPTED, f"rsync was stopped (status {status})")
    for line in lines:
        if _blame(line) is FailureClass.DESTINATION:
            return Complaint(FailureClass.DESTINATION, _short(line))
    telling = [line for line in lines if _blame(line) is FailureClass.ROUTE] or [""]
    message = _short(telling[0]) or "rsync did not deliver the file"
    return Complaint(FailureClass.ROUTE, f"{message} (rsync status {status})")


def _short(line: str) -> str:
    """Return a message in one short line, without rsync's own prefixes."""
    printable = "".join(char if char.isprintable() else " " for char in line)
    return _PREFIX.sub("", printable)[:200]
