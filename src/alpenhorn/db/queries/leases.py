"""One daemon per host: the lease (design §7)."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from alpenhorn.common.units import utcnow
from alpenhorn.db.connection import change
from alpenhorn.db.operations import DaemonLease
from alpenhorn.db.queries.common import insert_missing


@dataclass(frozen=True)
class Holder:
    """The process that holds a lease."""

    token: str
    machine: str
    pid: int
    version: str


def read(host: str) -> DaemonLease | None:
    """Return the lease of a host, if there is one."""
    return DaemonLease.get_or_none(DaemonLease.host == host)


def take(host: str, holder: Holder, over: str | None) -> bool:
    """Take the lease of a host, in one transaction.

    Args:
        host: the daemon host.
        holder: who takes it.
        over: token of the lapsed lease that is replaced; None if there was none.

    Returns:
        False if somebody else was quicker.
    """
    now = utcnow()
    values = {
        "holder": holder.token,
        "machine": holder.machine,
        "pid": holder.pid,
        "version": holder.version,
        "started": now,
        "last_seen": now,
    }
    with change():
        if over is None:
            insert_missing(DaemonLease, [{"host": host, **values}])
        else:
            DaemonLease.update(values).where(
                DaemonLease.host == host, DaemonLease.holder == over
            ).execute()
        row = DaemonLease.get_or_none(DaemonLease.host == host)
        return row is not None and row.holder == holder.token


def renew(host: str, token: str) -> bool:
    """Say that the holder is alive.

    Returns:
        False if the lease is no longer this holder's: another daemon took it.
    """
    renewed = (
        DaemonLease.update(last_seen=utcnow())
        .where(DaemonLease.host == host, DaemonLease.holder == token)
        .execute()
    )
    if renewed:
        return True
    row = read(host)  # MySQL counts no row when the second has not changed
    return row is not None and row.holder == token


def release(host: str, token: str) -> None:
    """Give the lease up at shutdown."""
    DaemonLease.delete().where(DaemonLease.host == host, DaemonLease.holder == token).execute()


def age(lease: DaemonLease) -> datetime.timedelta:
    """Return how long ago the holder was last seen."""
    return utcnow() - lease.last_seen
