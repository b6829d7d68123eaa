"""What the newcomer reads: colours and a spinner on a terminal, plain text elsewhere."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import TextIO

from rich.console import Console
from rich.text import Text

_WIDTH = 78


class Narrator:
    """Writes the story of the demo.

    Args:
        stream: where to. Colours and the spinner need a terminal, and respect ``NO_COLOR``.
    """

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False)

    def section(self, title: str) -> None:
        """Begin a chapter."""
        self._line(f"\n{title}\n{'=' * len(title)}", "bold cyan")

    def step(self, title: str, why: str) -> None:
        """Begin a step."""
        self._line(f"\n{title}\n{'-' * len(title)}", "bold")
        self.say(why)
        self._line("")

    def say(self, text: str) -> None:
        """Write a paragraph."""
        self._line(textwrap.fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False))

    def typed(self, place: str, line: str) -> None:
        """Show what is typed at a prompt."""
        self._console.print(Text.assemble((f"{place}$ ", "green"), (line, "bold")), soft_wrap=True)

    def printed(self, text: str) -> None:
        """Show what a program printed."""
        if text:
            self._line(text)

    def logged(self, host: str, lines: Iterable[str]) -> None:
        """Show lines of a daemon's log."""
        for line in lines:
            self._line(f"{host} | {line}", "dim")

    def checked(self, text: str) -> None:
        """Say what was found to be as it should."""
        self._line(f"checked: {text}", "green")

    def listed(self, lines: Iterable[str]) -> None:
        """Write lines as they are, indented."""
        for line in lines:
            self._line(f"    {line}")

    def failed(self, text: str) -> None:
        """Say what went wrong."""
        self._line(text, "bold red")

    def waiting(self, host: str) -> AbstractContextManager[object]:
        """Show a spinner while a daemon works; it goes without a trace."""
        return self._console.status(f"waiting for the daemon on {host}")

    def _line(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style), soft_wrap=True)
