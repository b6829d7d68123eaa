"""What the script is made of: sections of steps, steps of actions and expectations.

Texts may hold the placeholders of `templates`.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass


def block(text: str) -> str:
    """Return a text of several lines that is indented in the source."""
    return textwrap.dedent(text).strip("\n")


@dataclass(frozen=True)
class InShell:
    """A command line that the user types at the ``alpenshell``.

    Attributes:
        line: the command line.
        prints: what it prints on both outputs.
        answer: what the user types at its question.
    """

    line: str
    prints: str
    answer: str = ""


@dataclass(frozen=True)
class OnHost:
    """A command of the shell that the user types on a host, in the root of its node."""

    host: str
    line: str
    prints: str = ""


@dataclass(frozen=True)
class StartDaemon:
    """The start of a host's daemon."""

    host: str


Action = InShell | OnHost | StartDaemon


@dataclass(frozen=True)
class Logs:
    """Lines, in any order, that a daemon writes after the step has begun; they are shown.

    A line that is named twice must be written twice.
    """

    host: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Holds:
    """What a node holds, in the index and on the disk, byte for byte; nothing else is there.

    Attributes:
        node: name of the node.
        files: paths of the healthy copies.
        corrupt: paths of the copies known to be corrupt.
        spoiled: paths of the healthy copies that no longer are, but nobody has noticed.
        unknown: paths of files on the disk that the index does not know.
    """

    node: str
    files: tuple[str, ...] = ()
    corrupt: tuple[str, ...] = ()
    spoiled: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


Expectation = Logs | Holds


@dataclass(frozen=True)
class Step:
    """One thing that the user does.

    Attributes:
        title: its heading.
        why: what is done and why, for a newcomer.
        actions: what the user types, in order.
        expectations: what comes of it, sooner or later.
    """

    title: str
    why: str
    actions: tuple[Action, ...]
    expectations: tuple[Expectation, ...] = ()


@dataclass(frozen=True)
class Section:
    """A chapter of the walkthrough."""

    title: str
    steps: tuple[Step, ...]
