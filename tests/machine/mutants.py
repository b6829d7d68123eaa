"""The product, broken on purpose: each of these must be noticed, or the machine is no proof.

A mutant is one function of the product replaced by a worse one, in the way that a mistake would.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest import mock

from alpenhorn.common.units import utcnow
from alpenhorn.db import ArchiveFileCopy, ArchiveFileCopyRequest, HasFile
from alpenhorn.db.enums import StorageType, WantsFile
from alpenhorn.db.queries import (
    autoactions,
    checks,
    deletion,
    evidence,
    imports,
    protection,
    transfers,
)
from alpenhorn.io.default.jobs import delete, landing
from alpenhorn.io.default.node import DefaultNodeIO
from alpenhorn.io.default.tree import Tree
from alpenhorn.services import copies


@dataclass(frozen=True)
class Mutant:
    """A broken product.

    Args:
        what: how it is broken.
        patches: (module or class, name, what is put there).
        found_by: the scenarios that are to find it.
    """

    what: str
    patches: tuple[tuple[Any, str, Any], ...]
    found_by: tuple[str, ...]

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Have the product broken in this way."""
        with ExitStack() as stack:
            for where, name, new in self.patches:
                stack.enter_context(mock.patch.object(where, name, new))
            yield


def _released_count(copy: Any, holder: Any) -> list[Any]:
    return [holder.storage_type == StorageType.ARCHIVE]


def _suspect_count(copy: Any, holder: Any, rule: Any) -> list[Any]:
    there = copy.has_file << [HasFile.PRESENT, HasFile.SUSPECT]
    return [there, *protection._wanted_archive(copy, holder)]


def _any_node_counts(copy: Any, holder: Any) -> list[Any]:
    return [copy.wants_file != WantsFile.RELEASED]


def _nothing_is_being_deleted(copy: Any) -> Any:
    return copy.id.is_null()


def _stores_differ(copy: Any, protectors: Any, stores: Mapping[int, object]) -> set[object]:
    return {guard.node_id for guard in protectors if guard.copy_id != copy.id}


def _claim_without_lock(node_id: int, copy_ids: Sequence[int], stores: Any, rule: Any) -> Any:
    """The parts of a claim, each in a transaction of its own."""
    with mock.patch.object(deletion, "change", nullcontext):
        return _claim.__wrapped__(node_id, copy_ids, stores, rule)  # type: ignore[attr-defined]


_claim = deletion.claim


def _claim_unseen(node_id: int, copy_ids: Sequence[int], stores: Any, rule: Any) -> Any:
    """What the pass has listed is claimed, whatever has become of it."""
    result = deletion.Claim()
    with deletion.change():
        for copy in deletion.by_copy_ids(copy_ids):
            result.taken.append(deletion.Claimed(copy, copy.has_file, copy.wants_file))
        result.taken = deletion._set_claimed(result.taken)
        evidence.keep([item.copy for item in result.taken], {})
    return result


def _listed_only(copy: Any, may_free: bool) -> bool:
    return bool(copy.has_file != HasFile.ABSENT)


def _removed_in_memory_only(copy_ids: Sequence[int]) -> None:
    """The claim ends, but the row is not written."""
    with deletion.change():
        evidence.removed(copy_ids)


def _record_first(io: Any, is_there: Any, claimed: Any, tally: Any, level: int) -> None:
    """Removal is recorded before it is done."""
    deletion.removed([item.copy.id for item in claimed])
    for item in claimed:
        delete._unlink(io, is_there, item.copy, level)


def _give_back_always_good(claimed: Any) -> None:
    _give_back([dataclasses.replace(item, had="Y", wanted="Y") for item in claimed])


_give_back = deletion.give_back


def _update_suspect_blindly(copy_ids: list[int], values: dict[str, Any]) -> int:
    query = ArchiveFileCopy.update(values).where(ArchiveFileCopy.id << copy_ids)
    return int(query.execute())


def _update_suspect_and_keep(copy_ids: list[int], values: dict[str, Any]) -> int:
    values = {**values, "wants_file": WantsFile.KEEP}
    query = ArchiveFileCopy.update(values).where(ArchiveFileCopy.id << copy_ids)
    return int(query.where(ArchiveFileCopy.has_file == HasFile.SUSPECT).execute())


def _update_suspect_being_deleted(copy_ids: list[int], values: dict[str, Any]) -> int:
    query = ArchiveFileCopy.update(values).where(
        ArchiveFileCopy.id << copy_ids,
        ArchiveFileCopy.has_file == HasFile.SUSPECT,
        ArchiveFileCopy.wants_file != WantsFile.RELEASED,
    )
    return int(query.execute())


@contextmanager
def _medium_unasked(io: Any) -> Iterator[Callable[[], bool]]:
    yield lambda: True


def _good_unread(staged: Any, staging: Any, item: Any, outcomes: Any) -> bool:
    return True


def _no_difference(file: Any, item: Any) -> None:
    return None


def _complete_blindly(arrived: Sequence[Any]) -> frozenset[int]:
    """Requests end as completed, though they were cancelled meanwhile."""
    request = ArchiveFileCopyRequest
    ids = [item.request_id for item in arrived]
    request.update(completed=True, transfer_started=utcnow(), transfer_completed=utcnow()).where(
        request.id << ids
    ).execute()
    return frozenset(ids)


def _no_pending_sources(node_id: int, file_ids: Sequence[int]) -> set[int]:
    return set()


def _auto_actions_later(node: Any, file_ids: Sequence[int]) -> None:
    return None


def _revive(file: Any, node: Any, wants: WantsFile) -> int:
    """A command that means `wants_file` writes the whole row as it was read."""
    rows = list(ArchiveFileCopy.select().where(ArchiveFileCopy.file == file.id))
    for row in rows:
        row.wants_file = wants.value
        row.save()
    return len(rows)


def _unlink_by_path(self: Any, path: str) -> bool:
    """Files are removed whose copies nobody claimed: those beside it too."""
    done = _unlink(self, path)
    for other in list(self.walk(".")):
        if "/" in other:
            _unlink(self, other)
    return done


_unlink = Tree.unlink


def _leave_claims_open(node: Any) -> None:
    return None


def _going_unless_wanted_again(copies: Sequence[ArchiveFileCopy], since: Any) -> set[int]:
    return _going([copy for copy in copies if (copy.has_file, copy.wants_file) == ("M", "N")])


def _nothing_was_removed(claim: int, copy_ids: Sequence[int]) -> set[int]:
    return set()


_going = transfers._going


MUTANTS = [
    Mutant(
        "released copies protect",
        ((protection, "_wanted_archive", _released_count),),
        ("three released at once", "two released of three"),
    ),
    Mutant(
        "suspect copies protect",
        ((protection, "counts", _suspect_count),),
        ("found corrupt while another goes", "released, wanted again, checked"),
    ),
    Mutant(
        "copies on field nodes protect",
        ((protection, "_wanted_archive", _any_node_counts),),
        ("no archive node any more", "two nodes on one disk"),
    ),
    Mutant(
        "two nodes on one disk count twice",
        ((deletion, "distinct_stores", _stores_differ),),
        ("two nodes on one disk",),
    ),
    Mutant(
        "a claim is no transaction",
        ((deletion, "claim", _claim_without_lock),),
        ("no archive node any more", "two released of three"),
    ),
    Mutant(
        "nothing is looked at again in a claim",
        ((deletion, "claim", _claim_unseen),),
        ("two released of three", "three released of four"),
    ),
    Mutant(
        "a claim does not look whether the copy is still released",
        ((deletion, "_wants_to_go", _listed_only),),
        ("wanted again at the last moment",),
    ),
    Mutant(
        "a claim does not look for requests",
        ((deletion, "_pending_sources", _no_pending_sources),),
        ("asked for at the last moment",),
    ),
    Mutant(
        "a copy counts again when its deletion is cancelled",
        (
            (protection, "being_deleted", _nothing_is_being_deleted),
            (checks, "being_deleted", _nothing_is_being_deleted),
            (evidence, "being_deleted", _nothing_is_being_deleted),
        ),
        ("deleted and counted",),
    ),
    Mutant(
        "a check speaks of a copy that is being deleted",
        ((checks, "_update_suspect", _update_suspect_being_deleted),),
        ("checked while it is deleted",),
    ),
    Mutant(
        "a check is recorded over a newer state",
        ((checks, "_update_suspect", _update_suspect_blindly),),
        ("released while it is checked",),
    ),
    Mutant(
        "a check writes wants_file",
        ((checks, "_update_suspect", _update_suspect_and_keep),),
        ("released while it is checked",),
    ),
    Mutant(
        "a removal is not recorded",
        ((deletion, "removed", _removed_in_memory_only),),
        ("three released of four",),
    ),
    Mutant(
        "a removal is recorded before it is done",
        ((delete, "_delete_portion", _record_first),),
        ("three released of four", "modified while it is deleted"),
    ),
    Mutant(
        "a claim that is given back makes the copy good",
        ((deletion, "give_back", _give_back_always_good),),
        ("the root vanishes",),
    ),
    Mutant(
        "a job does not look whether the medium is there",
        (
            (DefaultNodeIO, "medium", _medium_unasked),
            (DefaultNodeIO, "check_init", lambda io: True),
        ),
        ("the root vanishes", "another medium takes its place"),
    ),
    Mutant(
        "a pull is recorded unread",
        ((landing, "_is_good", _good_unread),),
        ("pulled from a rotten source",),
    ),
    Mutant(
        "an import of a known name is good",
        ((imports, "_difference", _no_difference),),
        ("imported, but rotten",),
    ),
    Mutant(
        "a cancelled request is completed",
        ((transfers, "_complete", _complete_blindly),),
        ("pulled from a rotten source",),
    ),
    Mutant(
        "a pull is recorded over a deletion that was cancelled meanwhile",
        ((transfers, "_going", _going_unless_wanted_again),),
        ("corrupt, released and asked for",),
    ),
    Mutant(
        "a pull is recorded though what has landed was removed",
        ((evidence, "removed_since", _nothing_was_removed),),
        ("corrupt, released and asked for",),
    ),
    Mutant(
        "auto-actions are forgotten",
        ((autoactions, "apply", _auto_actions_later),),
        ("a chain of auto-actions",),
    ),
    Mutant(
        "a command writes the whole row",
        ((copies, "set_wants", _revive),),
        ("a file is released everywhere",),
    ),
    Mutant(
        "a deletion removes the files beside",
        ((Tree, "unlink", _unlink_by_path),),
        ("the root vanishes",),
    ),
    Mutant(
        "what a kill has left of a claim stays open for ever",
        ((evidence, "end_stale_claims", _leave_claims_open),),
        ("wanted again at the last moment",),
    ),
]
