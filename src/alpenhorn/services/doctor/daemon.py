"""The daemon of this host, by its lease in the index; and as whom it runs."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from alpenhorn.common.host import machine, process_started
from alpenhorn.db.operations import DaemonLease
from alpenhorn.db.queries import doorbell, leases
from alpenhorn.services.doctor.database import age_text, ask
from alpenhorn.services.doctor.report import Finding, Findings, Section
from alpenhorn.services.waiting_work import LAPSED_S

_SECTION = Section("Daemon")
_START = "Start `alpenhornd` on this host, or look into its log why it ended."


def check(host: str) -> Findings:
    """Look at the lease of this host, and compare our account with the daemon's.

    Args:
        host: the daemon host name.
    """
    if not ask(doorbell.available):
        yield _SECTION.ok("lease", "not known: the index has no table for leases")
        return
    lease = ask(leases.read, host)
    yield _lease(host, lease)
    yield _account(lease)


def _lease(host: str, lease: DaemonLease | None) -> Finding:
    if lease is None:
        return _SECTION.warning("lease", f'no daemon runs for host "{host}"', _START)
    who = f"process {lease.pid} on {lease.machine.partition('/')[0]}, alpenhorn {lease.version}"
    seen = f"last seen {age_text(lease.last_seen)}"
    if not _ours(lease) and leases.age(lease).total_seconds() > LAPSED_S:
        return _SECTION.problem("lease", f"lapsed: {who}, {seen}", _START)
    if _ours(lease) and not _runs(lease):
        return _SECTION.problem("lease", f"lapsed: {who} is gone, {seen}", _START)
    if leases.age(lease).total_seconds() > LAPSED_S:
        advice = "Look into its log: it may have lost the database, or a clock is wrong."
        return _SECTION.problem("lease", f"lapsed although it runs: {who}, {seen}", advice)
    return _SECTION.ok("lease", f"live: {who}, {seen}")


def _ours(lease: DaemonLease) -> bool:
    """Tell whether the process would be one of this machine, so that we can look for it."""
    return bool(lease.machine == machine())


def _runs(lease: DaemonLease) -> bool:
    started = process_started(lease.pid)
    return started is not None and lease.holder.startswith(f"{started}:")


def _account(lease: DaemonLease | None) -> Finding:
    """Rights, keys and known hosts are those of an account: it should be the daemon's."""
    me = _name(os.geteuid())
    if lease is None or not _ours(lease) or not _runs(lease):
        return _SECTION.ok("account", f"checked as {me}; the daemon should run as the same account")
    owner = _owner(lease.pid)
    if owner is None or owner == os.geteuid():
        return _SECTION.ok("account", f"checked as {me}, as the daemon runs")
    text = f"the daemon runs as {_name(owner)}, these checks as {me}"
    advice = f"Run `sudo -u {_name(owner)} alpenhorn doctor`: rights and ssh keys may differ."
    return _SECTION.warning("account", text, advice)


def _owner(pid: int) -> int | None:
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return None


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
