"""The programs that transfers need on this host."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence

from alpenhorn.common import config
from alpenhorn.common.processes import run_command
from alpenhorn.errors import ConfigError
from alpenhorn.services.doctor.report import Finding, Findings, Section

LIMIT_S = 20.0
"""For a program to tell its version."""

RSYNC_LEAST = (3, 1)
"""Older ones lack what transfers rely on (design §8)."""

_SECTION = Section("Tools")


def check() -> Findings:
    """Look for rsync, the remote shell, and bbcp."""
    yield _rsync()
    yield _remote_shell()
    path = shutil.which("bbcp")
    yield _SECTION.ok("bbcp", path or "not installed (it is optional)")


def rsync_version(text: str) -> tuple[int, ...] | None:
    """Find the version in what ``rsync --version`` prints; None if there is none."""
    found = re.search(r"\bversion v?(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(number) for number in found.groups(default="0")) if found else None


def shown(version: Sequence[int]) -> str:
    """Write a version."""
    return ".".join(map(str, version))


def _rsync() -> Finding:
    path = shutil.which("rsync")
    if path is None:
        return _SECTION.problem("rsync", "is not in the PATH", "Install rsync, 3.1 or newer.")
    version = rsync_version(_said([path, "--version"]))
    if version is None:
        return _SECTION.problem("rsync", f"{path} does not tell its version", "Install it anew.")
    good = version >= RSYNC_LEAST
    return _SECTION.judged(good, "rsync", f"{shown(version)} ({path})", "Install 3.1 or newer.")


def _remote_shell() -> Finding:
    try:
        program = config.value("daemon.remote_shell")[0]
    except ConfigError as error:
        return _SECTION.problem("remote shell", error.message, "Correct daemon.remote_shell.")
    path = shutil.which(program)
    if path is None:
        advice = "Install OpenSSH's client, or correct daemon.remote_shell."
        return _SECTION.problem("remote shell", f"{program} is not in the PATH", advice)
    version = _said([path, "-V"]).strip() if program.rpartition("/")[2] == "ssh" else ""
    return _SECTION.ok("remote shell", f"{version.partition(',')[0] or program} ({path})")


def _said(command: Sequence[str]) -> str:
    try:
        _, out, err = run_command(command, timeout=LIMIT_S)
    except OSError as error:
        return str(error)
    return out + err
