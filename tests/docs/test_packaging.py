"""The files for a host's service manager say what they should, and its own programs accept them."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from alpenhorn.daemon import run

ROOT = Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "packaging"
UNIT = PACKAGING / "systemd" / "alpenhornd.service"


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not shutil.which(program), reason=f"{program} is not installed")


@pytest.fixture(scope="module")
def service() -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    parser.optionxform = str  # type: ignore[assignment]
    parser.read(UNIT)
    return dict(parser["Service"])


def seconds(value: str) -> int:
    return int(value.removesuffix("min")) * 60 if value.endswith("min") else int(value)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The unit, with a program that is there."""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/alpenhorn/bin/alpenhornd", "/bin/true"))
    return unit


def test_the_service_is_ready_when_the_daemon_says_so(service: dict[str, str]) -> None:
    assert service["Type"] == "notify"
    assert service["NotifyAccess"] == "main"
    assert seconds(service["WatchdogSec"]) >= 2 * run.LONGEST_WAIT_S


def test_the_daemon_has_time_to_end(service: dict[str, str]) -> None:
    """It waits for tasks twice before it gives up."""
    assert seconds(service["TimeoutStopSec"]) > 2 * run.PATIENCE_S
    assert service["KillMode"] == "mixed"


def test_a_daemon_that_ends_is_started_again_unless_it_was_stopped(service: dict[str, str]) -> None:
    """Its status after SIGTERM, 1, is no failure; 2 would be the same at each start."""
    assert service["Restart"] == "always"
    assert service["SuccessExitStatus"] == "1"
    assert service["RestartPreventExitStatus"] == "2"


def test_the_lease_can_look_at_processes(service: dict[str, str]) -> None:
    """Where other processes are hidden, the holder of the lease would seem to be dead."""
    assert not {"ProtectProc", "ProcSubset", "PrivatePIDs"} & set(service)


@needs("systemd-analyze")
def test_systemd_finds_no_fault_in_the_unit(installed: Path) -> None:
    command = ["systemd-analyze", "verify", "--man=no", str(installed)]
    done = subprocess.run(command, capture_output=True, text=True)
    mine = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert mine == []
    assert done.returncode == 0, done.stderr


@needs("systemd-analyze")
def test_a_broken_unit_is_noticed(installed: Path) -> None:
    """The test above would fail."""
    installed.write_text(installed.read_text().replace("WatchdogSec", "WatchDogSec"))
    command = ["systemd-analyze", "verify", "--man=no", str(installed)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "WatchDogSec" in done.stderr


@needs("systemd-analyze")
def test_the_service_is_little_exposed(installed: Path) -> None:
    """2.5 of 10 or better: it has a network and disks, and needs hardly anything else."""
    command = ["systemd-analyze", "security", "--offline=yes", "--threshold=25", "--no-pager"]
    done = subprocess.run([*command, str(installed)], capture_output=True, text=True)
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze knows no --offline")
    assert done.returncode == 0, done.stdout


@needs("systemd-sysusers")
@needs("systemd-tmpfiles")
def test_account_and_directories_are_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    for program, *options in (["systemd-sysusers"], ["systemd-tmpfiles", "--create"]):
        file = PACKAGING / f"{program.removeprefix('systemd-')}.d" / "alpenhorn.conf"
        command = [program, f"--root={tmp_path}", *options, str(file)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode and "ermission" in done.stderr:
            pytest.skip("only root may make files of other owners")
        assert done.returncode == 0, done.stderr
    account = (tmp_path / "etc/passwd").read_text().split(":")
    assert (account[0], *account[5:]) == ("alpenhorn", "/var/lib/alpenhorn", "/bin/sh\n")
    modes = {
        "etc/alpenhorn": 0o755,
        "var/lib/alpenhorn": 0o750,
        "var/lib/alpenhorn/.ssh": 0o700,
        "var/log/alpenhorn": 0o750,
    }
    assert {path: (tmp_path / path).stat().st_mode & 0o777 for path in modes} == modes


def test_service_and_account_agree(service: dict[str, str]) -> None:
    account = (PACKAGING / "sysusers.d/alpenhorn.conf").read_text().splitlines()[-1].split()
    assert account[1] == service["User"] == service["Group"]
    assert account[-2] == f"/var/lib/{service['StateDirectory']}"
    rotated = (PACKAGING / "logrotate.d/alpenhorn").read_text()
    assert f"/var/log/{service['LogsDirectory']}/*.log {{" in rotated
    assert f"reload {UNIT.name}" in rotated
