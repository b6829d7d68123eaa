"""Registration of files that lie on a node, and the requests that ask for it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import NamedTuple

from alpenhorn.common.units import utcnow
from alpenhorn.db.acquisition import ArchiveAcq, ArchiveFile
from alpenhorn.db.archive import NODE_INIT_PATH, ArchiveFileCopy, ArchiveFileImportRequest
from alpenhorn.db.connection import change, repeat_on_deadlock
from alpenhorn.db.enums import HasFile, WantsFile
from alpenhorn.db.queries import autoactions, deletion, evidence, verification
from alpenhorn.db.queries.common import (
    CASES,
    by_id,
    by_ids,
    chunks,
    insert_missing,
    insert_rows,
    lock_acquisitions,
    lock_files,
    lock_new_acquisitions,
    one_of,
    tuples,
)
from alpenhorn.db.storage import StorageNode


@dataclass(frozen=True)
class Found:
    """A file that was read completely: the evidence on which it is registered."""

    acq_name: str
    file_name: str
    size_b: int
    md5sum: str
    space_b: int | None
    """Space used on the medium."""
    request_id: int | None = None
    """Import request that asked for this file; completed with it."""


@dataclass
class Registered:
    """Result for one `Found`."""

    found: Found
    outcome: str
    """Result word of data-index.md §10: success, duplicate or unregistered."""
    file_id: int | None = None
    made_file: bool = False
    made_acq: bool = False
    """Was this the import that registered the file, the acquisition?"""
    copy: ArchiveFileCopy | None = None
    new_file: ArchiveFile | None = None
    new_acq: ArchiveAcq | None = None
    """The rows, for callbacks: see `register`."""
    was_missing: bool = False
    mismatch: str | None = None
    """Set if the bytes are not those of the registered file: the copy was recorded as corrupt."""

    @property
    def path(self) -> PurePath:
        """Path relative to the node's root."""
        return PurePath(self.found.acq_name, self.found.file_name)

    @property
    def added(self) -> bool:
        """Was a copy recorded, good or corrupt?"""
        return self.outcome == "success"


class _File(NamedTuple):
    """What is asked of a file's row."""

    id: int
    size_b: int | None
    md5sum: str | None


_Key = tuple[str, str]
"""Names of acquisition and file."""


def pending(node: StorageNode, limit: int) -> list[ArchiveFileImportRequest]:
    """Return the oldest pending import requests of a node; one statement."""
    query = ArchiveFileImportRequest.select().where(
        ArchiveFileImportRequest.node == node,
        ArchiveFileImportRequest.completed == False,  # noqa: E712
    )
    return list(query.order_by(ArchiveFileImportRequest.id).limit(limit))


def complete(request_id: int) -> bool:
    """Mark an import request as dealt with; returns False if it was already."""
    return bool(
        ArchiveFileImportRequest.update(completed=True)
        .where(
            ArchiveFileImportRequest.id == request_id,
            ArchiveFileImportRequest.completed == False,  # noqa: E712
        )
        .execute()
    )


def _complete_all(request_ids: Sequence[int]) -> None:
    for chunk in chunks(request_ids):
        ArchiveFileImportRequest.update(completed=True).where(
            one_of(ArchiveFileImportRequest.id, chunk),
            ArchiveFileImportRequest.completed == False,  # noqa: E712
        ).execute()


def tracked_names(node: StorageNode, acq_name: str) -> set[str]:
    """Return the names of all files of an acquisition that the index says are on a node in any way.

    One statement. The node is tested so that no index serves: SQLite might read all its copies.
    """
    query = (
        ArchiveFileCopy.select(ArchiveAcq.name, ArchiveFile.name)
        .join(ArchiveFile)
        .join(ArchiveAcq)
        .where(
            ArchiveAcq.name == acq_name,
            ArchiveFileCopy.node_id + 0 == node.id,
            ArchiveFileCopy.has_file != HasFile.ABSENT,
        )
    )
    # Some databases take names for equal that differ in case.
    return {name for acq, name in tuples(query) if acq == acq_name}


def tracked(node: StorageNode, names: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return which (acquisition, file) names have a copy other than absent on a node."""
    known = _known_files(names)
    copies = _copies(node, [file.id for file in known.values()])
    there = {copy.file_id for copy in copies.values() if copy.has_file != HasFile.ABSENT}
    return {key for key, file in known.items() if file.id in there}


def registered(names: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return which (acquisition, file) names have file rows."""
    return set(_known_files(names))


def _known_files(names: Iterable[_Key]) -> dict[_Key, _File]:
    """Return those files that have rows."""
    wanted = sorted(set(names))
    acqs = _named({acq for acq, _ in wanted})
    return _find_files([key for key in wanted if key[0] in acqs], acqs)


@repeat_on_deadlock
def register(
    node: StorageNode,
    found: Sequence[Found],
    create: bool,
    inside: Callable[[list[Registered]], None] | None = None,
    rows: bool = True,
) -> list[Registered]:
    """Record files found on a node: acquisitions, files, copies, auto-actions; one transaction.

    The import requests of the files are completed in it, whatever the outcome.

    The unique keys settle races with other importers: whoever comes second finds the rows of the
    first. A file that is known under its name becomes a good copy only if length and MD5 agree
    (W-1); otherwise a corrupt one. Nothing is recorded of a copy that is being deleted, even if
    somebody calls it missing meanwhile: what was read is about to go.

    Args:
        node: where the files are.
        found: what was read.
        create: may acquisitions and files be created?
        inside: called with the results before the commit; if it raises, nothing is recorded.
        rows: are the rows of what was added to be in the results? Making them takes its time.

    Returns:
        One result per `found`, in the same order.
    """
    with change():
        acqs, new_acqs = _acquisitions({item.acq_name for item in found}, create)
        files, new = _files(found, acqs, create)
        lock_files(file.id for file in files.values())
        copies = _copies(node, [file.id for file in files.values()])
        results = _record(node, found, files, copies, evidence.claimed(copies.values()))
        _say_what_is_new(results, new, set(new_acqs))
        if rows:
            _fetch_rows(node, results, acqs)
        good = [r.file_id for r in results if r.file_id and r.added and not r.mismatch]
        verification.added(node, good, "import")
        verification.added_bad(node, [r.file_id for r in results if r.file_id and r.mismatch])
        autoactions.apply(node, good)
        if node.archive:
            deletion.ring_waiting(good)
        _complete_all([item.request_id for item in found if item.request_id is not None])
        if inside is not None:
            inside(results)
    return results


def _say_what_is_new(results: Sequence[Registered], files: set[_Key], acqs: set[str]) -> None:
    """Note with which of the imports files and acquisitions were registered; each once."""
    for result in results:
        acq, name = result.found.acq_name, result.found.file_name
        if result.added and (acq, name) in files:
            files.remove((acq, name))
            result.made_file, result.made_acq = True, acq in acqs
            acqs.discard(acq)


def _fetch_rows(
    node: StorageNode, results: Sequence[Registered], acqs: Mapping[str, ArchiveAcq]
) -> None:
    """Put the rows of what was added into the results."""
    added = {r.file_id: r for r in results if r.added and r.file_id is not None}
    files = {row.id: row for row in by_ids(ArchiveFile.select(), ArchiveFile.id, list(added))}
    copies = _copies(node, list(added))
    for file_id, result in added.items():
        file, result.copy = files[file_id], copies[file_id]
        file.acq = acqs[result.found.acq_name]
        result.copy.file, result.copy.node = file, node
        result.new_file = file if result.made_file else None
        result.new_acq = file.acq if result.made_acq else None


def _acquisitions(
    names: set[str], create: bool
) -> tuple[dict[str, ArchiveAcq], dict[str, ArchiveAcq]]:
    """Return the acquisitions by name, and those of them that this call created."""
    known = _named(names)
    if not create or names <= known.keys():
        return known, {}
    lock_new_acquisitions()
    known = _named(names)  # others may have made some until now
    missing = sorted(names - known.keys())
    insert_missing(ArchiveAcq, [{"name": name} for name in missing])
    new = _named(missing)
    return known | new, new


def _named(names: Iterable[str]) -> dict[str, ArchiveAcq]:
    """Return those acquisitions that exist, by name."""
    wanted = set(names)
    rows = by_ids(ArchiveAcq.select(), ArchiveAcq.name, sorted(wanted))
    return {row.name: row for row in rows if row.name in wanted}


def _files(
    found: Sequence[Found], acqs: dict[str, ArchiveAcq], create: bool
) -> tuple[dict[_Key, _File], set[_Key]]:
    """Return the files, and which of them this call created."""
    wanted = {(i.acq_name, i.file_name): i for i in found if i.acq_name in acqs}
    if create:
        lock_acquisitions(acq.id for acq in acqs.values())
    known = _find_files(wanted.keys(), acqs)
    missing = [key for key in wanted if key not in known]
    if not missing or not create:
        return known, set()
    now = utcnow()
    rows = [
        {
            "acq": acqs[key[0]].id,
            "name": key[1],
            "size_b": wanted[key].size_b,
            "md5sum": wanted[key].md5sum.lower(),
            "registered": now,
        }
        for key in missing
    ]
    insert_missing(ArchiveFile, rows)
    new = _find_files(missing, acqs)
    return known | new, set(new)


def _find_files(keys: Iterable[_Key], acqs: dict[str, ArchiveAcq]) -> dict[_Key, _File]:
    by_acq: dict[str, list[str]] = {}
    for acq_name, name in keys:
        by_acq.setdefault(acq_name, []).append(name)
    result = {}
    for acq_name, names in by_acq.items():
        query = ArchiveFile.select(
            ArchiveFile.name, ArchiveFile.id, ArchiveFile.size_b, ArchiveFile.md5sum
        ).where(ArchiveFile.acq == acqs[acq_name])
        for name, *row in by_ids(tuples(query), ArchiveFile.name, names):
            result[acq_name, name] = _File(*row)
    return result


def _copies(node: StorageNode, file_ids: Sequence[int]) -> dict[int, ArchiveFileCopy]:
    query = ArchiveFileCopy.select().where(ArchiveFileCopy.node == node)
    return {row.file_id: row for row in by_ids(query, ArchiveFileCopy.file, file_ids)}


def _record(
    node: StorageNode,
    found: Sequence[Found],
    files: Mapping[_Key, _File],
    copies: Mapping[int, ArchiveFileCopy],
    going: Collection[int],
) -> list[Registered]:
    """Decide about each file, and make or change the copy rows of those that are added."""
    results: list[Registered] = []
    added: dict[int, Registered] = {}
    for item in found:
        file = files.get((item.acq_name, item.file_name))
        known = copies.get(file.id) if file else None
        is_there = known is not None and known.has_file != HasFile.ABSENT
        if file is None:
            results.append(Registered(item, "unregistered"))
        elif is_there or file.id in added or file.id in going:
            results.append(Registered(item, "duplicate", file.id, copy=known))
        else:
            was_missing = known is not None and known.wants_file == WantsFile.KEEP
            mismatch = _difference(file, item)
            result = Registered(
                item, "success", file.id, was_missing=was_missing, mismatch=mismatch
            )
            added[file.id] = result
            results.append(result)
    _store(node, added, {file_id: copies[file_id] for file_id in added if file_id in copies})
    return results


def _store(
    node: StorageNode, added: Mapping[int, Registered], absent: Mapping[int, ArchiveFileCopy]
) -> None:
    """Write the copy rows of added files: new ones, and those that said absent."""
    rows = [
        {"file": file_id, "node": node.id, "size_b": result.found.space_b, **_values(result)}
        for file_id, result in added.items()
        if file_id not in absent
    ]
    insert_rows(ArchiveFileCopy, rows)
    for corrupt in (False, True):
        back = {
            copy.id: added[file_id]
            for file_id, copy in absent.items()
            if bool(added[file_id].mismatch) == corrupt
        }
        for ids in chunks(back, CASES):
            sizes = {copy_id: back[copy_id].found.space_b for copy_id in ids}
            size_b = by_id(ArchiveFileCopy.size_b, sizes)
            ArchiveFileCopy.update(size_b=size_b, **_values(back[ids[0]])).where(
                one_of(ArchiveFileCopy.id, ids), ArchiveFileCopy.has_file == HasFile.ABSENT
            ).execute()


def _values(result: Registered) -> dict[str, object]:
    return {
        "has_file": (HasFile.CORRUPT if result.mismatch else HasFile.PRESENT).value,
        "wants_file": WantsFile.KEEP.value,
        "ready": True,
        "last_update": utcnow(),
    }


def _difference(file: _File, item: Found) -> str | None:
    """Say how the bytes differ from what the index holds; None if nothing known contradicts."""
    if file.size_b is not None and file.size_b != item.size_b:
        return f"Size: {item.size_b}; expected: {file.size_b}"
    if file.md5sum and file.md5sum.lower() != item.md5sum.lower():
        return f"MD5: {item.md5sum}; expected: {file.md5sum.lower()}"
    return None


def is_init(request: ArchiveFileImportRequest) -> bool:
    """Tell whether an import request asks for the initialisation of its node."""
    return bool(request.path == NODE_INIT_PATH)
