"""`alpenhorn doctor` on a healthy host and on a broken one, with a real daemon, rsync and sshd."""

from __future__ import annotations

import getpass
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.hosts import Finished, Host, Site

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")

pytestmark = pytest.mark.skipif(SSHD is None, reason="needs OpenSSH's server, sshd")


class Sshd:
    """An OpenSSH server of our own, that lets in who has one key; and a client's configuration.

    The client calls it ``farhost``; as ``closedhost`` it shows a key that the server refuses.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.directory = directory
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        for name in ("host_key", "good_key", "other_key"):
            self._make_key(name)
        shutil.copy(directory / "good_key.pub", directory / "authorized_keys")
        self._write_configurations()
        assert SSHD is not None
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # sshd's privilege separation wants it
        self.process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", str(directory / "sshd_config")],
            stderr=(directory / "log").open("wb"),
            stdin=subprocess.DEVNULL,
        )

    def ready(self) -> bool:
        """Does it listen?"""
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    @property
    def remote_shell(self) -> str:
        """A value of ``daemon.remote_shell``."""
        return f"ssh -F {self.directory / 'ssh_config'}"

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)

    def _make_key(self, name: str) -> None:
        path = str(self.directory / name)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)

    def _write_configurations(self) -> None:
        here = self.directory
        (here / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {here}/host_key\n"
            f"AuthorizedKeysFile {here}/authorized_keys\nPidFile none\nStrictModes no\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\n"
        )
        host_key = (here / "host_key.pub").read_text()
        (here / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {host_key}")
        (here / "ssh_config").write_text(
            f"Host *\n  HostName 127.0.0.1\n  Port {self.port}\n  BatchMode yes\n"
            f"  UserKnownHostsFile {here}/known_hosts\n  IdentitiesOnly yes\n  LogLevel ERROR\n"
            f"Host farhost\n  IdentityFile {here}/good_key\n"
            f"Host closedhost\n  IdentityFile {here}/other_key\n"
        )


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    server = Sshd(tmp_path / "sshd")
    yield server
    server.stop()


@pytest.fixture
def site(new_site: Callable[..., Site], sshd: Sshd) -> Site:
    """A host with an active node, a running daemon, and a route from a far host to it."""
    site = new_site("alpenhost1", "alpenhost2", remote_shell=sshd.remote_shell)
    site.wait(sshd.ready, what="sshd")
    _node(site, "storage1", "alpenhost1", site["alpenhost1"].root)
    _node(site, "far1", "alpenhost2", site["alpenhost2"].root, "farhost")
    site.do("node", "sync", "far1", "storage1", "--force")
    site.do("group", "autosync", "storage1", "far1")
    site.start("alpenhost1")
    site.wait(lambda: site.rows("SELECT 1 FROM alpenhorn_daemon"), what="the lease")
    return site


def _node(site: Site, name: str, host: str, root: Path, address: str = "") -> None:
    far = ["--address", address, "--username", getpass.getuser()] if address else []
    place = ["--host", host, "--root", root, "--activate"]
    site.do("node", "create", name, "--create-group", *place, *far)
    if root.is_dir():
        (root / "ALPENHORN_NODE").write_text(f"{name}\n")


def _doctor(host: Host, *options: str) -> Finished:
    command = [sys.executable, "-m", "alpenhorn", "--test-isolation", "--conf", str(host.conf)]
    done = host.site.run([*command, "doctor", *options], timeout=120)
    print(done.stdout)
    assert done.stderr == ""
    return done


def _with_advice(output: str) -> dict[str, str]:
    """Find the problems and warnings: text, and the line of advice below it."""
    pattern = r"^  (?:problem|warning)  (.*)\n +-> (.*)$"
    found = dict(re.findall(pattern, output, re.MULTILINE))
    assert len(found) == len(re.findall("^  (?:problem|warning)", output, re.MULTILINE))
    return found


def test_a_healthy_host(site: Site) -> None:
    """All is well, and every subject was looked at; the exit status says so too."""
    done = _doctor(site["alpenhost1"])
    assert done.code == 0, done.stdout
    assert done.stdout.endswith("\nAll is well.\n")
    sections = re.findall(r"^(\S.*)$", done.stdout, re.MULTILINE)[:-1]
    assert sections == [
        *("Configuration", "Database", "Extensions", "Daemon", "Node storage1", "Tools"),
        "Route far1 -> storage1",
    ]
    for line in (
        "pattern_importer loads",
        "live: process",
        "ALPENHORN_NODE names storage1",
        "farhost is 127.0.0.1",
        "1.000 MiB there and back in",
    ):
        assert line in done.stdout
    assert [path.name for path in site["alpenhost1"].root.iterdir()] == ["ALPENHORN_NODE"]


def test_a_host_with_many_things_broken(site: Site) -> None:
    """Each is named in a line of its own, with what to do; the exit status is 1."""
    host = site["alpenhost1"]
    _node(site, "lost1", "alpenhost1", site.path / "nowhere")
    site.do("node", "modify", "far1", "--address", "closedhost")
    host.kill9()
    (host.root / "ALPENHORN_NODE").write_text("storage7\n")
    host.configure(num_worker=4, remote_shell=host_shell(host))
    host.conf.write_text(host.conf.read_text().replace("pattern_importer", "patern_importer"))
    done = _doctor(host)
    assert done.code == 1
    found = _with_advice(done.stdout)
    for text, advice in (
        ("key .*daemon.num_worker is unknown", "Did you mean daemon.num_workers?"),
        ("module .*unable to import extension module patern_importer", "PYTHONPATH"),
        ("lease .*lapsed: process .* is gone", "Start `alpenhornd`"),
        ('identity .*names another node: "storage7"', "Mount the right medium"),
        ("root .*nowhere: No such file or directory", "Mount or make it"),
        ("log-in .*closedhost does not let .* in", "authorized_keys"),
    ):
        (named,) = (line for line in found if re.match(text, line))
        assert advice in found[named]
    assert done.stdout.endswith("\n5 problems, 1 warning.\n")


def host_shell(host: Host) -> str:
    """The remote shell that the host has now; `Host.configure` writes the file anew."""
    (found,) = re.findall(r"remote_shell: (.*)", host.conf.read_text())
    return str(found)


def test_programs_read_the_same(site: Site) -> None:
    """``--json`` has the findings, and whether all is well."""
    report: dict[str, Any] = json.loads(_doctor(site["alpenhost1"], "--json").stdout)
    assert (report["ok"], report["problems"]) == (True, 0)
    trip = next(each for each in report["findings"] if each["check"] == "round trip")
    assert (trip["section"], trip["status"]) == ("Route far1 -> storage1", "ok")


def test_a_far_end_that_is_another_node(site: Site) -> None:
    """The root at the far end is looked at in the way of a transfer, identity and all."""
    (site["alpenhost2"].root / "ALPENHORN_NODE").write_text("far2\n")
    done = _doctor(site["alpenhost1"])
    assert done.code == 1
    assert 'is node "far2", not far1' in done.stdout


def test_no_host_is_logged_in_to_on_request(site: Site) -> None:
    done = _doctor(site["alpenhost1"], "--no-routes")
    assert done.code == 0
    assert "Route" not in done.stdout
