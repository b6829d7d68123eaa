"""Extensions that add a storage class, such as a tape system or an object store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alpenhorn.extensions.base import Extension
from alpenhorn.io.base import BaseGroupIO, BaseNodeIO


class IOClassExtension(Extension):
    """Adds a storage class for nodes, groups or both (spec: extensions.md §7).

    Args:
        name: see `Extension`, as are the versions and `require_schema`.
        version: see `Extension`.
        io_class_name: the value of ``io_class`` in the records of nodes and groups that want it,
            in exactly this spelling. The names of built-in classes are taken.
        node_class: implementation for nodes.
        group_class: implementation for groups.
        min_version: see `Extension`.
        max_version: see `Extension`.
        require_schema: see `Extension`.

    Raises:
        TypeError: `io_class_name` is no text, or a class is of the wrong kind.
        ValueError: the name is empty, or neither class is given; see also `Extension`.
    """

    def __init__(
        self,
        name: str,
        version: str,
        io_class_name: str,
        node_class: type[BaseNodeIO] | None = None,
        group_class: type[BaseGroupIO] | None = None,
        min_version: str | None = None,
        max_version: str | None = None,
        require_schema: Mapping[str, int | str] | None = None,
    ) -> None:
        super().__init__(name, version, min_version, max_version, require_schema)
        if not isinstance(io_class_name, str):
            raise TypeError("io_class_name must be a string")
        if not io_class_name.strip():
            raise ValueError("empty I/O class name")
        if node_class is None and group_class is None:
            raise ValueError("neither node_class nor group_class given")
        _check_class("node_class", node_class, BaseNodeIO)
        _check_class("group_class", group_class, BaseGroupIO)
        self.io_class_name = io_class_name.strip()
        self.node_class = node_class
        self.group_class = group_class


def _check_class(argument: str, given: Any, base: type) -> None:
    if given is not None and not (isinstance(given, type) and issubclass(given, base)):
        raise TypeError(f"{argument} must be a subclass of {base.__name__}")
