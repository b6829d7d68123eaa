"""What came of a scenario, as measured on the disks and in the index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from safetywork.site import Site


class CannotRun(Exception):
    """The scenario needs what this machine or this program does not have."""


@dataclass(frozen=True)
class Outcome:
    """Text for the table, and whether the promise was kept; None: it was not tried."""

    text: str
    kept: bool | None

    def __str__(self) -> str:
        return {True: "kept: ", False: "BROKEN: ", None: ""}[self.kept] + self.text


def bad_but_healthy(site: Site, node: str, true: Mapping[str, bytes]) -> int:
    """How many copies are recorded as healthy whose bytes are not the true ones."""
    on_disk = site.contents(node, true)
    states = site.index.states(node)
    return sum(
        states.get(path, "NN")[0] == "Y" and on_disk.get(path) != data
        for path, data in true.items()
    )


def intact(site: Site, node: str, true: Mapping[str, bytes]) -> int:
    """How many of the files a node's disk has, with the true bytes."""
    on_disk = site.contents(node, true)
    return sum(on_disk.get(path) == data for path, data in true.items())


_WORDS = {"Y": "healthy", "M": "suspect", "X": "corrupt", "N": "not there"}


def recorded(site: Site, node: str) -> str:
    """What the index says of the copies on a node, in words."""
    counts = Counter(_WORDS[state[0]] for state in site.index.states(node).values())
    return ", ".join(f"{count} {word}" for word, count in counts.items()) or "none"
