"""bbcp for large files, and rsync for all that bbcp cannot: over a real ssh server."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

import fake_bbcp
from alpenhorn.errors import FailureClass
from alpenhorn.transfer import bbcp as module
from alpenhorn.transfer.batch import Endpoint, Item, Limits, Outcome
from alpenhorn.transfer.bbcp import REMEMBER_S, BbcpMover, Ends
from alpenhorn.transfer.choose import move
from alpenhorn.transfer.options import read_options
from alpenhorn.transfer.rsync import RsyncMover
from alpenhorn.transfer.verify import verify_staged
from sshd import Sshd

pytestmark = [
    pytest.mark.slow,  # each logs in several times
    pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed"),
]

DATA = b"A large file, for those who like to wait." * 1000


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """Both movers, a source tree and a staging directory."""

    def __init__(self, sshd: Sshd, tmp: Path) -> None:
        self.sshd = sshd
        self.root = tmp / "source"
        self.staging = tmp / "staging"
        self.root.mkdir()
        self.staging.mkdir()
        self.clock = Clock()
        self.ends = Ends(self.clock)
        self.limits = Limits(60)
        self.log = sshd.bin / "bbcp-calls"

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(False, self.sshd.address, str(self.root), read_options(self.sshd.options))

    def add(self, path: str = "acq/file", data: bytes = DATA) -> Item:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        return Item(1, path, str(place), len(data), hashlib.md5(data).hexdigest())

    def move(self, item: Item) -> Outcome:
        movers = [BbcpMover(self.ends), RsyncMover()]
        [outcome] = move(movers, [item], self.endpoint, self.staging, self.limits)
        return outcome

    def have_it(self) -> bool:
        return self.ends.have_it(self.endpoint, self.limits.remote_shell)

    def calls(self) -> Sequence[list[str]]:
        return fake_bbcp.calls(self.log)


@pytest.fixture
def bench(sshd: Sshd, shared: None, tmp_path: Path) -> Bench:
    fake_bbcp.install(sshd.bin)
    return Bench(sshd, tmp_path)


def test_a_file_arrives_over_bbcp(bench: Bench) -> None:
    item = bench.add()
    assert bench.move(item) == Outcome(1, method="bbcp")
    assert verify_staged(bench.staging, item).ok
    [words] = bench.calls()
    assert words[-2:] == [f"{bench.sshd.address}:{item.source}", f"{bench.staging}/acq/file"]
    assert {"-f", "-z", "-e", "-p"} < set(words)
    assert bench.sshd.logins() == 1, "bbcp uses the shared connection too"


@pytest.mark.parametrize("failure", fake_bbcp.FAILURES)
def test_rsync_brings_what_bbcp_does_not(
    bench: Bench, failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    fake_bbcp.install(bench.sshd.bin, failure)
    item = bench.add()
    assert bench.have_it()
    assert bench.move(item) == Outcome(1, method="rsync")
    assert verify_staged(bench.staging, item).ok
    assert "bbcp failed" in caplog.text
    assert not bench.have_it(), "not tried again and again"


def test_a_bbcp_that_hangs_is_killed_and_rsync_takes_over(bench: Bench) -> None:
    fake_bbcp.install(bench.sshd.bin, "hangs")
    bench.limits = Limits(2)
    item = bench.add()
    assert bench.move(item) == Outcome(1, method="rsync")
    assert verify_staged(bench.staging, item).ok


@pytest.mark.parametrize("failure", ["corrupts", "cuts"])
def test_a_bbcp_that_lies_is_found_out_when_the_file_is_read_back(
    bench: Bench, failure: str
) -> None:
    """No mover is trusted: what counts are the bytes here."""
    fake_bbcp.install(bench.sshd.bin, failure)
    item = bench.add()
    bench.move(item)
    assert verify_staged(bench.staging, item).failure is FailureClass.SOURCE


@pytest.mark.parametrize(
    "path", ["a file", "ünicode", "a;b", "a$(touch owned)", "a:b", "a\nb", "%U"]
)
def test_odd_names_are_left_to_rsync(bench: Bench, path: str) -> None:
    item = bench.add(f"acq/{path}")
    assert bench.move(item) == Outcome(1, method="rsync")
    assert bench.calls() == []
    assert bench.have_it(), "nobody's fault"


def test_partial_data_are_left_to_rsync(bench: Bench) -> None:
    item = bench.add()
    (bench.staging / "acq").mkdir()
    (bench.staging / "acq/file").write_bytes(DATA[:20_000])
    assert bench.move(item) == Outcome(1, method="rsync")
    assert bench.calls() == []
    assert verify_staged(bench.staging, item).ok


def test_a_link_at_the_source_is_not_followed(bench: Bench) -> None:
    item = bench.add()
    Path(item.source).rename(bench.root / "elsewhere")
    Path(item.source).symlink_to(bench.root / "elsewhere")
    assert bench.move(item).failure is FailureClass.SOURCE
    assert bench.calls() == []


def test_a_missing_file_is_no_failure_of_bbcp(bench: Bench) -> None:
    item = bench.add()
    Path(item.source).unlink()
    assert bench.move(item).failure is FailureClass.SOURCE
    assert bench.have_it()


def test_a_host_that_does_not_let_us_in_is_told_by_rsync(bench: Bench) -> None:
    bench.sshd.refuse_key()
    outcome = bench.move(bench.add())
    assert outcome.failure is FailureClass.ROUTE
    assert "does not let" in outcome.message


# ---- at both ends?


def test_the_source_is_asked_once_an_hour(bench: Bench) -> None:
    assert bench.have_it()
    (bench.sshd.bin / "bbcp").unlink()
    fake_bbcp.install(bench.staging.parent / "here")
    os.environ["PATH"] = f"{bench.staging.parent / 'here'}:{os.environ['PATH']}"
    assert bench.have_it(), "remembered"
    bench.clock.now = REMEMBER_S
    assert not bench.have_it()
    fake_bbcp.install(bench.sshd.bin)
    assert not bench.have_it(), "remembered"
    bench.clock.now = 2 * REMEMBER_S
    assert bench.have_it()


def test_without_bbcp_here_nobody_is_asked(bench: Bench) -> None:
    (bench.sshd.bin / "bbcp").unlink()
    assert not bench.have_it()
    assert bench.sshd.logins() == 0


def test_a_host_that_cannot_be_asked_has_no_bbcp(bench: Bench) -> None:
    bench.sshd.refuse_key()
    assert not bench.have_it()


def test_one_memory_serves_the_whole_process() -> None:
    assert BbcpMover()._ends is module.ends
