"""The metrics say what happened (spec: config.md §10); the names are those of dashboards in use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from alpenhorn import db, events
from alpenhorn.common import hashing
from alpenhorn.daemon import telemetry
from alpenhorn.errors import FailureClass
from alpenhorn.io.default import DefaultNodeIO

prometheus_client = pytest.importorskip("prometheus_client")

Sample = Callable[..., float | None]


@pytest.fixture
def sample(settings: dict[str, Any]) -> Sample:
    """Read one series as the endpoint shows it."""
    telemetry.start()

    def read(series: str, /, **labels: str) -> float | None:
        return prometheus_client.REGISTRY.get_sample_value(
            f"alpenhorn_{series}", {"daemon": "here", **labels}
        )

    return read


@pytest.fixture
def grows(sample: Sample) -> Callable[..., Callable[[], float]]:
    """Note the value of a counter; the result tells by how much it has grown since."""

    def note(series: str, /, **labels: str) -> Callable[[], float]:
        before = sample(series, **labels) or 0
        return lambda: (sample(series, **labels) or 0) - before

    return note


def test_passes_are_counted_and_timed(daemon: Any, sample: Sample, grows: Any) -> None:
    loops = grows("main_loops_total")
    daemon.tick()
    daemon.tick()
    assert loops() == 2
    assert sample("main_loop_time_seconds") == 0
    assert sample("worker_count", pool_type="EmptyPool") == 0


def test_nodes_and_groups_are_available_exactly_while_they_take_part(
    daemon: Any, sample: Sample
) -> None:
    """K-18: also not before the node is known to be initialised."""
    row = daemon.node("m1", initialised=False)
    daemon.tick()
    assert sample("node_available", name="m1") in (None, 0)
    (daemon.root("m1") / "ALPENHORN_NODE").write_text("m1\n")
    daemon.settle()
    assert sample("node_available", name="m1") == 1
    assert sample("group_available", name="m1") == 1
    assert sample("node_idle", name="m1") == 1
    type(row).update(active=False).execute()
    daemon.tick()
    assert sample("node_available", name="m1") == 0
    assert sample("group_available", name="m1") == 0
    assert sample("node_idle", name="m1") is None


def test_updates_that_were_skipped_are_not_counted(
    daemon: Any, grows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DefaultNodeIO, "takes_more", False)
    updates = grows("node_update_total", name="m2")
    daemon.node("m2")
    daemon.tick()
    daemon.tick()  # busy with the tidy-up
    assert updates() == 1


def test_the_queue_by_label_and_in_sum(daemon: Any, sample: Sample) -> None:
    daemon.node("m3")
    daemon.tick()
    assert sample("queue_size", fifo="Node m3", status="queued") == 1
    assert sample("queue_size", fifo="Node m3", status="any") == 1
    assert sample("queue_size", fifo="_ALL", status="queued") == 1
    daemon.work()
    daemon.tick()
    assert sample("queue_size", fifo="Node m3", status="queued") == 0


def test_a_discarded_queue_counts_as_empty(daemon: Any, sample: Sample) -> None:
    """K-19: gauges do not drift."""
    row = daemon.node("m4")
    daemon.tick()
    type(row).update(active=False).execute()
    daemon.tick()
    assert sample("queue_size", fifo="Node m4", status="any") == 0


def test_requests_checks_and_bytes(daemon: Any, grows: Any) -> None:
    source, _ = daemon.node("m5"), daemon.node("m6")
    copies = grows("requests_completed_total", type="copy", result="success", node="m5", group="m6")
    imports = grows(
        "requests_completed_total", type="import", result="success", node="m5", group="m5"
    )
    checks = grows("verification_checks_total", node="m5")
    transfers = grows("transfers_total", node_from="m5", group_to="m6", result="success")
    pulled = grows("pulled_bytes_total", node_from="m5", group_to="m6")
    daemon.write("acq/file", node="m5")
    daemon.ask("acq/file", node=source)
    daemon.settle()
    db.ArchiveFileCopy.update(has_file="M").execute()
    daemon.settle()
    daemon.make.request("acq/file", source, "m6")
    daemon.settle()
    assert (imports(), checks(), transfers(), pulled()) == (1, 1, 1, 4)
    assert copies() == 1


def test_the_md5_sums_under_way_are_read_when_somebody_asks(
    sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    telemetry.start()
    monkeypatch.setattr(hashing, "_running", 3)
    assert sample("hash_running_count") == 3


def test_nothing_is_left_running(daemon: Any, sample: Sample, grows: Any) -> None:
    source, _ = daemon.node("m7"), daemon.node("m8")
    daemon.write("acq/file", node="m7")
    daemon.ask("acq/file", node=source)
    daemon.settle()
    daemon.make.request("acq/file", source, "m8")
    daemon.settle()
    assert sample("hash_running_count") == 0
    running = [
        metric.value
        for family in prometheus_client.REGISTRY.collect()
        if family.name == "alpenhorn_pull_running_count"
        for metric in family.samples
        if metric.labels["node"] == "m8"
    ]
    assert set(running) == {0}


def test_deletions(daemon: Any, grows: Any) -> None:
    files = grows("deleted_files_total", node="m9")
    size = grows("deleted_bytes_total", node="m9")
    row = daemon.node("m9")
    daemon.write("acq/file", node="m9")
    daemon.make.copy("acq/file", row, wants="N")
    for n in (1, 2):
        far = daemon.make.node(f"arc{n}", storage_type="A", host=f"host{n}", root="/far")
        daemon.make.copy("acq/file", far)
    daemon.settle()
    assert (files(), size()) == (1, 4)


@pytest.mark.parametrize(
    ("failure", "result"),
    [
        (None, "success"),
        (FailureClass.SOURCE, "integrity"),
        (FailureClass.ROUTE, "failure"),
        (FailureClass.DESTINATION, "failure"),
        (FailureClass.BUG, "failure"),
    ],
)
def test_each_attempt_counts_exactly_once(
    grows: Any, failure: FailureClass | None, result: str
) -> None:
    """K-17: some failures were counted twice."""
    results = ("success", "integrity", "failure", "check_src")
    route = {"node_from": "a", "group_to": "b"}
    counts = {word: grows("transfers_total", **route, result=word) for word in results}
    events.emit(events.TransferEnded(1, 1, 1, "a", "b", 10, failure))
    assert {word: count() for word, count in counts.items()} == {
        word: float(word == result) for word in results
    }


def test_serial_rounds(grows: Any) -> None:
    loops, tasks = grows("serialio_loops_total"), grows("serialio_tasks_total")
    telemetry.serial(3)
    assert (loops(), tasks()) == (1, 3)


def test_starting_twice_does_not_count_twice(grows: Any) -> None:
    telemetry.start()
    checks = grows("verification_checks_total", node="twice")
    events.emit(events.CheckBegun("twice"))
    assert checks() == 1
