"""Programs on this host: found, and new enough."""

from __future__ import annotations

from pathlib import Path

import pytest

from alpenhorn.common import config
from alpenhorn.services.doctor import tools
from alpenhorn.services.doctor.report import Finding, Status


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH that has nothing but what a test puts there, and an empty configuration."""
    (tmp_path / "conf").write_text("")
    config.load_config(tmp_path / "conf", cli=True)
    path = tmp_path / "bin"
    path.mkdir()
    monkeypatch.setenv("PATH", str(path))
    return path


def add(programs: Path, name: str, says: str) -> None:
    (programs / name).write_text(f"#!/bin/sh\necho '{says}'\n")
    (programs / name).chmod(0o755)


def found() -> dict[str, Finding]:
    return {finding.what: finding for finding in tools.check()}


def test_nothing_is_installed(programs: Path) -> None:
    """rsync and ssh are needed, bbcp is not."""
    findings = found()
    assert findings["rsync"].status is Status.PROBLEM
    assert "Install rsync" in findings["rsync"].advice
    assert findings["remote shell"].status is Status.PROBLEM
    assert findings["bbcp"].status is Status.OK


@pytest.mark.parametrize(
    ("says", "status", "text"),
    [
        ("rsync  version 3.2.7  protocol version 31", Status.OK, "3.2.7"),
        ("rsync  version v3.4.1  protocol version 32", Status.OK, "3.4.1"),
        ("rsync  version 3.1  protocol version 31", Status.OK, "3.1.0"),
        ("rsync  version 3.0.9  protocol version 30", Status.PROBLEM, "3.0.9"),
        ("openrsync: protocol 29", Status.PROBLEM, "does not tell its version"),
    ],
)
def test_versions_of_rsync(programs: Path, says: str, status: Status, text: str) -> None:
    add(programs, "rsync", says)
    finding = found()["rsync"]
    assert finding.status is status
    assert text in finding.text


def test_ssh_tells_its_version(programs: Path) -> None:
    add(programs, "ssh", "OpenSSH_9.2p1 Debian-2, OpenSSL 3.0")
    assert found()["remote shell"].text == f"OpenSSH_9.2p1 Debian-2 ({programs}/ssh)"


def test_a_program_that_hangs_is_given_up(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (programs / "rsync").write_text("#!/bin/sh\nread never < /dev/tty || exec /bin/sleep 60\n")
    (programs / "rsync").chmod(0o755)
    monkeypatch.setattr(tools, "LIMIT_S", 0.2)
    assert found()["rsync"].status is Status.PROBLEM
