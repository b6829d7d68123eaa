"""What a node's I/O config may say about its route; everything else is refused in a clear line."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from alpenhorn.errors import StorageError
from alpenhorn.transfer.options import NO_OPTIONS, RouteOptions, read_options

GOOD: list[tuple[dict[str, Any], RouteOptions]] = [
    ({}, NO_OPTIONS),
    ({"something": "else"}, NO_OPTIONS),
    ({"ssh_port": None, "compress": None}, NO_OPTIONS),
    ({"ssh_port": 2222}, RouteOptions(port=2222)),
    ({"ssh_port": "2222"}, RouteOptions(port=2222)),
    ({"ssh_identity": "/etc/alpenhorn/key"}, RouteOptions(identity="/etc/alpenhorn/key")),
    ({"ssh_identity": "~/.ssh/my key"}, RouteOptions(identity="~/.ssh/my key")),
    ({"rsync_path": "/opt/bin/rsync-3.2"}, RouteOptions(rsync_path="/opt/bin/rsync-3.2")),
    ({"rsync_path": "rsync3"}, RouteOptions(rsync_path="rsync3")),
    ({"compress": "yes"}, RouteOptions(compress=True)),
    ({"compress": True}, RouteOptions(compress=True)),
    ({"compress": "Off"}, RouteOptions(compress=False)),
    ({"bbcp": "no"}, RouteOptions(bbcp=False)),
]


@pytest.mark.parametrize(("config", "options"), GOOD)
def test_what_may_be_said(config: dict[str, Any], options: RouteOptions) -> None:
    assert read_options(config) == options


def test_a_bandwidth_is_a_timetable() -> None:
    limited = read_options({"bandwidth": "Mon 08:00-09:00 20M"}).bandwidth
    assert limited.rate_at(datetime(2025, 3, 3, 8)) == 20 * 2**20
    assert limited.rate_at(datetime(2025, 3, 3, 9)) is None


@pytest.mark.parametrize(
    ("key", "values"),
    [
        (
            "ssh_port",
            [0, -1, 65536, 22.5, True, "ssh", "22 -oProxyCommand=x", "-p22", "", [22], "²"],
        ),
        (
            "ssh_identity",
            [
                *("-oProxyCommand=touch owned", "key", "./key", "", 5, ["/key"], "/"),
                *("/key\nProxyCommand x", "/k'ey", '/k"ey', "/k\\ey", "/${HOME}/key", "/%h/key"),
                *("/key ", "~root/key", "/$(touch owned)", "/key\0"),
            ],
        ),
        (
            "rsync_path",
            [
                *(
                    "rsync; touch owned",
                    "sudo rsync",
                    "$(touch owned)",
                    "`touch owned`",
                    "rsync\nx",
                ),
                *(
                    "rsync&",
                    "rsync|x",
                    "rsync>x",
                    "~/rsync",
                    "*",
                    "-e",
                    "--server",
                    "",
                    5,
                    "'rsync'",
                ),
                *("rsync\\", "rsync #", "rs%ync", "ünsync"),
            ],
        ),
        ("compress", ["maybe", "", 1, 0, 2.5, [], "--delete"]),
        ("bbcp", ["maybe", 1]),
        ("bandwidth", ["fast", "", [], -1, "20M --rsh=x"]),
    ],
)
def test_what_is_refused(key: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(StorageError) as error:
            read_options({key: value})
        assert error.value.message.startswith(f"invalid {key} in the I/O config: "), value
        assert error.value.message.isprintable()
        assert len(error.value.message) < 250


def test_a_long_value_is_not_repeated_in_full() -> None:
    with pytest.raises(StorageError) as error:
        read_options({"rsync_path": "x;" * 10_000})
    assert len(error.value.message) < 250
