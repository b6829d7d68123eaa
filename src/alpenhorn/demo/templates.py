"""Texts of the script compared with what programs print.

A template is the text of the walkthrough with placeholders in braces: for what differs from run to
run (times, free space), and for the demo's directories.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

_VARYING = {
    "time": r"\w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4} UTC",
    "request_time": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d",
    "size": r"\d[\d.]* (?:[kMGTPE]i)?B",
    "duration": r"\d+(?:\.\d)?s",
    "n": r"\d+",
}
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


def fill(template: str, places: Mapping[str, str]) -> str:
    """Put directories into a command, quoted for the shell.

    Args:
        template: a text with placeholders for directories only.
        places: what they stand for.

    Raises:
        KeyError: a placeholder of another name.
    """
    return _PLACEHOLDER.sub(lambda match: shlex.quote(places[match[1]]), template)


def pattern(template: str, places: Mapping[str, str]) -> re.Pattern[str]:
    """Make a regular expression of a text to be printed; see `matches`."""
    parts = _PLACEHOLDER.split(template)
    for at in range(1, len(parts), 2):
        name = parts[at]
        parts[at] = _VARYING[name] if name in _VARYING else re.escape(places[name])
    parts[::2] = map(re.escape, parts[::2])
    return re.compile("".join(parts))


def matches(template: str, printed: str, places: Mapping[str, str]) -> bool:
    """Tell whether a program printed what the template says; blanks at line ends are no matter."""
    return pattern(tidy(template), places).fullmatch(tidy(printed)) is not None


def tidy(text: str) -> str:
    """Remove blanks at the ends of lines, and empty lines at both ends."""
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")
