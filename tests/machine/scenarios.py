"""Where the danger is: states to begin with, and who is at work in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from alpenhorn.db import ArchiveFileCopy
from alpenhorn.db.queries.common import copies_with_files
from machine import people
from machine.people import Deed
from machine.world import Place, World

ONE = "acq/one"


@dataclass(frozen=True)
class Scenario:
    """A world, and what is done in it in any order.

    Args:
        places: the nodes.
        daemons: hosts whose daemons make a pass and do its work; ``h1*``: with the groups' part
            (pulls, repairs); ``h1:``: one worker only, for what is queued.
        deeds: what people do.
        edges: auto-actions.
        first: what was done before.
        opening: how far actors have got before: (actor, changes, looks), in this order.
    """

    places: tuple[Place, ...]
    daemons: tuple[str, ...]
    deeds: tuple[Deed, ...] = ()
    edges: tuple[tuple[str, str, bool, bool], ...] = ()
    first: tuple[Deed, ...] = ()
    opening: tuple[tuple[int, int, int], ...] = ()

    def actors(self, world: World) -> list[Any]:
        """Make the actors, and do what was done before."""
        for deed in self.first:
            world.person(deed.__name__, lambda deed=deed: deed(world))
        made = []
        for word in self.daemons:
            host = word.rstrip("*:")
            daemon = world.daemons[host]
            bodies: dict[str, Callable[[], None]] = {"*": daemon.once, ":": daemon.work_on}
            body = bodies.get(word[-1], daemon.nodes_once)
            made.append(world.spawn(f"{daemon.name}", body, host))
        for deed in self.deeds:
            made.append(world.spawn(deed.__name__, lambda deed=deed: deed(world)))
        return made


def archives(*copies: str, host: str | None = None) -> tuple[Place, ...]:
    """Make archive nodes a1, a2, ..., each with its copy of the first file, on hosts h1, h2, ..."""
    return tuple(
        Place(f"a{n}", host or f"h{n}", copies=(text,)) for n, text in enumerate(copies, 1)
    )


def has_listed(host: str, *jobs: str) -> Deed:
    """Give what makes a daemon queue jobs for the copies of its node, as one pass may do."""

    def do(world: World) -> None:
        daemon = world.daemons[host]
        daemon.enter()
        daemon.loop._find()
        for node in daemon.loop.nodes.values():
            copies = list(copies_with_files().where(ArchiveFileCopy.node == node.db))
            for job in jobs:
                getattr(node.io, f"{job}_many")(copies)

    do.__name__ = f"has listed for {' and '.join(jobs)} on {host}"
    return do


def has_passed(host: str) -> Deed:
    """Give what makes a daemon queue what a pass finds."""

    def do(world: World) -> None:
        world.daemons[host].enter()
        world.daemons[host].tick()

    do.__name__ = f"waits for a pass of {host}"
    return do


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
    "wanted again at the last moment": Scenario(
        archives(RELEASED, GOOD, GOOD), ("h1",), (people.keep("a1"),)
    ),
    "asked for at the last moment": Scenario(
        (*archives(RELEASED, GOOD, GOOD), Place("b", "h4", copies=(NO_ROW,))),
        ("h1",),
        (people.ask("a1", "b"),),
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
        archives(GOOD, GOOD, SUSPECT),
        ("h3:", "h3:"),
        (people.keep("a3"),),
        first=(has_listed("h3", "delete", "check"), people.release("a3")),
        opening=((0, 1, 0),),
    ),
    "released while it is checked": Scenario(
        archives(GOOD, GOOD, SUSPECT),
        ("h3:",),
        (people.release("a3"), people.keep("a3")),
        first=(has_listed("h3", "check"),),
    ),
    "deleted and counted": Scenario(
        archives(GOOD, RELEASED, GOOD),
        ("h3", "h2:"),
        (people.keep("a2"), people.call("healthy", (ONE, "a2")), people.release("a3")),
        first=(has_listed("h2", "delete"),),
    ),
    "corrupt, released and asked for": Scenario(
        archives("XY bad", GOOD, GOOD),
        ("h1:", "h1:", "h1:"),
        (people.keep("a1"),),
        first=(people.ask("a2", "a1"), people.release("a1"), has_passed("h1")),
        opening=((0, 0, 99), (1, 8, 99), (0, 1, 0)),
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
