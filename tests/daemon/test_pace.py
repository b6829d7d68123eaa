"""A search that takes long gets a tenth of the time."""

from __future__ import annotations

from typing import Any

import pytest

from alpenhorn.daemon.jobs import deletions
from alpenhorn.daemon.pace import Pace


def done(pace: Pace, clock: Any, took: float) -> None:
    with pace.measured():
        clock.advance(took)


def test_what_is_cheap_may_be_done_at_any_time(clock: Any) -> None:
    pace = Pace(clock)
    for _ in range(3):
        assert pace.is_due()
        done(pace, clock, 0.05)
    assert pace.ends() is None


def test_what_is_dear_rests_for_ten_times_as_long_as_it_took(clock: Any) -> None:
    pace = Pace(clock)
    done(pace, clock, 2)
    assert pace.ends() is None, "nobody has asked for it"
    assert not pace.is_due()
    assert pace.ends() == clock() + 20
    clock.advance(20)
    assert pace.is_due()
    assert pace.ends() is None


def test_an_error_is_no_reason_for_a_rest(clock: Any) -> None:
    pace = Pace(clock)
    with pytest.raises(OSError), pace.measured():
        clock.advance(2)
        raise OSError
    assert pace.is_due()


@pytest.fixture
def released(daemon: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A copy that may go, after a search that takes two seconds."""
    row = daemon.node()
    daemon.settle()
    search = deletions.deletion.deletable

    def slow(*args: Any) -> Any:
        daemon.clock.advance(2)
        return search(*args)

    monkeypatch.setattr(deletions.deletion, "deletable", slow)
    daemon.tick()
    for name in ("arc1", "arc2"):
        archive = daemon.make.node(name, storage_type="A", host=f"host of {name}", root="/far")
        daemon.make.copy("acq/file", archive)
    daemon.make.copy("acq/file", row, wants="N")
    daemon.write("acq/file")
    return daemon


def test_a_deletion_waits_for_the_pause_and_then_for_nothing_else(released: Any) -> None:
    released.tick()
    assert released.tasks() == []
    assert released.loop.due() == released.clock() + 20
    released.clock.advance(20)
    released.tick()
    assert len(released.tasks()) == 1
    assert released.loop.due() is None
