"""Replace corrupt and missing copies that should be there, in bulk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from alpenhorn.db import HasFile, StorageGroup, StorageNode
from alpenhorn.db.queries import doorbell, group_policy
from alpenhorn.db.queries.bulk import Amount
from alpenhorn.db.queries.filters import FileFilter
from alpenhorn.db.queries.repair import Case, RepairScope
from alpenhorn.errors import NotAllowed

_WORDS = {HasFile.CORRUPT: "corrupt", HasFile.ABSENT: "missing"}


@dataclass(frozen=True)
class RepairPlan:
    """Bad copies by node, and by what can be done about them."""

    scope: RepairScope
    amounts: dict[tuple[str, Case], Amount]

    def amount(self, case: Case) -> Amount:
        """Sum up the copies of which this is the case, over all nodes."""
        found = [amount for (_, its), amount in self.amounts.items() if its is case]
        return Amount(
            sum(amount.count for amount in found),
            sum(amount.known for amount in found),
            sum(amount.known_b for amount in found),
        )

    def by_node(self, case: Case) -> list[tuple[str, Amount]]:
        """Return the nodes with such copies, sorted, each with their number."""
        return [(node, amount) for (node, its), amount in self.amounts.items() if its is case]

    @property
    def count(self) -> int:
        """Number of copies that can be repaired."""
        return self.amount(Case.REPAIRABLE).count

    @property
    def size_b(self) -> int:
        """Sum of the sizes of their files; unknown ones count as 0."""
        return self.amount(Case.REPAIRABLE).known_b

    @property
    def hopeless(self) -> int:
        """Number of copies that cannot be repaired."""
        return self.amount(Case.HOPELESS).count

    def unrepairable(self) -> Iterator[tuple[str, str, str]]:
        """Yield node, path, and what is wrong (``corrupt``, ``missing``), sorted."""
        for node, path, has_file in self.scope.listed(Case.HOPELESS):
            yield node, path, _WORDS[HasFile(has_file)]

    def apply(self) -> int:
        """Ask for the transfers; returns how many."""
        return self.scope.request()


def plan_repair(node: StorageNode | None, files: FileFilter) -> RepairPlan:
    """Find the bad copies on a node (None: on all nodes), and what can be done about them."""
    scope = RepairScope(node_id=node.id if node else None, files=files)
    return RepairPlan(scope, scope.amounts())


def auto_repaired(group: StorageGroup) -> bool:
    """Tell whether the daemons repair a group by themselves."""
    return group_policy.auto_repaired(group)


def set_auto_repair(group: StorageGroup, on: bool) -> bool:
    """Let the daemons repair a group by themselves, or no longer.

    Returns:
        Whether anything changed.

    Raises:
        NotAllowed: the index has no place to keep that.
    """
    if not doorbell.available():
        if not on:
            return False
        raise NotAllowed(
            "auto-repair can't be enabled: the Data Index lacks the table for it.  "
            "Run `alpenhorn db init` to add it."
        )
    return group_policy.set_auto_repair(group, on)
