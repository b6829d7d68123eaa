"""A hypothesis state machine: people, daemons and kills in any order, from any state.

Each rule lets somebody begin something or go on with it, for a while or to the end. The judge looks
after every step of everybody.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run

from machine import people
from machine.baton import ENDLESS
from machine.people import Deed
from machine.scenarios import ONE, archives
from machine.schedules import EXAMPLES
from machine.world import Place, World

NODES = ("a1", "a2", "a3", "f")
SPOTS = [(ONE, node) for node in NODES]
HOSTS = ("h1", "h2", "h3")

_node, _archive, _spot = st.sampled_from(NODES), st.sampled_from(NODES[:3]), st.sampled_from(SPOTS)
_copies = st.sampled_from(
    ["YY good"] * 4 + ["YN good", "YN good", "MY good", "MY bad", "YY bad", "XY bad", "NY gone"]
    + ["NN gone", "-- gone", "-- good", "MN good", "YM good"]
)  # fmt: skip

WISHES: list[st.SearchStrategy[Deed]] = [
    st.builds(people.release, _node),
    st.builds(people.release, _archive),
    st.builds(people.keep, _node),
    st.builds(people.mark, _node),
    st.builds(people.release_file, st.just(ONE)),
    st.builds(people.keep_file, st.just(ONE)),
    st.builds(people.verify_file, _spot),
    st.builds(people.verify_node, _node),
    st.builds(people.ask, _node, _node),
    st.builds(people.take_back, _node),
    st.builds(people.have_repaired, _node),
    st.builds(people.have_imported, _spot),
    st.builds(people.call, st.sampled_from(["healthy", "suspect", "corrupt", "missing"]), _spot),
    st.builds(people.retype, _node, st.sampled_from("AF")),
    st.builds(people.modify, st.just(ONE)),
]
HARMS: list[st.SearchStrategy[Deed]] = [
    st.builds(people.spoil, _spot),
    st.builds(people.lose, _spot),
    st.builds(people.put, _spot),
    st.builds(people.take_away, _node),
    st.builds(people.swap, _node),
    st.builds(people.bring_back, _node),
]
_wishes, _harms = st.one_of(WISHES), st.one_of(HARMS)
_changes = st.sampled_from([1, 2, 3, 4, 6, ENDLESS, ENDLESS])
_looks = st.sampled_from([0, 0, 1, 3, 9, 99])


quietly = settings(
    derandomize="MACHINE_EXAMPLES" not in os.environ,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
"""The same runs each time, unless another number of them is asked for."""


class Machine(RuleBasedStateMachine):
    """Three archive nodes and a field node; the field node and the first share a host."""

    worlds: Callable[..., Any]

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self.world: World

    @initialize(
        copies=st.tuples(_copies, _copies, _copies, _copies),
        shared=st.booleans(),
        sync=st.booleans(),
        clean=st.booleans(),
    )
    def begin(
        self, copies: tuple[str, str, str, str], shared: bool, sync: bool, clean: bool
    ) -> None:
        field = Place("f", "h1", "F", "disk of a1" if shared else None, copies[3:])
        first, *rest = archives(*copies[:3])
        first = Place("a1", "h1", "A", "disk of a1", first.copies)
        edges = [("f", "a2", sync, clean)]
        self.world = self._stack.enter_context(self.worlds((first, *rest, field), edges))

    @rule(host=st.sampled_from(HOSTS), whole=st.booleans(), changes=_changes, looks=_looks)
    def a_daemon_makes_a_pass(self, host: str, whole: bool, changes: int, looks: int) -> None:
        """And begins to do what it has found; one pass of a daemon at a time."""
        daemon = self.world.daemons[host]
        if daemon.passing is None or daemon.passing.over:
            body = daemon.once if whole else daemon.nodes_once
            daemon.passing = self.world.spawn(daemon.name, body, host)
        self.world.baton.advance(daemon.passing, changes, looks)

    @rule(host=st.sampled_from(HOSTS), changes=_changes, looks=_looks)
    def another_worker_begins_a_task(self, host: str, changes: int, looks: int) -> None:
        daemon = self.world.daemons[host]
        if daemon.queue.qsize:
            actor = self.world.spawn(f"{daemon.name} worker", daemon.work, host)
            self.world.baton.advance(actor, changes, looks)

    @rule(wish=_wishes, changes=_changes, looks=_looks)
    def an_operator_begins_a_command(self, wish: Deed, changes: int, looks: int) -> None:
        actor = self.world.spawn(wish.__name__, functools.partial(wish, self.world))
        self.world.baton.advance(actor, changes, looks)

    @rule(harm=_harms)
    def a_person_lays_hands_on_a_disk(self, harm: Deed) -> None:
        self.world.person(harm.__name__, functools.partial(harm, self.world))

    @precondition(lambda self: self.world.baton.actors)
    @rule(number=st.integers(0, 5), changes=_changes, looks=_looks)
    def somebody_goes_on(self, number: int, changes: int, looks: int) -> None:
        actors = self.world.baton.actors
        self.world.baton.advance(actors[number % len(actors)], changes, looks)

    @precondition(lambda self: self.world.baton.actors)
    @rule(host=st.sampled_from(HOSTS))
    def a_daemon_is_killed(self, host: str) -> None:
        self.world.kill(host)

    def teardown(self) -> None:
        with self._stack:
            if hasattr(self, "world"):
                self.world.rest()


def test_no_order_of_commands_passes_and_kills_breaks_an_invariant(worlds: Any) -> None:
    class OurMachine(Machine):
        pass

    OurMachine.worlds = staticmethod(worlds)
    run(OurMachine, settings=settings(quietly, max_examples=10 * EXAMPLES, stateful_step_count=20))
