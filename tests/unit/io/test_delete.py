"""Deletion: claimed with proof, unlinked, recorded (design §6; spec: daemon.md §13)."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from alpenhorn import db
from alpenhorn.db import WantsFile, connection
from alpenhorn.db.operations import DeletionEvidence
from alpenhorn.db.queries import deletion
from alpenhorn.db.queries.clean import CleanScope
from alpenhorn.db.queries.filters import FileFilter
from alpenhorn.events import FileDeleted
from alpenhorn.io.default import UpDownLock, delete_async
from alpenhorn.io.default.jobs import delete
from alpenhorn.io.default.tree import Tree

FILE = "2025/02/21/meta.txt"
DATA = ["1324.dat", "1330.dat", "1349.dat", "1342.dat"]


@pytest.fixture
def io(site: Any) -> Any:
    return site.node("demo_storage1")


@pytest.fixture
def arcs(site: Any) -> Any:
    return site.archives()


@pytest.fixture
def copy(site: Any, io: Any, arcs: Any) -> Any:
    """A released copy that two archive copies protect."""
    copy = site.put(io, FILE, wants="N")
    site.protect(FILE, *arcs)
    return copy


def run_delete(site: Any, io: Any, *copies: Any, fails: bool = False) -> None:
    io.delete_many(copies)
    site.run(fails)


def test_a_protected_released_copy_goes(
    site: Any, io: Any, copy: Any, lines: Any, heard: Any
) -> None:
    run_delete(site, io, copy)
    assert site.read(io, FILE) is None
    assert site.state(io, FILE) == "NN"
    assert heard == [FileDeleted("demo_storage1", 4)]
    assert lines()[0] == f"Removed file copy {FILE} on demo_storage1"
    assert DeletionEvidence.get().removed is not None


def test_directories_go_bottom_up_after_all_files_of_the_batch(
    site: Any, io: Any, arcs: Any, lines: Any
) -> None:
    """The seed's lines (E21): four files, then four directories, each told once."""
    copies = []
    for name in DATA:
        copies.append(site.put(io, f"2025/02/21/23/{name}", wants="N"))
        site.protect(f"2025/02/21/23/{name}", *arcs)
    run_delete(site, io, *copies)
    root = io.node.root
    assert lines() == [
        *[f"Removed file copy 2025/02/21/23/{name} on demo_storage1" for name in DATA],
        f"Removed directory {root}/2025/02/21/23 on demo_storage1",
        f"Removed directory {root}/2025/02/21 on demo_storage1",
        f"Removed directory {root}/2025/02 on demo_storage1",
        f"Removed directory {root}/2025 on demo_storage1",
    ]
    assert [p.name for p in Path(root).iterdir()] == ["ALPENHORN_NODE"]


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_archive_copies_keep_a_file(site: Any, io: Any, lines: Any, count: int) -> None:
    copy = site.put(io, FILE, wants="N")
    site.protect(FILE, *site.archives(count))
    run_delete(site, io, copy)
    assert site.read(io, FILE) == b"data"
    assert site.state(io, FILE) == "YN"
    assert lines() == [f"Too few archive copies ({count}) to delete {FILE} on demo_storage1."]


def test_an_archive_node_does_not_protect_its_own_copy(site: Any) -> None:
    first, second, third = site.archives(3)
    first.node.host = "here"
    copy = site.put(first, FILE, wants="N")
    site.protect(FILE, second)
    run_delete(site, first, copy)
    assert site.read(first, FILE) == b"data"
    site.protect(FILE, third)
    run_delete(site, first, copy)
    assert site.read(first, FILE) is None


@pytest.mark.parametrize("second", ["MY", "XY", "NY", "YN"])
def test_doubtful_and_released_copies_protect_nobody(site: Any, io: Any, second: str) -> None:
    arcs = site.archives()
    copy = site.put(io, FILE, wants="N")
    site.protect(FILE, arcs[0])
    site.make.copy(FILE, arcs[1].node, *second)
    run_delete(site, io, copy)
    assert site.read(io, FILE) == b"data"


def test_two_archive_nodes_on_one_file_system_of_this_host_count_once(
    site: Any, io: Any, lines: Any
) -> None:
    """One bad disk must not take both of the copies that allowed the deletion."""
    twins = [site.node(f"twin{n}", storage_type="A") for n in range(2)]
    copy = site.put(io, FILE, wants="N")
    site.protect(FILE, *twins)
    # All of the test's directories are on one disk: say that this node's is another one.
    stores = {twin.node.id: "disk" for twin in twins} | {io.node.id: "other disk"}
    assert set(io.stores().values()) == {io._store}
    io.stores = lambda: stores
    run_delete(site, io, copy)
    assert site.read(io, FILE) == b"data"
    assert "(1)" in lines("WARNING")[0]
    site.protect(FILE, site.archives(1)[0])
    run_delete(site, io, copy)
    assert site.read(io, FILE) is None


def test_an_archive_node_on_this_very_file_system_protects_nothing(
    site: Any, io: Any, lines: Any
) -> None:
    arcs = [site.node("same disk", storage_type="A"), *site.archives(1)]
    copy = site.put(io, FILE, wants="N")
    site.protect(FILE, *arcs)
    run_delete(site, io, copy)
    assert "(1)" in lines("WARNING")[0]


def test_a_medium_that_is_not_there_is_no_store_of_this_host(site: Any, io: Any) -> None:
    other = site.node("other")
    assert set(io.stores()) == {io.node.id, other.node.id}
    Path(other.node.root, "ALPENHORN_NODE").unlink()
    assert set(io.stores()) == {io.node.id}


def test_the_source_of_a_pending_request_stays(site: Any, io: Any, copy: Any) -> None:
    site.make.request(FILE, io.node, "elsewhere")
    run_delete(site, io, copy)
    assert site.read(io, FILE) == b"data"
    assert site.state(io, FILE) == "YN"


def test_a_cleaning_that_was_cancelled_while_the_task_waited_deletes_nothing(
    site: Any, io: Any, copy: Any
) -> None:
    io.delete_many([copy])
    db.ArchiveFileCopy.update(wants_file="Y").execute()
    site.run()
    assert site.read(io, FILE) == b"data"
    assert site.state(io, FILE) == "YY"


def test_a_cleaning_cancelled_after_the_claim_shows_the_loss(
    site: Any, io: Any, copy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """W-2: the file is gone, so the copy is Missing and not hidden as Removed."""
    unlink = delete._unlink

    def cancel_first(*args: Any) -> bool:
        db.ArchiveFileCopy.update(wants_file="Y").where(db.ArchiveFileCopy.id == copy.id).execute()
        return unlink(*args)

    monkeypatch.setattr(delete, "_unlink", cancel_first)
    run_delete(site, io, copy)
    assert site.state(io, FILE) == "NY"


def test_a_copy_of_another_node_is_never_deleted(site: Any, io: Any, copy: Any) -> None:
    other = site.node("other")
    site.write(other, FILE, b"data")
    run_delete(site, other, copy)
    assert site.read(other, FILE) == b"data"
    assert site.state(io, FILE) == "YN"


def test_a_claimed_archive_copy_protects_nobody(site: Any) -> None:
    """Three archive nodes, all released but one pair: two daemons must not delete both."""
    first, second, third = site.archives(3)
    copies = [site.put(io, FILE, wants="N") for io in (first, second)]
    site.protect(FILE, third)
    site.protect(FILE, site.node("arc9", storage_type="A", host="far9"))
    db.ArchiveFileCopy.update(wants_file="Y").where(
        db.ArchiveFileCopy.node == second.node
    ).execute()
    claim = deletion.claim(first.node.id, [copies[0].id], {})
    assert len(claim.taken) == 1
    db.ArchiveFileCopy.update(wants_file="N").where(
        db.ArchiveFileCopy.node == second.node
    ).execute()
    db.ArchiveFileCopy.delete().where(db.ArchiveFileCopy.node == third.node).execute()
    run_delete(site, second, copies[1])
    assert site.read(second, FILE) == b"data"


@pytest.mark.parametrize("wanted", [1, 2])
def test_daemons_that_delete_at_the_same_time_leave_the_wanted_archive_copies(
    site: Any, index: Any, wanted: int
) -> None:
    """Two released copies never protect each other, not even for a moment."""
    arcs = site.archives(2 + wanted)
    copies = [site.put(io, FILE, wants="N" if n < 2 else "Y") for n, io in enumerate(arcs)]
    barrier = threading.Barrier(2, timeout=60)
    errors: list[BaseException] = []

    def daemon(io: Any, copy: Any) -> None:
        index.connect(reuse_if_open=True)
        try:
            barrier.wait()
            delete.delete_job(None, io, [copy.id])  # type: ignore[arg-type]
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    pairs = zip(arcs[:2], copies[:2], strict=True)
    threads = [threading.Thread(target=daemon, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    kept = [io for io in arcs if site.read(io, FILE)]
    assert len(kept) == (2 if wanted == 2 else 3)


def test_a_deletion_that_was_queued_twice_happens_once(
    site: Any, io: Any, copy: Any, heard: Any, lines: Any
) -> None:
    io.delete([copy])
    run_delete(site, io, copy)
    assert site.state(io, FILE) == "NN"
    assert len(heard) == 1
    assert lines("WARNING") == []


def test_a_file_that_is_gone_already_counts_as_deleted(
    site: Any, io: Any, copy: Any, lines: Any
) -> None:
    Path(io.node.root, FILE).unlink()
    run_delete(site, io, copy)
    assert site.state(io, FILE) == "NN"
    assert lines()[0] == f"File copy {FILE} was missing on demo_storage1 during its deletion."
    assert not Path(io.node.root, "2025").exists()


def test_a_medium_that_is_not_there_deletes_and_records_nothing(
    site: Any, io: Any, copy: Any, lines: Any
) -> None:
    Path(io.node.root).rename(f"{io.node.root}.unmounted")
    Path(io.node.root).mkdir()
    run_delete(site, io, copy)
    assert site.state(io, FILE) == "YN"
    assert "Not deleting on demo_storage1: its medium is not there." in lines("WARNING")


def test_a_medium_that_vanishes_during_the_task_records_nothing(
    site: Any, io: Any, copy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weakness 4: "no such file" below an empty mount point is no proof."""
    claim = deletion.claim

    def unmount_after(*args: Any) -> Any:
        result = claim(*args)
        Path(io.node.root).rename(f"{io.node.root}.unmounted")
        Path(io.node.root).mkdir()
        return result

    monkeypatch.setattr(deletion, "claim", unmount_after)
    run_delete(site, io, copy)
    assert site.state(io, FILE) == "YN", "the claim was given back"
    assert Path(f"{io.node.root}.unmounted", FILE).exists()


def test_a_file_that_cannot_be_removed_gets_its_state_back(
    site: Any, io: Any, copy: Any, lines: Any, monkeypatch: pytest.MonkeyPatch, heard: Any
) -> None:
    def read_only(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "unlink", read_only)
    run_delete(site, io, copy)
    assert site.state(io, FILE) == "YN"
    assert lines("WARNING") == [
        f"Cannot delete {FILE} on demo_storage1: [Errno 30] Read-only file system"
    ]
    assert heard == []


def test_one_file_that_cannot_be_removed_does_not_keep_the_others(
    site: Any, io: Any, arcs: Any
) -> None:
    copies = [site.put(io, f"acq/{n}", wants="N") for n in range(3)]
    for n in range(3):
        site.protect(f"acq/{n}", *arcs)
    Path(io.node.root, "acq/1").unlink()
    Path(io.node.root, "acq/1").mkdir()
    run_delete(site, io, *copies)
    assert site.make.states(io.node) == {"acq/0": "NN", "acq/1": "YN", "acq/2": "NN"}


def test_a_removable_copy_that_cannot_be_removed_stays_removable(
    site: Any, io: Any, arcs: Any
) -> None:
    copy = site.put(io, FILE, wants="M")
    site.protect(FILE, *arcs)
    db.StorageNode.update(avail_gb=1, min_avail_gb=2).where(
        db.StorageNode.id == io.node.id
    ).execute()
    Path(io.node.root, FILE).unlink()
    Path(io.node.root, FILE).mkdir()
    run_delete(site, io, copy)
    assert site.state(io, FILE) == "YM"


def test_a_removable_copy_goes_only_while_space_is_short(site: Any, io: Any, arcs: Any) -> None:
    copy = site.put(io, FILE, wants="M")
    site.protect(FILE, *arcs)
    run_delete(site, io, copy)
    assert site.read(io, FILE) == b"data"
    db.StorageNode.update(avail_gb=1, min_avail_gb=2).where(
        db.StorageNode.id == io.node.id
    ).execute()
    run_delete(site, io, copy)
    assert site.read(io, FILE) is None


def test_a_link_to_a_directory_outside_is_not_deleted_through(
    site: Any, io: Any, arcs: Any, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_bytes(b"precious")
    Path(io.node.root, "acq").symlink_to(tmp_path / "outside")
    copy = site.make.copy("acq/file", io.node, wants="N")
    site.protect("acq/file", *arcs)
    run_delete(site, io, copy)
    assert (tmp_path / "outside/file").exists()
    assert site.state(io, "acq/file") == "YN"


def test_a_directory_that_cannot_be_removed_is_a_warning_only(
    site: Any, io: Any, copy: Any, lines: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*args: object, **kwargs: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "rmdir", denied)
    run_delete(site, io, copy)
    assert site.state(io, FILE) == "NN"
    assert "Permission denied" in lines("WARNING")[0]


@pytest.mark.parametrize("where", ["removed", "_unlink"])
def test_a_kill_after_the_claim_is_made_good_by_the_next_pass(
    site: Any,
    io: Any,
    copy: Any,
    monkeypatch: pytest.MonkeyPatch,
    killed: type[BaseException],
    where: str,
) -> None:
    def kill(*args: object) -> None:
        raise killed

    with monkeypatch.context() as patch:
        patch.setattr(deletion if where == "removed" else delete, where, kill)
        run_delete(site, io, copy, fails=True)
    assert site.state(io, FILE) == "MN"
    again = deletion.deletable(io.node, 10)
    assert [c.id for c in again] == [copy.id], "the next pass finds it"
    run_delete(site, io, *again)
    assert site.state(io, FILE) == "NN"
    assert site.read(io, FILE) is None


def test_a_large_batch_tells_one_line_and_the_files_at_debug(
    site: Any, io: Any, arcs: Any, lines: Any
) -> None:
    copies = [site.put(io, f"acq/{n}", wants="N") for n in range(20)]
    for n in range(20):
        site.protect(f"acq/{n}", *arcs)
    run_delete(site, io, *copies)
    [line] = lines("INFO")
    assert line.startswith("Deleted 20 files (80 B) in ")
    assert "Removed file copy acq/7 on demo_storage1" in lines("DEBUG")
    assert set(site.make.states(io.node).values()) == {"NN"}


@pytest.mark.slow
def test_a_large_portion_costs_a_fixed_number_of_statements(
    site: Any, io: Any, arcs: Any, statements: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delete, "FIRST_PORTION", 100)

    def cost(count: int) -> int:
        paths = [f"acq{count}/{n}" for n in range(count)]
        copies = [site.put(io, path, wants="N") for path in paths]
        for path in paths:
            site.protect(path, *arcs)
        with statements() as seen:
            run_delete(site, io, *copies)
        return len(seen)

    cost(17)  # what is asked once per process
    assert cost(80) == cost(20)


def test_portions_grow_while_files_go_quickly(
    site: Any, io: Any, arcs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a million files do not cost a million claims."""
    monkeypatch.setattr(delete, "PORTION_S", 60.0)
    sizes: list[int] = []
    real = deletion.claim

    def claim(node_id: int, ids: Any, *rest: Any) -> Any:
        sizes.append(len(ids))
        return real(node_id, ids, *rest)

    monkeypatch.setattr(deletion, "claim", claim)
    copies = [site.put(io, f"acq/{n}", wants="N") for n in range(30)]
    for n in range(30):
        site.protect(f"acq/{n}", *arcs)
    run_delete(site, io, *copies)
    assert sizes == [4, 8, 16, 2]


def test_a_large_deletion_can_be_cancelled_while_it_goes_on(
    site: Any, io: Any, arcs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the few files that are being removed already are past it."""
    copies = [site.put(io, f"acq/{n}", wants="N") for n in range(30)]
    for n in range(30):
        site.protect(f"acq/{n}", *arcs)
    real = Tree.unlink

    def unlink(tree: Tree, path: str) -> bool:
        CleanScope(io.node.id, WantsFile.KEEP, FileFilter()).update()
        return real(tree, path)

    monkeypatch.setattr(Tree, "unlink", unlink)
    run_delete(site, io, *copies)
    states = list(site.make.states(io.node).values())
    assert (states.count("NN"), states.count("YY")) == (4, 26)
    assert sum(Path(io.node.root, f"acq/{n}").exists() for n in range(30)) == 26


def test_an_old_class_may_delete_with_a_lock_of_its_own(site: Any, io: Any, copy: Any) -> None:
    lock = UpDownLock()
    delete_async(None, lock, [copy])
    delete_async(None, lock, [])
    assert site.state(io, FILE) == "NN"
    assert not Path(io.node.root, "2025").exists()
    assert str(lock) == "unlocked"
