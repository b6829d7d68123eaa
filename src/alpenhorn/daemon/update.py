"""Façade: live objects under the name that third-party modules import (extensions.md §9)."""

from alpenhorn.daemon.group import UpdateableGroup
from alpenhorn.daemon.node import RemoteNode, UpdateableNode

__all__ = ["RemoteNode", "UpdateableGroup", "UpdateableNode"]
