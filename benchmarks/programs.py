"""The programs that are compared: ours, and the public one."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Program:
    """How a program is started."""

    name: str
    shell: tuple[str, ...]
    daemon: tuple[str, ...]


OURS = Program(
    "ours",
    (sys.executable, "-m", "alpenhorn", "--test-isolation"),
    (sys.executable, "-m", "alpenhorn.daemon", "--test-isolation"),
)


def public(directory: Path) -> Program:
    """The public program, from the directory that holds its commands."""
    return Program(
        "public",
        (str(directory / "alpenhorn"), "--test-isolation"),
        (str(directory / "alpenhornd"), "--test-isolation"),
    )
