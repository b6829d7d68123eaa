"""Pauses between tries: they double, end, and are forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from alpenhorn.daemon import patience as module
from alpenhorn.daemon.patience import Patience


@pytest.fixture
def patience(clock: Any) -> Patience:
    return Patience(first=5, longest=60, clock=clock, jitter=0)


def test_what_was_never_tried_is_ready(patience: Patience) -> None:
    assert patience.ready("x")
    assert patience.count("x") == 0


def test_pauses_double_up_to_the_longest(patience: Patience, clock: Any) -> None:
    for pause in (5, 10, 20, 40, 60, 60):
        patience.tried("x")
        clock.advance(pause - 0.01)
        assert not patience.ready("x")
        clock.advance(0.01)
        assert patience.ready("x")
    assert patience.count("x") == 6


def test_one_thing_does_not_delay_another(patience: Patience) -> None:
    patience.tried("x")
    assert patience.ready("y")
    assert patience.resting() == {"x"}


def test_success_forgets_the_pauses(patience: Patience, clock: Any) -> None:
    patience.tried("x")
    patience.tried("x")
    patience.forget("x")
    assert patience.ready("x")
    assert patience.count("x") == 0
    patience.tried("x")
    clock.advance(5)
    assert patience.ready("x"), "after a success the first pause is short again"


def test_jitter_only_makes_pauses_longer(clock: Any) -> None:
    """Many that failed together are not tried together."""
    patience = Patience(first=100, longest=100, clock=clock, jitter=0.2)
    for n in range(50):
        patience.tried(n)
    clock.advance(99.9)
    assert len(patience.resting()) == 50
    clock.advance(10)
    assert 0 < len(patience.resting()) < 50
    clock.advance(10.2)
    assert not patience.resting()


def test_many_tries_are_not_looked_through_for_each_further_one(
    clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """200,000 requests on one route: each try cost as much as all before it."""
    patience = Patience(first=1, longest=1000, clock=clock, jitter=0)
    forget, looked = patience._forget_old, []
    monkeypatch.setattr(
        patience, "_forget_old", lambda now: looked.append(len(patience._tries)) or forget(now)
    )
    for n in range(20_000):
        patience.tried(n)
    assert sum(looked) < 2 * 20_000


def test_what_came_off_is_forgotten_and_what_did_not_is_kept(patience: Patience) -> None:
    for key in (("check", 1), ("check", 2), ("delete", 1), 1):
        patience.tried(key)
    patience.keep("check", {2, 3})
    assert patience.resting() == {("check", 2), ("delete", 1), 1}


def test_what_is_over_long_since_takes_no_memory(clock: Any) -> None:
    """A daemon runs for years: keys of requests that are done are dropped."""
    patience = Patience(first=1, longest=10, clock=clock, jitter=0)
    for n in range(10_000):
        patience.tried(n)
    clock.advance(100)
    patience.tried("new")
    assert len(patience._tries) == 1
    assert module.LONGEST_PAUSE_S == 3600


def test_it_tells_when_the_pauses_that_run_will_be_over(patience: Patience, clock: Any) -> None:
    began = clock()
    patience.tried("x")
    clock.advance(2)
    patience.tried("y")
    assert sorted(patience.ends()) == [began + 5, began + 7]
    assert patience.ends(["y", "unknown"]) == [began + 7]
    clock.advance(3)
    assert patience.ends() == [began + 7]
