"""The Default group: one active node per host (spec: io-classes.md §8)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from alpenhorn.db import ArchiveFileCopyRequest
from alpenhorn.io.base import BaseGroupIO
from alpenhorn.io.default.jobs.search import queue_search


class DefaultGroupIO(BaseGroupIO):
    """Hands everything to its single node, after a search for untracked files."""

    takes_more = True
    _nodes: list[Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._nodes = []

    @property
    def nodes(self) -> list[Any]:
        """The node, or nothing."""
        return self._nodes

    @nodes.setter
    def nodes(self, nodes: list[Any]) -> None:
        """Take exactly one node.

        Raises:
            ValueError: another number of them; the group then has no usable node.
        """
        self._nodes = []
        if len(nodes) != 1:
            names = ", ".join(node.name for node in nodes)
            raise ValueError(f'Too many active nodes in group "{self.group.name}": {names}.')
        self._nodes = list(nodes)

    def exists(self, path: PurePath) -> Any:
        """Return the node if it has the file."""
        return next((node for node in self.nodes if node.io.exists(path)), None)

    def pull(self, req: ArchiveFileCopyRequest, did_search: bool) -> None:
        """Hand the request to the node."""
        # Not by way of `pull_many`, which calls us in classes that override `pull`.
        DefaultGroupIO.pull_many(self, [req], did_search)

    def pull_many(self, requests: Sequence[ArchiveFileCopyRequest], did_search: bool) -> None:
        """Hand the requests to the node."""
        for node in self.nodes[:1]:
            node.io.pull_many(requests, did_search)

    def pull_search(self, req: ArchiveFileCopyRequest) -> None:
        """Queue the search for one file."""
        DefaultGroupIO.search_many(self, [req])

    def search_many(self, requests: Sequence[ArchiveFileCopyRequest]) -> None:
        """Queue the search on the group's own FIFO."""
        queue_search(self, self._queue, requests)
