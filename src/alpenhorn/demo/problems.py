"""What can go wrong with the demo itself."""

from __future__ import annotations

from alpenhorn.errors import AlpenhornError


class DemoProblem(AlpenhornError):
    """The demo cannot be played here; nothing was started."""


class Unexpected(AlpenhornError):
    """Something did not come out as the script says.

    Args:
        expected: what should have been, any number of lines.
        found: what was there instead, any number of lines.
    """

    def __init__(self, expected: str, found: str) -> None:
        super().__init__(f"expected {expected}, found {found}")
        self.expected = expected
        self.found = found
