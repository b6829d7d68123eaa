from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from alpenhorn.scheduler import FairMultiFIFOQueue, global_abort


class Clock:
    """A clock that stands still until told otherwise."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> FairMultiFIFOQueue:
    return FairMultiFIFOQueue(clock=clock)


@pytest.fixture(autouse=True)
def no_abort() -> Iterator[None]:
    global_abort.clear()
    yield
    global_abort.clear()


@pytest.fixture(autouse=True)
def all_levels(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
