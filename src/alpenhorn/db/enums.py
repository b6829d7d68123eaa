"""The state letters of the Data Index, written once.

The values are what the columns hold (spec: data-index.md §2.3, §2.7); the rest of the code says
``HasFile.PRESENT``. The members are strings, so a letter from the database compares equal.
"""

from __future__ import annotations

from enum import StrEnum


class HasFile(StrEnum):
    """Is the copy there? Order as in the column definition."""

    ABSENT = "N"
    PRESENT = "Y"
    SUSPECT = "M"
    CORRUPT = "X"


class WantsFile(StrEnum):
    """Should the copy be there? Order as in the column definition."""

    KEEP = "Y"
    REMOVABLE = "M"
    RELEASED = "N"


class StorageType(StrEnum):
    """What a node is for."""

    ARCHIVE = "A"
    TRANSPORT = "T"
    FIELD = "F"


_STATE_WORDS = {
    HasFile.PRESENT: ("Healthy", "Removable", "Released"),
    HasFile.SUSPECT: ("Suspect", "Suspect", "Released"),
    HasFile.CORRUPT: ("Corrupt", "Corrupt", "Released"),
    HasFile.ABSENT: ("Missing", "Removed", "Removed"),
}
_WANTS_ORDER = (WantsFile.KEEP, WantsFile.REMOVABLE, WantsFile.RELEASED)


def copy_state(has_file: str, wants_file: str) -> str:
    """Name the state of a copy for people (spec: data-index.md §2.3).

    Args:
        has_file: letter of `HasFile`.
        wants_file: letter of `WantsFile`.

    Returns:
        One word; any impossible pair reads as ``Corrupt``.
    """
    try:
        return _STATE_WORDS[HasFile(has_file)][_WANTS_ORDER.index(WantsFile(wants_file))]
    except ValueError:
        return "Corrupt"
