"""Figures, and whether they reach what they are to reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload


@dataclass(frozen=True)
class Target:
    """A bound for a figure."""

    bound: float
    is_upper: bool

    def reached_by(self, figure: float) -> bool:
        """Does a figure keep within the bound?"""
        return figure <= self.bound if self.is_upper else figure >= self.bound


@overload
def at_least(bound: float) -> Target: ...
@overload
def at_least(bound: float | None) -> Target | None: ...
def at_least(bound: float | None) -> Target | None:
    """A bound from below; None: there is none."""
    return None if bound is None else Target(bound, is_upper=False)


def at_most(bound: float) -> Target:
    """A bound from above."""
    return Target(bound, is_upper=True)


@dataclass(frozen=True)
class Fact:
    """A figure that has no yardstick."""

    name: str
    told: str
    """The figure, with what belongs to it."""
    figure: float | None
    """None: it could not be measured."""
    target: Target
    wanted: str
    """The target, as people write it."""

    def missed(self) -> list[str]:
        """Nothing if the target is reached."""
        if self.figure is None:
            return ["not measured"]
        too = "too much" if self.target.is_upper else "too little"
        return [] if self.target.reached_by(self.figure) else [too]


def not_measured(name: str, why: str) -> Fact:
    """Figures that could not be had."""
    return Fact(name, why, None, at_least(0), "–")


def verdict(missed: Sequence[str]) -> str:
    """Say what comes of the targets, by the names of those that are not reached."""
    return f"NOT reached: {', '.join(missed)}" if missed else "reached"
