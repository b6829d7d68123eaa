"""Are there states that cannot be (spec: data-index.md §2, §13)?"""

from __future__ import annotations

from typing import Any

import peewee as pw

from alpenhorn.db.acquisition import ArchiveFile
from alpenhorn.db.archive import ArchiveFileCopy, ArchiveFileCopyRequest
from alpenhorn.db.enums import HasFile, StorageType, WantsFile
from alpenhorn.db.queries.audit import Gravity, Rule, fix_by, rows
from alpenhorn.db.storage import StorageNode, StorageTransferAction

_COPY = (ArchiveFileCopy.id, ArchiveFileCopy.file, ArchiveFileCopy.node)
_REQUEST = (
    ArchiveFileCopyRequest.id,
    ArchiveFileCopyRequest.file,
    ArchiveFileCopyRequest.node_from,
    ArchiveFileCopyRequest.group_to,
)
_NODE = (StorageNode.id, StorageNode.name)


def of_copies() -> list[Rule]:
    """Rules about copies and the sizes of files."""
    copy, file = ArchiveFileCopy, ArchiveFile
    has, wants = _outside(copy.has_file, HasFile), _outside(copy.wants_file, WantsFile)
    unproven = file.size_b.is_null() | file.md5sum.is_null()
    return [
        Rule(
            "unknown-has-file",
            "copies have a has_file other than Y, M, N or X",
            "Have them checked: set has_file to M.",
            rows(lambda: copy.select(*_COPY, copy.has_file).where(has).order_by(copy.id)),
            fix_by(
                "makes them suspect, so that the daemon checks them",
                lambda: copy.update(has_file=HasFile.SUSPECT).where(has),
            ),
        ),
        Rule(
            "unknown-wants-file",
            "copies have a wants_file other than Y, M or N",
            "Decide whether to keep them: `alpenhorn file state` shows and sets it.",
            rows(lambda: copy.select(*_COPY, copy.wants_file).where(wants).order_by(copy.id)),
            fix_by("keeps them", lambda: copy.update(wants_file=WantsFile.KEEP).where(wants)),
        ),
        Rule(
            "negative-copy-size",
            "copies take less than no space",
            "Set their size_b to NULL, which means unknown.",
            rows(lambda: copy.select(*_COPY, copy.size_b).where(copy.size_b < 0)),
            fix_by(
                "sets the size to unknown",
                lambda: copy.update(size_b=None).where(copy.size_b < 0),
            ),
        ),
        Rule(
            "negative-file-size",
            "files have a negative size",
            "Find out the size, and set it with `alpenhorn file modify --size`.",
            rows(
                lambda: (
                    file.select(file.id, file.name, file.size_b)
                    .where(file.size_b < 0)
                    .order_by(file.id)
                )
            ),
        ),
        Rule(
            "unproven-copy",
            "copies count as good, but the size or MD5 of their file is not known",
            "Nobody can tell whether they are: set both with `alpenhorn file modify`.",
            rows(
                lambda: (
                    copy.select(*_COPY, file.size_b, file.md5sum)
                    .join(file)
                    .where(copy.has_file == HasFile.PRESENT, unproven)
                    .order_by(copy.id)
                )
            ),
        ),
    ]


def of_requests() -> list[Rule]:
    """Rules about copy requests (spec: data-index.md §9.1, §13: 20, 21)."""
    request = ArchiveFileCopyRequest
    both = request.completed & request.cancelled
    arrived = request.transfer_completed.is_null(False)
    backward = request.transfer_started > request.transfer_completed
    return [
        Rule(
            "completed-and-cancelled",
            "copy requests are both completed and cancelled",
            "If transfer_completed is set, the transfer has happened: it is completed; else "
            "cancelled.",
            rows(lambda: request.select(*_REQUEST).where(both).order_by(request.id)),
            fix_by(
                "leaves them completed if their transfer has an end, else cancelled",
                lambda: request.update(
                    completed=pw.Case(None, [(arrived, True)], False),
                    cancelled=pw.Case(None, [(arrived, False)], True),
                ).where(both),
            ),
        ),
        Rule(
            "transfer-ended-before-start",
            "transfers ended before they began",
            "The clocks of the hosts differ: set them by NTP.",
            rows(lambda: request.select(*_REQUEST).where(backward).order_by(request.id)),
            gravity=Gravity.NOTE,
        ),
    ]


def of_places() -> list[Rule]:
    """Rules about nodes and edges."""
    node, edge = StorageNode, StorageTransferAction
    unknown = _outside(node.storage_type, StorageType)
    nowhere = node.active & (node.host.is_null() | (node.host == ""))
    numbers = (node.auto_verify < 0) | (node.min_avail_gb < 0) | (node.avail_gb < 0)
    return [
        Rule(
            "unknown-storage-type",
            "nodes have a storage type other than A, T or F",
            "Say what they are for: `alpenhorn node modify` with --archive, --transport or "
            "--field. Their copies protect nothing as it is.",
            rows(lambda: node.select(*_NODE, node.storage_type).where(unknown)),
        ),
        Rule(
            "active-without-host",
            "active nodes have no host, so no daemon manages them",
            "`alpenhorn node activate --host`, or `alpenhorn node deactivate`.",
            rows(lambda: node.select(*_NODE).where(nowhere)),
        ),
        Rule(
            "impossible-number",
            "nodes have a negative auto_verify, min_avail_gb or avail_gb",
            "Set the first two with `alpenhorn node modify`; the daemon measures avail_gb.",
            rows(
                lambda: node.select(
                    *_NODE, node.auto_verify, node.min_avail_gb, node.avail_gb
                ).where(numbers)
            ),
        ),
        Rule(
            "edge-to-itself",
            "edges (auto-actions) lead from a node to its own group",
            "They have no effect, until the node moves to another group: delete them.",
            rows(lambda: edge.select(edge.id, edge.node_from, edge.group_to).where(_loop())),
            fix_by("deletes them", lambda: edge.delete().where(_loop())),
        ),
    ]


def _outside(column: Any, letters: Any) -> Any:
    return column.is_null() | column.not_in(list(letters))


def _loop() -> Any:
    edge, node = StorageTransferAction, StorageNode.alias()
    same = (node.id == edge.node_from) & (node.group == edge.group_to)
    return pw.fn.EXISTS(node.select(node.id).where(same))
