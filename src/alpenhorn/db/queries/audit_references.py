"""Do rows refer to rows that exist, and is each thing there once (data-index.md §13: 15-18)?"""

from __future__ import annotations

from typing import Any

import peewee as pw

from alpenhorn.db.acquisition import ArchiveAcq, ArchiveFile
from alpenhorn.db.archive import (
    ArchiveFileCopy,
    ArchiveFileCopyRequest,
    ArchiveFileImportRequest,
)
from alpenhorn.db.operations import TransferAttempt
from alpenhorn.db.queries.audit import Gravity, Rule, fix_by, orphaned, rows
from alpenhorn.db.queries.streaming import in_byte_order, joined
from alpenhorn.db.schema import table_name
from alpenhorn.db.storage import StorageGroup, StorageNode, StorageTransferAction

_NOUNS: dict[Any, str] = {
    ArchiveAcq: "acquisitions",
    ArchiveFile: "files",
    ArchiveFileCopy: "copies",
    ArchiveFileCopyRequest: "copy requests",
    ArchiveFileImportRequest: "import requests",
    StorageGroup: "groups",
    StorageNode: "nodes",
    StorageTransferAction: "edges (auto-actions)",
}

_UNIQUE: tuple[tuple[Any, tuple[Any, ...]], ...] = (
    (ArchiveAcq, (ArchiveAcq.name,)),
    (ArchiveFile, (ArchiveFile.acq, ArchiveFile.name)),
    (ArchiveFileCopy, (ArchiveFileCopy.file, ArchiveFileCopy.node)),
    (StorageGroup, (StorageGroup.name,)),
    (StorageNode, (StorageNode.name,)),
    (StorageTransferAction, (StorageTransferAction.node_from, StorageTransferAction.group_to)),
)


def orphans() -> list[Rule]:
    """Rules about foreign keys."""
    lasting = (ArchiveFile, ArchiveFileCopy, StorageNode, StorageTransferAction)
    keys = [key for model in lasting for key in model._meta.refs]
    return [
        *(_orphans(key) for key in keys),
        *_orphaned_requests(),
    ]


def of_attempts() -> list[Rule]:
    """Rules that need our own tables."""
    note: Any = TransferAttempt
    return [
        Rule(
            "attempts-of-no-request",
            "notes of transfer attempts are about requests that do not exist",
            "They are of no use any more.",
            rows(lambda: _attempts(note.select(note.id, note.request_id))),
            fix_by("deletes the notes", lambda: _attempts(note.delete())),
            Gravity.NOTE,
        ),
    ]


def repeated() -> list[Rule]:
    """Rules about what must be there only once."""
    return [
        *(_repeated(model, fields) for model, fields in _UNIQUE),
        Rule(
            "repeated-path",
            "paths are those of several files",
            "Acquisition and file name together give the same path, so their copies overwrite "
            "each other. Keep one of the files.",
            rows(_repeated_paths),
        ),
        Rule(
            "repeated-request",
            "copy requests are pending more than once",
            "One of each is carried out, and the others are cancelled then. No need to act.",
            rows(_repeated_requests),
            gravity=Gravity.NOTE,
        ),
    ]


def _orphans(key: Any) -> Rule:
    model = key.model
    return Rule(
        f"{table_name(model)}-without-{key.name}",
        f"{_NOUNS[model]} refer to {_NOUNS[key.rel_model]} that do not exist",
        f"Restore the rows of {table_name(key.rel_model)} from a backup, or delete those of "
        f"{table_name(model)} if they are of no use.",
        rows(lambda: model.select(model.id, key).where(orphaned(key)).order_by(model.id)),
    )


def _orphaned_requests() -> list[Rule]:
    copy, load = ArchiveFileCopyRequest, ArchiveFileImportRequest
    lost = orphaned(copy.file) | orphaned(copy.node_from) | orphaned(copy.group_to)
    pending = ~copy.completed & ~copy.cancelled & lost
    ended = (copy.completed | copy.cancelled) & lost
    waiting = ~load.completed & orphaned(load.node)
    columns = (copy.id, copy.file, copy.node_from, copy.group_to)
    return [
        Rule(
            "pending-request-to-nowhere",
            "pending copy requests are about a file, node or group that does not exist",
            "They can never be carried out: cancel them.",
            rows(lambda: copy.select(*columns).where(pending).order_by(copy.id)),
            fix_by("cancels them", lambda: copy.update(cancelled=True).where(pending)),
        ),
        Rule(
            "old-request-to-nowhere",
            "ended copy requests are about a file, node or group that does not exist",
            "They are history, and do no harm.",
            rows(lambda: copy.select(*columns).where(ended).order_by(copy.id)),
            gravity=Gravity.NOTE,
        ),
        Rule(
            "pending-import-to-nowhere",
            "pending import requests are for a node that does not exist",
            "They can never be carried out: set them completed.",
            rows(lambda: load.select(load.id, load.node, load.path).where(waiting)),
            fix_by("sets them completed", lambda: load.update(completed=True).where(waiting)),
        ),
    ]


def _attempts(statement: Any) -> Any:
    request = ArchiveFileCopyRequest.alias()
    exists = request.select(request.id).where(request.id == TransferAttempt.request_id)
    return statement.where(~pw.fn.EXISTS(exists))


def _repeated(model: Any, fields: tuple[Any, ...]) -> Rule:
    def select() -> Any:
        by = [in_byte_order(f) if isinstance(f, pw.CharField) else f for f in fields]
        count = pw.fn.COUNT(model.id)
        shown = [pw.fn.MIN(f).alias(f.column_name) for f in fields]
        return model.select(*shown, count.alias("rows")).group_by(*by).having(count > 1)

    return Rule(
        f"repeated-{table_name(model)}",
        f"{_NOUNS[model]} are in the index more than once",
        f"Decide which row of {table_name(model)} is right, let the others' references point to "
        "it, and delete them; then run `alpenhorn db init`.",
        rows(select),
    )


def _repeated_paths() -> Any:
    path = joined(in_byte_order(ArchiveAcq.name), "/", in_byte_order(ArchiveFile.name))
    count = pw.fn.COUNT(pw.fn.DISTINCT(ArchiveAcq.id))
    shown = (pw.fn.MIN(ArchiveFile.id).alias("id"), pw.fn.MAX(ArchiveFile.id).alias("other_id"))
    return ArchiveFile.select(*shown).join(ArchiveAcq).group_by(path).having(count > 1)


def _repeated_requests() -> Any:
    table = ArchiveFileCopyRequest
    count = pw.fn.COUNT(table.id)
    what = (table.file, table.node_from, table.group_to)
    query = table.select(*what, count.alias("rows")).where(~table.completed & ~table.cancelled)
    return query.group_by(*what).having(count > 1)
