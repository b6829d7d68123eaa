"""Colours of state words, and of those of `alpenhorn doctor`, on a terminal only.

``NO_COLOR`` in the environment, if it is not empty, turns them off (https://no-color.org).
"""

from __future__ import annotations

import os
import sys
from typing import TextIO

import click

_COLOURS = {
    "red": {"Corrupt", "Missing", "problem"},
    "yellow": {"Suspect", "Removable", "Released", "warning"},
    "green": {"Healthy", "Present", "ok"},
}
"""The first that fits counts: a state may be several words."""


def is_terminal(stream: TextIO) -> bool:
    """Tell whether people look at a stream, on something that can draw."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def wanted() -> bool:
    """Tell whether standard output is to be coloured."""
    return is_terminal(sys.stdout) and not os.environ.get("NO_COLOR")


def state(text: str) -> str:
    """Colour the words of a state; surrounding blanks stay as they are."""
    words = set(text.split())
    colour = next((name for name, fitting in _COLOURS.items() if words & fitting), None)
    if colour is None or not wanted():
        return text
    return text.replace(text.strip(), click.style(text.strip(), fg=colour))
