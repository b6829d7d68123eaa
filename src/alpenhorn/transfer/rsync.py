"""rsync: one process, and for a remote source one login, per batch.

Everything that comes from a row travels in the list on standard input, NUL-terminated, where
rsync takes names literally: no shell, no wildcards, no options. A list entry ``/root/./acq/file``
means "the file below /root, staged as acq/file" (rsync(1), ``--relative``), so the operand of
the source is always just ``/``.

rsync follows linked directories on the way to a file. So the directories between the root and the
files stand in the list too, under their full paths: since directories and links are left out
(``--no-dirs``, ``--no-links``), nothing of them is sent, but rsync complains about those that are
links (`rsync_links`), and what came through them is thrown away.

Partial data are written in place and thus survive even kill -9; the next attempt sends only what
is missing. What rsync skips or resumes is decided by content (``--ignore-times``), never by equal
size and time, and whatever it delivers is verified by the caller.
"""

from __future__ import annotations

import os
import posixpath
import re
import shlex
import shutil
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from alpenhorn.common.processes import run_command
from alpenhorn.errors import FailureClass
from alpenhorn.transfer import rsync_links, sharing
from alpenhorn.transfer.batch import Endpoint, Item, Limits, Outcome
from alpenhorn.transfer.below import locate
from alpenhorn.transfer.failures import LINKED_DIRECTORY, TransferFailed, cause
from alpenhorn.transfer.rsync_report import Report, read_report

_OPTIONS = (
    "--protect-args",  # nothing of ours is interpreted by the remote shell (3.0 and later)
    "--files-from=-",
    "--from0",
    "--no-implied-dirs",  # directories on the way get our own modes and owners
    "--no-dirs",  # only asked about, see above
    "--no-links",  # a link at the source is neither made here nor followed
    "--times",
    "--perms",
    "--chmod=ug-s",  # data need no set-user-ID bits
    "--inplace",
    "--partial",
    "--ignore-times",
)
_NOT_INSTALLED = "rsync is not installed here: install it, and make sure it is in the daemon's PATH"


class RsyncMover:
    """Moves a batch with one rsync, from a remote or a local source."""

    name = "rsync"

    def move(
        self, items: Sequence[Item], source: Endpoint, staging: Path, limits: Limits
    ) -> Iterator[Outcome]:
        """See `Mover.move`."""
        program = shutil.which("rsync")
        if program is None:
            yield from _all_fail(items, FailureClass.DESTINATION, _NOT_INSTALLED)
            return
        try:
            command = _command(program, source, limits)
        except TransferFailed as failed:
            yield from _all_fail(items, failed.failure, str(failed))
            return
        run = _Run(command, source, staging, limits)
        together = [item for item in items if _base(item, source.root) is not None]
        if together:
            yield from run.batches(together)
        for item in items:
            if _base(item, source.root) is None:
                yield run.alone(item)


def _all_fail(items: Sequence[Item], failure: FailureClass, message: str) -> Iterator[Outcome]:
    return (Outcome(item.key, failure, message) for item in items)


def _command(program: str, source: Endpoint, limits: Limits) -> list[str]:
    """Return the command line up to the destination.

    Raises:
        TransferFailed: nobody can log in at the source's host.
    """
    command = [program, *_OPTIONS, f"--timeout={limits.silence}"]
    if os.geteuid() == 0:
        command += ["--group", "--owner"]
    if _version(program) >= (3, 1, 3):
        command.append("--sparse")  # older ones refuse it together with --inplace
    if limits.bwlimit:
        command.append(f"--bwlimit={max(1, limits.bwlimit // 1024)}")
    if source.local:
        return [*command, "--", "/"]
    shell = sharing.remote_shell(source, limits.remote_shell)
    command += [f"--rsh={shlex.join(shell)}", "--remote-option=--no-sparse"]
    command.append("--remote-option=--no-dirs")  # it is not passed on where there is a list
    if source.options.compress:
        command.append("--compress")
    if source.options.rsync_path:
        command.append(f"--rsync-path={source.options.rsync_path}")
    return [*command, "--", f"{source.address}:/"]


@cache
def _version(program: str) -> tuple[int, ...]:
    """Return rsync's version, e.g. (3, 2, 7); (0,) if it does not tell."""
    try:
        _, text, _ = run_command([program, "--version"], timeout=30)
    except OSError:
        return (0,)  # the transfer itself will say why rsync cannot be started
    found = re.search(r"version v?(\d+)\.(\d+)\.(\d+)", text)
    return tuple(int(number) for number in found.groups()) if found else (0,)


def _base(item: Item, root: str) -> str | None:
    """Return the directory below which the source has the staged path, None if there is none.

    It is not below `root`: all directories that anybody but the operator chose are in the path.
    """
    if not item.source.endswith("/" + item.path):
        return None
    base = clean(item.source[: -len(item.path)])
    return None if base.startswith(clean(root).rstrip("/") + "/") and base != "/" else base


def clean(path: str) -> str:
    """Normalise an absolute path, so that the only ``/./`` in a list entry is our own."""
    return "/" + posixpath.normpath(path).strip("/")


@dataclass(frozen=True)
class _Run:
    """Runs of one rsync command line; `command` lacks the destination."""

    command: Sequence[str]
    source: Endpoint
    staging: Path
    limits: Limits

    def batches(self, items: Sequence[Item]) -> Iterator[Outcome]:
        """Run rsync for `items`, which all have a `_base`; once, except in odd cases."""
        ways = [rsync_links.Way(_base(item, self.source.root) or "/", item.path) for item in items]
        hidden = rsync_links.hidden(ways)
        plain = [item for item, way in zip(items, ways, strict=True) if way not in hidden]
        if plain:
            yield from self.batch(plain)
        for item, way in zip(items, ways, strict=True):
            if way not in hidden:
                continue
            if rsync_links.hidden([way]):
                text = "its path begins like that of the root: rsync cannot be asked about links"
                yield Outcome(item.key, FailureClass.ROUTE, text)
            else:
                yield from self.batch([item])

    def batch(self, items: Sequence[Item]) -> Iterator[Outcome]:
        """Run rsync once for `items`, which all have a `_base`."""
        ways = {
            item.key: rsync_links.Way(_base(item, self.source.root) or "/", item.path)
            for item in items
        }
        complete_before = {
            item.key for item in items if _make_ready(self.staging / item.path) == item.size_b
        }
        try:
            report = self._report(rsync_links.entries(list(ways.values())))
        except OSError as error:
            text = f"cannot start rsync: {cause(error)}"
            yield from _all_fail(items, FailureClass.DESTINATION, text)
            return
        if not (self.source.local or report.finished):
            sharing.give_up(self.source)
        for item in items:
            if report.about(*ways[item.key].checks):
                yield self._refuse(item)
            else:
                yield _judge(item, self.staging, report, item.key in complete_before)

    def _refuse(self, item: Item) -> Outcome:
        """Throw away what came through a linked directory."""
        (self.staging / item.path).unlink(missing_ok=True)
        return Outcome(item.key, FailureClass.ROUTE, LINKED_DIRECTORY)

    def _report(self, entries: bytes) -> Report:
        """Run rsync for a list of files; raises OSError if it cannot be started."""
        status, stdout, stderr = run_command(
            [*self.command, f"{self.staging}/"],
            timeout=self.limits.timeout,
            input=entries,
            env=_environment(),
        )
        return read_report(status, stdout + "\n" + stderr, self.limits.timeout, self.source.address)

    def alone(self, item: Item) -> Outcome:
        """Run rsync for a file that has another name at the source than it is staged under."""
        base, path = locate(clean(self.source.root), clean(item.source))
        apart = self.staging / f".alone-{item.key}"
        target = self.staging / item.path
        try:
            apart.mkdir(exist_ok=True)
            renamed = Item(item.key, path, f"{base.rstrip('/')}/{path}", item.size_b, item.md5)
            outcome = next(replace(self, staging=apart).batches([renamed]))
            if outcome.ok:
                target.parent.mkdir(parents=True, exist_ok=True)
                (apart / path).rename(target)
                shutil.rmtree(apart)
        except OSError as error:
            return Outcome(item.key, FailureClass.DESTINATION, f"cannot write here: {cause(error)}")
        return outcome


def _environment() -> dict[str, str]:
    """Return our environment without rsync's own settings, and with messages in English."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("RSYNC_")}
    return {**kept, "LC_ALL": "C"}


def _make_ready(staged: Path) -> int | None:
    """Make a leftover fit for being continued, and return its length; None without one.

    rsync writes into it, so it must be writable, and it must not be a hard link to another file.
    """
    try:
        status = staged.lstat()
        if stat.S_ISDIR(status.st_mode):
            return None
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            staged.unlink()
            return None
        staged.chmod(0o600)
    except OSError:
        return None  # nothing there, or rsync will tell what is wrong
    return status.st_size


def _judge(item: Item, staging: Path, report: Report, complete_before: bool) -> Outcome:
    """Decide about one file by what lies in the staging directory and by what rsync said.

    A full length means success, unless rsync broke off and the file had that length before: then
    it may be half overwritten, and the blame for that must not fall on the source.
    """
    staged = staging / item.path
    length = _length(staged)
    said = report.about(clean(item.source), item.path, str(staged))
    if said and said.spoils_bytes:
        return Outcome(item.key, said.failure, said.message)
    full = length is not None and item.size_b in (None, length)
    if full and (report.finished or not (complete_before or item.size_b is None)):
        return Outcome(item.key)
    if said:
        return Outcome(item.key, said.failure, said.message)
    if length is not None and report.status == 0:
        message = f"length mismatch: got {length} B, expected {item.size_b} B"
        return Outcome(item.key, FailureClass.SOURCE, message)
    return Outcome(item.key, report.overall.failure, report.overall.message)


def _length(staged: Path) -> int | None:
    """Return the length of a staged regular file, in bytes; None if there is none."""
    try:
        status = staged.lstat()
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
