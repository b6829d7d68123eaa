"""A database host that is gone without a word is not waited for for hours.

After a power cut or behind a dead line nobody closes the connection: who waits for an answer to a
statement would do so for two hours, until the kernel asks for the first time whether the other end
is still there. We have it ask earlier (tcp(7): TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_USER_TIMEOUT). It
is the other kernel that answers, so a statement may take as long as it likes.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Any

IDLE_S = 15
INTERVAL_S = 5
GIVE_UP_S = 60
"""Seconds without a sign of life after which a connection is lost."""


class Keepalive:
    """Mixed into a peewee database class: its connections notice that the other end is gone."""

    def _connect(self) -> Any:
        """Open a connection."""
        made = super()._connect()  # type: ignore[misc]
        with suppress(OSError):  # it works without, too
            watch(made)
        return made


def watch(connection: Any) -> None:
    """Have the kernel look after a connection, if it is one by TCP.

    Args:
        connection: what a driver made: PyMySQL, mysqlclient, psycopg 2 or 3, or any other.

    Raises:
        OSError: the kernel does not know the options.
    """
    ours = connection if hasattr(connection, "fileno") else getattr(connection, "_sock", None)
    if ours is None:
        return
    with socket.socket(fileno=os.dup(ours.fileno())) as peer:
        if peer.family in (socket.AF_INET, socket.AF_INET6):
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, IDLE_S)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, INTERVAL_S)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GIVE_UP_S * 1000)
