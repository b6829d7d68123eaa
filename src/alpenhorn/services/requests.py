"""Ask daemons to import or copy one file (spec: cli.md §7.4, §7.9)."""

from __future__ import annotations

from alpenhorn.common.names import REQUEST_PATH_LIMIT
from alpenhorn.db.queries import storage_edits
from alpenhorn.db.queries.copy_edits import SyncAnswer, cancel_requests, request_copy
from alpenhorn.errors import InvalidName
from alpenhorn.services import lookup

__all__ = ["SyncAnswer", "cancel_requests", "request_copy", "request_import"]


def request_import(path: str, node: str, register: bool) -> None:
    """Ask the daemon of a node to import a file.

    Args:
        path: relative to the node root; stored as it is.
        node: the node.
        register: whether an unknown file may be registered.

    Raises:
        InvalidName: no database can store the path.
        NotFound: there is no such node.
    """
    if len(path) > REQUEST_PATH_LIMIT or not lookup.storable(path):
        raise InvalidName(f'invalid path "{lookup.shown(path)}": too long, or not valid UTF-8.')
    record = lookup.node(node)
    storage_edits.request_import(record, path, recurse=False, register=register)
