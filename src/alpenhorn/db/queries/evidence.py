"""The record of deletions: claims, the copies on which they relied, and how they ended.

A claim is open until its copy was removed or the claim given back. Where our own tables are
missing nothing is kept, and every copy that reads (M,N) is taken for one that is being deleted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import peewee as pw

from alpenhorn.common.units import utcnow
from alpenhorn.db.archive import ArchiveFileCopy
from alpenhorn.db.enums import HasFile, WantsFile
from alpenhorn.db.operations import DeletionEvidence
from alpenhorn.db.queries import doorbell, releases
from alpenhorn.db.queries.common import by_ids, chunks, insert_rows, one_of, tuples
from alpenhorn.db.queries.protection import Guard, being_deleted
from alpenhorn.db.storage import StorageNode


def keep(copies: Sequence[ArchiveFileCopy], protectors: Mapping[int, Sequence[Guard]]) -> None:
    """Inside `change()`: open claims, with all that allowed them.

    Args:
        copies: the copies that are claimed.
        protectors: the copies that protect their files, by file.
    """
    if not doorbell.available():
        return
    wishes = releases.of_copies([copy.id for copy in copies])
    rows = []
    for copy in copies:
        wish = wishes.get(copy.id)
        proof = [_proof(p) for p in protectors.get(copy.file_id, []) if p.copy_id != copy.id]
        rows.append(
            {
                "copy_id": copy.id,
                "file_id": copy.file_id,
                "node_id": copy.node_id,
                "protected_by": json.dumps(proof),
                "released": wish and wish.at,
                "released_by": wish and wish.by,
            }
        )
    insert_rows(DeletionEvidence, rows)


def removed(copy_ids: Iterable[int]) -> None:
    """Inside `change()`: the files of these copies are gone; their claims have ended."""
    _end(copy_ids, {"removed": utcnow()})


def given_back(copy_ids: Iterable[int]) -> None:
    """Inside `change()`: nobody deletes these copies any more; their claims have ended."""
    _end(copy_ids, {"given_back": utcnow()})


def is_claimed(copy: ArchiveFileCopy) -> bool:
    """Tell whether somebody is deleting the copy, or was when it was killed."""
    query = ArchiveFileCopy.select().where(
        ArchiveFileCopy.id == copy.id, being_deleted(ArchiveFileCopy)
    )
    return bool(query.exists())


def claimed(copies: Iterable[ArchiveFileCopy]) -> set[int]:
    """Return the files of those copies that somebody is deleting, whatever their rows say."""
    query = ArchiveFileCopy.select(ArchiveFileCopy.file).where(being_deleted(ArchiveFileCopy))
    ids = [copy.id for copy in copies]
    return {file_id for (file_id,) in by_ids(tuples(query), ArchiveFileCopy.id, ids)}


def last_claim() -> int:
    """Return the number of the last claim there was; 0 if none is on record."""
    if not doorbell.available():
        return 0
    row: Any = DeletionEvidence
    return int(row.select(pw.fn.MAX(row.id)).scalar() or 0)


def removed_since(claim: int, copy_ids: Sequence[int]) -> set[int]:
    """Return those of the copies that were removed under claims made after that one."""
    if not doorbell.available():
        return set()
    row: Any = DeletionEvidence
    query = row.select(row.copy_id).where(row.id > claim, row.removed.is_null(False))
    return {copy_id for (copy_id,) in by_ids(tuples(query), row.copy_id, copy_ids)}


def end_stale_claims(node: StorageNode) -> None:
    """End claims on copies that are not to go any more; one statement.

    To be called when nothing of the node is running: then such a claim is what a kill left, of a
    copy that somebody wanted back since. Claims of copies that are still to go stay open: they are
    taken up again.
    """
    if not doorbell.available():
        return
    copy = ArchiveFileCopy.alias()
    claimed = copy.select(pw.SQL("1")).where(
        copy.id == DeletionEvidence.copy_id,
        copy.has_file == HasFile.SUSPECT,
        copy.wants_file == WantsFile.RELEASED,
    )
    DeletionEvidence.update(given_back=utcnow()).where(
        DeletionEvidence.node_id == node.id, *_open(), ~pw.fn.EXISTS(claimed)
    ).execute()


def _end(copy_ids: Iterable[int], how: dict[str, Any]) -> None:
    """End open claims. By their nodes an index finds them among all that there ever were."""
    if not doorbell.available():
        return
    for chunk in chunks(copy_ids):
        query = ArchiveFileCopy.select(ArchiveFileCopy.node).where(
            one_of(ArchiveFileCopy.id, chunk)
        )
        for node_id in {node_id for (node_id,) in tuples(query)}:
            DeletionEvidence.update(how).where(
                DeletionEvidence.node_id == node_id,
                one_of(DeletionEvidence.copy_id, chunk),
                *_open(),
            ).execute()


def _open() -> list[Any]:
    return [DeletionEvidence.removed.is_null(), DeletionEvidence.given_back.is_null()]


def _proof(guard: Guard) -> dict[str, object]:
    return {
        "copy": guard.copy_id,
        "node": guard.node,
        "last_update": str(guard.last_update),
        "verified": guard.verified and str(guard.verified),
    }
