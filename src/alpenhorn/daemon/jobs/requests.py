"""The chore of import requests: scans, single files, and late init requests (daemon.md §9.1)."""

from __future__ import annotations

import logging
from pathlib import PurePath

from alpenhorn.common.names import invalid_import_path
from alpenhorn.daemon.jobs.candidates import Candidate
from alpenhorn.daemon.jobs.importing import queue_imports
from alpenhorn.daemon.jobs.lookahead import LOOKAHEAD, is_enough
from alpenhorn.daemon.jobs.results import complete
from alpenhorn.daemon.jobs.scan import queue_scan
from alpenhorn.daemon.node import UpdateableNode
from alpenhorn.db import ArchiveFileImportRequest
from alpenhorn.db.queries import imports
from alpenhorn.io import holds
from alpenhorn.scheduler import FairMultiFIFOQueue

log = logging.getLogger(__name__)


def dispatch(node: UpdateableNode, queue: FairMultiFIFOQueue) -> None:
    """Take up the pending import requests of a node.

    A request that stays pending (a locked file, a broken extension) is taken up again after
    growing pauses.
    """
    held = node.in_hand(holds.imports(node.db))
    if is_enough(held, node.queued):
        return
    limit = LOOKAHEAD + len(node.import_patience.resting()) + len(held)
    files: dict[bool, list[Candidate]] = {True: [], False: []}
    for request in imports.pending(node.db, limit):
        if request.id in held or not node.import_patience.ready(("import", request.id)):
            continue
        node.import_patience.tried(("import", request.id))
        path = _vetted(node, request)
        if path is None:
            continue
        node.worked = True
        if request.recurse:
            queue_scan(node, queue, path, request.register, request)
        else:
            files[request.register].append(Candidate(path, request))
    for register, candidates in files.items():
        queue_imports(node, queue, candidates, register)


def _vetted(node: UpdateableNode, request: ArchiveFileImportRequest) -> str | None:
    """Return the path of a request, relative to the root; None if the request is done with."""
    if imports.is_init(request):
        log.info(f'Ignoring node init request for "{node.name}": already initialised.')
        complete(request, "duplicate", node)
        return None
    text = str(request.path)
    if PurePath(text).is_absolute():
        log.info(f"Not importing absolute path: {text}")
        complete(request, "invalid", node)
        return None
    if request.recurse:
        text = str(PurePath(text))
        if text == ".":
            return text
    reason = invalid_import_path(text)
    if reason:
        log.warning(f'Ignoring import request for invalid path "{text}": {reason}')
        complete(request, "invalid", node)
        return None
    return text
