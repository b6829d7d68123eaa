"""What signals do to a running daemon, and that a host has one daemon only."""

from __future__ import annotations

import signal
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.hosts import Host, Site, daemon_command

NewSite = Callable[..., Site]


def ready(site: Site, host: Host, workers: int = 2) -> None:
    """Wait for the end of a pass with so many workers."""
    line = f"Tasks: 0 queued, 0 deferred, 0 in-progress on {workers} workers"
    site.wait_log(host.name, line)


@pytest.fixture
def site(new_site: NewSite) -> Site:
    return new_site("alpenhost1")


@pytest.fixture
def host(site: Site) -> Host:
    """A host with a running daemon that has made its first pass."""
    host = site["alpenhost1"]
    host.start()
    ready(site, host)
    return host


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_term_and_int_stop_it_cleanly(site: Site, host: Host, number: signal.Signals) -> None:
    host.send(number)
    assert host.end() == 1
    log = host.log
    assert log.has(f"Exiting due to {number.name}.")
    assert log.count("Stopped.") == 2
    assert site.rows("SELECT * FROM alpenhorn_daemon") == []


def test_usr1_and_usr2_change_the_number_of_workers(site: Site, host: Host) -> None:
    host.send(signal.SIGUSR1)
    site.wait_log("alpenhost1", "SIGUSR1 caught: incrementing worker count.")
    site.wait(lambda: host.log.of("Worker#3").has("Started."))
    for worker in (3, 2, 1):
        host.send(signal.SIGUSR2)
        site.wait(lambda worker=worker: host.log.of(f"Worker#{worker}").has("Stopped."))
    host.send(signal.SIGUSR2)
    site.wait_log("alpenhost1", "Cannot remove a worker: there is none.")
    host.send(signal.SIGHUP)
    ready(site, host, workers=0)
    assert host.stop() == 1


def test_hup_reopens_the_log_file(site: Site, new_site: NewSite) -> None:
    """For logrotate; in public behaviour it ended the daemon (config.md K-9)."""
    host = site["alpenhost1"]
    file = host.directory / "own.log"
    host.configure()
    text = host.conf.read_text().replace(
        "  level: INFO\n", f"  level: INFO\n  file:\n    name: {file}\n"
    )
    host.conf.write_text(text)
    host.start()
    site.wait(lambda: file.exists() and "Tasks: " in file.read_text())
    file.rename(file.with_suffix(".1"))
    host.send(signal.SIGHUP)
    site.wait(lambda: file.exists() and "Tasks: " in file.read_text())
    assert host.process is not None
    assert host.process.poll() is None


def test_a_second_daemon_for_the_host_refuses_and_names_the_first(site: Site, host: Host) -> None:
    second = site.run(daemon_command(host.conf))
    assert host.process is not None
    assert second.code == 1
    assert f'Another daemon manages host "alpenhost1": process {host.process.pid} ' in second.stderr
    assert "Traceback" not in second.stderr
    assert host.process.poll() is None
    assert site.value("SELECT pid FROM alpenhorn_daemon") == host.process.pid


def test_after_kill_9_it_starts_again_at_once(site: Site, host: Host) -> None:
    host.kill9()
    assert site.value("SELECT count(*) FROM alpenhorn_daemon") == 1
    before = len(host.log)
    host.start()
    site.wait(lambda: len(host.log) > before and host.log[-1].text.startswith("Tasks:"))
    assert host.process is not None
    assert site.value("SELECT pid FROM alpenhorn_daemon") == host.process.pid


def test_once_does_its_work_and_ends(site: Site) -> None:
    host = site["alpenhost1"]
    words = ("--create-group", f"--root={host.root}", "--host=alpenhost1", "--activate", "--init")
    site.do("node", "create", "node", *words)
    host.start("--once")
    assert host.end() == 0
    assert (host.root / "ALPENHORN_NODE").exists()
    (host.root / "2025/02/21").mkdir(parents=True)
    (host.root / "2025/02/21/meta.txt").write_text("data\n")
    site.do("node", "scan", "node", "--register-new")
    host.start("--once")
    assert host.end() == 0
    assert site.states("node") == {"2025/02/21/meta.txt": "YY"}
    assert host.log.count("Update complete: exiting.") == 2


def children(pid: int) -> list[int]:
    """Processes whose parent is `pid`, by proc(5)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


@pytest.fixture
def hanging(new_site: NewSite) -> Site:
    """Two hosts, and a transfer between them that hangs: the remote shell never answers."""
    site = new_site("alpenhost1", "alpenhost2")
    called = site.path / "called"
    site.remote_shell.write_text(f"#!/bin/sh\necho $$ > {called}\nexec sleep 1000\n")
    site.remote_shell.chmod(site.remote_shell.stat().st_mode | stat.S_IXUSR)
    for n in (1, 2):
        host = site[f"alpenhost{n}"]
        (host.root / "ALPENHORN_NODE").write_text(f"node{n}\n")
        words = ("--create-group", f"--root={host.root}", f"--host={host.name}", "--activate")
        site.do("node", "create", f"node{n}", *words, "--username=root", f"--address={host.name}")
    source = site["alpenhost1"].root / "2025/02/21"
    source.mkdir(parents=True)
    (source / "meta.txt").write_text("data\n")
    site.do("node", "scan", "node1", "--register-new")
    site["alpenhost1"].start("--once")
    assert site["alpenhost1"].end() == 0
    site.do("node", "sync", "--force", "node1", "node2")
    site["alpenhost2"].start()
    site.wait(lambda: called.exists() and called.read_text().strip())
    return site


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


@pytest.mark.parametrize("numbers", [[signal.SIGTERM, signal.SIGTERM], [signal.SIGKILL]])
def test_transfers_do_not_outlive_the_daemon(hanging: Site, numbers: list[int]) -> None:
    """A second signal ends it at once (weakness 32), and takes rsync and its shell with it."""
    host = hanging["alpenhost2"]
    shell = int((hanging.path / "called").read_text())
    assert not gone(shell)
    host.send(numbers[0])
    for number in numbers[1:]:
        hanging.wait_log("alpenhost2", "Exiting due to SIGTERM.")
        host.send(number)
    try:
        host.end(10)
    except subprocess.TimeoutExpired:
        pytest.fail("the daemon waits for a transfer that hangs")
    hanging.wait(lambda: gone(shell), what="the end of the remote shell")
    assert hanging.states("node2") == {}
