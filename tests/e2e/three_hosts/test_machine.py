"""A machine is a computer of its own as far as its programs can tell, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.three_hosts.machine import Machine
from servers import Unavailable

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine with a disk at /data."""
    (tmp_path / "disk").mkdir()
    made = Machine("somebody", tmp_path / "stage", {"/data": tmp_path / "disk"}, ENVIRONMENT)
    try:
        made.boot()
    except Unavailable as error:
        pytest.skip(str(error))
    yield made
    made.kill()


def is_gone(pid: int) -> bool:
    """Has a process ended, be it waited for or not?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def wait_until(fact: Callable[[], bool]) -> None:
    """Look until a fact is true."""
    deadline = time.monotonic() + 10
    while not fact():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_it_has_a_name_processes_and_files_of_its_own(machine: Machine) -> None:
    assert machine.run("hostname") == "somebody\n"
    assert int(machine.run("sh", "-c", "echo /proc/[0-9]* | wc -w")) < 9
    machine.write("/etc/hosts", "10.1.2.3 nobody\n", 0o644)
    assert machine.run("getent", "hosts", "nobody").split() == ["10.1.2.3", "nobody"]
    assert "nobody" not in Path("/etc/hosts").read_text()
    assert machine.run("ip", "-br", "link").split()[0] == "lo"


def test_a_kill_ends_all_and_only_the_disk_is_left(machine: Machine, tmp_path: Path) -> None:
    machine.run("touch", "/data/kept", "/etc/forgotten")
    with (tmp_path / "log").open("wb") as log:
        program = machine.start(["tail", "-f", "/dev/null"], log)
    machine.kill()
    assert program.wait(10) != 0
    machine.boot()
    assert machine.run("ls", "/data") == "kept\n"
    assert "forgotten" not in machine.run("ls", "/etc")


def test_a_signal_reaches_the_program(machine: Machine, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        script = "trap 'exit 3' TERM; echo ready; while :; do :; done"
        program = machine.start(["sh", "-c", script], log)
    wait_until(lambda: (tmp_path / "log").read_text() == "ready\n")
    program.send_signal(signal.SIGTERM)
    assert program.wait(10) == 3


def test_it_ends_with_who_made_it_even_if_that_is_killed(machine: Machine, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from e2e.three_hosts.machine import Machine\n"
        f"made = Machine('other', Path({str(tmp_path / 'other')!r}), {{}}, {ENVIRONMENT})\n"
        "made.boot(); print(made.pid, flush=True); sys.stdin.read()"
    )
    path = os.pathsep.join(word for word in sys.path if word)
    owner = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
        text=True,
    )
    assert owner.stdout is not None
    first = int(owner.stdout.readline())
    assert not is_gone(first)
    owner.kill()
    owner.communicate()
    wait_until(lambda: is_gone(first))
