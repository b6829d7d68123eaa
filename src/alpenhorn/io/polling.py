"""The Polling node: as Default, but auto-import reads the tree again and again.

For network file systems, where inotify reports nothing that other machines do
(spec: io-classes.md §12).
"""

from __future__ import annotations

from watchdog.observers.polling import PollingObserver

from alpenhorn.io.base import InternalIO
from alpenhorn.io.default import DefaultNodeIO


class PollingNodeIO(DefaultNodeIO):
    """A Default node with a polling observer."""

    observer = PollingObserver


PollingIO = InternalIO("alpenhorn.io.polling", node_class=PollingNodeIO)
