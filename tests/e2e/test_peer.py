"""An existing installation can switch over, and back: one index, used by two programs in turn.

Set ``ALPENHORN_PEER`` to the command of another alpenhorn of schema version 2 (2.0.0rc2, say),
which needs its own driver for MariaDB.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

PEER = os.environ.get("ALPENHORN_PEER", "")
OURS = (sys.executable, "-m", "alpenhorn")
MD5S = [f"{number:032x}" for number in range(10)]

pytestmark = pytest.mark.skipif(
    not PEER, reason="ALPENHORN_PEER does not name another alpenhorn's command"
)


class Program:
    """One of the two programs, on the index of the test."""

    def __init__(self, command: Sequence[str], conf: Path) -> None:
        self.start = [*command, "--test-isolation", "-c", str(conf)]

    def __call__(self, line: str) -> str:
        """Run a command line that has to work; returns what it prints."""
        done = subprocess.run(
            [*self.start, *line.split()],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        print(f"$ {Path(self.start[0]).name} {line}\n{done.stdout}{done.stderr}")
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout

    def add_file(self, name: str, node: str) -> None:
        """Register a file with a good copy."""
        number = int(name.removeprefix("f"))
        self(f"file create {name} 2025/02/21 --md5 {MD5S[number]} --size {number}")
        self(f"file state 2025/02/21/{name} {node} --set healthy")


@pytest.fixture
def conf(tmp_path: Path, database_url: str, index_kind: str) -> Path:
    """The configuration of both programs."""
    if index_kind == "postgres":
        pytest.skip("alpenhorn 2 cannot use PostgreSQL")
    path = tmp_path / "alpenhorn.conf"
    path.write_text(f"database:\n  url: {database_url}\n")
    return path


@pytest.fixture
def peer(conf: Path) -> Program:
    return Program([PEER], conf)


@pytest.fixture
def ours(conf: Path) -> Program:
    return Program(OURS, conf)


def test_an_index_of_the_other_program_is_used_by_ours_and_by_it_again(
    peer: Program, ours: Program
) -> None:
    prepare(peer)

    assert "Added tables and indexes that it lacked." in ours("db init")
    ours.add_file("f3", "n1")
    ours("node create n3 --create-group --host=h3 --root=/c --transport --activate")
    ours("file sync 2025/02/21/f3 --from n1 --to n2")
    ours("node sync n1 n3 --force")
    ours("file clean 2025/02/21/f1 --node n1")
    ours("node clean n1 --now --acq 2025/02/21 --force")
    ours("file state 2025/02/21/f2 n2 --set corrupt")
    assert "No problem in the Data Index" in ours("db check")

    check_reading(peer)
    # It goes on working with what we have written.
    assert "already initialised" in peer("db init")
    peer("node clean n1 --cancel --force")
    peer.add_file("f4", "n2")
    peer("file sync 2025/02/21/f3 --cancel --from n1 --to n3")

    assert "2025/02/21/f4" in ours("file list --node n2")
    assert "No problem in the Data Index" in ours("db check")
    assert "already initialised" in ours("db init")


def prepare(peer: Program) -> None:
    """Make an index and rows in it."""
    assert "version 2 initialised" in peer("db init")
    peer("node create n1 --create-group --host=h1 --root=/a --activate")
    peer("node create n2 --create-group --host=h2 --root=/b --archive --activate")
    peer("node autoclean n1 n2")
    peer("acq create 2025/02/21")
    for name in ("f1", "f2"):
        peer.add_file(name, "n1")
    peer("file sync 2025/02/21/f1 --from n1 --to n2")


def check_reading(peer: Program) -> None:
    """Whatever ours wrote is there for the other program."""
    assert "transport" in peer("node list")
    assert peer("group list").count("\nn") == 3
    stats = peer("node stats --extra-stats")
    assert "n3" in stats
    assert [f"2025/02/21/f{n}" in peer("file list") for n in (1, 2, 3)] == [True] * 3
    assert "Released" in peer("file show --all 2025/02/21/f1")
    shown = peer("file show --all 2025/02/21/f3")
    assert MD5S[3] in shown
    assert "n2" in shown
    assert "n3" in shown
    assert "2025/02/21/f2" in peer("file list --node n2 --corrupt")
    assert "2025/02/21" in peer("acq list")
    assert "f3" in peer("acq files 2025/02/21")
    peer("node show --all n1")
    peer("group show --all n2")


def test_an_index_of_ours_is_used_by_the_other_program(peer: Program, ours: Program) -> None:
    ours("db init")
    prepare_with_ours(ours)
    assert "already initialised" in peer("db init")
    assert peer("file list --node n1").split() == ["2025/02/21/f5"]
    peer.add_file("f6", "n1")
    peer("file clean 2025/02/21/f6 --node n1 --now")
    assert "Released" in ours("file show --all 2025/02/21/f6")
    assert "No problem in the Data Index" in ours("db check")


def prepare_with_ours(ours: Program) -> None:
    ours("node create n1 --create-group --host=h1 --root=/a --activate")
    ours("acq create 2025/02/21")
    ours.add_file("f5", "n1")
