"""Single copies: show and force their state, clean, verify (spec: cli.md §7.1, §7.8, §7.10)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alpenhorn.db import ArchiveFile, ArchiveFileCopy, HasFile, StorageNode, WantsFile
from alpenhorn.db.queries import copy_edits, evidence
from alpenhorn.db.queries.copy_edits import set_wants
from alpenhorn.db.queries.file_report import copy_of
from alpenhorn.errors import NotAllowed, NotFound

__all__ = ["SETTABLE", "copy_of", "set_state", "set_wants", "verify"]

SETTABLE = {
    "healthy": HasFile.PRESENT,
    "suspect": HasFile.SUSPECT,
    "corrupt": HasFile.CORRUPT,
    "missing": HasFile.ABSENT,
    "absent": HasFile.ABSENT,
}
_GONE = {"missing": WantsFile.KEEP, "absent": WantsFile.RELEASED}

_Values = Mapping[str, Any]


def set_state(file: ArchiveFile, node: StorageNode, state: str | None, ready: bool | None) -> bool:
    """Force what the index says of a copy.

    Args:
        file: the file.
        node: the node.
        state: a key of `SETTABLE`; None: as it is.
        ready: the ready bit; None: as it is.

    Returns:
        Whether anything changed.

    Raises:
        NotAllowed: a file that is not present would become ready; or a copy that a daemon is
            deleting would become healthy.
    """

    def decide(copy: ArchiveFileCopy | None) -> _Values:
        if state == "healthy" and copy is not None and evidence.is_claimed(copy):
            raise NotAllowed(
                f'can\'t be healthy: the daemon of Node "{node.name}" is deleting the copy.  '
                'Use "file clean --cancel" and "file verify", if it is still there.'
            )
        values = _state_values(state, copy) if state else {}
        present = values.get("has_file", copy and copy.has_file) == HasFile.PRESENT
        if ready and not present:
            raise NotAllowed(f'can\'t set ready bit: file is not present on Node "{node.name}".')
        if copy is None and (state is None or state == "absent"):
            return {}
        return values if ready is None else {**values, "ready": ready}

    return copy_edits.edit(file, node, decide)


def verify(file: ArchiveFile, node: StorageNode) -> HasFile:
    """Have a copy checked by the node's daemon.

    Returns:
        What was known of it before; if that is `HasFile.SUSPECT`, nothing was done.

    Raises:
        NotFound: it is not on the node, and should not be.
    """
    before = HasFile.ABSENT

    def decide(copy: ArchiveFileCopy | None) -> _Values:
        nonlocal before
        before = HasFile(copy.has_file) if copy else HasFile.ABSENT
        if copy is None or (before is HasFile.ABSENT and copy.wants_file != WantsFile.KEEP):
            raise NotFound(
                f'File "{file.acq.name}/{file.name}" is not present on Node "{node.name}".'
            )
        return {"has_file": HasFile.SUSPECT}

    copy_edits.edit(file, node, decide)
    return before


def _state_values(state: str, copy: ArchiveFileCopy | None) -> dict[str, Any]:
    values: dict[str, Any] = {"has_file": SETTABLE[state]}
    if state in _GONE:
        values["wants_file"] = _GONE[state]
    elif copy is None or copy.wants_file == WantsFile.RELEASED:
        values["wants_file"] = WantsFile.KEEP
    return values
