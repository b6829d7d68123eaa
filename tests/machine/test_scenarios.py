"""Real services and daemons, interleaved step by step, from where the danger is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import Phase, given, settings

from machine.exploring import EXAMPLES, quietly
from machine.scenarios import SCENARIOS, Turn, play, schedules


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_order_of_events_breaks_an_invariant(worlds: Any, name: str) -> None:
    scenario = SCENARIOS[name]

    @settings(quietly, max_examples=EXAMPLES, phases=[Phase.generate, Phase.shrink])
    @given(schedules())
    def explore(schedule: list[Turn]) -> None:
        with worlds(scenario.places, scenario.edges, scenario.settings) as world:
            play(scenario, world, schedule)

    explore()
