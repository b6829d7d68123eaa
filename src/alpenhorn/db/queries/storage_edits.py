"""Changes to groups, nodes and the edges between them, as people ask for them.

Each function is one transaction, which rings the daemons that it concerns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import peewee as pw

from alpenhorn.common.units import utcnow
from alpenhorn.db.archive import NODE_INIT_PATH, ArchiveFileImportRequest
from alpenhorn.db.connection import change
from alpenhorn.db.queries import doorbell, names
from alpenhorn.db.queries.common import insert_missing
from alpenhorn.db.storage import StorageGroup, StorageNode, StorageTransferAction
from alpenhorn.errors import AlreadyExists, InvalidName


def create_group(values: Mapping[str, Any]) -> None:
    """Add a group.

    Raises:
        AlreadyExists: the name is taken, perhaps since a moment ago.
    """
    with change():
        _create(StorageGroup, values)


def create_node(
    values: Mapping[str, Any], *, create_group: bool = False, init: bool = False
) -> None:
    """Add a node.

    Args:
        values: columns of the node.
        create_group: also add a group of the same name, and put the node into it.
        init: also ask for the initialisation of the node.

    Raises:
        AlreadyExists: the name of the node or of the group is taken; nothing was added.
    """
    with change():
        refuse_taken(StorageNode, values["name"])
        columns = dict(values)
        if create_group:
            columns["group"] = _create(StorageGroup, {"name": values["name"]})
        node = _create(StorageNode, columns)
        if init:
            _request_import(node, NODE_INIT_PATH, recurse=False, register=False)
        if init or node.active:
            doorbell.ring([node.host])


def rename(record: StorageGroup | StorageNode, new_name: str) -> None:
    """Give a group or a node another name.

    Raises:
        AlreadyExists: the name is taken.
    """
    with change():
        refuse_taken(type(record), new_name)
        try:
            _update(record, {"name": new_name})
        except pw.IntegrityError:
            raise _taken(type(record), new_name) from None


def update(record: StorageGroup | StorageNode, values: Mapping[str, Any]) -> bool:
    """Change columns of a group or node.

    Args:
        record: what was read.
        values: the wished values; those that `record` has already are left alone.

    Returns:
        Whether anything was changed.
    """
    changed = {
        column: value for column, value in values.items() if record.__data__.get(column) != value
    }
    if not changed:
        return False
    with change():
        _update(record, changed)
        if isinstance(record, StorageNode):
            doorbell.ring([record.host, changed.get("host")])
    return True


def set_action(node: StorageNode, group: StorageGroup, action: str, on: bool) -> bool:
    """Turn an auto-action on or off.

    Args:
        node: where the edge begins.
        group: where it ends.
        action: ``autosync`` or ``autoclean``; the other one is never changed.
        on: the wished state.

    Returns:
        Whether anything was changed.
    """
    column = getattr(StorageTransferAction, action)
    with change():
        if on:
            insert_missing(StorageTransferAction, [{"node_from": node, "group_to": group}])
        return bool(
            StorageTransferAction.update({column: on})
            .where(
                StorageTransferAction.node_from == node,
                StorageTransferAction.group_to == group,
                column != on,
            )
            .execute()
        )


def request_import(node: StorageNode, path: str, *, recurse: bool, register: bool) -> None:
    """Ask the daemon of a node to import, scan (`recurse`) or initialise (`NODE_INIT_PATH`)."""
    with change():
        _request_import(node, path, recurse, register)
        doorbell.ring([node.host])


def refuse_taken(model: Any, name: str) -> None:
    """Refuse a name that a group or node has already.

    Raises:
        AlreadyExists: with the name.
    """
    if names.record(model, name) is not None:
        raise _taken(model, name)


def _request_import(node: StorageNode, path: str, recurse: bool, register: bool) -> None:
    ArchiveFileImportRequest.create(
        node=node, path=path, recurse=recurse, register=register, timestamp=utcnow()
    )


def _create(model: Any, values: Mapping[str, Any]) -> Any:
    refuse_taken(model, values["name"])
    _refuse_long(model, values)
    try:
        return model.create(**values)
    except pw.IntegrityError:
        raise _taken(model, values["name"]) from None


def _update(record: Any, values: Mapping[str, Any]) -> None:
    model = type(record)
    _refuse_long(model, values)
    model.update({getattr(model, name): value for name, value in values.items()}).where(
        model.id == record.id
    ).execute()


def _refuse_long(model: Any, values: Mapping[str, Any]) -> None:
    """Refuse text that does not fit its column; SQLite would take it, other databases not."""
    for name, value in values.items():
        limit = getattr(getattr(model, name), "max_length", None)
        if isinstance(value, str) and limit and len(value) > limit:
            raise InvalidName(f"{name} is too long: {len(value)} characters, limit is {limit}.")


def _taken(model: Any, name: str) -> AlreadyExists:
    what = "Group" if model is StorageGroup else "Node"
    return AlreadyExists(f'{what} "{name}" already exists.')
