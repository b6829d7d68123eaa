"""Make acquisitions and report on them (spec: cli.md §6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Any

from alpenhorn.common.names import ACQ_NAME_LIMIT, vet_path
from alpenhorn.db import ArchiveAcq
from alpenhorn.db.enums import copy_state
from alpenhorn.db.queries import acquisitions
from alpenhorn.db.queries.acquisitions import Holding, totals
from alpenhorn.services import lookup
from alpenhorn.services.states import group_state

__all__ = ["GroupHoldings", "Holding", "by_group", "counts", "create", "files", "totals"]

_GROUP_WORDS = {"Suspect": "Needs Check", "Absent": "Removed"}


def create(name: str) -> None:
    """Make an acquisition.

    Raises:
        InvalidName: the name is against the rules.
        AlreadyExists: the name is taken.
    """
    vet_path(name, ACQ_NAME_LIMIT)
    acquisitions.create(name)


def counts(node: str | None, group: str | None) -> list[tuple[str, int]]:
    """Return acquisitions with their numbers of files, or of present copies at a place.

    Raises:
        NotFound: there is no such node or group.
    """
    if node is not None:
        return acquisitions.copy_counts(lookup.node(node))
    if group is not None:
        return acquisitions.copy_counts(lookup.group(group))
    return acquisitions.file_counts()


def files(
    name: str, node: str | None, group: str | None, removed: bool
) -> Iterator[dict[str, Any]]:
    """Yield the files of an acquisition, one by one from the database.

    Args:
        name: the acquisition.
        node: only files with a record there, with the copy's state and size.
        group: only files with a record there, with the group's state and the node that gives it.
        removed: also files that are removed from the place.

    Raises:
        NotFound: the acquisition, the node or the group is unknown; at once, not while iterating.
    """
    acq = lookup.acq(name)
    if node is not None:
        return map(_on_node, acquisitions.files_on_node(acq, lookup.node(node), removed))
    if group is not None:
        return map(_in_group, acquisitions.files_in_group(acq, lookup.group(group), removed))
    return (_file(*row) for row in acquisitions.files(acq))


@dataclass(frozen=True)
class GroupHoldings:
    """Present copies of an acquisition's files in a group."""

    name: str
    nodes: list[Holding] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Number of copies on all nodes of the group."""
        return sum(node.count for node in self.nodes)

    @property
    def size_b(self) -> int | None:
        """Sum of the known sizes; None if none is known."""
        return _sum(node.size_b for node in self.nodes)


def by_group(acq: ArchiveAcq) -> list[GroupHoldings]:
    """Return what is where, by names of groups and nodes."""
    holdings = acquisitions.holdings(acq)
    return [
        GroupHoldings(name, list(nodes)) for name, nodes in groupby(holdings, attrgetter("group"))
    ]


def _sum(sizes: Iterable[int | None]) -> int | None:
    known = [size for size in sizes if size is not None]
    return sum(known) if known else None


def _file(name: str, size_b: int | None, md5sum: str | None) -> dict[str, Any]:
    return {"name": name, "size_b": size_b, "md5sum": md5sum and md5sum.lower()}


def _on_node(row: tuple[Any, ...]) -> dict[str, Any]:
    name, size_b, md5sum, has_file, wants_file, on_node_b = row
    return {
        **_file(name, size_b, md5sum),
        "state": copy_state(has_file, wants_file),
        "size_on_node_b": on_node_b,
    }


def _in_group(row: tuple[Any, ...]) -> dict[str, Any]:
    name, size_b, md5sum, has_file, node = row
    state = group_state(has_file)
    return {
        **_file(name, size_b, md5sum),
        "state": _GROUP_WORDS.get(state, state),
        "node": node,
    }
