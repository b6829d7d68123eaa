"""What somebody may have meant by a mistyped name."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def similar(name: str, known: Iterable[str], most: int = 1) -> list[str]:
    """Return the known names that are closest to a name, if any is close.

    Args:
        name: as typed.
        known: what there is.
        most: how many to return at most.

    Returns:
        The names, the closest first; upper and lower case are no matter.
    """
    spelling = {candidate.casefold(): candidate for candidate in known}
    return [spelling[match] for match in get_close_matches(name.casefold(), spelling, n=most)]
