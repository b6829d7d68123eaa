"""All checks, in order; the start-up of `alpenhorn.bootstrap`, step by step, but without its end.

`bootstrap.start` ends at the first thing that is wrong. Here each step is taken if the ones that
it needs have worked, and whatever is wrong is reported.
"""

from __future__ import annotations

import os

from alpenhorn import db
from alpenhorn.common.host import get_hostname
from alpenhorn.db.queries import names
from alpenhorn.errors import AlpenhornError
from alpenhorn.services.doctor import (
    configuration,
    daemon,
    database,
    extensions,
    nodes,
    routes,
    tools,
)
from alpenhorn.services.doctor.database import ask
from alpenhorn.services.doctor.report import Findings, Section


def examine(
    conf: str | os.PathLike[str] | None, node: str | None = None, with_routes: bool = True
) -> Findings:
    """Check everything that a daemon on this host needs; nothing is written into the index.

    Args:
        conf: the file given with ``--conf``, or None.
        node: check only this node of this host, and the routes to its group; None: all.
        with_routes: whether to log in to other hosts.

    Yields:
        Findings, section by section, as soon as they are known.
    """
    yield from Section("Configuration").guarded(configuration.check(conf))
    loaded = extensions.load()
    index_there = False
    for finding in Section("Database").guarded(database.check()):
        index_there = index_there or (finding.what == database.SCHEMA and finding.good)
        yield finding
    yield from Section("Extensions").guarded(extensions.check(loaded, index_there))
    if index_there:
        yield from Section("Daemon").guarded(daemon.check(_host()))
        yield from Section("Nodes").guarded(nodes.check(_host(), node))
    else:
        text = "daemon, nodes and routes: they stand in the index"
        yield Section("Nodes").warning("not checked", text, "Mend the database first.")
    yield from Section("Tools").guarded(tools.check())
    if index_there and with_routes:
        group = ask(_group_of, node) if node else None
        yield from Section("Routes").guarded(routes.check(_host(), group))


def _host() -> str:
    """Return the daemon host name; with two that differ (reported before), the machine's."""
    try:
        return get_hostname()
    except AlpenhornError:
        return os.uname().nodename.partition(".")[0]


def _group_of(node: str) -> str:
    record = names.record(db.StorageNode, node)
    return str(record.group.name) if record else ""
