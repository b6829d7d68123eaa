"""The daemon: it looks at the index and works on the nodes of its host."""

from alpenhorn.daemon.entry import entry
from alpenhorn.daemon.group import UpdateableGroup
from alpenhorn.daemon.node import RemoteNode, UpdateableNode

__all__ = ["RemoteNode", "UpdateableGroup", "UpdateableNode", "entry"]
