"""What a bulk verb is: a plan that is counted, shown, confirmed and applied (design §3).

``plan_x(filter)`` looks and changes nothing. `Plan.apply` looks again *in the database*: one
transaction whose statements select the same set by the same conditions, so it changes what
is true at that moment and never carries lists of ids.
"""

from __future__ import annotations

from typing import Protocol


class Plan(Protocol):
    """What a bulk verb would do now."""

    @property
    def count(self) -> int:
        """Number of rows that would change."""

    @property
    def size_b(self) -> int | None:
        """Sum of the sizes of their files in bytes; None if unknown (each verb says when)."""

    def apply(self) -> int:
        """Do it, in one transaction.

        Returns:
            The number of rows changed.
        """
