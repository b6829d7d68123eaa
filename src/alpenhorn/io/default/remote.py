"""The Default remote: a directory tree on another host is always ready to be read."""

from __future__ import annotations

from alpenhorn.common.names import safe_address, unprintable
from alpenhorn.db import ArchiveFile
from alpenhorn.errors import InvalidName
from alpenhorn.io.base import BaseNodeRemote
from alpenhorn.transfer.batch import Endpoint
from alpenhorn.transfer.options import read_options


class DefaultNodeRemote(BaseNodeRemote):
    """Used by Default, Polling and the like (spec: io-classes.md §7)."""

    def pull_ready(self, file: ArchiveFile) -> bool:
        """Return True."""
        return True


def endpoint(remote: BaseNodeRemote, address: str | None = None) -> Endpoint:
    """Say how the node of `remote` is reached from this host.

    Its own record decides: address, user name and root, and of its I/O config the port, the key
    and the like (`RouteOptions`).

    Args:
        remote: the node's remote half (`registry.remote_for`).
        address: ``user@host``, if it is known already; None: from the record.

    Raises:
        InvalidName: the record has no address, or something that could be mistaken for an option
            or a command.
        StorageError: a value in the I/O config is not acceptable.
    """
    node = remote.node
    root = node.root or "/"
    if unprintable(root):
        raise InvalidName(f"invalid root {root!a} of node {node.name}: control character")
    options = read_options(remote.config)
    if node.local:
        return Endpoint(local=True, address=None, root=root, options=options)
    address = address or safe_address(node.username, node.address)
    return Endpoint(local=False, address=address, root=root, options=options)
