"""The end of import requests: once, counted once, with a log line (spec: data-index.md §10)."""

from __future__ import annotations

import logging

from alpenhorn import events
from alpenhorn.daemon.node import UpdateableNode
from alpenhorn.db import ArchiveFileImportRequest
from alpenhorn.db.queries import imports

log = logging.getLogger(__name__)


def complete(request: ArchiveFileImportRequest | None, result: str, node: UpdateableNode) -> None:
    """Mark a request as dealt with, unless somebody has, and tell about it."""
    if request is not None and imports.complete(request.id):
        node.import_patience.forget(("import", request.id))
        tell(request, result, node)


def tell(request: ArchiveFileImportRequest, result: str, node: UpdateableNode) -> None:
    """Log and count the end of a request.

    The seed shows no line for init requests. The second line keeps the outcome, which the index
    has no column for (W-17).
    """
    level = logging.DEBUG if imports.is_init(request) else logging.INFO
    log.log(level, f"Completed import request #{request.id}.")
    if result != "success" and not imports.is_init(request):
        log.info(f'Import request #{request.id} for "{request.path}": {result}.')
    events.emit(events.RequestEnded("import", result, node.name, node.db.group.name))
