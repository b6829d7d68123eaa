"""Is there work that nobody does, and what daemons left behind (spec: data-index.md §13: 24, W-2)?

Nothing of this is against the rules: nodes are inactive for months, daemons are stopped. But
whoever waits for it should know.
"""

from __future__ import annotations

import datetime
from typing import Any

import peewee as pw

from alpenhorn.common.units import utcnow
from alpenhorn.db.archive import (
    ArchiveFileCopy,
    ArchiveFileCopyRequest,
    ArchiveFileImportRequest,
)
from alpenhorn.db.enums import HasFile, WantsFile
from alpenhorn.db.operations import DaemonLease, Doorbell
from alpenhorn.db.queries.audit import Gravity, Rule, fix_by, rows
from alpenhorn.db.storage import StorageGroup, StorageNode

LEASE_LIFE = datetime.timedelta(seconds=60)
"""A daemon that was not seen for so long is taken to be gone, as other daemons take it."""


def waiting() -> list[Rule]:
    """Rules about pending requests that wait for somebody."""
    request, load, node = ArchiveFileCopyRequest, ArchiveFileImportRequest, StorageNode
    pending = ~request.completed & ~request.cancelled
    columns = (request.id, request.file, request.node_from, request.group_to)
    return [
        _note(
            "request-from-inactive-node",
            "copy requests wait for a source node that is not active",
            "`alpenhorn node activate`, or cancel them with `alpenhorn node sync --cancel`.",
            lambda: request.select(*columns).join(node).where(pending, ~node.active),
        ),
        _note(
            "request-to-inactive-group",
            "copy requests wait for a group without an active node",
            "Activate a node of the group, or cancel them with `alpenhorn node sync --cancel`.",
            lambda: (
                request.select(*columns)
                .join(StorageGroup)
                .where(pending, ~pw.fn.EXISTS(_active_nodes(StorageGroup.id)))
            ),
        ),
        _note(
            "import-on-inactive-node",
            "import requests wait for a node that is not active",
            "`alpenhorn node activate`.",
            lambda: (
                load.select(load.id, load.node, load.path)
                .join(node)
                .where(~load.completed, ~node.active)
            ),
        ),
    ]


def of_daemons() -> list[Rule]:
    """Rules that need our own tables."""
    copy, node = ArchiveFileCopy, StorageNode
    return [
        _note(
            "claimed-by-nobody",
            "copies are suspect and released, as while they are being deleted, but no daemon "
            "runs for their node",
            "They protect nothing. The daemon of the node goes on with them when it is started.",
            lambda: (
                copy.select(copy.id, copy.file, copy.node)
                .join(node)
                .where(
                    copy.has_file == HasFile.SUSPECT,
                    copy.wants_file == WantsFile.RELEASED,
                    ~pw.fn.EXISTS(_live_leases(node.host)),
                )
            ),
        ),
        Rule(
            "lease-of-no-host",
            "daemons that are gone were for hosts without any node",
            "They hold nothing.",
            rows(lambda: DaemonLease.select(*_LEASE).where(_gone(DaemonLease.host))),
            fix_by("forgets them", lambda: DaemonLease.delete().where(_gone(DaemonLease.host))),
            Gravity.NOTE,
        ),
        Rule(
            "doorbell-of-no-host",
            "doorbells are those of hosts without any node",
            "Nobody rings them.",
            rows(lambda: Doorbell.select(Doorbell.host).where(_without_nodes(Doorbell.host))),
            fix_by(
                "takes them away",
                lambda: Doorbell.delete().where(_without_nodes(Doorbell.host)),
            ),
            Gravity.NOTE,
        ),
    ]


_LEASE = (DaemonLease.host, DaemonLease.pid, DaemonLease.last_seen)


def _note(key: str, wrong: str, advice: str, select: Any) -> Rule:
    return Rule(key, wrong, advice, rows(select), gravity=Gravity.NOTE)


def _active_nodes(group_id: Any) -> Any:
    node = StorageNode.alias()
    return node.select(node.id).where(node.group == group_id, node.active)


def _live_leases(host: Any) -> Any:
    alive = DaemonLease.last_seen > utcnow() - LEASE_LIFE
    return DaemonLease.select(DaemonLease.host).where(DaemonLease.host == host, alive)


def _gone(host: Any) -> Any:
    return (DaemonLease.last_seen < utcnow() - LEASE_LIFE) & _without_nodes(host)


def _without_nodes(host: Any) -> Any:
    node = StorageNode.alias()
    return ~pw.fn.EXISTS(node.select(node.id).where(node.host == host))
