"""The daemon of this host: live, lapsed, or none."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from typing import Any

import pytest

from alpenhorn.common.host import machine, process_started
from alpenhorn.common.units import utcnow
from alpenhorn.db.operations import DaemonLease
from alpenhorn.db.queries import doorbell
from alpenhorn.services.doctor import daemon
from alpenhorn.services.doctor.report import Finding, Status

pytestmark = pytest.mark.usefixtures("index")


@pytest.fixture
def lease() -> Callable[..., None]:
    """Make a lease of this process, but for what a test says."""

    def make(ago_s: float = 1, **values: Any) -> None:
        values = {
            "host": "here",
            "holder": f"{process_started(os.getpid())}:token",
            "machine": machine(),
            "pid": os.getpid(),
            "version": "3.0.0",
            "last_seen": utcnow() - datetime.timedelta(seconds=ago_s),
        } | values
        DaemonLease.create(**values)

    return make


def found() -> tuple[Finding, Finding]:
    lease, account = daemon.check("here")
    return lease, account


def test_no_daemon() -> None:
    lease, account = found()
    assert lease.status is Status.WARNING
    assert lease.text == 'no daemon runs for host "here"'
    assert "Start `alpenhornd`" in lease.advice
    assert account.good


def test_a_live_daemon_of_this_account(lease: Callable[..., None]) -> None:
    lease()
    found_lease, account = found()
    assert found_lease.status is Status.OK
    assert found_lease.text.startswith(f"live: process {os.getpid()} on ")
    assert account.text.endswith(", as the daemon runs")


def test_a_daemon_of_another_account(
    lease: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rights and keys are those of the daemon's account, not of who runs the checks."""
    lease()
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    _, account = found()
    assert account.status is Status.WARNING
    assert "alpenhorn doctor" in account.advice


def test_a_daemon_that_was_killed(lease: Callable[..., None]) -> None:
    """Its process is gone from this machine: nobody needs to wait until the lease lapses."""
    lease(holder="1:token")
    found_lease, _ = found()
    assert found_lease.status is Status.PROBLEM
    assert " is gone, last seen " in found_lease.text


@pytest.mark.parametrize(("ago_s", "status"), [(30, Status.OK), (90, Status.PROBLEM)])
def test_a_daemon_on_another_machine(
    lease: Callable[..., None], ago_s: float, status: Status
) -> None:
    lease(ago_s, machine="elsewhere/boot/pid")
    found_lease, _ = found()
    assert found_lease.status is status
    assert "on elsewhere, " in found_lease.text


def test_a_daemon_that_runs_but_is_not_seen(lease: Callable[..., None]) -> None:
    lease(90)
    found_lease, _ = found()
    assert found_lease.status is Status.PROBLEM
    assert found_lease.text.startswith("lapsed although it runs")


def test_an_index_without_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doorbell, "available", lambda: False)
    (finding,) = daemon.check("here")
    assert finding.good
