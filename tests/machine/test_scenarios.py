"""Real services and daemons, interleaved step by step, from where the danger is."""

from __future__ import annotations

from typing import Any

import pytest

from machine.scenarios import SCENARIOS
from machine.schedules import EXAMPLES, Schedule, drawn, play, shortest


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_order_of_events_breaks_an_invariant(worlds: Any, name: str) -> None:
    scenario = SCENARIOS[name]

    def story(schedule: Schedule) -> str | None:
        with worlds(scenario.places, scenario.edges) as world:
            try:
                play(scenario, world, schedule)
            except AssertionError as error:
                return str(error)
        return None

    for schedule in drawn(name, EXAMPLES):
        if story(schedule):
            short = shortest(schedule, lambda shorter: story(shorter) is not None)
            pytest.fail(f"{story(short)}\n{short}")
