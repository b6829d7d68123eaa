"""Bulk: 100,000 files are one job (design P1, §5)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alpenhorn import db
from alpenhorn.db.operations import TransferAttempt
from alpenhorn.db.queries import pending
from alpenhorn.scheduler import TaskRunner, run_one


@pytest.fixture
def source(site: Any) -> Any:
    return site.node("src")


@pytest.fixture
def io(site: Any) -> Any:
    return site.node("dst", storage_type="A")


@pytest.fixture
def ask(site: Any, source: Any, io: Any) -> Any:
    """Make files at the source; returns the requests as the daemon reads them."""

    def ask(count: int, prefix: str = "acq", **values: Any) -> list[Any]:
        for n in range(count):
            site.put(source, f"{prefix}/{n}", b"file %02d" % n, **values)
            site.make.request(f"{prefix}/{n}", source.node, "dst")
        return list(pending.ready(io.node.group, 10_000))

    return ask


def test_up_to_sixteen_files_are_told_one_by_one(site: Any, io: Any, ask: Any, lines: Any) -> None:
    io.pull_many(ask(16), True)
    assert site.run() == 16
    assert sum(line.startswith("Pulling local file acq/") for line in lines("INFO")) == 16
    assert sum(line.startswith("Pull of acq/") for line in lines("INFO")) == 16


def test_more_are_one_task_with_one_line_at_its_start_and_one_at_its_end(
    site: Any, io: Any, ask: Any, lines: Any
) -> None:
    requests = ask(17)
    io.pull_many(requests, True)
    assert site.run() == 1
    start, end = lines("INFO")
    assert start == "Pulling 17 local files (119 B) from src using internal"
    assert end.startswith("Pulled 17 files (119 B) in ")
    assert sum(line.startswith("Pull of acq/") for line in lines("DEBUG")) == 17
    assert set(site.make.states(io.node).values()) == {"YY"}
    assert len(site.make.states(io.node)) == 17


def test_a_batch_names_its_first_request_and_the_number_of_the_others(
    site: Any, io: Any, ask: Any
) -> None:
    requests = ask(17)
    io.pull_many(requests, True)
    task, key = site.queue.get(0)
    assert task.name == f"AFCR#{requests[0].id} and 16 more: src -> dst"
    assert key == io.fifo


def test_batches_are_bounded_and_big_files_travel_alone(
    site: Any, io: Any, ask: Any, source: Any, daemon_config: Any
) -> None:
    daemon_config(batch_files=10, single_file_bytes=20)
    site.put(source, "acq/big", b"x" * 21)
    site.make.request("acq/big", source.node, "dst")
    io.pull_many(ask(25), True)
    assert site.run() == 4
    assert set(site.make.states(io.node).values()) == {"YY"}


def test_each_route_is_a_task_of_its_own(site: Any, io: Any, ask: Any) -> None:
    other = site.node("src2")
    site.put(other, "other/f")
    site.make.request("other/f", other.node, "dst")
    io.pull_many(ask(17), True)
    assert site.run() == 2


@pytest.mark.parametrize("count", [2, 17])
def test_one_bad_source_file_does_not_keep_the_others(
    site: Any, io: Any, ask: Any, source: Any, lines: Any, count: int
) -> None:
    requests = ask(count)
    Path(source.node.root, "acq/1").write_bytes(b"FILE 01")
    io.pull_many(requests, True)
    site.run()
    states = site.make.states(io.node)
    assert "acq/1" not in states
    assert set(states.values()) == {"YY"}
    assert len(states) == count - 1
    assert [path for path, s in site.make.states(source.node).items() if s == "MY"] == ["acq/1"]
    [line] = lines("ERROR")
    assert "acq/1" in line


def test_one_hostile_row_does_not_keep_the_others(
    site: Any, io: Any, ask: Any, source: Any, lines: Any
) -> None:
    requests = ask(17)
    bad = db.ArchiveFile.get(name="3")
    db.ArchiveFile.update(name="../../../etc/passwd").where(db.ArchiveFile.id == bad.id).execute()
    io.pull_many(requests, True)
    site.run()
    states = site.make.states(io.node)
    assert len(states) == 16
    assert set(states.values()) == {"YY"}
    assert len(lines("ERROR")) == 1


def test_one_planted_link_does_not_keep_the_others(
    site: Any, io: Any, ask: Any, source: Any, tmp_path: Path
) -> None:
    """A directory of the destination that is a link leads nowhere, and stops nobody else."""
    (tmp_path / "outside").mkdir()
    Path(io.node.root, "trap").symlink_to(tmp_path / "outside")
    ask(1, prefix="trap/deep")
    io.pull_many(ask(17), True)
    site.run()
    states = site.make.states(io.node)
    assert set(states) == {f"acq/{n}" for n in range(17)}
    assert list((tmp_path / "outside").iterdir()) == []
    assert [a.failure for a in TransferAttempt.select() if a.failure] == ["destination"]


def test_a_failing_route_costs_one_line(
    site: Any, io: Any, ask: Any, source: Any, lines: Any
) -> None:
    requests = ask(20)
    Path(source.node.root).rename(site.tmp / "unmounted")
    for _ in range(3):
        io.pull_many(requests, True)
        site.run()
    assert len(lines("WARNING")) == 1
    assert set(site.make.states(source.node).values()) == {"YY"}


# ---- reservations


def test_space_is_reserved_while_tasks_wait_and_given_back_at_their_end(
    site: Any, io: Any, ask: Any
) -> None:
    io.pull_many(ask(17), True)
    assert site.reserved() == 2 * 17 * 7
    site.run()
    assert site.reserved() == 0


@pytest.mark.parametrize("count", [3, 17])
def test_space_is_given_back_by_tasks_that_are_thrown_away(
    site: Any, io: Any, ask: Any, count: int
) -> None:
    """The node went away, or the daemon stops."""
    requests = ask(count)
    io.pull_many(requests, True)
    assert site.reserved() > 0
    site.queue.clear_fifo(io.fifo, keep_clear=True)
    assert site.reserved() == 0
    io.pull_many(requests, True)
    assert site.reserved() == 0, "the FIFO is closed: the tasks never run"


def test_space_is_given_back_by_tasks_that_fail(
    site: Any, io: Any, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*args: object) -> None:
        raise db.ArchiveFile.DoesNotExist("the database went away")

    io.pull_many(ask(17), True)
    monkeypatch.setattr(pending, "still_ready", lost)
    site.run(fails=True)
    assert len(site.failures) == 1
    assert site.reserved() == 0


def test_only_what_fits_is_queued(
    site: Any, io: Any, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(io, "bytes_avail", lambda fast=False: 2 * 7 * 5 + 13)
    io.pull_many(ask(20), True)
    site.run()
    assert len(site.make.states(io.node)) == 5
    assert site.reserved() == 0


# ---- statements


def cost(site: Any, io: Any, requests: list[Any], statements: Any) -> tuple[int, int, int]:
    """Transactions, questions and other statements of the one task that pulls `requests`."""
    io.pull_many(requests, True)
    with statements() as seen:
        assert run_one(site.queue, TaskRunner(), timeout=0)
    counts = [sum(sql.startswith(word) for sql in seen) for word in ("BEGIN", "SELECT")]
    return counts[0], counts[1], len(seen) - 2 * counts[0] - counts[1]


def test_a_batch_costs_a_fixed_number_of_transactions_questions_and_writes(
    site: Any, io: Any, ask: Any, statements: Any
) -> None:
    cost(site, io, ask(17, "warm"), statements)
    small = cost(site, io, ask(20, "small"), statements)
    large = cost(site, io, ask(80, "large"), statements)
    assert large == small
    assert small[0] <= 4
    assert small[1] <= 12
