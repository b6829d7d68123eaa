"""What must be true: of every state, of every step between two, and when all is at rest.

The numbers are those of spec: data-index.md §13. A step is what one actor did alone: a
transaction, or an operation on a file. What people do to disks is no fault of ours: a copy that
they harmed still counts as what we relied on, until something of ours has read it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from machine.state import Copy, Index, Spot

if TYPE_CHECKING:
    from machine.baton import Actor
    from machine.world import World

NEEDED = 2
"""Copies on archive nodes without which nothing is deleted."""

CLEANING = ("release", "keep", "mark")
"""First words of the commands that change `wants_file` only."""


class Judge:
    """Watches a world.

    Args:
        world: the world.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.seen: Counter[str] = Counter()
        """How often what was seen."""
        self._relied_on: dict[Spot, set[str]] = {}
        """The nodes whose copies allowed a claim, by what was claimed."""
        self._harmed: set[Spot] = {spot for spot in world.disks if not self._row_fits(spot)}
        """Where a person did something, or what was wrong from the beginning."""
        self._past: dict[Spot, list[tuple[int, bool | None]]] = {
            spot: [(0, self._sound(spot))] for spot in world.disks
        }
        """What a disk held from which step on: right bytes, wrong bytes, none."""

    # ---- the world as it is

    def _sound(self, spot: Spot) -> bool | None:
        """Are the right bytes there? None: no bytes are."""
        data = self._world.disks[spot]
        if data is None:
            return None
        file = self._world.index.files.get(spot[0])
        return file is not None and file.is_of(data)

    def _held(self, spot: Spot, since: int) -> set[bool | None]:
        """What the disk held at some time since a step."""
        past = self._past[spot]
        begun = max(n for n, (step, _) in enumerate(past) if step <= since)
        return {sound for _, sound in past[begun:]}

    def _row_fits(self, spot: Spot) -> bool:
        """Does the row promise no more than the disk holds?"""
        copy = self._world.index.copies.get(spot)
        sound = self._sound(spot)
        return sound is True if copy and copy.has == "Y" else True

    def _stores(self, nodes: Any) -> set[str]:
        places = self._world.places
        return {places[node].disk or node for node in nodes}

    # ---- a step

    def after(
        self, actor: Actor | None, index: Index, disks: dict[Spot, bytes | None]
    ) -> Iterator[str]:
        """Say what a step broke.

        Args:
            actor: whose step it was; None: a person's.
            index: the rows before.
            disks: the bytes before.
        """
        self.seen["steps judged"] += 1
        now = self._world.baton.steps
        new = self._world.index
        ours = actor is not None and actor.process is not self._world.people
        if new.files != index.files and not ours:
            self._harmed.update(self._world.disks)
        for spot, data in self._world.disks.items():
            before, sound = disks[spot], self._sound(spot)
            if sound is not self._past[spot][-1][1]:
                self._past[spot].append((now, sound))
            if data == before:
                continue
            self._tell(f"{spot[0]} on {spot[1]}: {_word(before)} -> {_word(data)}")
            if ours:
                self.seen["files removed" if data is None else "files put in place"] += 1
                yield from self._on_disk(spot, before, index)
                if sound:
                    self._harmed.discard(spot)
            else:
                self._harmed.add(spot)
        if new is not index:
            self._tell_rows(index, new)
            yield from self._claims(index, new)
            if ours:
                assert actor is not None
                yield from self._rows(actor, index, new)
                yield from self._ends(actor, index, new)
            else:
                yield from self._cleaning(actor, index, new)
                self._believe(index, new)
            yield from self._requests(index, new, ours)
        yield from self._rows_and_disks(new)

    def _cleaning(self, actor: Actor | None, before: Index, after: Index) -> Iterator[str]:
        """Invariants 10 and 11: a command that releases copies says nothing of their bytes."""
        if actor is None or actor.name.split("_")[0].split()[0] not in CLEANING:
            return
        for spot, new in after.copies.items():
            old = before.copies.get(spot)
            if old is not None and old.has != new.has:
                yield f"10: {actor.name!r} writes {_letters(spot, old, new)}"

    def _believe(self, before: Index, after: Index) -> None:
        """A person has the last word (``file state --set``), also where it is wrong."""
        for spot, new in after.copies.items():
            old = before.copies.get(spot)
            if (old.has if old else "N") != new.has and new.has in "YN":
                self._harmed.add(spot)

    def _on_disk(self, spot: Spot, before: bytes | None, index: Index) -> Iterator[str]:
        """Our own hand has changed a file."""
        path, node = spot
        file = index.files.get(path)
        if before is None or (file and not file.is_of(before)):
            if before is not None and self._world.disks[spot] is None:
                yield from self._removal(spot, index)
            return
        if self._world.disks[spot] is None:
            yield from self._removal(spot, index)
        elif not self._sound(spot):
            yield f"2: we have written wrong bytes over the good copy of {path} on {node}"

    def _removal(self, spot: Spot, index: Index) -> Iterator[str]:
        path, node = spot
        if spot not in index.claimed():
            yield f"1: {path} was removed from {node} without a claim"
            return
        relied = self._relied_on.get(spot, set())
        left = [
            other
            for other in relied
            if (path, other) not in index.claimed()
            and (self._sound((path, other)) or (path, other) in self._harmed)
        ]
        if len(self._stores(left) - self._stores([node])) < NEEDED:
            yield f"1: {path} was removed from {node}, and only {sorted(left)} are left of it"

    def _claims(self, before: Index, after: Index) -> Iterator[str]:
        """Invariants 1 to 6, at the moment at which a copy is given up."""
        for number in after.claims.keys() - before.claims.keys():
            spot = path, node = after.claims[number]
            copy, holder = before.copies[spot], before.nodes[node]
            self.seen["claims"] += 1
            relied = {
                other
                for (its_path, other), its in before.copies.items()
                if its_path == path
                and other != node
                and its.has == "Y"
                and its.wants != "N"
                and before.nodes[other].kind == "A"
                and (path, other) not in before.claimed()
            }
            self._relied_on[spot] = relied
            protected = self._stores(relied) - self._stores([node])
            if len(protected) < NEEDED:
                yield f"1: {path} on {node} is claimed, protected by {sorted(relied)} only"
            if copy.wants == "Y":
                yield f"5: {path} on {node} is claimed though it is wanted"
            short = holder.avail is not None and holder.avail < holder.least
            if copy.wants == "M" and (holder.kind == "A" or not short):
                yield f"6: {path} on {node} is claimed, marked only, though space is not short"
            if any(r.pending and (r.path, r.source) == spot for r in before.requests.values()):
                yield f"4: {path} on {node} is claimed though it is to be transferred"

    def _ends(self, actor: Actor, before: Index, after: Index) -> Iterator[str]:
        """Invariant 8: when a deletion is over, the row says so."""
        if not actor.job.startswith("Delete"):
            return
        for number in before.claims.keys() - after.claims.keys():
            spot = before.claims[number]
            if self._world.disks[spot] is None and after.copies[spot].has != "N":
                yield f"8: {spot[0]} was removed from {spot[1]}, and its row does not say so"

    def _rows(self, actor: Actor, before: Index, after: Index) -> Iterator[str]:
        """What a daemon wrote."""
        host = actor.process.host
        for spot, new in after.copies.items():
            old = before.copies.get(spot)
            if old == new:
                continue
            self.seen["rows changed by daemons"] += 1
            yield from self._evidence(actor, spot, old, new)
            yield from self._own(host, spot, old, new, before)
            yield from self._meant(actor.job, spot, old, new, before)
            if new.has == "Y" and (old is None or old.has == "N"):
                yield from self._auto_actions(spot, after)
        for path, file in before.files.items():
            if after.files.get(path) != file:
                yield f"13: a daemon changed length or MD5 of {path}"

    def _meant(
        self, job: str, spot: Spot, old: Copy | None, new: Copy, before: Index
    ) -> Iterator[str]:
        """Invariants 8, 10 and 11: a job writes what it is about, and over nobody else's word."""
        what = _letters(spot, old, new)
        deletes, checks = job.startswith("Delete"), job.startswith("Check")
        if old is None:
            return
        if old.has != new.has and spot in before.claimed() and not deletes:
            yield f"8: {job!r} writes {what}, whose deletion is not over"
        if old.wants != new.wants and (checks or (deletes and new.wants == "Y")):
            yield f"10: {job!r} writes {what}"
        if checks and (old.has != "M" or old.wants == "N"):
            yield f"11: a check that was asked for no longer writes {what}"

    def _evidence(self, actor: Actor, spot: Spot, old: Copy | None, new: Copy) -> Iterator[str]:
        """Invariants 8 and 9: a row says what was seen on the disk, while the job was at it."""
        held = self._held(spot, actor.since)
        deletes = actor.job.startswith("Delete")
        before = old.has if old is not None else "N"
        if new.has == before:
            return
        what = _letters(spot, old, new)
        # A deletion that gives its claim back restores what was known, whatever is there.
        if new.has == "Y" and True not in held and not (deletes and spot in self._harmed):
            yield f"9: {what}, but the right bytes were not seen there"
        if new.has == "N" and None not in held:
            yield f"8: {what}, but the file was there all the time"
        if new.has == "X" and False not in held and not deletes:
            yield f"9: {what}, but no wrong bytes were there"

    def _own(
        self, host: str, spot: Spot, old: Copy | None, new: Copy, before: Index
    ) -> Iterator[str]:
        """Invariant 28."""
        if before.nodes[spot[1]].host == host:
            return
        suspected = old and (old.has, new.has) == ("Y", "M") and old.wants == new.wants
        is_source = any((r.path, r.source) == spot for r in before.requests.values())
        released = old and (old.letters, new.letters) == ("YY", "YN")
        is_cleaned = any(edge.source == spot[1] and edge.clean for edge in before.edges)
        if not (suspected and is_source) and not (released and is_cleaned):
            yield f"28: the daemon of {host} changed {_letters(spot, old, new)}"

    def _auto_actions(self, spot: Spot, after: Index) -> Iterator[str]:
        """Invariant 26: the copy and what follows from it come in one transaction."""
        path, node = spot
        for edge in after.edges:
            if not (edge.source == node and edge.sync) or after.nodes[node].group == edge.group:
                continue
            there = any(
                its_path == path
                and after.nodes[other].group == edge.group
                and its.letters in ("YY", "YM")
                for (its_path, other), its in after.copies.items()
            )
            asked = any(
                r.pending and (r.path, r.source, r.group) == (path, node, edge.group)
                for r in after.requests.values()
            )
            if not there and not asked:
                yield f"26: {path} was added to {node}, and not asked for in {edge.group}"

    def _requests(self, before: Index, after: Index, ours: bool) -> Iterator[str]:
        pending: set[tuple[str, str, str]] = set()
        for number, request in after.requests.items():
            old = before.requests.get(number)
            if request.completed and request.cancelled:
                yield f"20: request {number} is completed and cancelled"
            if old and not old.pending and old[:5] != request[:5]:
                yield f"20: request {number} was over, and is changed"
            if request.completed and not (old and old.completed):
                yield from self._completed(number, request, after)
            key = request[:3]
            if request.pending and key in pending:
                yield f"16: {key} is asked for twice"
            if request.pending:
                pending.add(key)
            if ours and old is None and after.nodes[request.source].group == request.group:
                yield f"27: {request.path} is to be copied into its own group {request.group}"
        for number, (node, done) in before.imports.items():
            if done and not after.imports[number][1]:
                yield f"23: import request {number} on {node} was over, and is no longer"

    def _completed(self, number: int, request: Any, after: Index) -> Iterator[str]:
        if request.began is None or request.ended is None or request.began > request.ended:
            yield f"21: request {number} ended before it began"
        if not any(
            path == request.path and copy.has == "Y" and after.nodes[node].group == request.group
            for (path, node), copy in after.copies.items()
        ):
            yield f"21: request {number} is completed, and its copy is not there"

    # ---- a state

    def _rows_and_disks(self, index: Index) -> Iterator[str]:
        """Invariant 8: a row does not promise what our own hand has taken away or spoilt."""
        claimed = index.claimed()
        for spot, copy in index.copies.items():
            if copy.has != "Y" or spot in claimed or spot in self._harmed:
                continue
            if not self._sound(spot):
                yield f"8: {spot[0]} on {spot[1]} reads {copy.letters}, and is not there"

    def at_rest(self) -> None:
        """All have finished: what is left over?"""
        index, fail = self._world.index, self._world.baton.fail
        for spot, copy in index.copies.items():
            if spot in self._harmed or not self._reachable(spot[1]):
                continue
            if copy.has == "N" and self._world.disks[spot] is not None:
                fail(f"at rest: {spot[0]} lies on {spot[1]}, whose row reads {copy.letters}")
        for path, node in index.claimed():
            letters = index.copies[path, node].letters
            if self._reachable(node) and letters != "MN":  # else it waits for more archive copies
                fail(f"at rest: the claim on {path} on {node} ({letters}) is still open")
        for problem in self._world.database.execute_sql("PRAGMA foreign_key_check").fetchall():
            fail(f"18: a reference leads nowhere: {problem}")

    def _reachable(self, node: str) -> bool:
        return self._world.root(node).is_dir() and self._world.index.nodes[node].active

    # ---- the story

    def _tell(self, line: str) -> None:
        self._world.baton.story.append(f"    {line}")

    def _tell_rows(self, before: Index, after: Index) -> None:
        for spot, new in after.copies.items():
            if before.copies.get(spot) != new:
                self._tell(_letters(spot, before.copies.get(spot), new))
        for number, request in after.requests.items():
            if before.requests.get(number) != request:
                self._tell(f"request {number}: {request}")
        for number in after.claims.keys() ^ before.claims.keys():
            opened = number in after.claims
            path, node = (after if opened else before).claims[number]
            self._tell(f"claim {number} on {path} on {node} {'opens' if opened else 'ends'}")


def _word(data: bytes | None) -> str:
    return "nothing" if data is None else repr(data)


def _letters(spot: Spot, old: Copy | None, new: Copy) -> str:
    return f"{spot[0]} on {spot[1]}: {old.letters if old else '--'} -> {new.letters}"
