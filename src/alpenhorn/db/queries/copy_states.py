"""The state predicates of copies (spec: cli.md §3.7)."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from functools import reduce
from typing import Any

from alpenhorn.db.archive import ArchiveFileCopy
from alpenhorn.db.enums import HasFile, WantsFile

_HAS_FILE = {
    "healthy": HasFile.PRESENT,
    "suspect": HasFile.SUSPECT,
    "corrupt": HasFile.CORRUPT,
    "missing": HasFile.ABSENT,
}


def any_of(states: Iterable[str], copy: Any = ArchiveFileCopy) -> Any:
    """Return the condition that a copy is in any of the states.

    Args:
        states: some of ``healthy``, ``suspect``, ``corrupt``, ``missing``; at least one. Released
            copies are in none of them.
        copy: `ArchiveFileCopy`, or an alias of it.
    """
    return reduce(operator.or_, [_is(state, copy) for state in states])


def _is(state: str, copy: Any) -> Any:
    wanted = (
        copy.wants_file == WantsFile.KEEP
        if state == "missing"
        else copy.wants_file != WantsFile.RELEASED
    )
    return (copy.has_file == _HAS_FILE[state]) & wanted
