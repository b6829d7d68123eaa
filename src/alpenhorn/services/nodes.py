"""Make and change storage nodes, and ask things of them (spec: cli.md §9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from alpenhorn.common.names import REQUEST_PATH_LIMIT, safe_address
from alpenhorn.db import StorageNode
from alpenhorn.db.archive import NODE_INIT_PATH
from alpenhorn.db.queries import storage_edits
from alpenhorn.errors import InvalidName, NotAllowed
from alpenhorn.services import fields, io_config, lookup


def create(
    name: str,
    group: str | None,
    texts: Mapping[str, str | None],
    values: Mapping[str, Any],
    init: bool = False,
) -> None:
    """Make a node.

    Args:
        name: its name.
        group: name of its group; None: make one of the same name.
        texts: text columns; empty text is stored as NULL (D22).
        values: other columns.
        init: also ask the daemon to initialise it.

    Raises:
        InvalidName: the name, the user name or the address is unusable.
        StorageError: its I/O class cannot work with the I/O config.
        AlreadyExists: the name of the node, or of the group to be made, is taken.
        NotFound: there is no such group.
    """
    lookup.check_new_name(name, "node")
    storage_edits.refuse_taken(StorageNode, name)
    _check_log_in(texts)
    columns = {"name": name, **values, **fields.given(texts)}
    io_config.check(columns.get("io_class"), columns.get("io_config"))
    if group is not None:
        columns["group"] = lookup.group(group)
    storage_edits.create_node(columns, create_group=group is None, init=init)


def modify(
    name: str,
    group: str | None,
    texts: Mapping[str, str | None],
    values: Mapping[str, Any],
    config: str | None,
    variables: Sequence[str],
) -> bool:
    """Change a node.

    Args:
        name: its name.
        group: name of its new group; None: leave it.
        texts: text columns: None leaves one alone, empty text clears it.
        values: other columns; all of them are set.
        config: the option ``--io-config``.
        variables: the options ``--io-var``.

    Returns:
        Whether anything changed.

    Raises:
        InvalidName: the user name or the address is unusable.
        NotFound: there is no such node or group.
        StorageError: its I/O class cannot work with the new I/O config.
    """
    node = lookup.node(name)
    _check_log_in(texts)
    columns = {**values, **fields.given(texts)}
    if group is not None:
        columns["group"] = lookup.group(group).id
    columns["io_config"] = io_config.build(config, variables, node.io_config)
    if "io_class" in columns or columns["io_config"] != node.io_config:
        io_config.check(columns.get("io_class", node.io_class), columns["io_config"])
    return storage_edits.update(node, columns)


def rename(name: str, new_name: str) -> bool:
    """Rename a node.

    Returns:
        False if both names are the same.

    Raises:
        AlreadyExists: the new name is taken.
        NotFound: there is no such node.
    """
    if name == new_name:
        return False
    storage_edits.refuse_taken(StorageNode, new_name)
    node = lookup.node(name)
    lookup.check_new_name(new_name, "node")
    storage_edits.rename(node, new_name)
    return True


def activate(name: str, texts: Mapping[str, str | None]) -> bool:
    """Set a node active, at the place given.

    Args:
        name: its name.
        texts: text columns: None leaves one alone, empty text clears it.

    Returns:
        False if it is active already; then nothing was changed.

    Raises:
        InvalidName: the user name or the address is unusable.
        NotFound: there is no such node.
    """
    node = lookup.node(name)
    if node.active:
        return False
    _check_log_in(texts)
    return storage_edits.update(node, {"active": True, **fields.given(texts)})


def deactivate(name: str) -> bool:
    """Set a node inactive.

    Returns:
        False if it is inactive already.

    Raises:
        NotFound: there is no such node.
    """
    return storage_edits.update(lookup.node(name), {"active": False})


def request_init(name: str) -> None:
    """Ask the daemon to initialise a node.

    Raises:
        NotFound: there is no such node.
    """
    node = lookup.node(name)
    storage_edits.request_import(node, NODE_INIT_PATH, recurse=False, register=False)


def request_scan(name: str, path: str, register: bool) -> str:
    """Ask the daemon to scan a directory of a node.

    Args:
        name: the node.
        path: relative to the node root, or absolute and below it.
        register: whether unknown files may be registered.

    Returns:
        The path as stored.

    Raises:
        NotFound: there is no such node.
        NotAllowed: an absolute path that is not below the node root.
        InvalidName: the path is too long.
    """
    node = lookup.node(name)
    stored = path_on_node(node, path)
    storage_edits.request_import(node, stored, recurse=True, register=register)
    return stored


def path_on_node(node: StorageNode, path: str) -> str:
    """Normalise a path and make it relative to the node root; the root itself is ``.``.

    Raises:
        NotAllowed: it is absolute and not below the node root.
        InvalidName: it is longer than a request can hold, or not text.
    """
    shown = lookup.shown(path)
    relative = lookup.normalise(path)
    if relative.startswith("/"):
        if not node.root:
            raise NotAllowed(f'Cannot use "{shown}": Node "{node.name}" has no root.')
        below = lookup.strip_root(relative, node.root)
        if below is None:
            raise NotAllowed(f'Path "{shown}" is outside node root "{node.root}".')
        relative = below
    if len(relative) > REQUEST_PATH_LIMIT or not lookup.storable(relative):
        raise InvalidName(f'invalid path "{shown}": too long, or not valid UTF-8.')
    return relative or "."


def _check_log_in(texts: Mapping[str, str | None]) -> None:
    """Refuse a user name or an address that daemons would refuse; either may be absent.

    Raises:
        InvalidName: one of them could be mistaken for something else.
    """
    safe_address(texts.get("username") or "user", texts.get("address") or "host")
