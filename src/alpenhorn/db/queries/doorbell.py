"""Waking other hosts' daemons, and noticing to be woken (design §5).

The doorbell is a help, not a need: where our own tables are missing, or another program makes a
request, the daemon finds it in its next pass.
"""

from __future__ import annotations

from collections.abc import Iterable

import peewee as pw

from alpenhorn.db.connection import database_proxy
from alpenhorn.db.operations import Doorbell
from alpenhorn.db.queries.common import insert_missing, tuples
from alpenhorn.db.schema import operations_available
from alpenhorn.db.storage import StorageGroup, StorageNode

_available: tuple[object, bool] = (None, False)


def available() -> bool:
    """Tell whether our own tables are there (asked once per database)."""
    global _available
    database = database_proxy.obj
    if _available[0] is not database:
        _available = (database, operations_available())
    return _available[1]


def ring(hosts: Iterable[str | None]) -> None:
    """Wake the daemons of `hosts`; belongs into the transaction of the request itself."""
    names = sorted({host for host in hosts if host})
    if not names or not available():
        return
    for host in names:
        raised = Doorbell.update(rings=Doorbell.rings + 1).where(Doorbell.host == host)
        if not raised.execute():
            insert_missing(Doorbell, [{"host": host, "rings": 0}])
            raised.execute()  # also if somebody else made the row at this moment


def ring_nodes(node_ids: Iterable[int]) -> None:
    """Wake the daemons that manage these nodes."""
    ids = sorted(set(node_ids))
    if ids and available():
        query = StorageNode.select(StorageNode.host).where(StorageNode.id << ids)
        ring(host for (host,) in tuples(query))


def ring_groups(group_ids: Iterable[int]) -> None:
    """Wake the daemons that manage active nodes of these groups."""
    ids = sorted(set(group_ids))
    if ids and available():
        query = (
            StorageNode.select(StorageNode.host)
            .join(StorageGroup)
            .where(StorageGroup.id << ids, StorageNode.active == True)  # noqa: E712
            .distinct()
        )
        ring(host for (host,) in tuples(query))


def rings(host: str) -> int | None:
    """Read the counter of a host by primary key.

    Returns:
        The counter; None where it cannot be read (no tables, or the database does not answer:
        the next pass will notice that).
    """
    if not available():
        return None
    try:
        row = Doorbell.select(Doorbell.rings).where(Doorbell.host == host).tuples().first()
    except pw.PeeweeException:
        return None
    return row[0] if row else 0
