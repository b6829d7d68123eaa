"""When the bytes of copies were last read and compared with the index (design P2).

One row per copy, written by the transaction that records what was read: one statement more for a
batch. Where our own tables are missing nothing is kept. Copies of files whose MD5 nobody knows are
never verified: there is nothing to compare with.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import peewee as pw

from alpenhorn.common.units import utcnow
from alpenhorn.db.acquisition import ArchiveFile
from alpenhorn.db.archive import ArchiveFileCopy
from alpenhorn.db.connection import database_proxy
from alpenhorn.db.operations import Verification
from alpenhorn.db.queries import doorbell
from alpenhorn.db.queries.common import chunks, one_of
from alpenhorn.db.storage import StorageNode


def added(
    node: StorageNode,
    file_ids: Sequence[int],
    how: Literal["import", "pull"],
    unread: Iterable[int] = (),
) -> None:
    """Inside `change()`, with the copies stored: they were added, after their bytes were read.

    Args:
        node: where they are.
        file_ids: their files.
        how: what added them.
        unread: those of the files that were only linked: their bytes are the source's.
    """
    linked = set(unread)
    read = [file_id for file_id in file_ids if file_id not in linked]
    times = {"added": utcnow(), "added_by": how}
    _store(_on(node, read), {**times, "verified": utcnow()})
    _store(_on(node, sorted(linked)), times)


def added_bad(node: StorageNode, file_ids: Sequence[int]) -> None:
    """Inside `change()`, with the copies stored: they were imported, and their bytes are wrong."""
    now = utcnow()
    _store(_on(node, file_ids), {"added": now, "added_by": "import", "failed": now})


def verified(copy_ids: Iterable[int]) -> None:
    """Inside `change()`: the bytes of these copies were read, and are right."""
    _store(_copies(copy_ids), {"verified": utcnow()})


def failed(copy_ids: Iterable[int]) -> None:
    """Inside `change()`: the bytes of these copies are wrong, or gone."""
    _store(_copies(copy_ids), {"failed": utcnow()})


def over(copy_ids: Iterable[int]) -> None:
    """Inside `change()`: these copies were removed: what comes in their place was not verified."""
    _store(_copies(copy_ids), {"verified": None})


def asked(copy_ids: Iterable[int]) -> None:
    """Inside `change()`: these copies are put up for a check because of their age."""
    _store(_copies(copy_ids), {"asked": utcnow()})


def _on(node: StorageNode, file_ids: Sequence[int]) -> list[Any]:
    return [
        (ArchiveFileCopy.node == node) & one_of(ArchiveFileCopy.file, chunk)
        for chunk in chunks(file_ids)
    ]


def _copies(copy_ids: Iterable[int]) -> list[Any]:
    return [one_of(ArchiveFileCopy.id, chunk) for chunk in chunks(copy_ids)]


def _store(chosen: Sequence[Any], values: dict[str, Any]) -> None:
    """Set columns of the rows of copies, making the rows that are missing."""
    if not chosen or not doorbell.available():
        return
    columns = [getattr(Verification, name) for name in values]
    constants = [
        pw.Value(value, converter=column.db_value)
        for column, value in zip(columns, values.values(), strict=True)
    ]
    read = [_has_md5()] if values.get("verified") else []
    for condition in chosen:
        rows = (
            ArchiveFileCopy.select(ArchiveFileCopy.file, ArchiveFileCopy.node, *constants)
            .join(ArchiveFile)
            .where(condition, *read)
        )
        query = Verification.insert_from(
            rows, [Verification.file_id, Verification.node_id, *columns]
        )
        _replacing(query, columns).execute()


def _has_md5() -> Any:
    return pw.fn.COALESCE(ArchiveFile.md5sum, "") != ""


def _replacing(query: Any, columns: Sequence[Any]) -> Any:
    if isinstance(database_proxy.obj, pw.MySQLDatabase):
        return query.on_conflict(preserve=columns)
    key = [Verification.file_id, Verification.node_id]
    return query.on_conflict(conflict_target=key, preserve=columns)
