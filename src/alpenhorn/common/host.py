"""The daemon host name (which nodes are "here"), and the machine and its processes."""

from __future__ import annotations

import os
from pathlib import Path

from alpenhorn.common import config
from alpenhorn.errors import ConfigValueError


def get_hostname() -> str:
    """Return the daemon host name (spec: config.md §6.1, §13).

    Returns:
        `base.hostname` or its other name `daemon.host`; if neither is set, the machine's host
        name up to the first dot.

    Raises:
        ConfigValueError: both keys are set and differ.
    """
    base = config.value("base.hostname") or ""
    other = config.value("daemon.host") or ""
    if base and other and base != other:
        raise ConfigValueError(
            f'base.hostname ("{base}") and daemon.host ("{other}") differ: set only one of them'
        )
    return str(base or other or os.uname().nodename.split(".")[0])


def machine() -> str:
    """Name this machine, boot and process namespace: only within these do process ids tell."""
    parts = [os.uname().nodename]
    for path, read in (
        ("/proc/sys/kernel/random/boot_id", lambda path: path.read_text().strip()),
        ("/proc/self/ns/pid", lambda path: str(path.readlink())),
    ):
        try:
            parts.append(read(Path(path)))
        except OSError:
            parts.append("?")
    return "/".join(parts)[:255]


def process_started(pid: int) -> str | None:
    """Return the start time of a process in clock ticks (proc(5), field 22), None if gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]
