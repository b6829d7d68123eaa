"""A route that failed rests; then one request is on trial; if that comes off, the others follow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from alpenhorn import db, events
from alpenhorn.daemon import loop as loop_module
from alpenhorn.daemon import routes as routes_module
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


def test_it_tells_once_which_requests_worked(routes: Routes) -> None:
    for number, failure in enumerate([None, FailureClass.SOURCE, None]):
        events.emit(events.TransferEnded(number, SOURCE, GROUP, "source", "group", 10, failure))
    assert routes.done(GROUP + 1) == set()
    assert routes.done(GROUP) == {0, 2}
    assert routes.done(GROUP) == set()


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


class TestTheNextTry:
    """A transfer that failed once is tried again after its pause, not after the interval only."""

    @pytest.fixture
    def loop(self, daemon: Any, clock: Any) -> Any:
        """Request 1, from a source into a group, was just handed out; no try has failed."""
        loop = daemon.loop
        loop.routes.close()
        loop.routes = Routes(Patience(first=5, longest=60, clock=clock, jitter=0))
        daemon.source = daemon.node("source", host="elsewhere")
        daemon.node("dest")
        daemon.tick()
        daemon.group = loop.groups["dest"]
        daemon.group.patience = Patience(first=6, longest=60, clock=clock, jitter=0)
        daemon.group.patience.tried(1)
        return loop

    def end(self, daemon: Any, failure: FailureClass | None) -> None:
        ended(failure, daemon.source.id, daemon.group.db.id)

    def test_without_a_failure_no_pass_is_due(self, daemon: Any, loop: Any) -> None:
        assert loop.due() is None
        self.end(daemon, None)
        assert loop.due() is None

    def test_a_pass_is_due_when_route_and_request_are_ready(
        self, daemon: Any, loop: Any, clock: Any
    ) -> None:
        self.end(daemon, FailureClass.ROUTE)
        assert loop.due() == clock() + 6, "the route's 5 s are over as well then"

    def test_also_after_a_failure_that_is_not_the_route_s(
        self, daemon: Any, loop: Any, clock: Any
    ) -> None:
        self.end(daemon, FailureClass.SOURCE)
        assert loop.due() == clock() + 6

    def test_success_and_time_end_it(self, daemon: Any, loop: Any, clock: Any) -> None:
        self.end(daemon, FailureClass.ROUTE)
        clock.advance(6)
        assert loop.due() is None, "that pass was made; the next failure tells of another one"
        self.end(daemon, None)
        assert loop.routes.failed(daemon.group.db.id) == set()

    def test_a_longer_pause_gets_a_pass_of_its_own(
        self, daemon: Any, loop: Any, clock: Any
    ) -> None:
        daemon.group.patience.tried(1)
        self.end(daemon, FailureClass.ROUTE)
        assert loop.due() == clock() + 5
        clock.advance(5)
        assert loop.due() == clock() + 7

    def test_what_is_remembered_of_failures_is_bounded(
        self, loop: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(routes_module, "MOST_FAILED", 3)
        for number in range(10):
            failure = events.TransferEnded(
                number, SOURCE, GROUP, "source", "group", 10, FailureClass.SOURCE
            )
            events.emit(failure)
        assert loop.routes.failed(GROUP) == {0, 1, 2}
