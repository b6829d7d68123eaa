"""From names that people type to records of the Data Index (spec: cli.md §4.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from alpenhorn.common.similar import similar
from alpenhorn.db import ArchiveAcq, ArchiveFile, StorageGroup, StorageNode
from alpenhorn.db.queries import names
from alpenhorn.errors import InvalidName, NotFound

NAME_LIMIT = 64
"""Most characters of the name of a group or node (spec: data-index.md §2.6, §2.7)."""

_UNUSABLE = re.compile("[\x00\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def group(name: str) -> StorageGroup:
    """Return the storage group of that name.

    Raises:
        NotFound: there is none.
    """
    record: StorageGroup = _named(StorageGroup, name, 'No such storage group: "{}" does not exist.')
    return record


def node(name: str) -> StorageNode:
    """Return the storage node of that name.

    Raises:
        NotFound: there is none.
    """
    record: StorageNode = _named(StorageNode, name, 'No such storage node: "{}".')
    return record


def acq(name: str) -> ArchiveAcq:
    """Return the acquisition of that name.

    Raises:
        NotFound: there is none.
    """
    record: ArchiveAcq = _named(ArchiveAcq, name, 'No such acquisition: "{}".')
    return record


def groups(group_names: Iterable[str]) -> list[StorageGroup]:
    """Return the groups of these names; the first unknown one is an error."""
    return [group(name) for name in dict.fromkeys(group_names)]


def acqs(acq_names: Iterable[str]) -> list[ArchiveAcq]:
    """Return the acquisitions of these names; the first unknown one is an error."""
    return [acq(name) for name in dict.fromkeys(acq_names)]


def file(path: str) -> ArchiveFile:
    """Return the file at ``<acquisition>/<file name>``, with its acquisition.

    Raises:
        NotFound: there is none.
    """
    file_id = resolve_files([path]).get(path)
    if file_id is None:
        raise NotFound(f'No such file: "{shown(path)}".')
    return names.file(file_id)


def resolve_files(paths: Iterable[str]) -> dict[str, int]:
    """Find the files at many paths, in few statements.

    Both names may have slashes, so a path is split by trial: the longest acquisition name for
    which acquisition and file exist wins.

    Args:
        paths: as typed; repeated slashes, ``.`` and a trailing slash are no matter.

    Returns:
        File id by path as typed; paths that name no file are missing.
    """
    splits = {path: _splits(path) for path in paths}
    acq_names = {acq_name for pairs in splits.values() for acq_name, _ in pairs}
    acq_ids = names.acq_ids(acq_names)
    known = {
        path: [(acq_ids[acq_name], name) for acq_name, name in pairs if acq_name in acq_ids]
        for path, pairs in splits.items()
    }
    file_ids = names.file_ids({pair for pairs in known.values() for pair in pairs})
    resolved = {}
    for path, pairs in known.items():
        found = next((file_ids[pair] for pair in pairs if pair in file_ids), None)
        if found is not None:
            resolved[path] = found
    return resolved


def normalise(path: str) -> str:
    """Remove repeated slashes, ``.`` components and a trailing slash; keep ``..``."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return ("/" if path.startswith("/") else "") + "/".join(parts)


def strip_root(path: str, root: str) -> str | None:
    """Make an absolute path relative to a node root.

    Returns:
        The relative path, empty for the root itself; None if the path is not below the root.
    """
    below = normalise(root).rstrip("/") + "/"
    path = normalise(path)
    return path[len(below) :] if f"{path}/".startswith(below) else None


def storable(name: str) -> bool:
    """Tell whether databases can store, and so can know, this text."""
    return not _UNUSABLE.search(name)


def check_new_name(name: str, what: str) -> None:
    """Refuse a name that no group or node may be given.

    Args:
        name: the name wished for.
        what: ``group`` or ``node``, for the message.

    Raises:
        InvalidName: it is empty, too long, or has control characters.
    """
    if not name.strip():
        reason = "it is empty"
    elif len(name) > NAME_LIMIT:
        reason = f"{len(name)} characters, limit is {NAME_LIMIT}"
    elif _CONTROL.search(name):
        reason = "control character"
    else:
        return
    raise InvalidName(f'invalid name for a storage {what} "{shown(name)}": {reason}.')


def shown(name: str) -> str:
    """Quote a name that somebody typed for a message of one line."""
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], name)


def _named(model: Any, name: str, problem: str) -> Any:
    record = names.record(model, name) if storable(name) else None
    if record is None:
        meant = similar(name, names.all_names(model))
        hint = f' Did you mean "{shown(meant[0])}"?' if meant else ""
        raise NotFound(problem.format(shown(name)) + hint)
    return record


def _splits(path: str) -> list[tuple[str, str]]:
    """Return all ways to read a path as acquisition and file name, the longest first name first."""
    if path.startswith("/") or not storable(path):
        return []
    parts = normalise(path).split("/")
    cuts = range(len(parts) - 1, 0, -1)
    return [("/".join(parts[:cut]), "/".join(parts[cut:])) for cut in cuts]
