"""Where the danger is: states to begin with, and who is at work in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from machine import people
from machine.baton import ENDLESS
from machine.people import Deed
from machine.world import Place, World

ONE = "acq/one"


@dataclass(frozen=True)
class Scenario:
    """A world, and what is done in it in any order.

    Args:
        places: the nodes.
        daemons: hosts whose daemons make a pass; ``h1*`` with the groups' part: pulls, repairs.
        deeds: what people do.
        edges: auto-actions.
        first: what people did before.
    """

    places: tuple[Place, ...]
    daemons: tuple[str, ...]
    deeds: tuple[Deed, ...] = ()
    edges: tuple[tuple[str, str, bool, bool], ...] = ()
    first: tuple[Deed, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)

    def actors(self, world: World) -> list[Any]:
        """Make the actors, and do what was done before."""
        for deed in self.first:
            world.person(deed.__name__, lambda deed=deed: deed(world))
        made = []
        for word in self.daemons:
            host, whole = word.rstrip("*"), word.endswith("*")
            daemon = world.daemons[host]
            body: Callable[[], None] = daemon.once if whole else daemon.nodes_once
            made.append(world.spawn(f"{daemon.name}", body, host))
        for deed in self.deeds:
            made.append(world.spawn(deed.__name__, lambda deed=deed: deed(world)))
        return made


def archives(*copies: str, host: str | None = None) -> tuple[Place, ...]:
    """Make archive nodes a1, a2, ..., each with its copy of the first file, on hosts h1, h2, ..."""
    return tuple(
        Place(f"a{n}", host or f"h{n}", copies=(text,)) for n, text in enumerate(copies, 1)
    )


GOOD, RELEASED, SUSPECT, ROTTEN = "YY good", "YN good", "MY good", "YY bad"
ABSENT, NO_ROW, UNTRACKED = "NN gone", "-- gone", "NN good"

SCENARIOS: dict[str, Scenario] = {
    "three released at once": Scenario(
        archives(GOOD, GOOD, GOOD),
        ("h1", "h2", "h3"),
        (people.release("a1"), people.release("a2"), people.release("a3")),
    ),
    "three released of four": Scenario(
        archives(RELEASED, RELEASED, RELEASED, GOOD),
        ("h1", "h2", "h3"),
        (people.keep("a1"), people.keep("a2")),
    ),
    "two released of three": Scenario(
        archives(RELEASED, RELEASED, GOOD), ("h1", "h2"), (people.keep("a2"),)
    ),
    "released, wanted again, checked": Scenario(
        archives(GOOD, RELEASED, SUSPECT, GOOD),
        ("h2", "h3"),
        (people.keep("a2"), people.release("a3"), people.keep("a3")),
    ),
    "found corrupt while another goes": Scenario(
        archives(RELEASED, GOOD, "MY bad", GOOD),
        ("h1", "h3"),
        (people.verify_file((ONE, "a2")), people.release("a4")),
    ),
    "checked while it is deleted": Scenario(
        archives(GOOD, GOOD, SUSPECT), ("h3", "h3"), (people.release("a3"), people.keep("a3"))
    ),
    "imported while it is deleted": Scenario(
        archives(GOOD, GOOD, RELEASED),
        ("h3", "h3"),
        (people.have_imported((ONE, "a3")), people.put((ONE, "a3"))),
    ),
    "modified while it is deleted": Scenario(
        archives(RELEASED, GOOD, GOOD), ("h1", "h2"), (people.modify(ONE), people.keep("a1"))
    ),
    "no archive node any more": Scenario(
        archives(RELEASED, GOOD, GOOD), ("h1",), (people.retype("a3", "F"), people.keep("a1"))
    ),
    "marked, and space is short": Scenario(
        (
            *archives(GOOD, GOOD),
            Place("f", "h3", "F", copies=("YM good",), columns=(("min_avail_gb", 2.0**20),)),
            Place("g", "h4", "F", copies=("YM good",)),
        ),
        ("h3", "h4"),
        (people.keep("f"), people.release("a2")),
    ),
    "two nodes on one disk": Scenario(
        (
            Place("a1", "h1", disk="disk"),
            Place("a2", "h1", disk="disk"),
            Place("f", "h1", "F", copies=(RELEASED,)),
            Place("g", "h2", "F", copies=(RELEASED,)),
        ),
        ("h1", "h2"),
    ),
    "pulled from a rotten source": Scenario(
        (Place("f", "h1", "F", copies=(ROTTEN,)), Place("a", "h2", copies=(NO_ROW,))),
        ("h2*",),
        (people.put((ONE, "f")), people.take_back("a")),
        first=(people.ask("f", "a"),),
    ),
    "repaired while it is looked at": Scenario(
        (*archives("XY bad", GOOD, GOOD), Place("f", "h4", "F", copies=(RELEASED,))),
        ("h1*", "h1*", "h4"),
        (people.verify_file((ONE, "a1")), people.release("a2")),
        first=(people.have_repaired("a1"),),
    ),
    "asked for while it is deleted": Scenario(
        (*archives(GOOD, GOOD, RELEASED), Place("b", "h4", copies=(NO_ROW,))),
        ("h3", "h4*"),
        (people.ask("a3", "b"), people.keep("a3")),
    ),
    "deleted and pulled anew": Scenario(
        archives(GOOD, GOOD, RELEASED, GOOD),
        ("h3", "h3*"),
        (people.ask("a1", "a3"), people.release("a4")),
    ),
    "a chain of auto-actions": Scenario(
        (
            Place("f", "h1", "F", copies=("-- good",)),
            Place("a1", "h2", copies=(NO_ROW,)),
            *archives(GOOD, GOOD)[1:],
        ),
        ("h1", "h2*", "h1"),
        (people.spoil((ONE, "f")),),
        edges=(("f", "a1", True, True),),
        first=(people.have_imported((ONE, "f")),),
    ),
    "imported, but rotten": Scenario(
        archives(GOOD, GOOD, "-- bad"),
        ("h3",),
        (people.put((ONE, "a3")), people.have_imported((ONE, "a3"))),
        first=(people.have_imported((ONE, "a3")),),
    ),
    "a file is released everywhere": Scenario(
        archives(GOOD, RELEASED, SUSPECT, GOOD),
        ("h2", "h3"),
        (people.keep_file(ONE), people.release_file(ONE), people.verify_file((ONE, "a1"))),
    ),
    "the root vanishes": Scenario(
        (
            Place("a1", "h1", copies=(RELEASED, SUSPECT)),
            Place("a2", "h2", copies=(GOOD, GOOD)),
            Place("a3", "h3", copies=(GOOD, GOOD)),
        ),
        ("h1",),
        (people.take_away("a1"), people.bring_back("a1")),
    ),
    "another medium takes its place": Scenario(
        (
            Place("a1", "h1", copies=(RELEASED, SUSPECT)),
            Place("a2", "h2", copies=(GOOD, GOOD)),
            Place("a3", "h3", copies=(GOOD, GOOD)),
        ),
        ("h1",),
        (people.swap("a1"), people.bring_back("a1")),
    ),
    "one of two nodes on a disk vanishes": Scenario(
        (
            Place("a1", "h1", disk="disk"),
            Place("a2", "h1", disk="disk"),
            Place("f", "h1", "F", copies=(RELEASED,)),
        ),
        ("h1",),
        (people.take_away("a2"), people.bring_back("a2")),
    ),
}


@dataclass(frozen=True)
class Turn:
    """Let one actor make so many changes and then look so often; perhaps kill its daemon then."""

    actor: int
    changes: int
    looks: int
    kill: bool = False


def schedules() -> st.SearchStrategy[list[Turn]]:
    """Give few turns; after them, everybody goes on to the end."""
    turn = st.builds(
        Turn,
        st.integers(0, 5),
        st.sampled_from([1, 2, 3, 4, 5, 6, 8, ENDLESS, ENDLESS, ENDLESS]),
        st.sampled_from([0, 0, 1, 3, 9, 99]),
        st.sampled_from([False] * 6 + [True]),
    )
    return st.lists(turn, max_size=6)


def play(scenario: Scenario, world: World, schedule: list[Turn]) -> None:
    """Let the actors of a scenario take these turns, then finish, then see what is left.

    Raises:
        AssertionError: an invariant is broken; the text tells the story.
    """
    actors = scenario.actors(world)
    for turn in schedule:
        actor = actors[turn.actor % len(actors)]
        world.baton.advance(actor, turn.changes, turn.looks)
        if turn.kill and actor.process is not world.people:
            world.kill(actor.process.host)
    world.rest(any(word.endswith("*") for word in scenario.daemons))
