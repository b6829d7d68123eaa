"""Schedules: whose turn it is, and for how long, in few turns; drawn, played, and cut down.

Most mistakes show with one to three interruptions in the right places, so few are drawn, and the
places are counted in changes (transactions, operations that change a file): an actor makes so many
of them, and perhaps looks around before the next one.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from machine.baton import ENDLESS
from machine.scenarios import Scenario
from machine.world import World

EXAMPLES = int(os.environ.get("MACHINE_EXAMPLES", "4"))
"""Schedules tried per scenario, and runs of the state machine for each of these."""

SEED = os.environ.get("MACHINE_SEED", "0")
"""Another seed: other schedules."""


@dataclass(frozen=True)
class Turn:
    """Let one actor make so many changes and then look so often; perhaps kill its daemon then."""

    actor: int
    changes: int
    looks: int
    kill: bool = False


@dataclass(frozen=True)
class Schedule:
    """Some turns; after them everybody goes on to the end.

    Args:
        turns: the turns.
        people_first: people finish before the daemons do.
    """

    turns: tuple[Turn, ...]
    people_first: bool


def drawn(name: str, count: int) -> Iterator[Schedule]:
    """Draw schedules, the same ones for the same name and seed."""
    rng = random.Random(f"{SEED} {name}")
    for _ in range(count):
        turns = (
            Turn(
                rng.randrange(60),
                rng.choice([0, 1, 2, 3, 4, 5, 6, 8, ENDLESS, ENDLESS, ENDLESS]),
                rng.choice([0, 0, 1, 3, 9, 99, 99]),
                rng.random() < 1 / 7,
            )
            for _ in range(rng.randint(1, 5))
        )
        yield Schedule(tuple(turns), rng.random() < 0.5)


def play(scenario: Scenario, world: World, schedule: Schedule) -> None:
    """Let the actors of a scenario take these turns, then finish, then see what is left.

    Raises:
        AssertionError: an invariant is broken; the text tells the story.
    """
    actors = scenario.actors(world)
    for number, changes, looks in scenario.opening:
        world.baton.advance(actors[number], changes, looks)
    for turn in schedule.turns:
        actor = actors[turn.actor % len(actors)]
        world.baton.advance(actor, turn.changes, turn.looks)
        if turn.kill and actor.process is not world.people:
            world.kill(actor.process.host)
    if schedule.people_first:
        world.baton.finish([actor for actor in actors if actor.process is world.people])
    world.rest(any(word.endswith("*") for word in scenario.daemons))


def shortest(schedule: Schedule, fails: Callable[[Schedule], bool]) -> Schedule:
    """Leave out of a schedule that fails what it does not need."""
    for shorter in _shorter(schedule):
        if fails(shorter):
            return shortest(shorter, fails)
    return schedule


def _shorter(schedule: Schedule) -> Iterator[Schedule]:
    turns = schedule.turns
    for number, turn in enumerate(turns):
        before, after = turns[:number], turns[number + 1 :]
        yield replace(schedule, turns=before + after)
        for simpler in (replace(turn, kill=False), replace(turn, looks=0)):
            if simpler != turn:
                yield replace(schedule, turns=(*before, simpler, *after))
