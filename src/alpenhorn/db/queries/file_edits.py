"""File records that people make and correct; each function is one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import peewee as pw

from alpenhorn.common.units import utcnow
from alpenhorn.db.acquisition import ArchiveAcq, ArchiveFile
from alpenhorn.db.archive import ArchiveFileCopy
from alpenhorn.db.connection import change
from alpenhorn.db.enums import HasFile, WantsFile
from alpenhorn.db.queries import doorbell
from alpenhorn.db.queries.common import lock_files, tuples
from alpenhorn.errors import AlreadyExists, NotFound


@dataclass(frozen=True)
class Modified:
    """What became of a file record."""

    changed: bool
    recheck: int = 0
    """Number of copies that are to be checked."""


def create(acq: ArchiveAcq, name: str, size_b: int, md5sum: str) -> None:
    """Register a file, now.

    Raises:
        AlreadyExists: the acquisition has a file of that name.
        NotFound: the acquisition has gone since it was looked up.
    """
    try:
        with change():
            if not ArchiveAcq.select().where(ArchiveAcq.id == acq.id).exists():
                raise NotFound(f'No such acquisition: "{acq.name}".')
            ArchiveFile.create(
                acq=acq, name=name, size_b=size_b, md5sum=md5sum, registered=utcnow()
            )
    except pw.IntegrityError:
        raise AlreadyExists(f'File "{acq.name}/{name}" already exists.') from None


def modify(file_id: int, wished: Mapping[str, Any], recheck: bool) -> Modified:
    """Correct what is known of a file, and have its copies checked against that.

    Args:
        file_id: the file.
        wished: `size_b` and `md5sum` (lower case), or one of them.
        recheck: make the copies that are there, and not released, suspect.
    """
    with change():
        lock_files([file_id])
        file = ArchiveFile.get_by_id(file_id)
        known = {"size_b": file.size_b, "md5sum": file.md5sum and file.md5sum.lower()}
        new = {column: value for column, value in wished.items() if known[column] != value}
        if not new:
            return Modified(False)
        ArchiveFile.update(new).where(ArchiveFile.id == file_id).execute()
        return Modified(True, _make_suspect(file_id) if recheck else 0)


def _make_suspect(file_id: int) -> int:
    copy = ArchiveFileCopy
    there = (
        (copy.file == file_id)
        & (copy.has_file != HasFile.ABSENT)
        & (copy.wants_file != WantsFile.RELEASED)
    )
    # Counted by reading: an update says on MySQL how many rows got a new value.
    nodes = [node_id for (node_id,) in tuples(copy.select(copy.node).where(there))]
    copy.update(has_file=HasFile.SUSPECT).where(there).execute()
    doorbell.ring_nodes(nodes)
    return len(nodes)
