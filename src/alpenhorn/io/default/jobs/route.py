"""The route of a batch: where it comes from, what is in it, and how fast it may be.

The source node's record says how it is reached. A bandwidth limit may be set for either node; the
stricter one holds, by the clock of this host.
"""

from __future__ import annotations

import logging
from collections.abc import Hashable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

from alpenhorn.common import config
from alpenhorn.common.names import unprintable
from alpenhorn.db import ArchiveFileCopyRequest, StorageNode
from alpenhorn.errors import AlpenhornError, InvalidName, StorageError
from alpenhorn.io import registry
from alpenhorn.io.base import BaseNodeRemote
from alpenhorn.io.default.jobs import report
from alpenhorn.io.default.remote import endpoint
from alpenhorn.transfer.bandwidth import strictest
from alpenhorn.transfer.batch import Endpoint, Item, Limits, Mover, time_limit
from alpenhorn.transfer.bbcp import ends
from alpenhorn.transfer.choose import movers_for
from alpenhorn.transfer.options import read_options
from alpenhorn.transfer.timetable import Timetable

if TYPE_CHECKING:
    from alpenhorn.io.default.node import DefaultNodeIO

Requests = Sequence[ArchiveFileCopyRequest]


def describe(
    io: DefaultNodeIO, node: StorageNode, requests: Requests, target: Any
) -> tuple[Endpoint, list[Item]]:
    """Say where a batch comes from and what is in it; rows with bad names are left out.

    Args:
        io: node I/O of the destination.
        node: the source.
        requests: what is wanted.
        target: where a single file goes, if not to its own path.

    Raises:
        ValueError: there is no way to log in to the source's host.
        AlpenhornError: the source's row is bad.
    """
    remote = registry.remote_for(node)
    address = None
    if not node.local:
        address = remote.file_addr(requests[0].file).partition(":/")[0]
    source = endpoint(remote, address)
    items = []
    for request in requests:
        try:
            items.append(_item(io, remote, request, target))
        except InvalidName as error:
            text = f"Skipping AFCR#{request.id}: {error.message}"
            report.refused([request], text, request.id, logging.ERROR)
    return source, items


def _item(
    io: DefaultNodeIO, remote: BaseNodeRemote, request: ArchiveFileCopyRequest, target: Any
) -> Item:
    file, path = request.file, str(request.file.path)
    if unprintable(path):
        raise InvalidName(f"cannot transfer {path!a}: control character in the path")
    return Item(
        key=request.id,
        path=io.tree.relative(target or path),
        source=remote.file_path(file),
        size_b=file.size_b,
        md5=file.md5sum or None,
    )


def limits_for(io: DefaultNodeIO, source: Endpoint, items: Sequence[Item]) -> Limits:
    """Say what a batch may cost.

    Raises:
        StorageError: the destination's I/O config is bad.
    """
    base = config.value("daemon.pull_timeout_base")
    speed = config.value("daemon.pull_bytes_per_second")
    rate = None
    if not source.local:
        rate = strictest(datetime.now(), source.options.bandwidth, _bandwidth(io))
    if rate and speed:
        speed = min(speed, rate / 2)  # what we slow down ourselves must not time out
    return Limits(
        timeout=time_limit(sum(item.size_b or 0 for item in items), base, speed),
        remote_shell=tuple(config.value("daemon.remote_shell")),
        bwlimit=rate,
    )


def choose_movers(
    source: Endpoint, items: Sequence[Item], limits: Limits, may_link: bool
) -> list[Mover]:
    """Say what moves a batch, best first; may have to ask the source's host.

    bbcp is for one large file at full speed.
    """
    large = len(items) == 1 and (items[0].size_b or 0) > config.value("daemon.single_file_bytes")
    worth_it = large and not source.local and source.options.bbcp and not limits.bwlimit
    use_bbcp = worth_it and ends.have_it(source, limits.remote_shell)
    return movers_for(source.local, may_link, use_bbcp)


def turns(io: DefaultNodeIO, node: StorageNode) -> dict[Hashable, int]:
    """Say how many transfers at a time the limits allow that hold now for one from `node`.

    What is wrong with a row is not said here: the transfer itself will say it.

    Returns:
        The number, by what it concerns: see `alpenhorn.transfer.bandwidth.Turns`.
    """
    limits: dict[Hashable, int] = {}
    ends = (node.name, io.node.name)
    if most := config.value("daemon.route_transfers"):
        limits[("route", *ends)] = most
    if most := config.value("daemon.node_transfers"):
        limits |= {("node", name): most for name in ends}
    return limits | {("bandwidth", name): 1 for name in _slowed(io, node)}


def _slowed(io: DefaultNodeIO, node: StorageNode) -> list[str]:
    """Name the nodes whose bandwidth limits hold now for a transfer from `node`."""
    slowed: list[str] = []
    if node.local:
        return slowed
    with suppress(AlpenhornError):
        if _bandwidth(io).rate_at(datetime.now()):
            slowed.append(io.node.name)
        if endpoint(registry.remote_for(node)).options.bandwidth.rate_at(datetime.now()):
            slowed.append(node.name)
    return slowed


def _bandwidth(io: DefaultNodeIO) -> Timetable:
    try:
        return read_options(io.config).bandwidth
    except StorageError as error:
        raise StorageError(f"node {io.node.name}: {error.message}") from error
