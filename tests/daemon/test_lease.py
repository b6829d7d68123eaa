"""One daemon per host: who may start, who must stop, and when a dead one's place is taken."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from alpenhorn import db
from alpenhorn.common.host import process_started
from alpenhorn.common.units import utcnow
from alpenhorn.daemon import lease as module
from alpenhorn.daemon.lease import LAPSED_S, Lease
from alpenhorn.db import schema
from alpenhorn.db.operations import OPERATIONS_TABLES, DaemonLease
from alpenhorn.db.queries import doorbell
from alpenhorn.errors import AnotherDaemon

pytestmark = pytest.mark.usefixtures("index")


@pytest.fixture
def leases() -> Iterator[list[Lease]]:
    """Leases that the test took; all are given up at its end."""
    taken: list[Lease] = []
    yield taken
    for lease in taken:
        lease.release()


@pytest.fixture
def take(leases: list[Lease]) -> Any:
    def take(host: str = "here", on_lost: Any = None) -> Lease:
        lease = Lease(host, on_lost or (lambda: None))
        leases.append(lease)
        lease.take()
        return lease

    return take


def row(host: str = "here") -> DaemonLease:
    return DaemonLease.get(DaemonLease.host == host)


def change(**values: Any) -> None:
    DaemonLease.update(**values).execute()


def elsewhere(seen_ago_s: float) -> None:
    """Make the lease that of a daemon on another machine."""
    seen = utcnow() - datetime.timedelta(seconds=seen_ago_s)
    change(machine="farhost/boot/pid", pid=4711, holder="99:other", last_seen=seen)


def test_a_second_daemon_refuses_and_names_the_first(take: Any) -> None:
    take()
    with pytest.raises(AnotherDaemon) as refused:
        take()
    text = refused.value.message
    assert f'Another daemon manages host "here": process {os.getpid()} ' in text
    assert "Stop it first, or give this one another base.hostname." in text
    assert "\n" not in text


def test_the_first_keeps_its_lease_when_a_second_was_refused(take: Any) -> None:
    take()
    before = row().holder
    with pytest.raises(AnotherDaemon):
        take()
    assert row().holder == before


def test_daemons_of_other_hosts_are_not_concerned(take: Any) -> None:
    take("here")
    take("there")


def test_after_a_clean_end_the_next_starts_at_once(take: Any) -> None:
    take().release()
    assert DaemonLease.select().count() == 0
    take()


def test_a_process_that_is_gone_is_taken_over_at_once(take: Any) -> None:
    """After kill -9 the service manager's restart works; nobody waits for a time-out."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    take()
    change(pid=gone.pid, holder="12345:dead", last_seen=utcnow())
    take()
    assert row().pid == os.getpid()


def test_a_process_that_has_the_number_of_a_dead_one_is_not_mistaken_for_it(take: Any) -> None:
    """Process ids are used again: the start time tells them apart."""
    take()
    change(holder="1:earlier", last_seen=utcnow())
    take()
    assert row().holder.startswith(f"{process_started(os.getpid())}:")


def test_a_zombie_is_no_daemon() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.read()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    try:
        assert process_started(child.pid) is None
    finally:
        child.wait()
        child.stdout.close()


def test_a_daemon_elsewhere_that_was_just_seen_is_alive(take: Any) -> None:
    take()
    elsewhere(LAPSED_S - 10)
    with pytest.raises(AnotherDaemon, match=r"process 4711 .* on farhost, last seen 50 s ago"):
        take()


def test_a_lapsed_lease_is_taken_over(take: Any) -> None:
    take()
    elsewhere(LAPSED_S + 1)
    take()
    assert row().pid == os.getpid()


def test_of_two_that_take_over_at_once_one_wins(take: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both saw the lapsed lease; the second one's conditional update finds another holder."""
    take()
    elsewhere(LAPSED_S + 1)
    stale = row()
    take()
    monkeypatch.setattr(module.leases, "read", lambda host: stale)
    with pytest.raises(AnotherDaemon, match="has just started"):
        take()


def test_a_lost_lease_stops_the_daemon(take: Any) -> None:
    lost: list[bool] = []
    lease = take(on_lost=lambda: lost.append(True))
    lease.renew()
    assert not lost
    elsewhere(0)
    lease.renew()
    assert lost == [True]
    lease.release()
    assert row().holder == "99:other", "the other's lease is left alone"


def test_renewing_shows_that_we_are_alive(take: Any) -> None:
    lease = take()
    change(last_seen=utcnow() - datetime.timedelta(seconds=50))
    lease.renew()
    assert (utcnow() - row().last_seen).total_seconds() < 10


def test_the_lease_is_renewed_by_itself(take: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon may be in a long pass: a thread renews, and tells of the loss."""
    import threading

    monkeypatch.setattr(module, "RENEW_S", 0.01)
    lost = threading.Event()
    take(on_lost=lost.set)
    elsewhere(0)
    assert lost.wait(10)


def test_an_index_without_our_tables_needs_no_lease(take: Any) -> None:
    """The index of an older alpenhorn: two daemons are the operator's own risk there."""
    db.database_proxy.drop_tables(OPERATIONS_TABLES)
    db.DataIndexVersion.delete().where(db.DataIndexVersion.component == "operations").execute()
    doorbell._available = (None, False)
    assert not schema.operations_available()
    take().renew()
    take()
