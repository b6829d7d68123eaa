"""The chores of a pass: checks, deletions, pulls. What is blocked sleeps (design P6)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from alpenhorn import db
from alpenhorn.daemon.jobs import checks
from alpenhorn.daemon.jobs.lookahead import FEW
from alpenhorn.daemon.standstill import COUNT_S, LONGEST_S
from alpenhorn.db.queries import pending
from alpenhorn.io.default.tree import STAGING_PREFIX

MD5 = hashlib.md5(b"data").hexdigest()
MANY = 10_000


def ask(daemon: Any, source: Any, path: str, data: bytes) -> None:
    """Put a file on a node, and ask for it at ``dest``."""
    daemon.make.file(path, md5sum=hashlib.md5(data).hexdigest(), size_b=len(data))
    daemon.make.copy(path, source)
    daemon.write(path, data, node="source")
    daemon.make.request(path, source, "dest")


def many_files(count: int) -> None:
    """Register files ``acq/0`` to ``acq/<count - 1>``."""
    acq = db.ArchiveAcq.create(name="acq")
    rows = [
        {"acq": acq.id, "name": str(n), "size_b": 4, "md5sum": MD5, "registered": "2025-01-01"}
        for n in range(count)
    ]
    insert(db.ArchiveFile, rows)


def many_copies(node: Any, has: str = "Y", wants: str = "Y") -> None:
    """Put a copy of every file on a node."""
    insert(
        db.ArchiveFileCopy,
        [
            {"file": file.id, "node": node.id, "has_file": has, "wants_file": wants}
            for file in db.ArchiveFile.select(db.ArchiveFile.id)
        ],
    )


def many_requests(source: Any, group: Any) -> None:
    insert(
        db.ArchiveFileCopyRequest,
        [
            {"file": file.id, "node_from": source.id, "group_to": group.id}
            for file in db.ArchiveFile.select(db.ArchiveFile.id)
        ],
    )


def insert(model: Any, rows: Sequence[dict[str, Any]]) -> None:
    with db.database_proxy.atomic():
        for start in range(0, len(rows), 100):
            model.insert_many(rows[start : start + 100]).execute()


@pytest.fixture
def cost(daemon: Any, statements: Any) -> Callable[[], int]:
    """How many statements a quiet pass takes."""

    def cost() -> int:
        daemon.settle()
        with statements() as seen:
            daemon.tick()
        return len(seen)

    return cost


class TestChecks:
    def test_few_are_told_about_one_by_one_in_id_order(self, daemon: Any) -> None:
        row = daemon.node()
        for name in "cab":
            daemon.make.copy(f"acq/{name}", row, has="M")
        daemon.tick()
        assert daemon.lines("Checking") == [
            f'Checking copy "acq/{name}" on node node.' for name in "cab"
        ]

    def test_many_are_told_about_in_one_line(self, daemon: Any) -> None:
        daemon_row = daemon.node()
        many_files(FEW + 1)
        many_copies(daemon_row, has="M")
        daemon.tick()
        assert daemon.lines("Checking") == [f"Checking {FEW + 1} copies on node node."]

    @pytest.mark.parametrize(
        ("data", "state"), [(b"data", "YY"), (b"DATA", "XY"), (b"dat", "XY"), (None, "NY")]
    )
    def test_the_verdict(self, daemon: Any, data: bytes | None, state: str) -> None:
        row = daemon.node()
        daemon.make.file("acq/file", md5sum=MD5)
        daemon.make.copy("acq/file", row, has="M")
        if data is not None:
            daemon.write("acq/file", data)
        daemon.settle()
        assert daemon.make.states(row) == {"acq/file": state}

    def test_a_released_copy_is_not_checked(self, daemon: Any) -> None:
        row = daemon.node()
        daemon.make.copy("acq/file", row, has="M", wants="N")
        daemon.tick()
        assert not daemon.lines("Checking")

    @pytest.mark.slow
    def test_what_cannot_be_read_is_tried_after_growing_pauses(
        self, daemon: Any, clock: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Unreadable is not corrupt; and it is not read in every pass."""
        row = daemon.node()
        daemon.settle()
        daemon.make.file("acq/file", md5sum=MD5)
        daemon.make.copy("acq/file", row, has="M")
        handed: list[int] = []
        monkeypatch.setattr(
            daemon.live().io, "check_many", lambda copies: handed.append(len(copies))
        )
        for _ in range(60):
            daemon.tick()
            clock.advance(10)
        assert 4 <= len(handed) <= 9
        assert daemon.make.states(row) == {"acq/file": "MY"}


class TestDeletions:
    @pytest.fixture
    def archives(self, daemon: Any) -> list[Any]:
        return [
            daemon.make.node(f"arc{n}", storage_type="A", host=f"host{n}", root="/far")
            for n in (1, 2)
        ]

    def refusals(self, daemon: Any) -> list[str]:
        return daemon.lines("Too few archive copies")

    def test_with_two_archive_copies_it_goes(self, daemon: Any, archives: list[Any]) -> None:
        row = daemon.node()
        path = daemon.write("acq/file")
        daemon.make.copy("acq/file", row, wants="N")
        for archive in archives:
            daemon.make.copy("acq/file", archive)
        daemon.settle()
        assert daemon.make.states(row) == {"acq/file": "NN"}
        assert not path.exists()
        assert f"Removed directory {path.parent} on node" in daemon.said

    @pytest.mark.parametrize(
        "second",
        [{"has": "M"}, {"has": "X"}, {"has": "N"}, {"wants": "N"}, None],
    )
    def test_with_fewer_it_stays(
        self, daemon: Any, archives: list[Any], second: dict[str, str] | None
    ) -> None:
        row = daemon.node()
        path = daemon.write("acq/file")
        daemon.make.copy("acq/file", row, wants="N")
        daemon.make.copy("acq/file", archives[0])
        if second is not None:
            daemon.make.copy("acq/file", archives[1], **second)
        daemon.settle()
        assert self.refusals(daemon) == ["Too few archive copies (1) to delete acq/file on node."]
        assert path.read_bytes() == b"data"
        assert daemon.make.states(row) == {"acq/file": "YN"}

    def test_the_refusal_is_repeated_when_its_number_changes(
        self, daemon: Any, archives: list[Any], clock: Any
    ) -> None:
        """K-14: else only at growing intervals."""
        row = daemon.node()
        daemon.write("acq/file")
        daemon.make.copy("acq/file", row, wants="N")
        text = "Too few archive copies ({}) to delete acq/file on node."
        for _ in range(5):
            daemon.settle()
        assert self.refusals(daemon) == [text.format(0)]
        daemon.make.copy("acq/file", archives[0])
        for _ in range(5):
            daemon.settle()
        assert self.refusals(daemon) == [text.format(0), text.format(1)]
        clock.advance(61)
        daemon.settle()
        assert self.refusals(daemon)[2:] == [text.format(1)], "a reminder"
        daemon.make.copy("acq/file", archives[1])
        daemon.settle()
        assert daemon.make.states(row) == {"acq/file": "NN"}

    @pytest.mark.slow
    def test_reminders_grow_rare(self, daemon: Any, clock: Any) -> None:
        row = daemon.node()
        daemon.write("acq/file")
        daemon.make.copy("acq/file", row, wants="N")
        for _ in range(60):
            daemon.settle()
            clock.advance(60)
        assert 4 <= len(self.refusals(daemon)) <= 8

    def test_a_copy_that_is_to_be_sent_is_not_deleted(
        self, daemon: Any, archives: list[Any]
    ) -> None:
        row = daemon.node()
        path = daemon.write("acq/file")
        daemon.make.copy("acq/file", row, wants="N")
        for archive in archives:
            daemon.make.copy("acq/file", archive)
        request = daemon.make.request("acq/file", row, "elsewhere")
        daemon.settle()
        assert path.exists()
        assert daemon.lines("Skipping delete of 1 copies on node node: transfer pending")
        type(request).update(completed=True).execute()
        daemon.settle()
        assert not path.exists()

    def test_a_clean_that_was_cancelled_is_not_carried_out(
        self, daemon: Any, archives: list[Any]
    ) -> None:
        """Weakness 8: between the pass and the task."""
        row = daemon.node()
        path = daemon.write("acq/file")
        copy = daemon.make.copy("acq/file", row, wants="N")
        for archive in archives:
            daemon.make.copy("acq/file", archive)
        daemon.tick()
        assert daemon.tasks() == [f"Delete copies [{copy.id}] from node"]
        type(copy).update(wants_file="Y").where(type(copy).id == copy.id).execute()
        daemon.work()
        assert path.exists()
        assert daemon.make.states(row) == {"acq/file": "YY"}

    @pytest.mark.slow
    def test_ten_thousand_blocked_deletions_cost_no_more_than_a_few(
        self, daemon: Any, cost: Callable[[], int]
    ) -> None:
        row = daemon.node()
        many_files(FEW + 4)
        many_copies(row, wants="N")
        few = cost()
        db.ArchiveFileCopy.delete().execute()
        db.ArchiveFile.delete().execute()
        db.ArchiveAcq.delete().execute()
        many_files(MANY)
        many_copies(row, wants="N")
        daemon.forget()
        assert cost() == few
        said = daemon.lines("released copies")
        assert said == [f"{MANY} released copies on node wait for more archive copies."]
        assert not self.refusals(daemon)
        assert daemon.queue.qsize == 0


def test_an_empty_directory_that_a_kill_left_goes_with_the_next_deletion(
    daemon: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kill came between the last file of a directory and the end of the claim."""
    row = daemon.node()
    daemon.make.copy("2025/02/21/1324.dat", row, has="M", wants="N")
    for archive in ("a1", "a2"):
        node = daemon.make.node(archive, storage_type="A", host="elsewhere")
        daemon.make.copy("2025/02/21/1324.dat", node)
    daemon.write("2025/02/21/1324.dat").unlink()
    daemon.settle()
    assert not (Path(row.root) / "2025").exists()
    assert daemon.make.states(row) == {"2025/02/21/1324.dat": "NN"}


class TestPulls:
    @pytest.fixture
    def source(self, daemon: Any) -> Any:
        return daemon.node("source")

    def test_a_local_pull(self, daemon: Any, source: Any) -> None:
        dest = daemon.node("dest")
        daemon.make.file("acq/file", md5sum=MD5)
        daemon.make.copy("acq/file", source)
        daemon.write("acq/file", node="source")
        request = daemon.make.request("acq/file", source, "dest")
        daemon.settle()
        assert daemon.make.states(dest) == {"acq/file": "YY"}
        assert (daemon.root("dest") / "acq/file").read_bytes() == b"data"
        assert daemon.done(request)
        assert "Beginning task Pre-pull search for acq/file in dest" in daemon.said
        assert "Beginning task AFCR#1: source -> dest" in daemon.said

    def test_a_pull_that_came_off_takes_no_memory(self, daemon: Any, source: Any) -> None:
        """A daemon pulls millions of files in its life."""
        daemon.node("dest")
        daemon.make.file("acq/file", md5sum=MD5)
        daemon.make.copy("acq/file", source)
        daemon.write("acq/file", node="source")
        daemon.make.request("acq/file", source, "dest")
        daemon.tick()
        patience = daemon.loop.groups["dest"].patience
        assert len(patience.resting()) == 1
        daemon.settle()
        daemon.tick()
        assert not patience.resting()

    @pytest.mark.parametrize(("has", "result"), [("N", "missing"), ("X", "missing")])
    def test_a_hopeless_request_is_cancelled(
        self, daemon: Any, source: Any, ended: list[Any], has: str, result: str
    ) -> None:
        daemon.node("dest")
        daemon.make.copy("acq/file", source, has=has)
        request = daemon.make.request("acq/file", source, "dest")
        daemon.settle()
        assert db.ArchiveFileCopyRequest.get_by_id(request.id).cancelled
        assert [(e.kind, e.result) for e in ended] == [("copy", result)]

    def test_a_satisfied_request_is_cancelled(
        self, daemon: Any, source: Any, ended: list[Any]
    ) -> None:
        dest = daemon.node("dest")
        daemon.make.copy("acq/file", source)
        daemon.make.copy("acq/file", dest)
        request = daemon.make.request("acq/file", source, "dest")
        daemon.settle()
        assert db.ArchiveFileCopyRequest.get_by_id(request.id).cancelled
        assert [e.result for e in ended] == ["duplicate"]

    def test_what_waits_is_named_in_one_line(self, daemon: Any) -> None:
        daemon.node("dest")
        inactive = daemon.node("inactive", active=False, host="far")
        suspect = daemon.node("suspect", host="far")
        for n in range(3):
            daemon.make.copy(f"acq/i{n}", inactive)
            daemon.make.request(f"acq/i{n}", inactive, "dest")
        daemon.make.copy("acq/s", suspect, has="M")
        daemon.make.request("acq/s", suspect, "dest")
        for _ in range(3):
            daemon.settle()
        assert daemon.lines("Requests into group") == [
            "Requests into group dest that wait: "
            "3 (source node not active), 1 (source needs check)."
        ]

    @pytest.mark.slow
    def test_ten_thousand_blocked_requests_cost_no_more_than_a_few(
        self, daemon: Any, cost: Callable[[], int]
    ) -> None:
        daemon.node("dest")
        source = daemon.node("inactive", active=False, host="far")
        group = db.StorageGroup.get(name="dest")
        many_files(MANY)
        many_copies(source)
        file = db.ArchiveFile.get()
        db.ArchiveFileCopyRequest.create(file=file, node_from=source, group_to=group)
        few = cost()
        db.ArchiveFileCopyRequest.delete().execute()
        many_requests(source, group)
        daemon.forget()
        assert cost() == few
        assert daemon.lines(f"{MANY} (source node not active)")
        assert daemon.queue.qsize == 0

    def test_while_all_requests_wait_they_are_not_searched_again(
        self, daemon: Any, statements: Callable[..., Any]
    ) -> None:
        daemon.node("dest")
        away = daemon.node("away", active=False, host="far")
        for n in range(3):
            daemon.make.copy(f"acq/{n}", away)
            daemon.make.request(f"acq/{n}", away, "dest")
        daemon.settle()
        with statements() as glance:
            daemon.settle()
        (asked,) = [sql for sql in glance if "group_to_id" in sql]
        assert "ORDER BY" in asked and "LIMIT" in asked  # neither counted nor searched

    def test_a_source_that_is_switched_on_is_read_in_the_next_pass(
        self, daemon: Any, source: Any
    ) -> None:
        dest = daemon.node("dest")
        type(source).update(active=False).where(type(source).id == source.id).execute()
        daemon.make.file("acq/file", md5sum=MD5)
        daemon.make.copy("acq/file", source)
        daemon.write("acq/file", node="source")
        daemon.make.request("acq/file", source, "dest")
        daemon.settle()
        daemon.settle()
        assert daemon.make.states(dest) == {}
        type(source).update(active=True).where(type(source).id == source.id).execute()
        daemon.settle()
        assert daemon.make.states(dest) == {"acq/file": "YY"}

    def test_what_changes_during_a_search_is_found_in_the_next_pass(
        self, daemon: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        dest = daemon.node("dest")
        source = daemon.node("source")
        daemon.make.file("acq/file", md5sum=MD5)
        copy = daemon.make.copy("acq/file", source, has="M")
        daemon.write("acq/file", node="source")
        daemon.make.request("acq/file", source, "dest")
        count = pending.blocked

        def late(group: Any) -> Any:
            blocked = count(group)
            type(copy).update(has_file="Y").where(type(copy).id == copy.id).execute()
            return blocked

        monkeypatch.setattr(pending, "blocked", late)
        daemon.loop.nodes.clear()
        monkeypatch.setattr(checks, "dispatch", lambda node: None)
        daemon.settle()
        monkeypatch.undo()
        daemon.settle()
        assert daemon.make.states(dest) == {"acq/file": "YY"}

    def test_a_copy_that_came_back_unnoticed_ends_a_request_after_ten_minutes(
        self, daemon: Any, clock: Any
    ) -> None:
        """What the signs do not show, the next search finds; no pass is still for longer."""
        dest = daemon.node("dest")
        away = daemon.node("away", active=False, host="far")
        daemon.make.copy("acq/file", away)
        copy = daemon.make.copy("acq/file", dest, has="N")
        request = daemon.make.request("acq/file", away, "dest")
        daemon.settle()
        type(copy).update(has_file="Y").where(type(copy).id == copy.id).execute()
        clock.advance(LONGEST_S + 1)
        daemon.settle()
        assert db.ArchiveFileCopyRequest.get_by_id(request.id).cancelled

    def test_a_request_that_an_older_program_revives_is_found_within_a_minute(
        self, daemon: Any, source: Any, clock: Any
    ) -> None:
        """It rings nobody, and there are newer requests than that one."""
        dest = daemon.node("dest")
        ask(daemon, source, "acq/file", b"data")
        revived = db.ArchiveFileCopyRequest.get()
        db.ArchiveFileCopyRequest.update(cancelled=True).execute()
        away = daemon.node("away", active=False, host="far")
        daemon.make.copy("acq/away", away)
        daemon.make.request("acq/away", away, "dest")
        daemon.settle()
        query = db.ArchiveFileCopyRequest.update(cancelled=False)
        query.where(db.ArchiveFileCopyRequest.id == revived.id).execute()
        clock.advance(COUNT_S + 1)
        daemon.settle()
        assert daemon.make.states(dest) == {"acq/file": "YY"}

    def test_a_small_file_need_not_wait_for_a_long_backlog_of_large_ones(
        self, daemon: Any, source: Any, settings: dict[str, Any]
    ) -> None:
        """A pass hands over what the workers do in a few batches; then it looks again."""
        settings |= {"pull_order": "smallest", "batch_bytes": 1000}
        dest = daemon.node("dest")
        for n in range(40):
            ask(daemon, source, f"acq/large{n:02}", bytes(500))
        daemon.settle_once()
        ask(daemon, source, "acq/small", b"x")
        daemon.settle_once()
        done = set(daemon.make.states(dest))
        assert "acq/small" in done
        assert len(done) < 20

    def test_requests_that_failed_rest_and_do_not_crowd_out_new_ones(
        self, daemon: Any, source: Any, clock: Any
    ) -> None:
        """The look-ahead grows by what rests: a new request is always seen."""
        daemon.node("dest")
        daemon.settle()
        for n in range(3):
            daemon.make.copy(f"acq/{n}", source)  # without files
            daemon.make.request(f"acq/{n}", source, "dest")
        daemon.settle()
        daemon.forget()
        daemon.make.file("acq/good", md5sum=MD5)
        daemon.make.copy("acq/good", source)
        daemon.write("acq/good", node="source")
        good = daemon.make.request("acq/good", source, "dest")
        clock.advance(1)
        daemon.settle()
        assert daemon.done(good)

    def test_a_bad_source_row_is_said_once_and_the_others_go_on(
        self, daemon: Any, source: Any
    ) -> None:
        """Weakness 26: an unknown I/O class of a source ended the daemon."""
        daemon.node("dest")
        bad = daemon.node("bad", host="far", io_class="Nonsense")
        daemon.make.copy("acq/bad", bad)
        daemon.make.request("acq/bad", bad, "dest")
        daemon.make.file("acq/good", md5sum=MD5)
        daemon.make.copy("acq/good", source)
        daemon.write("acq/good", node="source")
        good = daemon.make.request("acq/good", source, "dest")
        for _ in range(3):
            daemon.settle()
        assert daemon.done(good)
        assert len(daemon.lines("Skipping requests from node bad")) == 1

    def test_a_request_cancelled_while_it_was_queued_is_not_carried_out(
        self, daemon: Any, source: Any
    ) -> None:
        """Weakness 47: it was, and its flag written back."""
        dest = daemon.node("dest")
        daemon.settle()
        daemon.make.file("acq/file", md5sum=MD5)
        daemon.make.copy("acq/file", source)
        daemon.write("acq/file", node="source")
        request = daemon.make.request("acq/file", source, "dest")
        daemon.tick()
        daemon.work(1)  # the search
        assert daemon.tasks() == ["AFCR#1: source -> dest"]
        type(request).update(cancelled=True).execute()
        daemon.work()
        assert daemon.make.states(dest) == {}
        assert db.ArchiveFileCopyRequest.get_by_id(request.id).cancelled

    def test_a_file_that_is_there_already_is_checked_not_transferred(
        self, daemon: Any, source: Any
    ) -> None:
        dest = daemon.node("dest")
        daemon.make.file("acq/file", md5sum=MD5)
        daemon.make.copy("acq/file", source)
        daemon.write("acq/file", node="dest")
        request = daemon.make.request("acq/file", source, "dest")
        daemon.settle()
        assert daemon.make.states(dest) == {"acq/file": "YY"}
        assert db.ArchiveFileCopyRequest.get_by_id(request.id).cancelled
        assert not daemon.lines("Beginning task AFCR")

    def test_the_staging_of_an_earlier_attempt_goes_when_its_request_is_done(
        self, daemon: Any, source: Any
    ) -> None:
        """After kill -9 the next batch begins with another request, so its staging has another
        name; the old directory held files of a pending request at the tidy-up of the start."""
        daemon.node("dest")
        requests = []
        for n in range(FEW + 1):
            daemon.make.file(f"acq/{n}", md5sum=MD5)
            daemon.make.copy(f"acq/{n}", source)
            daemon.write(f"acq/{n}", node="source")
            requests.append(daemon.make.request(f"acq/{n}", source, "dest"))
        daemon.write(f"{STAGING_PREFIX}{requests[1].id}/acq/7", node="dest")
        daemon.settle()
        daemon.settle()
        assert all(daemon.done(request) for request in requests)
        assert list(daemon.root("dest").glob(f"{STAGING_PREFIX}*")) == []

    def test_a_transport_group_is_never_fed_over_the_network(self, daemon: Any) -> None:
        far = daemon.node("far", host="elsewhere")
        daemon.make.group("fleet", io_class="Transport")
        daemon.node("disk", group="fleet", storage_type="T")
        daemon.make.copy("acq/file", far)
        request = daemon.make.request("acq/file", far, "fleet")
        for _ in range(3):
            daemon.settle()
        assert not daemon.done(request)
        assert not db.ArchiveFileCopyRequest.get_by_id(request.id).cancelled
        assert not daemon.lines("Pre-pull search")
