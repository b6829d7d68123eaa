"""A model of the claim protocol, small enough to look at every state that it can get into.

One file on four archive nodes, each with a daemon of its own. Three of them delete released
copies, one of these also checks its copy, the fourth imports. An operator releases, cancels and
asks for checks whenever they like, and any daemon may be killed between any two steps.

A step is what nothing can come between: one transaction (`src/alpenhorn/db/queries/deletion.py`,
`evidence.py`, `checks.py`, `imports.py`), one unlink, one reading of a file, one kill. `Rules`
are what the protocol is made of; each can be left out, to see that the model would notice.

    python tests/model/claim_model.py
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True)
class Rules:
    """The parts of the protocol; all of them hold in the product."""

    released_protect_nobody: bool = True
    checked_again_in_claim: bool = True
    claimed_count_for_nobody: bool = True
    evidence_outlives_the_state: bool = True
    """A claim is open until it has ended, whatever an operator made of the copy's state."""
    no_verdict_on_claimed: bool = True
    """A check records nothing about a copy that is being deleted."""
    record_after_unlink: bool = True
    """(N,N) is written when the file is gone, not before."""


class Node(NamedTuple):
    """A copy row, the file on the disk, and how far the daemon of the node has got."""

    has: str
    """As the index has it: Y, M, X, N."""
    wants: str
    """Y or N."""
    claim: bool
    """A row of evidence is open."""
    disk: str
    """What lies there: good, bad, gone."""
    daemon: str = "rest"
    """Its pass: rest, ends stale claims, looks for released copies."""
    deleter: str = "-"
    """-, queued, claimed, unlinked."""
    checker: str = "-"
    """-, queued, or what it read: Y, X, N."""
    importer: str = "-"
    """-, or what it read: Y."""


class World(NamedTuple):
    """One state of everything."""

    nodes: tuple[Node, ...]
    wishes: int
    """How many more times the operator does something."""
    kills: int
    """How many more times a daemon is killed."""


Step = tuple[str, World]
DELETERS, CHECKER, IMPORTER = (0, 1, 2), 2, 3
ALL = (0, 1, 2, 3)
VERDICT = {"good": "Y", "bad": "X", "gone": "N"}


def starts(wishes: int, kills: int) -> Iterator[World]:
    """Give the worlds to begin with: the copy to be checked is good or bad, two are released."""
    present = Node("Y", "Y", False, "good")
    untracked = Node("N", "N", False, "good")
    for disk in ("good", "bad"):
        suspect = Node("M", "Y", False, disk)
        for first in ("Y", "N"):
            nodes = (present._replace(wants=first), present, suspect, untracked)
            yield World(nodes, wishes, kills)


def steps(world: World, rules: Rules, active: Sequence[int] = ALL) -> Iterator[Step]:
    """Give all that may happen next, to the nodes that are active."""
    for number in active:
        if number in DELETERS:
            yield from _pass(world, number, rules)
            yield from _delete(world, number, rules)
        if number == CHECKER:
            yield from _check(world, number, rules)
        if number == IMPORTER:
            yield from _import(world, number)
        yield from _operate(world, number)
        yield from _kill(world, number)


# ---- what daemons do


def _pass(world: World, number: int, rules: Rules) -> Iterator[Step]:
    """The pass of a daemon: `updates.py` and `jobs/deletions.py`; nothing of the node is running.

    Three transactions: which copies to check, the end of stale claims, which copies to delete.
    """
    node = world.nodes[number]
    if node.daemon == "rest" and node.deleter == node.checker == "-":
        suspect = number == CHECKER and node.has == "M" and node.wants != "N"
        queued = "queued" if suspect else "-"
        yield _with(world, number, "looks for suspects", daemon="stale", checker=queued)
    elif node.daemon == "stale":
        held = node.claim and (node.has, node.wants) == ("M", "N")
        yield _with(world, number, "ends stale claims", daemon="released", claim=held)
    elif node.daemon == "released":
        goes = _to_go(node)
        if not rules.checked_again_in_claim:
            goes = goes and _protectors(world, number, rules) >= 2
        queued = "queued" if goes else "-"
        yield _with(world, number, "looks for released", daemon="rest", deleter=queued)


def _delete(world: World, number: int, rules: Rules) -> Iterator[Step]:
    """Claim, unlink, record: `io/default/jobs/delete.py`; or claim, fail to unlink, give back."""
    node = world.nodes[number]
    if node.deleter == "queued":
        again = _to_go(node) and _protectors(world, number, rules) >= 2
        if again or not rules.checked_again_in_claim:
            has, wants = ("M", "N") if rules.record_after_unlink else ("N", "N")
            yield _with(
                world, number, "claims", deleter="claimed", claim=True, has=has, wants=wants
            )
        else:
            yield _with(world, number, "refuses", deleter="-")
    elif node.deleter == "claimed":
        yield _with(world, number, "unlinks", deleter="unlinked", disk="gone")
        back = {"has": "Y"} if (node.has, node.wants) == ("M", "N") else {}
        if node.disk == "good":  # had it been suspect before, M would stay, which allows less
            yield _with(world, number, "gives back", deleter="-", claim=False, **back)
    elif node.deleter == "unlinked":
        yield _with(world, number, "records", deleter="-", claim=False, has="N")


def _check(world: World, number: int, rules: Rules) -> Iterator[Step]:
    """Read, then record where the copy is still suspect and wanted: `checks.record`."""
    node = world.nodes[number]
    if node.checker == "queued":
        yield _with(world, number, "reads for a check", checker=VERDICT[node.disk])
    elif node.checker != "-":
        counts = node.has == "M" and node.wants != "N"
        if rules.no_verdict_on_claimed:
            counts = counts and not node.claim
        has = node.checker if counts else node.has
        yield _with(world, number, "records the check", checker="-", has=has)


def _import(world: World, number: int) -> Iterator[Step]:
    """Read a file that the index does not have here, then register it: `imports.register`."""
    node = world.nodes[number]
    if node.importer == "-" and node.has == "N" and node.disk == "good":
        yield _with(world, number, "reads for an import", importer="Y")
    elif node.importer != "-":
        new = {"has": "Y", "wants": "Y"} if node.has == "N" else {}
        yield _with(world, number, "registers", importer="-", **new)


def _kill(world: World, number: int) -> Iterator[Step]:
    """kill -9: what was done stays done, what was held in memory is lost."""
    if world.kills:
        less = world._replace(kills=world.kills - 1)
        idle = {"daemon": "rest", "deleter": "-", "checker": "-", "importer": "-"}
        yield _with(less, number, "is killed", **idle)


def _operate(world: World, number: int) -> Iterator[Step]:
    """`file clean`, its `--cancel`, and `file verify`."""
    node = world.nodes[number]
    if not world.wishes or node.has == "N":
        return
    less = world._replace(wishes=world.wishes - 1)
    if node.wants == "Y":
        yield _with(less, number, "is released", wants="N")
        if node.has != "M":
            yield _with(less, number, "is put up for a check", has="M")
    else:
        yield _with(less, number, "is wanted again", wants="Y")


def _to_go(node: Node) -> bool:
    return node.wants == "N" and node.has != "N"


def _protectors(world: World, number: int, rules: Rules) -> int:
    """How many other copies protect the file: `protection.guards`."""
    return sum(_protects(node, rules) for other, node in enumerate(world.nodes) if other != number)


def _protects(node: Node, rules: Rules) -> bool:
    if rules.released_protect_nobody and node.wants == "N":
        return False
    if not rules.claimed_count_for_nobody:
        return node.has == "Y" or node.claim
    return node.has == "Y" and not (node.claim and rules.evidence_outlives_the_state)


def _with(world: World, number: int, what: str, **values: object) -> Step:
    node = world.nodes[number]._replace(**values)  # type: ignore[arg-type]
    nodes = (*world.nodes[:number], node, *world.nodes[number + 1 :])
    return f"node {number} {what}", world._replace(nodes=nodes)


# ---- what must be true


def wrong(before: World, after: World) -> str | None:
    """Say what a step broke, if it did."""
    for number, (old, new) in enumerate(zip(before.nodes, after.nodes, strict=True)):
        others = [node for n, node in enumerate(before.nodes) if n != number and _stays(node)]
        if new.claim and not old.claim and _wanted(others) < 2:
            return "invariant 1: a copy is claimed, and fewer than two wanted others are present"
        if new.claim and not old.claim and old.wants == "Y":
            return "invariant 5: a wanted copy is claimed"
        if old.disk != "gone" and new.disk == "gone" and len(others) < 2:
            return "invariant 1: a copy goes, and fewer than two good others stay"
        if new.has == "Y" and new.disk == "gone" and new.deleter == "-" and not new.claim:
            return "invariant 8: the row says Y, and the file is gone"
        if new.has == "N" and old.has != "N" and new.disk != "gone":
            return "invariant 8: the row says N, and the file is there"
    if sum(node.disk == "good" for node in after.nodes) < 2:
        return "fewer than two good copies are left on the disks"
    return None


def _stays(node: Node) -> bool:
    """Is a good copy there, that nobody is deleting?"""
    return node.disk == "good" and node.deleter not in ("claimed", "unlinked")


def _wanted(nodes: list[Node]) -> int:
    return sum((node.has, node.wants) == ("Y", "Y") for node in nodes)


@dataclass(frozen=True)
class Result:
    """What came of it."""

    states: int
    steps: int
    broken: str | None = None
    """What was broken, if anything."""
    path: tuple[str, ...] = ()
    """The shortest way there."""


def explore(rules: Rules, wishes: int = 3, kills: int = 1, active: Sequence[int] = ALL) -> Result:
    """Look at every state, the nearest first; stop at the first that must not be."""
    came_from: dict[World, tuple[World, str] | None] = dict.fromkeys(starts(wishes, kills))
    waiting = deque(came_from)
    taken = 0
    while waiting:
        world = waiting.popleft()
        for what, after in steps(world, rules, active):
            taken += 1
            broken = wrong(world, after)
            if broken:
                return Result(len(came_from), taken, broken, (*_path(came_from, world), what))
            if after not in came_from:
                came_from[after] = (world, what)
                waiting.append(after)
    return Result(len(came_from), taken)


def _path(came_from: dict[World, tuple[World, str] | None], world: World) -> tuple[str, ...]:
    path: list[str] = []
    while (last := came_from[world]) is not None:
        world, what = last
        path.append(what)
    return tuple(reversed(path))


def main(say: Callable[[str], object] = print) -> int:
    """Explore more than the tests do, and tell the result."""
    wishes, kills = (int(word) for word in sys.argv[1:3]) if len(sys.argv) > 2 else (3, 2)
    result = explore(Rules(), wishes, kills)
    say(f"{result.states} states, {result.steps} steps ({wishes} wishes, {kills} kills)")
    say(result.broken or "no invariant is broken")
    for what in result.path:
        say(f"  {what}")
    return 1 if result.broken else 0


if __name__ == "__main__":
    sys.exit(main())
