"""Pulls from another host: the real rsync, logged in by a small script instead of ssh."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alpenhorn import db, events
from alpenhorn.db.operations import TransferAttempt
from alpenhorn.errors import FailureClass

pytestmark = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")

FILE = "2025/02/21/meta.txt"
DATA = b"52 bytes of data that some instrument has written ok"

# Drops what names the host, as ssh does after logging in, and keeps a record of its calls.
FAKE_SSH = """#!/bin/sh
echo login >> {log}
while [ "$1" = "-l" ]; do shift 2; done
shift
{body}
"""

# Lets two million bytes through, then kills the far side and hangs up.
CUT = """
import os, subprocess, sys
os.set_blocking(1, True)
far, carried = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE), 0
while carried < 2_000_000 and (data := far.stdout.read1(65536)):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
    carried += len(data)
far.kill()
"""
BREAKS_OFF = f'exec {shlex.join([sys.executable, "-c", CUT])} "$@"'


@pytest.fixture
def shell(tmp_path: Path, daemon_config: Any) -> Callable[..., None]:
    """Set what happens after a log-in, and further keys below ``daemon``."""

    def install(body: str = 'exec "$@"', **keys: object) -> None:
        script = tmp_path / "remote-shell"
        log = shlex.quote(str(tmp_path / "logins"))
        script.write_text(FAKE_SSH.format(log=log, body=body))
        script.chmod(0o755)
        daemon_config(remote_shell=str(script), **keys)

    install()
    return install


@pytest.fixture
def source(site: Any, shell: Any) -> Any:
    return site.node("src", host="far", username="user", address="far.example")


@pytest.fixture
def io(site: Any) -> Any:
    return site.node("dst")


def logins(site: Any) -> int:
    log = site.tmp / "logins"
    return len(log.read_text().splitlines()) if log.exists() else 0


def pull(site: Any, source: Any, io: Any, *paths: str, **values: Any) -> list[Any]:
    requests = []
    for path in paths or (FILE,):
        site.put(source, path, DATA, **values)
        requests.append(site.make.request(path, source.node, "dst"))
    io.pull_many(requests, True)
    site.run()
    return requests


def test_a_remote_file_arrives_verified(
    site: Any, source: Any, io: Any, lines: Any, heard: Any
) -> None:
    [request] = pull(site, source, io)
    assert site.read(io, FILE) == DATA
    assert site.state(io, FILE) == "YY"
    assert db.ArchiveFileCopyRequest.get_by_id(request.id).completed
    assert f"Pulling remote file {FILE} using rsync" in lines("INFO")
    assert lines("INFO")[-1].startswith(f"Pull of {FILE} complete. Transferred 52 B in ")
    assert heard[0] == events.PullRunning("dst", "rsync", True, 1)
    assert heard[1] == events.PullRunning("dst", "rsync", True, -1)


def test_a_batch_is_one_login(site: Any, source: Any, io: Any, lines: Any) -> None:
    pull(site, source, io, *[f"acq/{n % 3}/{n}" for n in range(20)])
    assert set(site.make.states(io.node).values()) == {"YY"}
    assert len(site.make.states(io.node)) == 20
    assert logins(site) == 1
    assert lines("INFO")[0] == "Pulling 20 remote files (1.016 kiB) from src using rsync"


def test_a_corrupted_remote_file_makes_nothing_present(
    site: Any, source: Any, io: Any, lines: Any
) -> None:
    pull(site, source, io, really=DATA.swapcase())
    assert site.read(io, FILE) is None
    assert site.state(io, FILE) is None
    assert site.state(source, FILE) == "MY"
    assert "MD5 mismatch" in lines("ERROR")[0]


def test_a_stale_target_of_equal_size_and_time_is_replaced(site: Any, source: Any, io: Any) -> None:
    """Weakness 15: rsync's quick check would take it for the file."""
    site.make.copy(FILE, io.node, "X") if site.file(FILE, DATA) else None
    place = site.write(io, FILE, DATA.swapcase())
    site.put(source, FILE, DATA)
    for path in (place, Path(source.node.root, FILE)):
        os.utime(path, ns=(10**18, 10**18))
    io.pull_many([site.make.request(FILE, source.node, "dst")], True)
    site.run()
    assert site.read(io, FILE) == DATA
    assert site.state(io, FILE) == "YY"


@pytest.mark.parametrize("body", ["exit 255", "exit 127", "echo Welcome to far.example"])
def test_a_connection_that_fails_leaves_the_source_alone(
    site: Any, source: Any, io: Any, shell: Any, body: str, lines: Any, heard: Any
) -> None:
    """Weakness 17: the public program blames the source for it."""
    shell(body)
    [request] = pull(site, source, io)
    assert site.state(source, FILE) == "YY"
    assert site.state(io, FILE) is None
    assert not db.ArchiveFileCopyRequest.get_by_id(request.id).completed
    assert TransferAttempt.get().failure == "route"
    assert lines("ERROR") == []
    assert lines("WARNING")[0].startswith("Pull from src to dst failed (route): ")
    assert [e.failure for e in heard if isinstance(e, events.TransferEnded)] == [FailureClass.ROUTE]


@pytest.mark.parametrize(
    ("username", "address"),
    [
        (None, "far.example"),
        ("user", None),
        ("user", "-oProxyCommand=touch owned"),
        ("-l", "far.example"),
        ("user", "far.example:/etc/passwd"),
    ],
)
def test_without_a_usable_address_there_is_no_route(
    site: Any, source: Any, io: Any, lines: Any, username: str | None, address: str | None
) -> None:
    db.StorageNode.update(username=username, address=address).where(
        db.StorageNode.name == "src"
    ).execute()
    pull(site, source, io)
    assert logins(site) == 0
    assert lines("WARNING")[0].startswith("Skipping pull from src: ")
    assert site.state(source, FILE) == "YY"
    assert site.reserved() == 0


def test_a_source_of_an_unknown_class_is_no_route(
    site: Any, source: Any, io: Any, lines: Any
) -> None:
    db.StorageNode.update(io_class="NoSuch").where(db.StorageNode.name == "src").execute()
    pull(site, source, io)
    assert 'Unknown I/O class: "NoSuch"' in lines("WARNING")[0]
    assert site.state(source, FILE) == "YY"


def test_nothing_is_linked_or_copied_from_a_directory_of_the_same_name(
    site: Any, source: Any, io: Any, shell: Any
) -> None:
    """The source's root happens to exist on this host too."""
    shell("exit 255")
    pull(site, source, io)
    assert site.read(io, FILE) is None


# ---- what is left after a connection broke


def leftovers(io: Any) -> list[str]:
    return [path.name for path in Path(io.node.root).glob(".alpenhorn-*")]


@pytest.mark.parametrize(("limit", "kept"), [(10**6, True), (10**9, False)])
def test_partial_data_of_a_big_file_are_kept_for_the_next_attempt(
    site: Any, source: Any, io: Any, shell: Any, limit: int, kept: bool
) -> None:
    shell(BREAKS_OFF, single_file_bytes=limit)
    data = os.urandom(4 * 10**6)
    site.put(source, FILE, data)
    request = site.make.request(FILE, source.node, "dst")
    io.pull_many([request], True)
    site.run()
    assert site.state(io, FILE) is None
    assert site.state(source, FILE) == "YY"
    assert leftovers(io) == ([f".alpenhorn-{request.id}"] if kept else [])
    partial = Path(io.node.root, f".alpenhorn-{request.id}", FILE)
    inode = partial.stat().st_ino if kept else None
    shell(single_file_bytes=limit)
    io.pull_many([request], True)
    site.run()
    assert site.read(io, FILE) == data
    assert leftovers(io) == []
    if kept:
        assert Path(io.node.root, FILE).stat().st_ino == inode, "continued, not begun again"


def test_what_arrived_before_the_connection_broke_counts(
    site: Any, source: Any, io: Any, shell: Any
) -> None:
    shell(BREAKS_OFF)
    for path, data in (("a/first", b"small"), ("b/second", os.urandom(4 * 10**6))):
        site.put(source, path, data)
        site.make.request(path, source.node, "dst")
    for n in range(15):
        site.put(source, f"a/{n}", b"small too")
        site.make.request(f"a/{n}", source.node, "dst")
    requests = list(db.ArchiveFileCopyRequest.select())
    io.pull_many(requests, True)
    site.run()
    states = site.make.states(io.node)
    assert states.get("a/first") == "YY"
    assert "b/second" not in states
    assert set(site.make.states(source.node).values()) == {"YY"}
