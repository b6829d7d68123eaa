"""A connection to a database host that is gone without a word is given up within a minute."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from alpenhorn.db import engines
from alpenhorn.db.keepalive import watch


@pytest.fixture
def connected() -> Iterator[socket.socket]:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as made,
    ):
        yield made


def drivers(connected: socket.socket) -> dict[str, Any]:
    return {
        "psycopg, mysqlclient": SimpleNamespace(fileno=connected.fileno),
        "PyMySQL": SimpleNamespace(_sock=connected),
    }


@pytest.mark.parametrize("driver", ["psycopg, mysqlclient", "PyMySQL"])
def test_the_kernel_looks_after_a_connection(connected: socket.socket, driver: str) -> None:
    watch(drivers(connected)[driver])
    assert connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 15
    assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 5
    assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000
    connected.sendall(b"it is open still")


def test_sockets_of_this_machine_and_other_drivers_are_left_alone() -> None:
    one, other = socket.socketpair()
    with one, other:
        watch(SimpleNamespace(_sock=one))
        one.sendall(b"it is open still")
    watch(SimpleNamespace())


@pytest.mark.parametrize("url", ["mysql://u@h/d", "postgresql://u@h/d"])
def test_every_server_connection_is_looked_after(
    connected: socket.socket, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    database = engines.make({"url": url})
    made = SimpleNamespace(_sock=connected)
    for base in type(database).__mro__:
        if base.__module__ == "peewee" and "_connect" in vars(base):
            monkeypatch.setattr(base, "_connect", lambda self: made)
    assert database._connect() is made
    assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000
