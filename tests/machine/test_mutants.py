"""The machine notices when the product is broken: each mutant is found within its budget."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given, seed, settings

from machine.exploring import quietly
from machine.mutants import MUTANTS, Mutant
from machine.scenarios import SCENARIOS, Turn, play, schedules

BUDGET = int(os.environ.get("MACHINE_BUDGET", "150"))
"""Schedules tried per scenario that is to find a mutant."""


class Found(Exception):
    """An invariant was broken; no need to look for a shorter way."""


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.what)
def test_a_broken_product_is_noticed(worlds: Any, mutant: Mutant) -> None:
    for name in mutant.found_by:
        if tried := _tries_until_found(worlds, mutant, name):
            print(f"{mutant.what}: found by {name!r} after {tried[0]} schedules: {tried[1]}")
            return
    pytest.fail(f"nobody noticed: {mutant.what}")


def _tries_until_found(worlds: Any, mutant: Mutant, name: str) -> tuple[int, str] | None:
    scenario, tried = SCENARIOS[name], 0

    @seed(1)
    @settings(quietly, max_examples=BUDGET)
    @given(schedules())
    def explore(schedule: list[Turn]) -> None:
        nonlocal tried
        tried += 1
        with worlds(scenario.places, scenario.edges, scenario.settings) as world:
            try:
                play(scenario, world, schedule)
            except AssertionError as error:
                raise Found(str(error).splitlines()[0]) from None

    with mutant.installed():
        try:
            explore()
        except Found as found:
            return tried, str(found)
    return None
