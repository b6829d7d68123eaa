"""State words (spec: cli.md §3.7); `alpenhorn.db.enums.copy_state` has those of single columns."""

from __future__ import annotations

from alpenhorn.db import ArchiveFileCopy, HasFile, WantsFile

_GROUP = {HasFile.PRESENT: "Present", HasFile.SUSPECT: "Suspect", HasFile.CORRUPT: "Corrupt"}
_COPY = {HasFile.PRESENT: "Healthy", HasFile.SUSPECT: "Suspect", HasFile.CORRUPT: "Corrupt"}
_CLEANING = {WantsFile.REMOVABLE: "Removable", WantsFile.RELEASED: "Released"}


def group_state(has_file: str | None) -> str:
    """Name the state of a file in a group.

    Args:
        has_file: of the copy that gives the group its state; None if it is absent.
    """
    return "Absent" if has_file is None else _word(_GROUP, has_file)


def full_state(copy: ArchiveFileCopy | None) -> str:
    """Name the state of a copy completely: presence, cleaning, readiness."""
    if copy is None:
        return "Absent"
    if copy.has_file == HasFile.ABSENT:
        return "Missing" if copy.wants_file == WantsFile.KEEP else "Absent"
    words = [_word(_COPY, copy.has_file), _CLEANING.get(copy.wants_file, "")]
    if copy.ready:
        words.append("Ready")
    return " ".join(word for word in words if word)


def _word(words: dict[HasFile, str], has_file: str) -> str:
    """Look a letter up; one that cannot be there is told as corrupt."""
    return next((word for letter, word in words.items() if letter == has_file), "Corrupt")
