"""The Default remote: a directory tree on another host is always ready to be read."""

from __future__ import annotations

from alpenhorn.db import ArchiveFile
from alpenhorn.io.base import BaseNodeRemote


class DefaultNodeRemote(BaseNodeRemote):
    """Used by Default, Polling and the like (spec: io-classes.md §7)."""

    def pull_ready(self, file: ArchiveFile) -> bool:
        """Return True."""
        return True
