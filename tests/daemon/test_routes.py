"""A route that failed rests; then one request is on trial; if that comes off, the others follow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from alpenhorn import db, events
from alpenhorn.daemon import loop as loop_module
from alpenhorn.daemon.patience import Patience
from alpenhorn.daemon.routes import Routes
from alpenhorn.errors import FailureClass

SOURCE, GROUP = 7, 3


@pytest.fixture
def routes(clock: Any) -> Iterator[Routes]:
    made = Routes(Patience(first=5, longest=60, clock=clock, jitter=0))
    yield made
    made.close()


def ended(failure: FailureClass | None, source: int = SOURCE, group: int = GROUP) -> None:
    events.emit(events.TransferEnded(1, source, group, "source", "group", 10, failure))


@pytest.mark.parametrize(
    "failure", [FailureClass.ROUTE, FailureClass.DESTINATION, FailureClass.INTERRUPTED]
)
def test_a_route_rests_after_a_failure_of_its_own(
    routes: Routes, clock: Any, failure: FailureClass
) -> None:
    ended(failure)
    assert routes.resting(GROUP) == {SOURCE}
    clock.advance(5)
    assert routes.resting(GROUP) == set()
    assert routes.on_trial(SOURCE, GROUP)


@pytest.mark.parametrize("failure", [FailureClass.SOURCE, FailureClass.INDEX, FailureClass.BUG])
def test_a_bad_file_does_not_stop_its_route(routes: Routes, failure: FailureClass) -> None:
    ended(failure)
    assert not routes.resting(GROUP)
    assert not routes.on_trial(SOURCE, GROUP)


def test_other_routes_are_not_concerned(routes: Routes) -> None:
    ended(FailureClass.ROUTE)
    assert not routes.resting(GROUP + 1)
    assert not routes.on_trial(SOURCE + 1, GROUP)


def test_a_thousand_failures_of_one_batch_count_once(routes: Routes, clock: Any) -> None:
    for _ in range(1000):
        ended(FailureClass.ROUTE)
    clock.advance(5)
    assert not routes.resting(GROUP)
    routes.begin_pass()
    ended(FailureClass.ROUTE)
    clock.advance(9)
    assert routes.resting(GROUP), "the second failed pass has a longer pause"


def test_one_success_ends_the_trial(routes: Routes, clock: Any) -> None:
    ended(FailureClass.ROUTE)
    clock.advance(5)
    ended(None)
    assert not routes.on_trial(SOURCE, GROUP)
    assert not routes.resting(GROUP)


def test_a_route_on_trial_gets_one_request_and_then_the_others(
    daemon: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.loop.routes.close()
    daemon.loop.routes = Routes(Patience(first=5, longest=60, clock=clock, jitter=0))
    source = daemon.node("source", host="elsewhere")
    daemon.node("dest")
    for n in range(5):
        daemon.make.copy(f"acq/{n}", source)
        daemon.make.request(f"acq/{n}", source, "dest")
    group = db.StorageGroup.get(name="dest")

    def searches() -> int:
        daemon.tick()
        count = sum("Pre-pull search" in name for name in daemon.tasks())
        for live in (*daemon.loop.nodes.values(), *daemon.loop.groups.values()):
            daemon.queue.clear_fifo(live.io.fifo)
            live.patience = Patience(clock=clock)  # this is about routes, not about requests
        return count

    ended(FailureClass.ROUTE, source.id, group.id)
    assert searches() == 0
    clock.advance(5)
    assert searches() == 1
    ended(FailureClass.ROUTE, source.id, group.id)
    assert searches() == 0
    clock.advance(10)
    assert searches() == 1
    ended(None, source.id, group.id)
    assert searches() == 5


def test_the_loop_ends_its_subscription(daemon: Any) -> None:
    daemon.loop.close()
    ended(FailureClass.ROUTE)
    assert not daemon.loop.routes.resting(GROUP)
    daemon.loop.routes = loop_module.Routes()
