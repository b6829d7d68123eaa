"""The kinds of work that can be followed: copies, repair, verification, removal, scan, import.

A `Work` is made *before* the requests are written: it remembers what the index says then, so that
only what comes of these requests is counted afterwards.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from alpenhorn.common.units import utcnow
from alpenhorn.db import ArchiveFile, HasFile, StorageGroup, StorageNode, WantsFile
from alpenhorn.db.queries import file_report, waiting
from alpenhorn.db.queries.filters import FileFilter
from alpenhorn.db.queries.protection import configured
from alpenhorn.db.queries.waiting import NO_FILES, Fate, Files, Place, Reason, Sums, Why
from alpenhorn.errors import NotFound
from alpenhorn.services import lookup, nodes
from alpenhorn.services.waiting import Stuck, Tally, Work

LAPSED_S = 60.0
"""A daemon that was not seen for longer is taken for dead; it says that it is alive every 10 s."""

_WORDS = {
    Why.SOURCE_INACTIVE: "the source node is not active",
    Why.SOURCE_SUSPECT: "the source copy is suspect: it is to be verified first",
    Why.SOURCE_LOST: "the source has no good copy",
    Why.DESTINATION_SUSPECT: "a suspect copy at the destination is to be verified first",
    Why.TO_BE_SENT: "still to be copied from here",
    Why.ARCHIVE_COPIES_COMING: "too few archive copies yet; more are requested",
    Why.TOO_FEW_ARCHIVE_COPIES: "too few archive copies: not removed",
    Why.ARCHIVE_COPIES_UNVERIFIED: "archive copies are verified first",
}


class CopyWork:
    """Copies of files from a node into a group, those asked for earlier included.

    Requests are known by ranges of their ids. Among the earlier ones, from the first that was
    pending to the last, are some that had ended before: these are counted and taken off.
    """

    def __init__(self, node: StorageNode, group: StorageGroup, files: Files) -> None:
        self._route = waiting.Route(node.id, group.id, files)
        self._group = group
        self._before = self._last = waiting.last_request()
        self._first = self._route.first_pending() or self._before + 1
        old = self._old()
        self._ended = {fate: old[fate] for fate in Fate if fate is not Fate.PENDING}

    def begin(self) -> None:
        """Take in the requests made up to now."""
        self._last = waiting.last_request()

    def tally(self) -> Tally:
        """Look how far it is, in two statements."""
        new = self._fates(self._before + 1, self._last)
        old = self._of_old()
        done = _plus(new[Fate.COMPLETED], new[Fate.SATISFIED], old[0])
        failed = _plus(new[Fate.CANCELLED], old[1])
        pending = _plus(new[Fate.PENDING], old[2])
        return Tally(done, failed, pending, done[0] + failed[0] + pending[0], "cancelled")

    def stuck(self, pending: int) -> list[Stuck]:
        """Say what does not move, in two statements."""
        where = f'of Group "{self._group.name}"'
        idle = _idle(waiting.places_in(self._group.id), where, pending)
        return [*idle, *map(_stuck, self._route.reasons(self._first, self._last))]

    def _of_old(self) -> tuple[Sums, Sums, Sums]:
        """Sum up those earlier requests that have been done, have failed and are pending.

        The index does not say when a request was cancelled. If one was since, and there are
        files that the group lacks among all that were ever cancelled, it is taken for one of these.
        """
        now = self._old()
        completed = _minus(now[Fate.COMPLETED], self._ended[Fate.COMPLETED])
        over = _plus(now[Fate.SATISFIED], now[Fate.CANCELLED])
        over_before = _plus(self._ended[Fate.SATISFIED], self._ended[Fate.CANCELLED])
        cancelled = _minus(over, over_before)
        lacking = now[Fate.CANCELLED]
        failed = (min(cancelled[0], lacking[0]), min(cancelled[1], lacking[1]))
        return _plus(completed, _minus(cancelled, failed)), failed, now[Fate.PENDING]

    def _old(self) -> dict[Fate, Sums]:
        return self._fates(self._first, self._before)

    def _fates(self, first_id: int, last_id: int) -> dict[Fate, Sums]:
        found = self._route.fates(first_id, last_id) if first_id <= last_id else {}
        return {fate: found.get(fate, NO_FILES) for fate in Fate}


class RepairWork:
    """The transfers that a repair asks for; those that were pending before are not followed.

    Args:
        node: whose copies are repaired; None: those of all nodes.
        files: the files.
    """

    def __init__(self, node: StorageNode | None, files: Files) -> None:
        self._group_id = node.group_id if node else None
        self._files = files
        self._first = waiting.last_request() + 1
        self._last = 0
        self._routes: list[waiting.Route] = []

    def begin(self) -> None:
        """Take in the requests made up to now."""
        self._last = waiting.last_request()
        found = waiting.routes(self._first, self._last, self._group_id)
        self._routes = [waiting.Route(node, group, self._files) for node, group in found]

    def tally(self) -> Tally:
        """Look how far it is, in one statement per route."""
        sums = [route.fates(self._first, self._last) for route in self._routes]
        fates = {fate: _plus(*(found.get(fate, NO_FILES) for found in sums)) for fate in Fate}
        done = _plus(fates[Fate.COMPLETED], fates[Fate.SATISFIED])
        failed, pending = fates[Fate.CANCELLED], fates[Fate.PENDING]
        return Tally(done, failed, pending, done[0] + failed[0] + pending[0], "cancelled")

    def stuck(self, pending: int) -> list[Stuck]:
        """Say what does not move, in two statements per route."""
        found: list[Stuck] = []
        for route in self._routes:
            group = StorageGroup.get_by_id(route.group_id)
            left = route.fates(self._first, self._last).get(Fate.PENDING, NO_FILES)[0]
            if left:
                where = f'of Group "{group.name}"'
                found += _idle(waiting.places_in(route.group_id), where, left)
                found += map(_stuck, route.reasons(self._first, self._last))
        return found


class CheckWork:
    """Verification of copies on a node.

    Args:
        node: the node.
        files: the files.
        chosen: values of `has_file` whose copies are about to become suspect. What is corrupt or
            missing later and was not before was found so.
    """

    def __init__(self, node: StorageNode, files: Files, chosen: Collection[HasFile]) -> None:
        self._shelf = waiting.Shelf(node.id, files)
        self._node = node
        before = _by_presence(self._shelf.states())
        self._total = _plus(*(before[state] for state in {*chosen, HasFile.SUSPECT}))
        self._bad = {
            state: NO_FILES if state in chosen else before[state]
            for state in (HasFile.CORRUPT, HasFile.ABSENT)
        }

    def begin(self) -> None:
        """Nothing to remember: the copies are known by their states."""

    def tally(self) -> Tally:
        """Look how far it is, in one statement."""
        now = _by_presence(self._shelf.states())
        failed = _plus(*(_minus(now[state], self._bad[state]) for state in self._bad))
        done = _minus(_minus(self._total, now[HasFile.SUSPECT]), failed)
        return Tally(done, failed, now[HasFile.SUSPECT], self._total[0], "corrupt or missing")

    def stuck(self, pending: int) -> list[Stuck]:
        """Say what does not move, in one statement."""
        return _idle_node(self._node, pending)


class CleanWork:
    """Removal of released copies from a node, those released earlier included."""

    def __init__(self, node: StorageNode, files: Files) -> None:
        self._shelf = waiting.Shelf(node.id, files)
        self._node = node
        self._gone, _ = _released(self._shelf.states())
        self._total = NO_FILES

    def begin(self) -> None:
        """Count the copies that are to go."""
        gone, there = _released(self._shelf.states())
        done = _minus(gone, self._gone)
        self._total = _plus(done, there)

    def tally(self) -> Tally:
        """Look how far it is, in one statement; copies that are wanted again count as failed."""
        gone, there = _released(self._shelf.states())
        done = _minus(gone, self._gone)
        kept = _minus(_minus(self._total, done), there)
        return Tally(done, kept, there, self._total[0], "not to be removed any more")

    def stuck(self, pending: int) -> list[Stuck]:
        """Say what does not move, in two statements."""
        reasons = self._shelf.clean_reasons(configured())
        return [*_idle_node(self._node, pending), *map(_stuck, reasons)]


class ScanWork:
    """The search of a directory of a node; what is new on the node counts as found by it."""

    def __init__(self, node: StorageNode, path: str) -> None:
        self._node = node
        self._path = path
        self._last_copy = waiting.last_copy()
        self._after_id = self._last_id = waiting.last_import()

    def begin(self) -> None:
        """Take in the requests made up to now."""
        self._last_id = waiting.last_import()

    def pending(self) -> int:
        """Count the requests that are not completed."""
        return waiting.pending_imports(self._node.id, self._path, self._after_id, self._last_id)

    def tally(self) -> Tally:
        """Look how far it is, in two statements."""
        pending = self.pending()
        found = waiting.new_copies(self._node.id, self._last_copy)
        failed = found.pop(HasFile.CORRUPT.value, NO_FILES)
        return Tally(_plus(*found.values()), failed, (pending, 0), failed_as="corrupt")

    def stuck(self, pending: int) -> list[Stuck]:
        """Say what does not move, in one statement."""
        return _idle_node(self._node, pending)


class ImportWork(ScanWork):
    """The import of one file."""

    def tally(self) -> Tally:
        """Look how far it is; a file that is not good on the node in the end has failed."""
        if self.pending():
            return Tally(pending=(1, 0), total=1)
        size_b = self._imported()
        if size_b is None:
            return Tally(failed=(1, 0), total=1, failed_as="not imported")
        return Tally(done=(1, size_b), total=1)

    def _imported(self) -> int | None:
        """Return the size of the file if there is a good copy now."""
        try:
            file = lookup.file(self._path)
        except NotFound:
            return None
        copy = file_report.copy_of(file, self._node)
        good = copy is not None and copy.has_file == HasFile.PRESENT
        return (file.size_b or 0) if good else None


def copies(node: StorageNode, group: StorageGroup, limits: FileFilter) -> Work:
    """Follow copy requests; to be called before they are made.

    Args:
        node: the source.
        group: the destination.
        limits: limits on the files. Those on copies in other groups are left out: they change.
    """
    return CopyWork(node, group, Files(replace(limits, healthy_in_none=())))


def repairs(node: StorageNode | None, limits: FileFilter) -> Work:
    """Follow repairs on a node (None: on all nodes); to be called before they are asked for."""
    return RepairWork(node, Files(limits))


def copy_of(file: ArchiveFile, node: StorageNode, group: StorageGroup) -> Work:
    """Follow copy requests for one file; to be called before they are made."""
    return CopyWork(node, group, Files(file_id=file.id))


def checks(node: StorageNode, limits: FileFilter, chosen: Collection[HasFile]) -> Work:
    """Follow the verification of copies; to be called before they are marked; see `CheckWork`."""
    return CheckWork(node, Files(limits), chosen)


def check_of(file: ArchiveFile, node: StorageNode) -> Work:
    """Follow the verification of one copy; to be called before it is marked."""
    return CheckWork(node, Files(file_id=file.id), list(HasFile))


def removals(node: StorageNode, limits: FileFilter) -> Work:
    """Follow the removal of copies; to be called before they are released."""
    return CleanWork(node, Files(limits))


def removal_of(file: ArchiveFile, node: StorageNode) -> Work:
    """Follow the removal of one copy; to be called before it is released."""
    return CleanWork(node, Files(file_id=file.id))


def scan_of(node: str, path: str) -> Work:
    """Follow a scan; to be called before it is asked for.

    Raises:
        AlpenhornError: as `nodes.request_scan`.
    """
    record = lookup.node(node)
    return ScanWork(record, nodes.path_on_node(record, path))


def import_of(node: str, path: str) -> Work:
    """Follow the import of one file; to be called before it is asked for.

    Raises:
        NotFound: there is no such node.
    """
    return ImportWork(lookup.node(node), path)


def _plus(*parts: Sums) -> Sums:
    return sum(count for count, _ in parts), sum(size for _, size in parts)


def _minus(sums: Sums, other: Sums) -> Sums:
    return max(0, sums[0] - other[0]), max(0, sums[1] - other[1])


def _by_presence(states: dict[tuple[str, str], Sums]) -> dict[HasFile, Sums]:
    """Sum up copies that are wanted by `has_file`; what is to be gone anyway is not missed."""
    found = dict.fromkeys(HasFile, NO_FILES)
    for (has, wants), (count, size) in states.items():
        removed = has == HasFile.ABSENT and wants != WantsFile.KEEP
        if wants != WantsFile.RELEASED and not removed:
            found[HasFile(has)] = _plus(found[HasFile(has)], (count, size))
    return found


def _released(states: dict[tuple[str, str], Sums]) -> tuple[Sums, Sums]:
    """Sum up released copies: those that are gone, and those that are there."""
    released = {has: sums for (has, wants), sums in states.items() if wants == WantsFile.RELEASED}
    gone = released.pop(HasFile.ABSENT.value, NO_FILES)
    return gone, _plus(*released.values())


def _stuck(reason: Reason) -> Stuck:
    if reason.why is Why.ATTEMPT_FAILED:
        return Stuck(f"last attempt failed: {reason.failure}: {reason.message}", reason.count)
    final = reason.why is Why.TOO_FEW_ARCHIVE_COPIES
    return Stuck(_WORDS[reason.why], reason.count, final)


def _idle_node(node: StorageNode, pending: int) -> list[Stuck]:
    return _idle(waiting.place(node.id), f'"{node.name}"', pending)


def _idle(places: list[Place], where: str, pending: int) -> list[Stuck]:
    """Say if nobody is there to do the work."""
    active = [place for place in places if place.active]
    if not active:
        return [Stuck(f"no active Node {where}", pending)]
    hosts = sorted({place.host for place in active if place.host})
    if any(_alive(place) for place in active) or not waiting.leases_kept():
        return []
    names = ", ".join(f'"{host}"' for host in hosts) or "(none set)"
    return [Stuck(f"no daemon is alive for host {names}", pending)]


def _alive(place: Place) -> bool:
    return place.last_seen is not None and (utcnow() - place.last_seen).total_seconds() <= LAPSED_S
