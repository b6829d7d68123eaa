"""Lists of files and of copies, streamed from the database (spec: cli.md §7.3, §7.5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from alpenhorn.db import StorageGroup, StorageNode
from alpenhorn.db.enums import copy_state
from alpenhorn.db.queries import copy_find, file_select
from alpenhorn.db.queries.file_select import HEALTHY, FileSelection
from alpenhorn.services import lookup
from alpenhorn.services.states import group_state

Row = dict[str, Any]


Place = StorageNode | StorageGroup


@dataclass(frozen=True)
class Wish:
    """The options of ``file list``, as typed."""

    acqs: Sequence[str] = ()
    nodes: Sequence[str] = ()
    groups: Sequence[str] = ()
    absent_nodes: Sequence[str] = ()
    absent_groups: Sequence[str] = ()
    every_place: bool = False
    states: tuple[str, ...] = ()
    """Wanted states of copies on `nodes` and in `groups`; empty: healthy."""
    source: str | None = None
    dest: str | None = None


@dataclass(frozen=True)
class FileList:
    """Files that were selected; nothing is read before the rows are asked for."""

    selection: FileSelection
    place: Place | None
    """The one node or group whose state is shown in the details, if there is just one."""

    def paths(self) -> Iterator[Row]:
        """Yield ``{"file": path}``."""
        return ({"file": path} for path in file_select.paths(self.selection))

    def details(self) -> Iterator[Row]:
        """Yield path, size, MD5 and time of registration; at `place` also the state there."""
        if isinstance(self.place, StorageNode):
            return map(_on_node, file_select.details_on_node(self.selection, self.place))
        if isinstance(self.place, StorageGroup):
            return map(_in_group, file_select.details_in_group(self.selection, self.place))
        return (_details(*row) for row in file_select.details(self.selection))


def select(wish: Wish) -> FileList:
    """Look up all names (D12), and say which files are meant.

    Raises:
        NotFound: a name is unknown.
    """
    acq_ids = tuple(acq.id for acq in lookup.acqs(wish.acqs))
    at = _places(wish.nodes, wish.groups)
    absent = _places(wish.absent_nodes, wish.absent_groups)
    sync = None
    if wish.source is not None and wish.dest is not None:
        sync = lookup.node(wish.source), lookup.group(wish.dest)
    selection = FileSelection(
        acq_ids=acq_ids,
        at=at,
        states=wish.states or HEALTHY,
        absent=absent,
        every_place=wish.every_place,
        sync=sync,
    )
    return FileList(selection, at[0] if len(at) == 1 and not sync else None)


def find_copies(
    acqs: Sequence[str], nodes: Sequence[str], groups: Sequence[str], states: Sequence[str]
) -> Iterator[Row]:
    """Yield copies with path, node and state.

    Args:
        acqs: only of these acquisitions; empty: of all.
        nodes: only on these nodes, or in the groups; both empty: everywhere.
        groups: see `nodes`.
        states: only in any of these states; empty: healthy.

    Raises:
        NotFound: a name is unknown; at once, not while iterating.
    """
    rows = copy_find.find(
        [acq.id for acq in lookup.acqs(acqs)],
        [node.id for node in _nodes(nodes)],
        [group.id for group in lookup.groups(groups)],
        states or HEALTHY,
    )
    return (
        {"file": f"{acq}/{name}", "node": node, "state": copy_state(has, wants)}
        for acq, name, node, has, wants in rows
    )


def _places(nodes: Sequence[str], groups: Sequence[str]) -> tuple[Place, ...]:
    return (*_nodes(nodes), *lookup.groups(groups))


def _nodes(names: Sequence[str]) -> list[StorageNode]:
    return [lookup.node(name) for name in dict.fromkeys(names)]


def _details(acq: str, name: str, size_b: int | None, md5: str | None, registered: Any) -> Row:
    return {
        "file": f"{acq}/{name}",
        "size_b": size_b,
        "md5sum": md5 and md5.lower(),
        "registered": registered,
    }


def _on_node(row: tuple[Any, ...]) -> Row:
    *details, has, wants, size_b = row
    state = "Absent" if has is None else copy_state(has, wants)
    return {**_details(*details), "state": state, "size_on_node_b": size_b}


def _in_group(row: tuple[Any, ...]) -> Row:
    *details, has, node = row
    return {**_details(*details), "state": group_state(has), "node": node}
