"""Pulls from a source on this host: nothing is present whose bytes were not read here (P2)."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from alpenhorn import db, events
from alpenhorn.db.operations import TransferAttempt
from alpenhorn.errors import FailureClass
from alpenhorn.io.default import pull_async
from alpenhorn.io.default.jobs import pull
from alpenhorn.transfer import copy as copy_mover

FILE = "2025/02/21/meta.txt"
DATA = b"52 bytes of data that some instrument has written ok"


class Route:
    """A field node as source, a node as destination, and requests between them."""

    def __init__(self, site: Any, **destination: Any) -> None:
        self.site = site
        self.source = site.node("src")
        self.io = site.node("dst", **destination)

    def ask(self, path: str = FILE, data: bytes = DATA, **values: Any) -> Any:
        self.site.put(self.source, path, data, **values)
        return self.site.make.request(path, self.source.node, "dst")

    def pull(self, *requests: Any, did_search: bool = True, fails: bool = False) -> int:
        self.io.pull_many(requests, did_search)
        count: int = self.site.run(fails)
        return count

    def inode(self, io: Any, path: str = FILE) -> int:
        return Path(io.node.root, path).stat().st_ino

    def leftovers(self) -> list[str]:
        return [path.name for path in Path(self.io.node.root).glob(".alpenhorn*")]


@pytest.fixture
def route(site: Any) -> Route:
    """From a field node to an archive node: real copies."""
    return Route(site, storage_type="A")


@pytest.fixture
def field_route(site: Any) -> Route:
    """Between field nodes: hard links."""
    return Route(site)


def fresh(request: Any) -> Any:
    return type(request).get_by_id(request.id)


# ---- a good pull


def test_a_pulled_file_is_there_and_present_and_its_request_complete(
    route: Route, site: Any, lines: Any
) -> None:
    request = route.ask()
    route.pull(request)
    assert site.read(route.io, FILE) == DATA
    row = site.row(route.io, FILE)
    assert (row.has_file, row.wants_file, row.ready) == ("Y", "Y", True)
    assert row.size_b == Path(route.io.node.root, FILE).stat().st_blocks * 512
    request = fresh(request)
    assert request.completed
    assert not request.cancelled
    assert request.transfer_started <= request.transfer_completed
    made, pulling, done = lines()
    assert made == f'Creating directory "{route.io.node.root}/2025/02/21".'
    assert pulling == f"Pulling local file {FILE} using internal"
    assert done.startswith(f"Pull of {FILE} complete. Transferred 52 B in 0.")
    assert done.endswith("/s]")
    assert route.leftovers() == []
    assert site.reserved() == 0


def test_the_source_is_not_touched(route: Route, site: Any) -> None:
    request = route.ask()
    before = site.row(route.source, FILE).last_update
    route.pull(request)
    assert site.state(route.source, FILE) == "YY"
    assert site.row(route.source, FILE).last_update == before
    assert site.read(route.source, FILE) == DATA


def test_a_success_is_counted_and_kept(route: Route, heard: Any) -> None:
    request = route.ask()
    route.pull(request)
    assert heard == [
        events.PullRunning("dst", "internal", False, 1),
        events.PullRunning("dst", "internal", False, -1),
        events.TransferEnded(
            request.id, route.source.node.id, request.group_to_id, "src", "dst", 52, None
        ),
        events.RequestEnded("copy", "success", "src", "dst"),
    ]
    attempt = TransferAttempt.get()
    assert (attempt.request_id, attempt.failure, attempt.bytes) == (request.id, None, 52)


def test_the_free_space_is_measured_afterwards(route: Route) -> None:
    route.pull(route.ask())
    assert db.StorageNode.get_by_id(route.io.node.id).avail_gb is not None


def test_an_empty_file_is_pulled(route: Route, site: Any) -> None:
    route.pull(route.ask(data=b""))
    assert site.read(route.io, FILE) == b""
    assert site.state(route.io, FILE) == "YY"


def test_auto_actions_follow_in_the_same_transaction(route: Route, site: Any) -> None:
    db.StorageTransferAction.create(
        node_from=route.io.node, group_to=site.make.group("offsite"), autosync=True
    )
    db.StorageTransferAction.create(
        node_from=route.source.node, group_to=route.io.node.group, autoclean=True
    )
    route.pull(route.ask())
    onward = db.ArchiveFileCopyRequest.get(completed=False)
    assert (onward.node_from.name, onward.group_to.name) == ("dst", "offsite")
    assert site.state(route.source, FILE) == "YN"


def test_an_absent_copys_row_is_used_again(route: Route, site: Any) -> None:
    request = route.ask()
    site.make.copy(FILE, route.io.node, "N", "N")
    route.pull(request)
    assert site.state(route.io, FILE) == "YY"


# ---- links


def test_between_field_nodes_a_file_is_linked(
    field_route: Route, site: Any, heard: Any, lines: Any
) -> None:
    field_route.pull(field_route.ask())
    assert field_route.inode(field_route.io) == field_route.inode(field_route.source)
    assert heard[0] == events.PullRunning("dst", "link", False, 1)
    assert f"Pulling local file {FILE} using link" in lines()


@pytest.mark.parametrize(("source", "destination"), [("A", "F"), ("F", "A"), ("A", "A")])
def test_an_archive_copy_never_shares_its_bytes_with_another(
    site: Any, source: str, destination: str
) -> None:
    """Weakness 21: one bad sector must not destroy two copies."""
    route = Route(site, storage_type=destination)
    route.source.node.storage_type = source
    route.source.node.save()
    route.pull(route.ask())
    assert site.read(route.io, FILE) == DATA
    assert route.inode(route.io) != route.inode(route.source)
    assert Path(route.source.node.root, FILE).stat().st_nlink == 1


def test_a_link_to_a_file_of_another_length_is_not_present(field_route: Route, site: Any) -> None:
    field_route.pull(field_route.ask(really=b"short"))
    assert site.state(field_route.io, FILE) is None
    assert site.read(field_route.io, FILE) is None
    assert site.state(field_route.source, FILE) == "MY"
    assert site.read(field_route.source, FILE) == b"short", "the source's own file stays"


def test_where_no_link_can_be_made_the_file_is_copied(
    field_route: Route, site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_file_system(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", other_file_system)
    field_route.pull(field_route.ask())
    assert site.read(field_route.io, FILE) == DATA
    assert field_route.inode(field_route.io) != field_route.inode(field_route.source)


# ---- sources that are not good


def test_a_corrupted_source_of_equal_size_makes_nothing_present(
    route: Route, site: Any, lines: Any, heard: Any
) -> None:
    """Weakness 15: rsync and friends report success for it."""
    request = route.ask(really=DATA.swapcase())
    route.pull(request)
    assert site.state(route.io, FILE) is None
    assert site.read(route.io, FILE) is None
    assert site.state(route.source, FILE) == "MY"
    assert not fresh(request).completed
    assert not fresh(request).cancelled
    [line] = lines("ERROR")
    assert line.startswith(f"Pull of {FILE} from src to dst failed: MD5 mismatch: got ")
    assert line.endswith("; source marked suspect.")
    assert [e.failure for e in heard if isinstance(e, events.TransferEnded)] == [
        FailureClass.SOURCE
    ]
    assert TransferAttempt.get().failure == "source"
    assert route.leftovers() == []
    assert site.reserved() == 0


def test_a_corrupted_source_does_not_replace_what_is_there(route: Route, site: Any) -> None:
    """Weakness 22: the old file may be the better one."""
    request = route.ask(really=DATA.swapcase())
    site.make.copy(FILE, route.io.node, "X")
    site.write(route.io, FILE, b"old bytes")
    route.pull(request)
    assert site.read(route.io, FILE) == b"old bytes"
    assert site.state(route.io, FILE) == "XY"


def test_a_missing_source_file_is_suspect(route: Route, site: Any) -> None:
    request = route.ask()
    Path(route.source.node.root, FILE).unlink()
    route.pull(request)
    assert site.state(route.source, FILE) == "MY"
    assert site.state(route.io, FILE) is None


def test_a_source_that_is_not_mounted_is_not_suspect(route: Route, site: Any, lines: Any) -> None:
    request = route.ask()
    Path(route.source.node.root).rename(f"{route.source.node.root}.unmounted")
    route.pull(request)
    assert site.state(route.source, FILE) == "YY"
    assert lines("ERROR") == []
    assert lines("WARNING")[0].startswith("Pull from src to dst failed (route): ")


def test_a_link_at_the_source_is_not_followed(route: Route, site: Any) -> None:
    request = route.ask()
    secret = site.tmp / "secret"
    secret.write_bytes(DATA)
    Path(route.source.node.root, FILE).unlink()
    Path(route.source.node.root, FILE).symlink_to(secret)
    route.pull(request)
    assert site.read(route.io, FILE) is None


# ---- destinations that are not good


def test_a_corrupt_copy_is_replaced_in_one_step(route: Route, site: Any) -> None:
    request = route.ask()
    site.make.copy(FILE, route.io.node, "X")
    old = site.write(route.io, FILE, b"corrupt")
    with old.open("rb") as reader:
        route.pull(request)
        assert reader.read() == b"corrupt", "never written into"
    assert site.read(route.io, FILE) == DATA
    assert site.state(route.io, FILE) == "YY"


def test_nobody_sees_a_partial_file_under_the_final_name(
    route: Route, site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weakness 19."""
    seen: list[bool] = []
    chunk = copy_mover._copy_chunk

    def watching(*args: int) -> int:
        seen.append(Path(route.io.node.root, FILE).exists())
        return chunk(*args)

    monkeypatch.setattr(copy_mover, "_copy_chunk", watching)
    route.pull(route.ask())
    assert seen == [False]


def test_a_full_disk_is_the_destinations_fault(
    route: Route, site: Any, monkeypatch: pytest.MonkeyPatch, lines: Any
) -> None:
    def full(*args: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(copy_mover, "_copy_chunk", full)
    route.pull(route.ask())
    assert site.state(route.source, FILE) == "YY"
    assert site.state(route.io, FILE) is None
    assert TransferAttempt.get().failure == "destination"
    assert "No space left" in lines("WARNING")[0]
    assert route.leftovers() == []


def test_bytes_that_the_medium_did_not_take_are_not_present(
    route: Route, site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failed_write(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", failed_write)
    request = route.ask()
    route.pull(request)
    assert site.state(route.io, FILE) is None
    assert site.state(route.source, FILE) == "YY"
    assert not fresh(request).completed


def test_a_directory_that_cannot_be_flushed_is_not_present(
    route: Route, site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failed(directories: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("alpenhorn.io.default.tree.flush_directories", failed)
    route.pull(route.ask())
    assert site.state(route.io, FILE) is None
    assert TransferAttempt.get().failure == "destination"


def test_a_staging_directory_that_cannot_be_made_is_the_destinations_fault(
    route: Route, site: Any
) -> None:
    request = route.ask()
    site.write(route.io, f".alpenhorn-{request.id}", b"in the way")
    route.pull(request)
    assert TransferAttempt.get().failure == "destination"
    assert site.state(route.source, FILE) == "YY"
    assert site.reserved() == 0


def test_a_link_in_the_place_of_the_staging_directory_leads_nowhere(
    route: Route, site: Any
) -> None:
    request = route.ask()
    outside = site.tmp / "outside"
    outside.mkdir()
    Path(route.io.node.root, f".alpenhorn-{request.id}").symlink_to(outside)
    route.pull(request)
    assert list(outside.iterdir()) == []
    assert site.state(route.io, FILE) is None


def test_a_medium_that_is_not_there_gets_nothing(route: Route, site: Any) -> None:
    request = route.ask()
    Path(route.io.node.root).rename(f"{route.io.node.root}.unmounted")
    Path(route.io.node.root).mkdir()
    route.pull(request)
    assert [p.name for p in Path(route.io.node.root).iterdir()] == []
    assert site.state(route.io, FILE) is None


def test_a_medium_that_vanishes_during_the_transfer_makes_nothing_present(
    route: Route, site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([True])
    monkeypatch.setattr(route.io, "check_init", lambda: next(answers, False))
    route.pull(route.ask())
    assert site.read(route.io, FILE) is None
    assert site.state(route.io, FILE) is None
    assert site.state(route.source, FILE) == "YY"


def test_a_directory_in_the_place_of_the_file_is_the_destinations_fault(
    route: Route, site: Any
) -> None:
    request = route.ask()
    Path(route.io.node.root, FILE).mkdir(parents=True)
    route.pull(request)
    assert site.state(route.io, FILE) is None
    assert TransferAttempt.get().failure == "destination"


# ---- what is pulled at all


def test_no_space_no_pull_one_line(
    route: Route, site: Any, monkeypatch: pytest.MonkeyPatch, lines: Any
) -> None:
    monkeypatch.setattr(route.io, "bytes_avail", lambda fast=False: 103)
    requests = [route.ask(), route.ask("acq/other")]
    assert route.pull(*requests) == 0
    assert lines() == ["Skipping pull of files to dst: insufficient space."]
    monkeypatch.setattr(route.io, "bytes_avail", lambda fast=False: 104)
    assert route.pull(*requests) == 1, "twice the size of one file"


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        (
            {"avail_gb": 1.0, "min_avail_gb": 2.0},
            "hit minimum free space: (1.00 GiB < 2.00 GiB)",
        ),
        ({"max_total_gb": 1e-9}, "node full.  (0.00 GiB >= 0.00 GiB)"),
    ],
)
def test_a_node_over_its_limits_takes_nothing(
    site: Any, lines: Any, limits: dict[str, float], text: str
) -> None:
    route = Route(site, **limits)
    site.put(route.io, "acq/there")
    assert route.pull(route.ask(), route.ask("acq/2")) == 0
    assert lines("INFO", "WARNING", "ERROR") == [f"Skipping pull for StorageNode dst: {text}"]
    assert site.reserved() == 0


def test_a_node_that_was_filled_while_the_task_waited_takes_nothing(
    route: Route, site: Any
) -> None:
    """The early checks are repeated at the beginning of the task (check 10)."""
    route.io.pull_many([route.ask()], True)
    route.io.node.avail_gb, route.io.node.min_avail_gb = 1.0, 2.0
    site.run()
    assert site.read(route.io, FILE) is None
    assert site.reserved() == 0


@pytest.mark.parametrize(
    "change",
    [
        db.ArchiveFileCopyRequest.update(cancelled=True),
        db.StorageNode.update(active=False).where(db.StorageNode.name == "src"),
        db.ArchiveFileCopy.update(has_file="M"),
        db.ArchiveFileCopy.update(has_file="X"),
    ],
)
def test_what_changed_while_the_task_waited_counts(route: Route, site: Any, change: Any) -> None:
    route.io.pull_many([route.ask()], True)
    change.execute()
    site.run()
    assert site.read(route.io, FILE) is None
    assert site.reserved() == 0


def test_a_file_that_came_while_the_task_waited_is_not_pulled_again(
    route: Route, site: Any
) -> None:
    route.io.pull_many([route.ask()], True)
    site.make.copy(FILE, route.io.node)
    site.write(route.io, FILE, DATA)
    before = route.inode(route.io)
    site.run()
    assert route.inode(route.io) == before


def test_without_a_search_the_pull_looks_itself(route: Route, site: Any, lines: Any) -> None:
    request = route.ask()
    site.write(route.io, FILE, b"somebody's bytes")
    route.pull(request, did_search=False)
    assert site.read(route.io, FILE) == b"somebody's bytes"
    assert site.state(route.io, FILE) == "MY"
    assert FILE in lines("WARNING")[0]


def test_a_request_that_was_cancelled_during_the_transfer_stays_cancelled(
    route: Route, site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its copy is recorded all the same: the bytes are there (invariant 22)."""
    request = route.ask()
    land = pull.land

    def cancel(*args: Any) -> Any:
        db.ArchiveFileCopyRequest.update(cancelled=True).execute()
        return land(*args)

    monkeypatch.setattr(pull, "land", cancel)
    route.pull(request)
    assert site.state(route.io, FILE) == "YY"
    assert fresh(request).cancelled
    assert not fresh(request).completed


def test_an_incoming_file_is_expected_only_until_it_is_recorded(
    route: Route, site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The watcher must not import it before, and must see it afterwards."""
    seen: list[bool] = []
    finish = pull.transfers.finish

    def watching(*args: Any) -> Any:
        seen.append(route.io.expected(FILE))
        return finish(*args)

    monkeypatch.setattr(pull.transfers, "finish", watching)
    route.pull(route.ask())
    assert seen == [True]
    assert not route.io.expected(FILE)


def test_a_lost_database_does_not_leave_a_file_expected_for_ever(
    route: Route, site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(*args: object) -> None:
        raise OSError("server has gone away")

    monkeypatch.setattr(pull.transfers, "finish", lost)
    route.pull(route.ask(), fails=True)
    assert not route.io.expected(FILE)


def test_an_old_class_may_pull_to_another_place(route: Route, site: Any) -> None:
    from alpenhorn.scheduler import Task

    request = route.ask()
    place = Path(route.io.node.root, "hidden/place")
    route.io.reserve_bytes(len(DATA))
    Task(
        pull_async,
        queue=site.queue,
        key="dst",
        args=(route.io, route.io.tree_lock, request, True, place),
    )
    site.run()
    assert place.read_bytes() == DATA
    assert site.state(route.io, FILE) == "YY"
    assert site.reserved() == 0
