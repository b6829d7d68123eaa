"""Which copies protect a file against the deletion of another copy (spec: data-index.md §8.2).

Copies that are present and not released, on archive nodes, count; if wished, only those whose
bytes were read and found right recently. Copies on one physical store count once.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import peewee as pw

from alpenhorn.common import config
from alpenhorn.common.units import utcnow
from alpenhorn.db.archive import ArchiveFileCopy
from alpenhorn.db.enums import HasFile, StorageType, WantsFile
from alpenhorn.db.operations import DeletionEvidence, Verification
from alpenhorn.db.queries import doorbell
from alpenhorn.db.queries.common import any_row, by_ids, found_by_file, tuples
from alpenhorn.db.storage import StorageNode

SAFE_COPIES = 2
"""Fewer archive copies than these can be lost together."""


@dataclass(frozen=True)
class Protection:
    """What must be left of a file elsewhere before a copy of it may be deleted."""

    copies: int = SAFE_COPIES
    """Copies on archive nodes."""
    max_age_days: int | None = None
    """Only those count that were verified in so many days; None: whenever."""

    @property
    def whatever_age(self) -> Protection:
        """The same, without regard to when copies were verified."""
        return replace(self, max_age_days=None)


TWO_COPIES = Protection()


@dataclass(frozen=True)
class Guard:
    """A copy that protects its file."""

    copy_id: int
    file_id: int
    node_id: int
    node: str
    last_update: datetime.datetime
    verified: datetime.datetime | None
    """When its bytes were last read and found right, if that is known."""


def configured() -> Protection:
    """Return what the configuration asks for: `daemon.archive_copy_count` and `_max_age_days`."""
    return Protection(
        config.value("daemon.archive_copy_count"), config.value("daemon.archive_copy_max_age_days")
    )


def protecting(rule: Protection) -> Any:
    """Expression: number of copies that protect the file of the current copy row."""
    other, holder = ArchiveFileCopy.alias(), StorageNode.alias()
    return _others(other, holder, counts(other, holder, rule))


def perhaps_protecting() -> Any:
    """Expression: the same, if all those proved to be good that are old or wait for a check."""
    other, holder = ArchiveFileCopy.alias(), StorageNode.alias()
    there = other.has_file << [HasFile.PRESENT, HasFile.SUSPECT]
    return _others(other, holder, [there, *_wanted_archive(other, holder)])


def _others(other: Any, holder: Any, conditions: list[Any]) -> Any:
    return (
        other.select(pw.fn.COUNT(other.id))
        .join(holder, on=found_by_file(other, holder))
        .where(other.file == ArchiveFileCopy.file, other.id != ArchiveFileCopy.id, *conditions)
    )


def _wanted_archive(copy: Any, holder: Any) -> list[Any]:
    return [
        copy.wants_file != WantsFile.RELEASED,
        holder.storage_type == StorageType.ARCHIVE,
    ]


def counts(copy: Any, holder: Any, rule: Protection) -> list[Any]:
    """Return the conditions under which a copy protects its file.

    Args:
        copy: `ArchiveFileCopy`, or an alias of it.
        holder: its node: `StorageNode`, or an alias of it.
        rule: what is asked for.
    """
    age = [] if rule.max_age_days is None else [verified_since(copy, rule.max_age_days)]
    return [copy.has_file == HasFile.PRESENT, *_wanted_archive(copy, holder), *age]


def verified_since(copy: Any, days: int) -> Any:
    """Condition: the copy was found right at most so many days ago, and not found wrong since.

    Somebody may have called a corrupt copy healthy, or an older program replaced it unread.
    """
    return _on_record(
        copy,
        lambda row: (
            (row.verified >= _days_ago(days)) & (row.failed.is_null() | (row.failed < row.verified))
        ),
    )


def asked_since(copy: Any, days: int) -> Any:
    """Condition: the copy was put up for a check at most so many days ago."""
    return _on_record(copy, lambda row: row.asked >= _days_ago(days))


def _on_record(copy: Any, condition: Callable[[Any], Any]) -> Any:
    if not doorbell.available():
        return copy.id.is_null()  # nobody knows: never
    row = Verification.alias()
    mine = row.select().where(row.file_id == copy.file, row.node_id == copy.node)
    return any_row(mine.where(condition(row)))


def _days_ago(days: int) -> datetime.datetime:
    return utcnow() - datetime.timedelta(days=days)


def being_deleted(copy: Any) -> Any:
    """Condition: a claim to delete the copy is open, whatever its state says meanwhile."""
    if not doorbell.available():
        return (copy.has_file == HasFile.SUSPECT) & (copy.wants_file == WantsFile.RELEASED)
    claim = DeletionEvidence.alias()
    return any_row(
        claim.select().where(
            claim.node_id == copy.node,
            claim.copy_id == copy.id,
            claim.removed.is_null(),
            claim.given_back.is_null(),
        )
    )


def guards(file_ids: Sequence[int], rule: Protection) -> dict[int, list[Guard]]:
    """Return all copies that protect files, by file; a copy that is being deleted is none."""
    copy, node = ArchiveFileCopy, StorageNode
    query: Any = copy.select(
        copy.id, copy.file, copy.node, node.name, copy.last_update, _verified()
    ).join(node, on=found_by_file(copy, node))
    if doorbell.available():
        mine = (Verification.file_id == copy.file) & (Verification.node_id == copy.node)
        query = query.switch(copy).join(Verification, pw.JOIN.LEFT_OUTER, on=mine)
    query = tuples(query.where(*counts(copy, node, rule), ~being_deleted(copy)).order_by(copy.id))
    found: dict[int, list[Guard]] = {}
    for row in by_ids(query, copy.file, sorted(set(file_ids))):
        guard = Guard(*row)
        found.setdefault(guard.file_id, []).append(guard)
    return found


def distinct_stores(
    copy: ArchiveFileCopy, protectors: Sequence[Guard], stores: Mapping[int, object]
) -> set[object]:
    """Return keys of the stores, other than the copy's own, on which its file is protected.

    Args:
        copy: the copy that is to go.
        protectors: the copies that protect its file.
        stores: for nodes that this host can see, a key of the physical store they rest on.
    """
    own = stores.get(copy.node_id, ("node", copy.node_id))
    keys = {stores.get(p.node_id, ("node", p.node_id)) for p in protectors if p.copy_id != copy.id}
    return keys - {own}


def _verified() -> Any:
    return Verification.verified if doorbell.available() else pw.Value(None)
