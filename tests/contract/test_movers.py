"""What every mover promises, run for each: link, internal copy, local and remote rsync, bbcp.

Remote rsync logs in with a tiny shell script instead of ssh; everything else is the real program.
bbcp is a stand-in (`fake_bbcp`), with the real rsync behind it for what it hands on.
"""

from __future__ import annotations

import hashlib
import os
import select
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import fake_bbcp
from alpenhorn.errors import FailureClass
from alpenhorn.transfer.batch import Endpoint, Item, Limits, Mover, Outcome
from alpenhorn.transfer.bbcp import BbcpMover, Ends
from alpenhorn.transfer.choose import move
from alpenhorn.transfer.copy import CopyMover
from alpenhorn.transfer.link import LinkMover
from alpenhorn.transfer.rsync import RsyncMover
from alpenhorn.transfer.verify import verify_staged

needs_rsync = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")

# Drops what names the host, as ssh does after logging in, and keeps a record of its calls.
FAKE_SSH = """#!/bin/sh
echo login >> {log}
while [ "$1" = "-l" ]; do shift 2; done
shift
{body}
"""

ODD_NAMES = [
    "with blanks in it",
    " leading and trailing ",
    'quote\'s "double" `back`',
    "new\nline",
    "star*",
    "question?",
    "[x]",
    "back\\slash",
    "\\#012",
    "-leading-dash",
    "--delete",
    "#comment",
    ";semicolon",
    "$HOME $(touch owned)",
    "~",
    "host:path",
    "x" * 255,
    os.fsdecode(b"no utf-8 \xff\xfe"),
    "unicode ü 星",
    ".dot",
    "dir/-x/new\nline/*",
]

# Between rsync there and rsync here: counts what travels, breaks off after `limit` bytes, and can
# cut a source file while it is being sent.
WIRE = """
import os, subprocess, sys
os.set_blocking(1, True)
limit, log, cut, command = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]
far = subprocess.Popen(command, stdout=subprocess.PIPE)
carried = 0
while carried < limit and (data := far.stdout.read1(65536)):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
    carried += len(data)
    if cut and carried > 10**6:
        os.truncate(cut, 5 * 10**6)
open(log, "w").write(str(carried))
far.kill() if carried >= limit else far.wait()
"""


@dataclass
class Bench:
    """One mover with a source tree and a staging directory."""

    mover: Mover
    tmp: Path
    endpoint: Endpoint
    limits: Limits
    items: list[Item] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return self.tmp / "source"

    @property
    def staging(self) -> Path:
        return self.tmp / "staging"

    def add(self, path: str, data: bytes | None = b"some bytes", **known: object) -> Item:
        """Make a source file (none if `data` is None) and the item for it."""
        if data is not None:
            target = self.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        bytes_known = b"what it was" if data is None else data
        facts = {
            "size_b": len(bytes_known),
            "md5": hashlib.md5(bytes_known).hexdigest(),
            "source": f"{self.root}/{path}",
        } | known
        item = Item(len(self.items), path, **facts)  # type: ignore[arg-type]
        self.items.append(item)
        return item

    def move(self, limits: Limits | None = None) -> dict[int, Outcome]:
        outcomes = list(
            self.mover.move(self.items, self.endpoint, self.staging, limits or self.limits)
        )
        assert sorted(o.key for o in outcomes) == [item.key for item in self.items]
        return {outcome.key: outcome for outcome in outcomes}

    def logins(self) -> int:
        log = self.tmp / "logins"
        return len(log.read_text().splitlines()) if log.exists() else 0


class BbcpThenRsync:
    """bbcp as it is used: what it cannot move goes to rsync."""

    name = "bbcp"

    def move(
        self, items: Sequence[Item], source: Endpoint, staging: Path, limits: Limits
    ) -> Iterator[Outcome]:
        return move([BbcpMover(Ends()), RsyncMover()], items, source, staging, limits)


def remote_shell(tmp: Path, body: str = 'exec "$@"', name: str = "remote shell") -> tuple[str, ...]:
    script = tmp / name
    log = shlex.quote(str(tmp / "logins"))
    script.write_text(FAKE_SSH.format(log=log, body=body))
    script.chmod(0o755)
    return (str(script),)


def wire(tmp: Path, limit: int = 10**9, cut: str = "") -> tuple[str, ...]:
    """A remote shell over a connection that is measured (file ``carried``) or disturbed."""
    words = [sys.executable, "-c", WIRE, str(limit), str(tmp / "carried"), cut]
    return remote_shell(tmp, f'exec {shlex.join(words)} "$@"')


def make_bench(kind: str, tmp: Path) -> Bench:
    (tmp / "source").mkdir()
    (tmp / "staging").mkdir()
    movers: dict[str, Callable[[], Mover]] = {
        "link": LinkMover,
        "internal": CopyMover,
        "rsync": RsyncMover,
        "rsync-remote": RsyncMover,
        "bbcp": BbcpThenRsync,
    }
    remote = kind in ("rsync-remote", "bbcp")
    endpoint = Endpoint(not remote, "user@far.example" if remote else None, str(tmp / "source"))
    shell = ("false",)
    if remote:
        shell = remote_shell(tmp, name="remote-shell" if kind == "bbcp" else "remote shell")
    if kind == "bbcp":
        fake_bbcp.install(tmp / "bin")
    return Bench(movers[kind](), tmp, endpoint, Limits(60, shell))


KINDS = [
    "link",
    "internal",
    pytest.param("rsync", marks=needs_rsync),
    pytest.param("rsync-remote", marks=needs_rsync),
    pytest.param("bbcp", marks=needs_rsync),
]


@pytest.fixture(autouse=True)
def bin_in_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")


@pytest.fixture(params=KINDS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    return make_bench(request.param, tmp_path)


@pytest.fixture
def remote(tmp_path: Path) -> Bench:
    if shutil.which("rsync") is None:
        pytest.skip("rsync is not installed")
    return make_bench("rsync-remote", tmp_path)


# ---- names and kinds of files


def test_every_name_that_a_file_system_allows_arrives(bench: Bench) -> None:
    for number, name in enumerate(ODD_NAMES):
        bench.add(name, b"content of %d" % number)
    outcomes = bench.move()
    assert [(i.path, outcomes[i.key]) for i in bench.items if not outcomes[i.key].ok] == []
    assert all(verify_staged(bench.staging, item).ok for item in bench.items)
    assert not list(bench.tmp.rglob("owned"))


def test_only_the_asked_files_arrive(bench: Bench) -> None:
    """A name with a wildcard must not bring its neighbours along."""
    (bench.root / "secret").write_bytes(b"x")
    bench.add("*")
    bench.add("dir/[s]ecret")
    (bench.root / "dir/secret").write_bytes(b"x")
    bench.move()
    staged = {str(p.relative_to(bench.staging)) for p in bench.staging.rglob("*") if p.is_file()}
    assert staged == {"*", "dir/[s]ecret"}


def test_a_batch_costs_one_login(remote: Bench) -> None:
    for number in range(50):
        remote.add(f"{number}/file")
    assert all(o.ok for o in remote.move().values())
    assert remote.logins() == 1


def test_an_empty_file_arrives(bench: Bench) -> None:
    item = bench.add("empty", b"")
    assert bench.move()[0].ok
    assert verify_staged(bench.staging, item).ok


def test_times_and_modes_are_kept(bench: Bench) -> None:
    item = bench.add("file")
    (bench.root / "file").chmod(0o640)
    os.utime(bench.root / "file", ns=(10**18, 10**18 + 123456789))
    assert bench.move()[item.key].ok
    status = (bench.staging / "file").stat()
    assert stat.S_IMODE(status.st_mode) == 0o640
    assert status.st_mtime_ns == 10**18 + 123456789


def test_holes_stay_holes(bench: Bench) -> None:
    if bench.mover.name == "bbcp":
        pytest.skip("bbcp writes every block")
    size = 64 * 2**20
    path = bench.root / "sparse"
    with path.open("wb") as file:
        file.seek(16 * 2**20)
        file.write(b"island")
        file.truncate(size)
    item = bench.add("sparse", None, size_b=size, md5=None)
    assert bench.move()[item.key].ok
    staged = bench.staging / "sparse"
    assert staged.read_bytes() == path.read_bytes()
    assert staged.stat().st_blocks * 512 < size // 8


def test_a_source_under_another_name_is_staged_under_the_asked_path(bench: Bench) -> None:
    (bench.tmp / "elsewhere").mkdir()
    (bench.tmp / "elsewhere/no*27").write_bytes(b"some bytes")
    (bench.tmp / "elsewhere/no127").write_bytes(b"other")
    item = bench.add("a/b/file", source=f"{bench.tmp}/elsewhere/no*27")
    (bench.root / "a/b/file").unlink()
    assert bench.move()[item.key].ok
    assert verify_staged(bench.staging, item).ok


# ---- sources that are not as they should be


def test_a_link_at_the_source_is_never_followed(bench: Bench) -> None:
    (bench.tmp / "secret").write_bytes(b"some bytes")
    (bench.root / "link").symlink_to(bench.tmp / "secret")
    item = bench.add("link", None, size_b=10)
    good = bench.add("good")
    outcomes = bench.move()
    assert outcomes[item.key].failure is FailureClass.SOURCE
    assert not os.path.lexists(bench.staging / "link")
    assert outcomes[good.key].ok


@pytest.mark.parametrize("way", ["dir", "a/dir", "odd \n[x]* dir", "dir/inner", "-dir", "'\"dir\\"])
def test_a_linked_directory_at_the_source_is_never_followed(bench: Bench, way: str) -> None:
    """Neither on a link to outside nor on one that stays inside; nobody's bytes are to blame."""
    outside = bench.tmp / "outside"
    (outside / "inner").mkdir(parents=True)
    link = bench.root / way.removesuffix("/inner")
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(outside)
    (bench.root / way / "secret").write_bytes(b"some bytes")
    stolen = bench.add(f"{way}/secret", None, size_b=10, md5=None)
    good = bench.add("a/good")
    below = bench.add("b/c/d/good")
    outcomes = bench.move()
    assert outcomes[stolen.key].failure is FailureClass.ROUTE
    assert "is a link" in outcomes[stolen.key].message
    assert not os.path.lexists(bench.staging / way / "secret")
    assert outcomes[good.key].ok
    assert outcomes[below.key].ok
    assert verify_staged(bench.staging, below).ok


def test_a_linked_directory_on_another_path_is_never_followed(bench: Bench) -> None:
    """A third-party class may keep files under other names than ours."""
    (bench.tmp / "outside").mkdir()
    (bench.tmp / "outside/file").write_bytes(b"some bytes")
    (bench.root / "dir").symlink_to(bench.tmp / "outside")
    other = bench.add("name", None, source=f"{bench.root}/dir/file", size_b=10, md5=None)
    deeper = bench.add("file", None, source=f"{bench.root}/dir/file", size_b=10, md5=None)
    outcomes = bench.move()
    assert {outcomes[item.key].failure for item in (other, deeper)} == {FailureClass.ROUTE}
    assert not [path for path in bench.staging.rglob("*") if path.is_file()]


def test_a_path_that_repeats_the_root_hides_no_link(bench: Bench) -> None:
    """rsync merges a directory that we ask about with one of the same name that is on the way."""
    root = str(bench.root).lstrip("/")
    good = bench.add(f"{root}/dir/good")
    outside = bench.tmp / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"some bytes")
    (bench.root / "dir").symlink_to(outside)
    stolen = bench.add("dir/secret", None, size_b=10, md5=None)
    outcomes = bench.move()
    assert outcomes[good.key].ok
    assert outcomes[stolen.key].failure is FailureClass.ROUTE
    assert not os.path.lexists(bench.staging / "dir/secret")


def test_a_directory_at_the_source_is_no_file(bench: Bench) -> None:
    (bench.root / "dir/inner").mkdir(parents=True)
    item = bench.add("dir", None)
    assert not bench.move()[item.key].ok


def test_one_missing_file_leaves_the_others_alone(bench: Bench) -> None:
    for number in range(20):
        bench.add(f"dir/{number}", None if number == 7 else b"some bytes")
    bench.add("new\nline missing", None)
    outcomes = bench.move()
    failed = {key: o.failure for key, o in outcomes.items() if not o.ok}
    assert failed == {7: FailureClass.SOURCE, 20: FailureClass.SOURCE}
    assert "No such file" in outcomes[7].message
    assert "\n" not in outcomes[20].message


def test_an_unreadable_file_blames_nobodys_bytes(bench: Bench) -> None:
    if bench.mover.name == "link":
        pytest.skip("a link needs no reading")
    item = bench.add("file")
    bench.add("good")
    (bench.root / "file").chmod(0)
    if os.access(bench.root / "file", os.R_OK):
        pytest.skip("we are root, who can read everything")
    outcome = bench.move()[item.key]
    assert outcome.failure is FailureClass.ROUTE
    assert "Permission denied" in outcome.message


def test_a_source_of_another_length_is_found_out(bench: Bench) -> None:
    item = bench.add("short", b"some bytes", size_b=1000)
    outcome = bench.move()[item.key]
    failure = outcome if not outcome.ok else verify_staged(bench.staging, item)
    assert failure.failure is FailureClass.SOURCE
    assert "length mismatch: got 10 B, expected 1000 B" in failure.message


def test_corrupt_bytes_of_equal_length_and_time_are_found_out(bench: Bench) -> None:
    item = bench.add("rotten", b"some bytes", md5=hashlib.md5(b"same bytes").hexdigest())
    assert bench.move()[item.key].ok
    outcome = verify_staged(bench.staging, item)
    assert outcome.failure is FailureClass.SOURCE
    assert "MD5 mismatch" in outcome.message


def test_a_root_that_is_not_mounted_says_nothing_about_its_files(bench: Bench) -> None:
    bench.add("dir/one", None)
    bench.add("two", None)
    bench.root.rmdir()
    outcomes = bench.move()
    assert {o.failure for o in outcomes.values()} == {FailureClass.ROUTE}
    assert str(bench.root) in outcomes[0].message


def test_a_file_that_changes_while_it_is_sent_does_not_count_as_arrived(remote: Bench) -> None:
    item = remote.add("cut", os.urandom(8 * 2**20))
    remote.add("good")
    outcomes = remote.move(Limits(60, wire(remote.tmp, cut=item.source)))
    assert outcomes[0].failure is FailureClass.ROUTE
    assert outcomes[1].ok


# ---- leftovers of an earlier attempt


def test_a_leftover_with_equal_size_and_time_is_not_taken_for_the_file(bench: Bench) -> None:
    item = bench.add("file", b"right bytes")
    leftover = bench.staging / "file"
    leftover.write_bytes(b"wrong bytes")
    for path in (leftover, bench.root / "file"):
        os.utime(path, ns=(10**18, 10**18))
    assert bench.move()[item.key].ok
    assert leftover.read_bytes() == b"right bytes"


def test_a_leftover_that_is_a_hard_link_is_never_written_into(bench: Bench) -> None:
    """An earlier attempt may have linked the file; writing there would change a copy at rest."""
    other = bench.tmp / "copy at rest"
    other.write_bytes(b"precious")
    other.chmod(0o444)
    os.link(other, bench.staging / "file")
    item = bench.add("file", b"new bytes")
    assert bench.move()[item.key].ok
    assert other.read_bytes() == b"precious"
    assert stat.S_IMODE(other.stat().st_mode) == 0o444
    assert verify_staged(bench.staging, item).ok


def test_a_link_planted_in_the_staging_directory_leads_nowhere(bench: Bench) -> None:
    victim = bench.tmp / "victim"
    victim.write_bytes(b"precious")
    (bench.staging / "file").symlink_to(victim)
    item = bench.add("file", b"new bytes")
    assert bench.move()[item.key].ok
    assert victim.read_bytes() == b"precious"
    assert verify_staged(bench.staging, item).ok


def test_a_read_only_leftover_is_completed(bench: Bench) -> None:
    item = bench.add("file", b"some bytes" * 100)
    leftover = bench.staging / "file"
    leftover.write_bytes(b"some bytes")
    leftover.chmod(0o444)
    assert bench.move()[item.key].ok
    assert verify_staged(bench.staging, item).ok


def test_a_partial_big_file_is_resumed(remote: Bench) -> None:
    """Only what is missing travels again, into the same file."""
    data = os.urandom(8 * 2**20)
    item = remote.add("big", data)
    leftover = remote.staging / "big"
    leftover.write_bytes(data[: 7 * 2**20])
    inode = leftover.stat().st_ino
    assert remote.move(Limits(60, wire(remote.tmp)))[item.key].ok
    assert leftover.stat().st_ino == inode
    assert verify_staged(remote.staging, item).ok
    assert int((remote.tmp / "carried").read_text()) < 2 * 2**20


# ---- routes that fail


@pytest.mark.parametrize(
    "body",
    [
        "exit 255",
        "echo 'ssh: connect to host far port 22: Connection refused' >&2; exit 255",
        "echo 'user@far: Permission denied (publickey,password).' >&2; exit 255",
        "echo 'sh: rsync: not found' >&2; exit 127",
        "echo 'Welcome to far.example, today is Monday'",
        "kill -9 $$",
    ],
)
def test_a_connection_that_fails_is_the_routes_fault(remote: Bench, body: str) -> None:
    remote.add("file")
    outcome = remote.move(Limits(60, remote_shell(remote.tmp, body)))[0]
    assert outcome.failure is FailureClass.ROUTE
    assert outcome.message
    assert "\n" not in outcome.message


def test_the_cause_is_named_in_the_message(remote: Bench) -> None:
    remote.add("file")
    body = "echo 'ssh: connect to host far port 22: Connection refused' >&2; exit 255"
    outcome = remote.move(Limits(60, remote_shell(remote.tmp, body)))[0]
    assert "Connection refused" in outcome.message


def test_files_that_arrived_before_the_connection_broke_are_kept(remote: Bench) -> None:
    first = remote.add("a/first", os.urandom(100_000))
    second = remote.add("b/second", os.urandom(8 * 2**20))
    outcomes = remote.move(Limits(60, wire(remote.tmp, 4_000_000)))
    assert outcomes[first.key].ok
    assert verify_staged(remote.staging, first).ok
    assert outcomes[second.key].failure is FailureClass.ROUTE
    assert 10**6 < (remote.staging / "b/second").stat().st_size < 8 * 2**20, "kept for resumption"


def test_a_leftover_of_full_length_is_not_trusted_when_the_connection_fails(remote: Bench) -> None:
    """It may be half overwritten; calling it arrived would put the blame on the source's bytes."""
    item = remote.add("file", b"right bytes")
    (remote.staging / "file").write_bytes(b"wrong bytes")
    outcome = remote.move(Limits(60, remote_shell(remote.tmp, "exit 255")))[item.key]
    assert outcome.failure is FailureClass.ROUTE


def test_a_transfer_beyond_its_time_limit_is_killed_with_its_children(remote: Bench) -> None:
    remote.add("file")
    pids = remote.tmp / "pids"
    body = f"echo $$ >> {shlex.quote(str(pids))}; sleep 1000 & echo $! >> \
{shlex.quote(str(pids))}; wait"
    outcome = remote.move(Limits(0.5, remote_shell(remote.tmp, body)))[0]
    assert outcome.failure is FailureClass.ROUTE
    assert "time limit" in outcome.message
    assert len(pids.read_text().split()) == 2
    for pid in pids.read_text().split():
        assert _ends(int(pid))


def test_a_stopped_rsync_is_interrupted(remote: Bench) -> None:
    remote.add("file")
    outcome = remote.move(Limits(60, remote_shell(remote.tmp, "kill -TERM $PPID")))[0]
    assert outcome.failure is FailureClass.INTERRUPTED


@pytest.mark.parametrize(
    "address",
    ["-oProxyCommand=touch owned@host", "user@-oProxyCommand=touch owned", "host", "u@h:/etc", ""],
)
def test_an_address_that_could_be_an_option_is_refused(remote: Bench, address: str) -> None:
    remote.add("file")
    remote.endpoint = Endpoint(False, address, str(remote.root))
    outcome = remote.move()[0]
    assert outcome.failure is FailureClass.ROUTE
    assert remote.logins() == 0


# ---- destinations that fail


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    mount_point = tmp_path / "small disk"
    mount_point.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(mount_point)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("mounting a small tmpfs needs root and mount(8)")
    yield mount_point
    subprocess.run(["umount", str(mount_point)], check=True)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_full_disk_is_the_destinations_fault(kind: str, tmp_path: Path, small_disk: Path) -> None:
    bench = make_bench(kind, tmp_path)
    fits = bench.add("a/fits")
    large = bench.add("b/large", os.urandom(3 * 2**20))
    outcomes = {
        o.key: o for o in bench.mover.move(bench.items, bench.endpoint, small_disk, bench.limits)
    }
    assert outcomes[fits.key].ok
    assert outcomes[large.key].failure is FailureClass.DESTINATION
    assert "No space left" in outcomes[large.key].message


def test_a_staging_directory_that_went_away_is_the_destinations_fault(bench: Bench) -> None:
    bench.add("file")
    bench.staging.rmdir()
    (bench.tmp / "staging").write_bytes(b"in the way")
    outcome = bench.move()[0]
    assert outcome.failure is FailureClass.DESTINATION
    assert not outcome.fallback


def _ends(pid: int) -> bool:
    """Whether a process is gone, or goes soon: a kill takes its time (pidfd_open(2))."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], 10)[0])
    finally:
        os.close(fd)
