"""The machine notices when the product is broken: each mutant is found within its budget."""

from __future__ import annotations

import os
from typing import Any

import pytest

from machine.mutants import MUTANTS, Mutant
from machine.scenarios import SCENARIOS
from machine.schedules import drawn, play

BUDGET = int(os.environ.get("MACHINE_BUDGET", "400"))
"""Schedules tried per scenario that is to find a mutant."""


@pytest.mark.slow
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.what)
def test_a_broken_product_is_noticed(worlds: Any, mutant: Mutant) -> None:
    with mutant.installed():
        for name in mutant.found_by:
            for tried, schedule in enumerate(drawn(name, BUDGET), 1):
                with worlds(SCENARIOS[name].places, SCENARIOS[name].edges) as world:
                    try:
                        play(SCENARIOS[name], world, schedule)
                    except AssertionError as error:
                        words = str(error).splitlines()[0]
                        print(f"\n{mutant.what}: {name!r}, {tried} schedules: {words}")
                        return
    pytest.fail(f"nobody noticed: {mutant.what}")
