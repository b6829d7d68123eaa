"""Which files below a directory of a node the index has already, for a walk through it.

A scan may pass a million files. Held are only the names of the acquisitions in whose directories
the walk is at the moment.
"""

from __future__ import annotations

from pathlib import PurePath

from alpenhorn.db import StorageNode
from alpenhorn.db.queries import imports


class Known:
    """What the index says is on a node, in one directory after another.

    Args:
        node: the node.
    """

    def __init__(self, node: StorageNode) -> None:
        self._node = node
        self._names: dict[str, set[str]] = {}

    def enter(self, directory: PurePath) -> None:
        """Make ready for the files of a directory; one statement, if the walk goes depth first.

        Args:
            directory: relative to the root. It, or one above it, is the acquisition of its files.
        """
        around = [str(path) for path in (directory, *directory.parents) if path.name]
        self._names = {
            acq: self._names[acq] if acq in self._names else imports.tracked_names(self._node, acq)
            for acq in around
        }

    def __contains__(self, path: str) -> bool:
        """Tell whether a file of that directory is known, by its path relative to the root."""
        return any(path[len(acq) + 1 :] in names for acq, names in self._names.items())
