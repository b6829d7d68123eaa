"""Ask for copies in bulk, and take such requests back (spec: cli.md §8.7)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from alpenhorn.db import StorageGroup, StorageNode
from alpenhorn.db.queries.bulk import Amount, paths_by_acq
from alpenhorn.db.queries.filters import FileFilter
from alpenhorn.db.queries.sync import RequestScope, SyncScope


@dataclass(frozen=True)
class SyncPlan:
    """Copy requests that would be made."""

    scope: SyncScope
    amount: Amount
    scheduled: Amount
    """Candidates for which a request is pending already."""

    @property
    def count(self) -> int:
        """Number of requests to make."""
        return self.amount.count

    @property
    def size_b(self) -> int | None:
        """Sum of the files' sizes; None if any is unknown."""
        return self.amount.size_b

    def files(self) -> Iterator[tuple[str, list[str]]]:
        """Yield acquisition and paths of the files, sorted."""
        return paths_by_acq(self.scope.query())

    def apply(self) -> int:
        """Make the requests; returns how many."""
        return self.scope.request()


@dataclass(frozen=True)
class CancelPlan:
    """Copy requests that would be cancelled."""

    scope: RequestScope
    count: int
    size_b: int | None = None

    def files(self) -> Iterator[tuple[str, list[str]]]:
        """Yield acquisition and paths of the requests, sorted; one path per request."""
        return paths_by_acq(self.scope.query())

    def apply(self) -> int:
        """Cancel the requests; returns how many."""
        return self.scope.cancel()


def plan_sync(node: StorageNode, group: StorageGroup, files: FileFilter) -> SyncPlan:
    """Find the files that are on a node and not in a group.

    Args:
        node: the source.
        group: the destination.
        files: limits; targets are `FileFilter.healthy_in_none`.
    """
    scope = SyncScope(node.id, group.id, files)
    new, scheduled = scope.amounts()
    return SyncPlan(scope, new, scheduled)


def plan_cancel(
    node: StorageNode | None, group: StorageGroup | None, files: FileFilter
) -> CancelPlan:
    """Find the pending requests from a node (None: any) into a group (None: any)."""
    scope = RequestScope(node.id if node else None, group.id if group else None, files)
    return CancelPlan(scope, scope.count())
