"""One daemon per host: the lease is taken at start, renewed while we live, given up at the end.

A lease that lapsed, or whose process is gone on this machine, is taken over at once. Where the
index has no table for leases, there is nothing to hold (design §7).
"""

from __future__ import annotations

import logging
import os
import threading
import uuid
from collections.abc import Callable

import peewee as pw

from alpenhorn import __version__, db
from alpenhorn.common.host import machine, process_started
from alpenhorn.db.queries import doorbell, leases
from alpenhorn.errors import AnotherDaemon

log = logging.getLogger(__name__)

RENEW_S = 10.0
LAPSED_S = 60.0


class Lease:
    """The right of this process to manage the nodes of a host.

    Args:
        host: the daemon host.
        on_lost: called, in the renewing thread, if another daemon took the lease.
    """

    def __init__(self, host: str, on_lost: Callable[[], None]) -> None:
        self._host = host
        self._on_lost = on_lost
        self._me = leases.Holder(
            token=f"{process_started(os.getpid())}:{uuid.uuid4().hex}"[:64],
            machine=machine(),
            pid=os.getpid(),
            version=__version__,
        )
        self._held = False
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self) -> None:
        """Take the lease.

        Raises:
            AnotherDaemon: another daemon for this host is alive; the text names it.
        """
        if not doorbell.available():
            log.debug("The index has no table for leases; run `alpenhorn db init` to add it.")
            return
        current = leases.read(self._host)
        if current is not None and self._alive(current):
            raise AnotherDaemon(
                f'Another daemon manages host "{self._host}": process {current.pid} '
                f"(alpenhorn {current.version}) on {current.machine.partition('/')[0]}, "
                f"last seen {leases.age(current).total_seconds():.0f} s ago. Stop it first, "
                "or give this one another base.hostname."
            )
        if not leases.take(self._host, self._me, over=current.holder if current else None):
            raise AnotherDaemon(f'Another daemon for host "{self._host}" has just started.')
        self._held = True
        if db.threadsafe():
            self._thread = threading.Thread(target=self._keep, name="Lease", daemon=True)
            self._thread.start()

    def release(self) -> None:
        """Give the lease up; the index may be away."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout=5)
        if not self._held:
            return
        self._held = False
        try:
            leases.release(self._host, self._me.token)
        except pw.PeeweeException as error:
            log.warning(f"Cannot give up the lease of this host: {error}")

    def renew(self) -> None:
        """Say that we are alive; called now and then."""
        if self._held and not leases.renew(self._host, self._me.token):
            log.error(f'Another daemon has taken over host "{self._host}": stopping.')
            self._held = False
            self._on_lost()

    def _keep(self) -> None:
        while not self._ended.wait(RENEW_S):
            try:
                self.renew()
            except pw.PeeweeException as error:
                log.debug(f"Cannot renew the lease of this host: {error}")
        db.close()

    def _alive(self, lease: db.operations.DaemonLease) -> bool:
        if lease.machine == self._me.machine:
            started = process_started(lease.pid)
            return started is not None and lease.holder.startswith(f"{started}:")
        return leases.age(lease).total_seconds() < LAPSED_S
