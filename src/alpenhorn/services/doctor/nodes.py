"""The nodes of this host: is the medium there, is it the right one, can it be worked with?"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from watchdog.observers import Observer

from alpenhorn.common.processes import run_command
from alpenhorn.common.similar import similar
from alpenhorn.common.units import pretty_bytes
from alpenhorn.db import StorageNode
from alpenhorn.db.queries import listing
from alpenhorn.db.queries import nodes as node_queries
from alpenhorn.db.queries.listing import NodeFilter
from alpenhorn.db.storage import GIB
from alpenhorn.errors import AlpenhornError
from alpenhorn.io import registry
from alpenhorn.io.default.node import DefaultNodeIO
from alpenhorn.services.doctor.database import ask
from alpenhorn.services.doctor.report import Finding, Findings, Section

LIMIT_S = 20.0
"""For a look at a root, and for a trial; a file system that takes longer is taken to hang."""

COUNT_LIMIT_S = 60.0
"""For counting directories."""

_NETWORKED = {"nfs", "nfs4", "cifs", "smb3", "ceph", "lustre", "gpfs", "fuse.sshfs", "9p", "afs"}
_INOTIFY = Path("/proc/sys/fs/inotify/max_user_watches")


def check(host: str, only: str | None = None) -> Findings:
    """Check the nodes of a host.

    Args:
        host: the daemon host name.
        only: the one node to check, which then need not be active; None: all.
    """
    mine = ask(node_queries.on_host, host)
    chosen = [node for node in mine if only in (None, node.name)]
    if not chosen:
        yield from _none(host, only, [node.name for node in mine])
    watches = 0
    for node in sorted(chosen, key=lambda node: node.name):
        section = Section(f"Node {node.name}")
        if not node.active and only is None:
            yield section.ok("active", "no: the daemon leaves it alone, and so do these checks")
            continue
        checks = _Checks(section, node, watches)
        yield from section.guarded(checks.all())
        watches = checks.watches


def _none(host: str, only: str | None, mine: Sequence[str]) -> Findings:
    section = Section("Nodes" if only is None else f"Node {only}")
    if only is not None:
        meant = similar(only, mine)
        hint = f"Did you mean {meant[0]}? " if meant else ""
        text = f'host "{host}" has no node of this name'
        yield section.problem("name", text, f"{hint}`alpenhorn node list` shows all.")
        return
    known = similar(host, {node.host for node in ask(listing.nodes, NodeFilter()) if node.host})
    hint = f"Did you mean {known[0]}? " if known else ""
    advice = f"{hint}Set base.hostname, or the nodes' --host, so that they agree."
    yield section.warning("none", f'no node has host "{host}": there is nothing to do', advice)


class _Checks:
    """The checks of one node.

    Args:
        section: where findings go.
        node: the node.
        watches: inotify watches that nodes before this one need.
    """

    def __init__(self, section: Section, node: StorageNode, watches: int) -> None:
        self.section = section
        self.node = node
        self.watches = watches

    def all(self) -> Findings:
        """Make all checks that make sense."""
        try:
            node_class = registry.entry_for(self.node).node_class
            registry.remote_for(self.node)
        except AlpenhornError as error:
            advice = "Load the extension that has the class, or correct it with `node modify`."
            yield self.section.problem("class", error.message, advice)
            return
        if node_class is None or not issubclass(node_class, DefaultNodeIO):
            yield self.section.ok("class", f"{self.node.io_class}: looks after its own medium")
            return
        looked = _probe("look", self.node.root, LIMIT_S)
        if "error" in looked:
            yield self._no_root(looked["error"])
            return
        yield self.section.ok("root", str(self.node.root))
        identity = self._identity(looked["name"])
        yield identity
        yield from self._space(looked)
        if identity.good:  # nothing is written on a medium that is not this node's
            yield from self._trial(looked["file_system"])
        if self.node.auto_import:
            yield from self._watch(node_class, looked["file_system"])

    def _no_root(self, cause: str) -> Finding:
        change = f"alpenhorn node modify {quote(self.node.name)} --root DIRECTORY"
        advice = f"Mount or make it, or correct it with `{change}`."
        text = f"{self.node.root or '(none set)'}: {cause}"
        return self.section.problem("root", text, advice)

    def _identity(self, found: str | None) -> Finding:
        name, path = self.node.name, f"{self.node.root}/ALPENHORN_NODE"
        if found == name:
            return self.section.ok("identity", f"ALPENHORN_NODE names {name}")
        if found is None:
            init = f"alpenhorn node init {quote(name)}"
            advice = f"Mount the right medium, or, if it is new, run `{init}`."
            return self.section.problem("identity", f"there is no {path}", advice)
        advice = f'Mount the right medium; if this is it, write "{name}" into {path}.'
        return self.section.problem("identity", f'{path} names another node: "{found}"', advice)

    def _space(self, looked: dict[str, Any]) -> Findings:
        free_b, least_b = looked["free_b"], int((self.node.min_avail_gb or 0) * GIB)
        text = f"{pretty_bytes(free_b)} free"
        if free_b < least_b or looked["free_files"] == 0:
            less = f"less than the least of {pretty_bytes(least_b)}"
            if free_b >= least_b:
                less = "but no inode for another file"
            advice = "No file is brought here until there is room: clean it, or change --min-avail."
            yield self.section.warning("space", f"{text}, {less}", advice)
        else:
            yield self.section.ok("space", text)
        most_gb = self.node.max_total_gb or 0
        if most_gb > 0 and (used_gb := ask(self.node.get_total_gb)) >= most_gb:
            used, most = pretty_bytes(used_gb * GIB), pretty_bytes(most_gb * GIB)
            advice = "No file is brought here: release files, or change --max-total."
            yield self.section.warning("size", f"full: {used} of at most {most}", advice)

    def _trial(self, file_system: str) -> Findings:
        tried = _probe("try", self.node.root, LIMIT_S)
        if "error" in tried or "failed" in tried:
            what = f"cannot {tried.get('failed', 'work in')} {self.node.root}"
            cause = tried.get("cause") or tried.get("error")
            advice = "Let the account of the daemon write there (owner, mode, read-only mount?)."
            yield self.section.problem("writing", f"{what}: {cause}", advice)
            return
        yield self.section.ok("writing", "files can be written, flushed, renamed and deleted")
        links = "hard links" if tried["links"] else "no hard links (files are copied)"
        leases = "leases" if tried["leases"] else "no leases (writers are seen by time only)"
        yield self.section.ok("file system", f"{file_system}: {links}, {leases}")

    def _watch(self, node_class: type[DefaultNodeIO], file_system: str) -> Findings:
        if node_class.observer is not Observer:
            yield self.section.ok("watch", f"class {self.node.io_class} looks for changes itself")
            return
        if file_system in _NETWORKED:
            text = f"auto-import on {file_system} does not see what other hosts write"
            yield self.section.warning("watch", text, "Give the node --class=Polling.")
        yield self._watches()

    def _watches(self) -> Finding:
        counted = _probe("count", self.node.root, COUNT_LIMIT_S)
        if "directories" not in counted or not _INOTIFY.exists():
            text = f"the directories below the root were not counted: {counted.get('error')}"
            advice = "Compare their number with fs.inotify.max_user_watches (sysctl)."
            return self.section.warning("watch", text, advice)
        self.watches += counted["directories"]
        limit = int(_INOTIFY.read_text())
        text = f"{self.watches} directories to watch so far, of {limit} that the kernel allows"
        advice = f"sysctl fs.inotify.max_user_watches={max(2 * self.watches, 524288)}, and keep it."
        if self.watches > limit:
            return self.section.problem("watch", text, advice)
        if self.watches > 0.8 * limit:
            return self.section.warning("watch", text, advice)
        return self.section.ok("watch", text)


def _probe(step: str, root: str | None, limit_s: float) -> dict[str, Any]:
    """Look at a root in a process of its own (see `probe`)."""
    if not root or not root.startswith("/") or "\0" in root:
        return {"error": "it is no absolute path"}
    command = [sys.executable, "-m", "alpenhorn.services.doctor.probe", step, root]
    status, printed, complaint = run_command(command, timeout=limit_s)
    if status is None:
        return {"error": f"hangs: no answer within {limit_s:g} s"}
    if status:
        return {"error": complaint.strip().splitlines()[-1] if complaint else f"status {status}"}
    found: dict[str, Any] = json.loads(printed)
    return found
