"""A loss of power between any two operations: the index never promises what is not on the medium.

A recording layer under the mover and the remover notes what was flushed, renamed, removed and
committed, in order. The prefixes of the record up to each commit are replayed on a model of a disk
that keeps only what was flushed: contents by fsync of the file, names by fsync of the directory
after the rename (fsync(2)), everything by syncfs(2).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alpenhorn.db.queries import deletion, pending, transfers
from alpenhorn.transfer import flush

COUNTS = [1, 3, 100]
"""A file, some, and so many that the whole file system is flushed."""


class Record:
    """Operations in order: (what, inode or path or set of paths)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
        self.root = root
        self.operations: list[tuple[str, Any]] = []
        self._wrap(monkeypatch, os, "fsync", lambda fd: ("fsync", os.fstat(fd).st_ino))
        self._wrap(monkeypatch, flush, "_flush_file_system", lambda _: ("syncfs", None))
        self._wrap(
            monkeypatch, os, "rename", lambda old, new, **fds: ("rename", _path(new, fds, "dst"))
        )
        self._wrap(
            monkeypatch, os, "unlink", lambda name, **fds: ("unlink", _path(name, fds, "dir"))
        )

    def _wrap(self, patch: pytest.MonkeyPatch, where: Any, name: str, note: Any) -> None:
        original = getattr(where, name)

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            if result is not False:  # "cannot flush the whole file system"
                self.operations.append(note(*args, **kwargs))
            return result

        patch.setattr(where, name, wrapped)

    def commit(self, patch: pytest.MonkeyPatch, where: Any, name: str) -> None:
        self._wrap(patch, where, name, lambda *_: (name, None))

    def first(self, what: str) -> int:
        return next(n for n, (kind, _) in enumerate(self.operations) if kind == what)

    def durable(self, prefix: int, file: Path) -> bool:
        """After these operations and a loss of power: is the file there, with its contents?"""
        done = self.operations[:prefix]
        renamed = [n for n, op in enumerate(done) if op == ("rename", str(file))]
        if not renamed:
            return False
        syncs = [n for n, (what, _) in enumerate(done) if what == "syncfs"]

        def flushed(path: Path, since: int) -> bool:
            fsync = ("fsync", path.stat().st_ino)
            after = [n for n, op in enumerate(done) if op == fsync]
            return any(n > since for n in after + syncs)

        directories = [path for path in file.parents if path.is_relative_to(self.root)]
        return flushed(file, -1) and all(flushed(path, renamed[-1]) for path in directories)


def _path(name: str, fds: dict[str, Any], which: str) -> str:
    fd = fds.get("dst_dir_fd" if which == "dst" else "dir_fd")
    directory = Path() if fd is None else Path(f"/proc/self/fd/{fd}").readlink()
    return str(directory / name)


@pytest.mark.parametrize("count", COUNTS)
def test_no_copy_is_present_before_its_bytes_and_names_are_on_the_medium(
    site: Any, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    source, io = site.node("src"), site.node("dst", storage_type="A")
    group = site.group(io)
    paths = [f"acq/{n % 7}/{n}" for n in range(count)]
    for path in paths:
        site.put(source, path, path.encode())
        site.make.request(path, source.node, "dst")
    record = Record(monkeypatch, Path(io.node.root))
    record.commit(monkeypatch, transfers, "finish")
    group.pull_many(pending.ready(group.group, count), did_search=True)
    site.run()
    assert site.make.states(io.node) == dict.fromkeys(paths, "YY")
    commits = [n for n, (what, _) in enumerate(record.operations) if what == "finish"]
    files = [Path(io.node.root, path) for path in paths]
    for number, prefix in enumerate(commits, 1):  # between them the index stays as it is
        on_disk = sum(record.durable(prefix, file) for file in files)
        assert on_disk >= count * number // len(commits)


@pytest.mark.parametrize("count", COUNTS)
def test_nothing_is_removed_before_its_claim_and_nothing_recorded_before_it_is_removed(
    site: Any, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    io, archives = site.node("node"), site.archives()
    copies = [site.put(io, f"acq/{n}", wants="N") for n in range(count)]
    for copy in copies:
        site.protect(str(copy.file.path), *archives)
    record = Record(monkeypatch, Path(io.node.root))
    claim: Callable[..., Any] = deletion.claim
    recorded: list[tuple[int, list[int]]] = []
    removed = deletion.removed

    def note(ids: Any) -> Any:
        recorded.append((len(record.operations), list(ids)))
        return removed(ids)

    record.commit(monkeypatch, deletion, "claim")
    monkeypatch.setattr(deletion, "removed", note)
    io.delete_many(copies)
    site.run()
    assert claim is not deletion.claim
    assert set(site.make.states(io.node).values()) == {"NN"}
    assert record.first("claim") < record.first("unlink")
    by_id = {copy.id: str(Path(io.node.root, copy.file.path)) for copy in copies}
    for prefix, ids in recorded:
        gone = {path for what, path in record.operations[:prefix] if what == "unlink"}
        assert {by_id[one] for one in ids} <= gone
    assert sum(len(ids) for _, ids in recorded) == count
