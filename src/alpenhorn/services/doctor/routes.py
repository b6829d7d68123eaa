"""The routes in use from other hosts to this one: name, log-in, rsync, root, and how fast.

Nothing is written at the far end. What the checks run there is one of three fixed commands:
``true``, ``rsync --version`` and ``cat``; the root is looked at in the way of a transfer.
"""

from __future__ import annotations

import secrets
import socket
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from shlex import quote

from alpenhorn.common import config
from alpenhorn.common.processes import run_command, timeout_call
from alpenhorn.common.units import pretty_bytes
from alpenhorn.db import StorageNode
from alpenhorn.db.queries import doctor
from alpenhorn.db.queries.doctor import RouteUse
from alpenhorn.errors import AlpenhornError
from alpenhorn.io import registry
from alpenhorn.io.default import remote
from alpenhorn.io.default.node import DefaultNodeIO
from alpenhorn.services.doctor import tools
from alpenhorn.services.doctor.database import ask
from alpenhorn.services.doctor.probe import NODE_FILE
from alpenhorn.services.doctor.report import Finding, Findings, Section
from alpenhorn.transfer import sharing, ssh
from alpenhorn.transfer.batch import Endpoint, Item, Limits
from alpenhorn.transfer.failures import TransferFailed
from alpenhorn.transfer.rsync import RsyncMover
from alpenhorn.transfer.ssh_failures import explain, last_line

LIMIT_S = 40.0
"""For one command at the far end; longer than ssh waits for a connection."""

NAME_LIMIT_S = 10.0
"""For a name to be resolved."""

TRIAL_B = 2**20
"""Bytes that travel there and back."""

_KNOWN = 0.25
"""Share of the time of a round trip below which a difference of two log-ins tells nothing."""

_BY_HAND = "Try `ssh -v {} true` as the daemon's account."

_NO_COMMAND = 127
"""Exit status of a shell that does not find a program (POSIX, Shell Command Language 2.8.2)."""


def check(host: str, group: str | None = None) -> Findings:
    """Check the routes in use to a host; each of them ends at the first problem.

    Args:
        host: the daemon host name.
        group: only routes to this group; None: all.
    """
    uses = [use for use in ask(doctor.routes_to, host) if group in (None, *use.groups)]
    if not uses:
        yield Section("Routes").ok("none", "no other host is copied from")
    for use in uses:
        section = Section(f"Route {use.source.name} -> {', '.join(use.groups)}")
        yield from section.guarded(_check_route(section, use))


def _check_route(section: Section, use: RouteUse) -> Findings:
    node = use.source
    if not node.active:
        text = f"no: nothing is copied from {node.name}; pending requests: {use.pending}"
        yield section.ok("active", text)
        return
    try:
        source = remote.endpoint(registry.remote_for(node))
    except AlpenhornError as error:
        change = f"alpenhorn node modify {quote(node.name)}"
        advice = f"Correct it: `{change} --address HOST --username USER`, or --io-var NAME=VALUE."
        yield section.problem("address", error.message, advice)
        return
    for step in (_resolve, _log_in, _rsync, _root, _rate):
        finding = step(section, node, source)
        yield finding
        if not finding.good:
            return


def _shell() -> list[str]:
    words: list[str] = config.value("daemon.remote_shell")
    return words


def _resolve(section: Section, node: StorageNode, source: Endpoint) -> Finding:
    """Resolve the name that ssh will use: it knows aliases, and jump hosts that resolve names."""
    _, name = ssh.user_and_host(source)
    settings = _ssh_settings(source)
    if proxy := settings.get("proxyjump") or settings.get("proxycommand"):
        return section.ok("name", f"{name}, by way of {proxy}")
    target = settings.get("hostname", name)
    try:
        found = timeout_call(socket.getaddrinfo, NAME_LIMIT_S, target, None)
    except (OSError, UnicodeError) as error:  # TimeoutError is an OSError
        cause = getattr(error, "strerror", None) or error
        change = f"alpenhorn node modify {quote(node.name)} --address HOST"
        advice = f"Correct it: `{change}`, the name service, or ~/.ssh/config."
        return section.problem("name", f"{target} cannot be resolved: {cause}", advice)
    return section.ok("name", f"{name} is {found[0][4][0]}")


def _ssh_settings(source: Endpoint) -> dict[str, str]:
    """Ask OpenSSH how it would connect (``ssh -G``); empty for another remote shell."""
    command = ssh.login_command(source, _shell())
    if Path(command[0]).name != "ssh":
        return {}
    status, out, _ = run_command([command[0], "-G", *command[1:]], timeout=LIMIT_S)
    pairs = (line.partition(" ") for line in out.splitlines()) if status == 0 else ()
    return {key: value for key, _, value in pairs if value != "none"}


def _log_in(section: Section, node: StorageNode, source: Endpoint) -> Finding:
    started = time.monotonic()
    try:
        status, _, complaint = _there(source, ["true"])
    except TransferFailed as failed:
        return section.problem("log-in", str(failed), _BY_HAND.format(source.address))
    if status == 0:
        return section.ok("log-in", f"as {source.address} in {time.monotonic() - started:.1f} s")
    user, host = ssh.user_and_host(source)
    if explanation := explain(complaint, user, host):
        wrong, _, advice = explanation.partition(": ")
        return section.problem("log-in", wrong, advice[:1].upper() + advice[1:])
    cause = last_line(complaint) or f"exit status {status}"
    if status is None:
        cause = f"no answer within {LIMIT_S:g} s"
    text = f"as {source.address} fails: {cause}"
    return section.problem("log-in", text, _BY_HAND.format(source.address))


def _rsync(section: Section, node: StorageNode, source: Endpoint) -> Finding:
    program = source.options.rsync_path or "rsync"
    status, said, complaint = _there(source, [program, "--version"])
    version = tools.rsync_version(said)
    if status == 0 and version:
        text, good = f"{tools.shown(version)} at the far end", version >= tools.RSYNC_LEAST
        return section.judged(good, "rsync", text, f"Install 3.1 or newer on {node.address}.")
    missing = status == _NO_COMMAND or "not found" in complaint
    cause = "is not there" if missing else last_line(complaint) or f"exit status {status}"
    advice = f"Install rsync on {node.address}, or say where it is: --io-var=rsync_path=PATH."
    return section.problem("rsync", f"{program} at the far end: {cause}", advice)


def _root(section: Section, node: StorageNode, source: Endpoint) -> Finding:
    """Fetch the node file, as a transfer fetches any file."""
    node_class = registry.entry_for(node).node_class
    if node_class is None or not issubclass(node_class, DefaultNodeIO):
        return section.ok("root", f"not looked at: class {node.io_class} has its own way")
    item = Item(1, NODE_FILE, f"{source.root.rstrip('/')}/{NODE_FILE}")
    limits = Limits(timeout=LIMIT_S, remote_shell=tuple(_shell()))
    with tempfile.TemporaryDirectory(prefix="alpenhorn-doctor-") as staging:
        (outcome,) = RsyncMover().move([item], source, Path(staging), limits)
        named = _first_line(Path(staging, NODE_FILE)) if outcome.ok else ""
    if not outcome.ok:
        advice = f"Mount it there, and let {source.address} read it."
        text = f"{source.root} at the far end: {outcome.message}"
        return section.problem("root", text, advice)
    advice = f"Have the right medium mounted at {source.root} on {node.address}."
    text = f"{source.root} can be read"
    if named != node.name:
        text = f'{source.root} is node "{named}", not {node.name}'
    return section.judged(named == node.name, "root", text, advice)


def _rate(section: Section, node: StorageNode, source: Endpoint) -> Finding:
    """Send `TRIAL_B` bytes there and back, through ``cat``; the time of a log-in is taken off."""
    sent, size = secrets.token_hex(TRIAL_B // 2), pretty_bytes(TRIAL_B)
    start = time.monotonic()
    _there(source, ["true"])
    logged_in = time.monotonic()
    status, returned, complaint = _there(source, ["cat"], sent.encode())
    took = time.monotonic() - logged_in
    if status is None:
        advice = "If the line is not that slow, look for what hangs: a firewall, or a wrong MTU."
        return section.warning("round trip", f"{size} not back within {LIMIT_S:g} s", advice)
    if status != 0 or returned != sent:
        wrong = "came back changed" if status == 0 else last_line(complaint) or "did not come back"
        advice = "The log-in must print nothing of its own (.bashrc), and the connection must hold."
        return section.problem("round trip", f"{size}: {wrong}", advice)
    rate = _rate_text(took, took - (logged_in - start))
    return section.ok("round trip", f"{size} there and back in {took:.1f} s, {rate}")


def _rate_text(took: float, moving: float) -> str:
    """Write the rate; where nearly all of the time was the log-in, only a lower bound is known.

    Args:
        took: seconds of the round trip with its log-in.
        moving: seconds without it, as far as another log-in took as long.
    """
    least = took * _KNOWN
    rate = pretty_bytes(int(2 * TRIAL_B / max(moving, least)))
    return f"about {rate}/s" if moving > least else f"more than {rate}/s"


def _there(
    source: Endpoint, words: Sequence[str], input: bytes | None = None
) -> tuple[int | None, str, str]:
    """Run a command at the far end; its words must mean nothing to a shell.

    Returns:
        See `run_command`.

    Raises:
        TransferFailed: nobody can log in there, as can be told from here.
    """
    return run_command([*sharing.login(source, _shell()), *words], timeout=LIMIT_S, input=input)


def _first_line(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline(1000).rstrip()
