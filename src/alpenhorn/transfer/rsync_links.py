"""Ask rsync, in the run that brings the files, which directories on the way to them are links.

A directory is asked about by its full path from ``/`` on, a file by its path below the root. These
names share one list at the receiving end, where a directory on the way to a file hides a question
of the same name; `hidden` finds such questions, so that nobody relies on an answer to them.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True)
class Way:
    """The way to a file.

    Args:
        base: absolute path of the directory, chosen by the operator, that it begins at.
        path: from there to the file.
    """

    base: str
    path: str

    @property
    def parents(self) -> list[str]:
        """The directories on the way, below `base`."""
        return _above(self.path.rpartition("/")[0])

    @property
    def checks(self) -> list[str]:
        """The names under which rsync is asked about them, and by which it calls the links."""
        prefix = f"{self.base.strip('/')}/".lstrip("/")
        return [prefix + parent for parent in self.parents]


@functools.lru_cache(maxsize=64)
def _above(directory: str) -> list[str]:
    """Return a directory and those above it; the files of a batch share a few."""
    return [str(parent) for parent in PurePosixPath(directory, "x").parents][:-1]


def entries(ways: Sequence[Way]) -> bytes:
    """Return the list for rsync: every file, and once every directory on the way to one."""
    checks = dict.fromkeys(check for way in ways for check in way.checks)
    names = [f"/./{check}" for check in checks]
    names += [f"{way.base.rstrip('/')}/./{way.path}" for way in ways]
    return b"".join(os.fsencode(name) + b"\0" for name in names)


def hidden(ways: Sequence[Way]) -> set[Way]:
    """Return the ways that hide a question about another, or have one that is hidden."""
    implied = {parent for way in ways for parent in (*way.parents, way.path)}
    asked = {check for way in ways for check in way.checks}
    both = implied & asked
    return {way for way in ways if both and both & {*way.checks, *way.parents, way.path}}
