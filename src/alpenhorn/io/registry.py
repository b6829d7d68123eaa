"""Storage classes by name: the built-in ones, and those that extensions add."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from alpenhorn.db import ArchiveFileCopyRequest, StorageGroup, StorageNode
from alpenhorn.db.record_methods import set_source_probe
from alpenhorn.errors import ExtensionError, StorageError
from alpenhorn.io.base import BaseNodeRemote, InternalIO

builtin: dict[str, InternalIO] = {}
"""The classes that come with alpenhorn (spec: io-classes.md §1.2).

Filled by the package itself, so that the classes may use this module.
"""

RESERVED = frozenset({"Default", "Polling", "Transport", "LustreQuota", "LustreHSM"})
"""Names that extensions may not take."""

_added: dict[str, InternalIO] = {}


def register(name: str, entry: InternalIO) -> None:
    """Add a storage class.

    Raises:
        ExtensionError: the name is taken.
    """
    taken = lookup(name)
    if taken is not None or name in RESERVED:
        by = taken.full_name if taken else "alpenhorn"
        raise ExtensionError(
            f'I/O class "{name}" from Extension "{entry.full_name}" already provided by {by}.'
        )
    _added[name] = entry


def reset() -> None:
    """Forget what extensions have added."""
    _added.clear()


def lookup(name: str | None) -> InternalIO | None:
    """Return the storage class of that name (None: ``Default``), or None if it is unknown."""
    key = name or "Default"
    return builtin.get(key) or _added.get(key)


def known() -> dict[str, InternalIO]:
    """Return all storage classes by name."""
    return {**builtin, **_added}


def parse_config(text: str | None) -> dict[str, Any]:
    """Decode a record's `io_config`.

    Raises:
        StorageError: it is not a JSON object.
    """
    if not text:
        return {}
    try:
        value = json.loads(text)
    except ValueError as error:
        raise StorageError(f"I/O config is not JSON: {error}") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise StorageError("I/O config is not a JSON object")
    return value


def entry_for(record: StorageNode | StorageGroup) -> InternalIO:
    """Return the registry entry that a node or group needs.

    Raises:
        StorageError: with the text for the log (spec: extensions.md §7).
    """
    kind = type(record).__name__
    name = record.io_class or "Default"
    entry = lookup(name)
    if entry is None:
        raise StorageError(f'Unknown I/O class: "{name}".  Ignoring {kind} {record.name}.')
    half = entry.node_class if isinstance(record, StorageNode) else entry.group_class
    if half is None:
        raise StorageError(
            f'No implementation of I/O class "{name}" in extension "{entry.full_name}" '
            f"for {kind} {record.name}."
        )
    return entry


def remote_for(node: StorageNode) -> BaseNodeRemote:
    """Make the remote half of a node's storage class.

    Raises:
        StorageError: unknown class, or bad configuration.
    """
    node_class = entry_for(node).node_class
    assert node_class is not None
    config: Mapping[str, Any] = parse_config(node.io_config)
    return node_class.remote_class(node, config)


def _source_is_ready(request: ArchiveFileCopyRequest) -> bool:
    return remote_for(request.node_from).pull_ready(request.file)


set_source_probe(_source_is_ready)
