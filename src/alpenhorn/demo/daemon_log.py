"""The log file of one daemon, read from a point that `mark` sets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from alpenhorn.demo.templates import pattern

_PREFIX = re.compile(r"\w{3} \d\d \d\d:\d\d:\d\d [A-Z]+ >> \[[^]]+\] ")
_PULLED = re.compile(_PREFIX.pattern + r"Pull of (.+) complete\. Transferred ")


class DaemonLog:
    """A log that a daemon appends to while we read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mark = 0

    def mark(self) -> None:
        """Let `find` begin at what is written from now on."""
        self._mark = len(self._lines())

    def find(self, templates: Sequence[str], places: Mapping[str, str]) -> tuple[list[str], str]:
        """Look for lines behind the mark.

        Args:
            templates: messages, each of which must appear.
            places: what placeholders for directories stand for.

        Returns:
            The lines found, as written, in the order of the log, one per template; and the first
            template that is still missing, empty if none is.
        """
        lines = self._lines()[self._mark :]
        found: set[int] = set()
        missing = []
        for template in templates:
            at = _first(lines, template, places, found)
            if at is None:
                missing.append(template)
            else:
                found.add(at)
        return [lines[at] for at in sorted(found)], missing[0] if missing else ""

    def pulled(self) -> Iterable[str]:
        """Yield the paths of all files that were transferred to this daemon's nodes."""
        return (match[1] for line in self._lines() if (match := _PULLED.match(line)))

    def _lines(self) -> list[str]:
        if not self._path.exists():
            return []
        text = self._path.read_text(encoding="utf-8", errors="replace")
        # A line that is still being written does not count.
        return text[: text.rfind("\n") + 1].splitlines()


def _first(
    lines: Sequence[str], template: str, places: Mapping[str, str], taken: set[int]
) -> int | None:
    """Return the position of the first line with this message that is not taken."""
    wanted = pattern(template, places)
    for at, line in enumerate(lines):
        prefix = _PREFIX.match(line)
        if prefix and at not in taken and wanted.fullmatch(line, prefix.end()):
            return at
    return None
