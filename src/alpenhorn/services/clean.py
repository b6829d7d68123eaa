"""Release copies on a node for removal, in bulk, or take that back (spec: cli.md §9.3)."""

from __future__ import annotations

from dataclasses import dataclass

from alpenhorn.db import StorageNode, WantsFile
from alpenhorn.db.queries import clean
from alpenhorn.db.queries.bulk import Amount
from alpenhorn.db.queries.clean import CleanScope
from alpenhorn.db.queries.filters import FileFilter
from alpenhorn.errors import NotAllowed

_ORDER = (WantsFile.KEEP, WantsFile.REMOVABLE, WantsFile.RELEASED)


@dataclass(frozen=True)
class CleanPlan:
    """Copies whose `wants_file` would change."""

    scope: CleanScope
    amounts: dict[WantsFile, Amount]
    in_targets: bool
    """False if no file at all is healthy in all target groups."""

    @property
    def by_state(self) -> list[tuple[WantsFile, Amount]]:
        """The copies to change by what `wants_file` is now, in a fixed order."""
        return [
            (wants, self.amounts[wants])
            for wants in _ORDER
            if wants in self.scope.candidates and wants in self.amounts
        ]

    @property
    def count(self) -> int:
        """Number of copies to change."""
        return sum(amount.count for _, amount in self.by_state)

    @property
    def size_b(self) -> int:
        """Sum of the files' sizes; unknown ones count as 0."""
        return sum(amount.known_b for _, amount in self.by_state)

    @property
    def contributing(self) -> Amount:
        """Copies at the goal already that count for the size limit."""
        others = [a for wants, a in self.amounts.items() if wants not in self.scope.candidates]
        return Amount(sum(a.count for a in others), 0, sum(a.known_b for a in others))

    def apply(self) -> int:
        """Set `wants_file`; returns the number of copies changed."""
        return self.scope.update()


def refuse_archive(node: StorageNode, goal: WantsFile, archive_ok: bool) -> None:
    """Refuse to clean an archive node without express consent; cancelling is harmless (D18).

    Raises:
        NotAllowed: it is an archive node.
    """
    if node.archive and goal is not WantsFile.KEEP and not archive_ok:
        raise NotAllowed(f'Cannot clean archive node "{node.name}"; use --archive-ok if you must.')


def plan_clean(scope: CleanScope) -> CleanPlan:
    """Find the copies that a clean would change."""
    amounts = scope.amounts()
    targets = scope.files.healthy_in_all
    in_targets = bool(amounts) or not targets or clean.any_file(FileFilter(healthy_in_all=targets))
    return CleanPlan(scope, amounts, in_targets)
