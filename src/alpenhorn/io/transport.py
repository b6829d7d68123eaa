"""The Transport group: a fleet of disks that are carried from place to place.

Only local data are written to it, and one disk is filled before the next is begun
(spec: io-classes.md §13).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

from alpenhorn.common.obstacles import Obstacles
from alpenhorn.db import ArchiveFileCopyRequest, StorageType
from alpenhorn.io.base import InternalIO
from alpenhorn.io.default import DefaultGroupIO

log = logging.getLogger(__name__)


class TransportGroupIO(DefaultGroupIO):
    """Fills the fullest transport disk that can take a file."""

    takes_more = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._obstacles = Obstacles(log)

    @property
    def nodes(self) -> list[Any]:
        """The transport nodes, fullest first; those of unknown free space last, by id."""
        return sorted(self._nodes, key=_fullness)

    @nodes.setter
    def nodes(self, nodes: list[Any]) -> None:
        """Keep the transport nodes of `nodes`.

        Raises:
            ValueError: there is none among them.
        """
        self._nodes = [node for node in nodes if node.db.storage_type == StorageType.TRANSPORT]
        for node in nodes:
            if node not in self._nodes:
                self._obstacles.say(
                    node.name,
                    f"Ignoring non-transport node {node.name} in group {self.group.name}.",
                    logging.WARNING,
                )
        if not self._nodes:
            raise ValueError(
                f"no usable nodes in transport group {self.group.name} ({len(nodes)} unusable)"
            )

    def exists(self, path: PurePath) -> Any:
        """Return the first node, in order, that has the file."""
        return next((node for node in self.nodes if node.io.exists(path)), None)

    def pull(self, req: ArchiveFileCopyRequest, did_search: bool) -> None:
        """Do `pull_many` for one."""
        TransportGroupIO.pull_many(self, [req], did_search)

    def pull_search(self, req: ArchiveFileCopyRequest) -> None:
        """Do `search_many` for one."""
        TransportGroupIO.search_many(self, [req])

    def search_many(self, requests: Sequence[ArchiveFileCopyRequest]) -> None:
        """Search for and pull what is local; the rest sleeps until a disk is moved (P6)."""
        local = [request for request in requests if request.node_from.local]
        if len(local) < len(requests):
            self._obstacles.say(
                "non-local",
                f"Skipping {len(requests) - len(local)} non-local requests "
                f"into group {self.group.name}.",
            )
        if local:
            super().search_many(local)

    def pull_many(self, requests: Sequence[ArchiveFileCopyRequest], did_search: bool) -> None:
        """Give each request to the fullest disk that can take it; the rest stay pending."""
        for node, share in self._share_out(requests):
            node.io.pull_many(share, did_search)

    def _share_out(
        self, requests: Sequence[ArchiveFileCopyRequest]
    ) -> list[tuple[Any, list[ArchiveFileCopyRequest]]]:
        """Divide requests over the disks, counting what each has been given already."""
        shares: list[tuple[Any, list[ArchiveFileCopyRequest]]] = []
        left = [request for request in requests if request.node_from.local]
        for node in self.nodes:
            if not left:
                break
            if not node.db.check_pull_dest(log_level=logging.DEBUG):
                continue
            share, left = _take_what_fits(node.io, left)
            if share:
                shares.append((node, share))
        if left:
            text = f"No transport node in group {self.group.name} has room for {len(left)} files."
            self._obstacles.say("no room", text)
        else:
            self._obstacles.gone("no room")
        return shares


def _take_what_fits(
    io: Any, requests: list[ArchiveFileCopyRequest]
) -> tuple[list[ArchiveFileCopyRequest], list[ArchiveFileCopyRequest]]:
    """Divide requests into those that a disk has room for together, and the rest."""
    share: list[ArchiveFileCopyRequest] = []
    rest: list[ArchiveFileCopyRequest] = []
    planned = 0
    for request in requests:
        size = request.file.size_b or 0
        if io.fits(planned + size):
            planned += size
            share.append(request)
        else:
            rest.append(request)
    return share, rest


def _fullness(node: Any) -> float:
    avail = node.db.avail_gb
    return float(avail) if avail is not None else node.db.id * 1e9


TransportIO = InternalIO("alpenhorn.io.transport", group_class=TransportGroupIO)
