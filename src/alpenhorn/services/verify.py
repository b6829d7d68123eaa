"""Have copies on a node checked again, in bulk, or force their state (spec: cli.md §9.14)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alpenhorn.db import HasFile, StorageNode
from alpenhorn.db.queries import copy_states
from alpenhorn.db.queries.bulk import Amount, CopyScope
from alpenhorn.db.queries.filters import FileFilter


@dataclass(frozen=True)
class VerifyPlan:
    """Copies whose `has_file` would change."""

    scope: CopyScope
    amount: Amount
    becomes: HasFile
    """The new value."""

    @property
    def count(self) -> int:
        """Number of copies to change."""
        return self.amount.count

    @property
    def size_b(self) -> int | None:
        """Sum of the known sizes; None if none is known."""
        return self.amount.known_b if self.amount.known else None

    def apply(self) -> int:
        """Set `has_file`; returns the number of copies changed."""
        return self.scope.update({"has_file": self.becomes})


def plan_verify(node: StorageNode, states: Sequence[str], files: FileFilter) -> VerifyPlan:
    """Find copies to be checked again.

    Args:
        node: where they are.
        states: some of ``healthy``, ``corrupt``, ``missing``; a copy in any of them.
        files: limits.
    """
    return _plan(node, copy_states.any_of(states), files, HasFile.SUSPECT)


def plan_cancel(node: StorageNode, becomes: HasFile, files: FileFilter) -> VerifyPlan:
    """Find copies that wait for a check, to force their state instead."""
    return _plan(node, copy_states.any_of(["suspect"]), files, becomes)


def _plan(node: StorageNode, states: object, files: FileFilter, becomes: HasFile) -> VerifyPlan:
    scope = CopyScope(node.id, states, files)
    return VerifyPlan(scope, scope.amount(), becomes)
