"""Who let copies go, and who wanted them back: kept in the transaction of the change itself.

Where our own tables are missing nothing is kept, and nothing else changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import peewee as pw

from alpenhorn.common import actor
from alpenhorn.common.units import utcnow
from alpenhorn.db.archive import ArchiveFileCopy
from alpenhorn.db.enums import WantsFile
from alpenhorn.db.operations import Release
from alpenhorn.db.queries import doorbell
from alpenhorn.db.queries.common import by_ids, tuples

_BY_LIMIT = 255


@dataclass(frozen=True)
class Wish:
    """The last wish about a copy: who had it, and when."""

    by: str
    at: datetime


def note(chosen: Any, wants: WantsFile, by: str | None = None) -> None:
    """Inside `change()`, before `wants_file` is changed: keep who changes it; one statement.

    Args:
        chosen: condition on `ArchiveFileCopy`; copies that have the new value already are left out.
        wants: the new value.
        by: who; None: the user of this process.
    """
    if not doorbell.available():
        return
    copy = ArchiveFileCopy
    now = pw.Value(utcnow(), converter=Release.at.db_value)
    constants = (pw.Value(str(wants.value)), pw.Value((by or actor.me())[:_BY_LIMIT]), now)
    rows = copy.select(copy.id, copy.file, copy.node, *constants)
    rows = rows.where(chosen, copy.wants_file != wants).order_by(copy.id)
    columns = [
        Release.copy_id,
        Release.file_id,
        Release.node_id,
        Release.wants_file,
        Release.by,
        Release.at,
    ]
    Release.insert_from(rows, columns).execute()


def of_copies(copy_ids: Sequence[int]) -> dict[int, Wish]:
    """Return who released, or marked, copies, as far as it is known, by copy id."""
    if not doorbell.available():
        return {}
    release: Any = Release
    query = release.select(release.copy_id, release.wants_file, release.by, release.at)
    query = tuples(query.order_by(release.id))
    found: dict[int, Wish] = {}
    for copy_id, wants, by, at in by_ids(query, release.copy_id, copy_ids):
        if wants == WantsFile.KEEP:
            found.pop(copy_id, None)
        else:
            found[copy_id] = Wish(by, at)
    return found
