"""How rsync is called, and how its results are judged where the real one is hard to provoke.

A shell script in PATH stands in for rsync; tests/contract/test_movers.py runs the real program.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from alpenhorn.errors import FailureClass
from alpenhorn.transfer.batch import Endpoint, Item, Limits, Outcome
from alpenhorn.transfer.options import NO_OPTIONS, read_options
from alpenhorn.transfer.rsync import RsyncMover

SCRIPT = """#!/bin/sh
if [ "$1" = --version ]; then echo "rsync  version {version}  protocol version 30"; exit; fi
for word in "$@"; do echo "$word" >> {tmp}/words; staging=$word; done
env > {tmp}/env
cat > {tmp}/list
{body}
"""


class FakeRsync:
    def __init__(self, tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.tmp = tmp
        self.staging = tmp / "staging"
        self.options = NO_OPTIONS
        self.staging.mkdir()
        (tmp / "bin").mkdir()
        self.install("exit 0")
        monkeypatch.setenv("PATH", f"{tmp / 'bin'}:{os.environ['PATH']}")

    def install(self, body: str, version: str = "3.2.7") -> None:
        script = SCRIPT.format(version=version, tmp=shlex.quote(str(self.tmp)), body=body)
        (self.tmp / "bin/rsync").write_text(script)
        (self.tmp / "bin/rsync").chmod(0o755)

    def move(self, *items: Item, limits: Limits | None = None) -> list[Outcome]:
        source = Endpoint(False, "user@far.example", "/data", self.options)
        limits = limits or Limits(60, ("ssh", "-q"))
        return list(RsyncMover().move(items, source, self.staging, limits))

    def words(self) -> list[str]:
        return (self.tmp / "words").read_text().splitlines()


@pytest.fixture
def rsync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeRsync:
    return FakeRsync(tmp_path, monkeypatch)


FILE = Item(1, "acq/file", "/data/acq/file", 4)
STAGED = 'mkdir -p "$staging/acq"; printf 0000 > "$staging/acq/file"; '


def test_a_read_error_at_the_source_spoils_a_file_of_full_length(rsync: FakeRsync) -> None:
    """The sender fills up with zeros what it cannot read."""
    message = 'rsync: [sender] read errors mapping "/data/acq/file": Input/output error (5)'
    rsync.install(f"{STAGED} echo '{message}' >&2; exit 23")
    assert rsync.move(FILE)[0].failure is FailureClass.ROUTE


def test_a_file_of_full_length_arrived_whatever_the_exit_status(rsync: FakeRsync) -> None:
    rsync.install(f"{STAGED} exit 12")
    assert rsync.move(FILE)[0].ok


def test_without_a_known_length_only_a_finished_rsync_counts(rsync: FakeRsync) -> None:
    unknown = Item(1, "acq/file", "/data/acq/file")
    rsync.install(f"{STAGED} exit 12")
    assert rsync.move(unknown)[0].failure is FailureClass.ROUTE
    rsync.install(f"{STAGED} exit 0")
    assert rsync.move(unknown)[0].ok


def test_a_silent_rsync_that_delivers_nothing_is_no_success(rsync: FakeRsync) -> None:
    outcome = rsync.move(FILE)[0]
    assert outcome.failure is FailureClass.ROUTE
    assert "did not deliver" in outcome.message


def test_an_rsync_that_cannot_be_started_fails_here(rsync: FakeRsync) -> None:
    (rsync.tmp / "bin/rsync").write_text("#!/no/such/interpreter\n")
    assert rsync.move(FILE)[0].failure is FailureClass.DESTINATION


def test_no_name_from_a_row_is_on_the_command_line(rsync: FakeRsync) -> None:
    rsync.move(Item(1, "-e x/$(y)", "/data/-e x/$(y)", 4))
    assert rsync.words()[-3:] == ["--", "user@far.example:/", f"{rsync.staging}/"]
    assert not [word for word in rsync.words() if "$(y)" in word]
    assert (rsync.tmp / "list").read_bytes() == b"/./data/-e x\0/data/./-e x/$(y)\0"


def test_a_root_with_odd_components_does_not_move_the_cut(rsync: FakeRsync) -> None:
    rsync.move(Item(1, "acq/file", "/data/./disk//acq/file", 4))
    listed = (rsync.tmp / "list").read_bytes()
    assert listed == b"/./data/disk/acq\0/./data/disk\0/data/./disk/acq/file\0"


def test_the_remote_shell_is_passed_as_configured(rsync: FakeRsync) -> None:
    rsync.move(FILE, limits=Limits(60, ("/opt/my ssh", "-o", "BatchMode=yes")))
    assert "--rsh='/opt/my ssh' -o BatchMode=yes" in rsync.words()


def test_nothing_is_compressed_and_the_rate_is_limited_on_wish(rsync: FakeRsync) -> None:
    rsync.move(FILE, limits=Limits(60, ("ssh",), bwlimit=2**20))
    assert "--bwlimit=1024" in rsync.words()
    assert not [word for word in rsync.words() if word.startswith(("-z", "--compress"))]


def test_the_nodes_settings_are_passed_on(rsync: FakeRsync) -> None:
    rsync.options = read_options({"rsync_path": "/opt/bin/rsync", "compress": True})
    rsync.move(FILE)
    assert {"--rsync-path=/opt/bin/rsync", "--compress"} < set(rsync.words())


def test_a_failure_names_the_host_and_what_to_do(rsync: FakeRsync) -> None:
    rsync.install("echo 'bash: rsync: command not found' >&2; exit 127")
    outcome = rsync.move(FILE)[0]
    assert outcome.failure is FailureClass.ROUTE
    assert outcome.message.startswith("there is no rsync on far.example: install it")
    rsync.install("exec sleep 1000")
    outcome = rsync.move(FILE, limits=Limits(0.3, ("false",)))[0]
    assert outcome.failure is FailureClass.ROUTE
    assert "time limit" in outcome.message
    assert "far.example" in outcome.message


@pytest.mark.parametrize(("version", "sparse"), [("3.1.2", False), ("3.1.3", True)])
def test_an_rsync_that_cannot_do_sparse_in_place_is_not_asked_to(
    rsync: FakeRsync, version: str, sparse: bool
) -> None:
    rsync.install("exit 0", version)
    rsync.move(FILE)
    assert ("--sparse" in rsync.words()) is sparse
    assert "--remote-option=--no-sparse" in rsync.words()


def test_rsyncs_own_variables_do_not_change_the_transfer(
    rsync: FakeRsync, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSYNC_PARTIAL_DIR", "elsewhere")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    rsync.move(FILE)
    env = (rsync.tmp / "env").read_text().splitlines()
    assert not [line for line in env if line.startswith("RSYNC_")]
    assert "LC_ALL=C" in env
