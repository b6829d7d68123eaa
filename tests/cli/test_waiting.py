"""``--wait``: the program follows the work, and its exit status tells how it ended.

What daemons would do is done by the test between two looks; nobody sleeps.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from alpenhorn.cli import waiting
from alpenhorn.common.units import utcnow
from alpenhorn.db import (
    ArchiveFileCopy,
    ArchiveFileCopyRequest,
    ArchiveFileImportRequest,
    StorageNode,
    database_proxy,
)
from alpenhorn.db.operations import DaemonLease, TransferAttempt

Step = Callable[[], Any]
Request = ArchiveFileCopyRequest


class Meanwhile:
    """The time between looks: each pause runs the next step and advances the clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.steps: list[Step] = []
        self.pauses: list[float] = []

    def clock(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        assert len(self.pauses) < 50, "nobody ends the waiting"
        self.pauses.append(seconds)
        self.now += seconds
        if self.steps:
            self.steps.pop(0)()


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    time = Meanwhile()
    monkeypatch.setattr(waiting, "clock", time.clock)
    monkeypatch.setattr(waiting, "pause", time.pause)
    return time


@pytest.fixture
def source(make: Any) -> Any:
    node = make.node("src", root="/data")
    for path in ("a/1", "a/2"):
        make.copy(path, node)
    return node


@pytest.fixture
def dest(make: Any) -> Any:
    alive("here")
    return make.node("dst", group="g")


def alive(host: str, ago_s: float = 0) -> None:
    seen = utcnow() - datetime.timedelta(seconds=ago_s)
    DaemonLease.create(host=host, holder="t", machine="m", pid=1, version="0", last_seen=seen)


def arrive(make: Any, node: StorageNode, *paths: str) -> Step:
    """The daemon has copied these files."""

    def step() -> None:
        for path in paths:
            make.copy(path, node)
            pending = ~Request.completed & ~Request.cancelled & (Request.file == make.file(path))
            Request.update(completed=True).where(pending).execute()

    return step


def cancel(make: Any, path: str) -> Step:
    query = Request.update(cancelled=True).where(Request.file == make.file(path))
    return lambda: query.execute()


def becomes(node: StorageNode, has: str, wants: str = "Y", file: Any = None) -> Step:
    """The daemon has dealt with a copy, or with all of a node."""

    def step() -> None:
        copy = ArchiveFileCopy
        of_file = [copy.file == file] if file else []
        copy.update(has_file=has, wants_file=wants).where(copy.node == node, *of_file).execute()

    return step


SYNC = ("node", "sync", "src", "g", "--force", "--wait")


def test_done_when_the_files_have_arrived(
    make: Any, run: Any, meanwhile: Meanwhile, source: Any, dest: Any
) -> None:
    meanwhile.steps = [arrive(make, dest, "a/1"), arrive(make, dest, "a/2")]
    result = run(*SYNC)
    assert result.code == 0
    assert result.stdout.splitlines()[-1] == (
        "Done: 2 of 2 files (8 B) in 2.0s, 1.0 files/s, 4 B/s."
    )
    assert result.stderr == ""
    assert meanwhile.pauses == [1, 1]


@pytest.mark.parametrize(
    "args",
    [
        ("group", "sync", "g", "src", "--force"),
        ("node", "sync", "src", "g", "--force"),
        ("file", "sync", "a/1", "--from", "src", "--to", "g"),
    ],
)
def test_a_cancelled_request_has_failed(
    make: Any, run: Any, meanwhile: Meanwhile, source: Any, dest: Any, args: Any
) -> None:
    meanwhile.steps = [arrive(make, dest, "a/2"), cancel(make, "a/1")]
    result = run(*args, "--wait")
    assert result.code == 3
    last = result.stdout.splitlines()[-1]
    assert last.startswith("Failed: ")
    assert last.endswith("; 1 cancelled.")


def test_a_request_cancelled_since_the_file_is_there_is_done(
    make: Any, run: Any, meanwhile: Meanwhile, source: Any, dest: Any
) -> None:
    def by_another_way() -> None:
        make.copy("a/1", dest)
        cancel(make, "a/1")()

    meanwhile.steps = [by_another_way, arrive(make, dest, "a/2")]
    result = run(*SYNC)
    assert "Done: 2 of 2 files" in result.stdout
    assert result.code == 0


def test_what_ended_before_counts_neither_as_done_nor_as_failed(
    make: Any, run: Any, meanwhile: Meanwhile, source: Any, dest: Any
) -> None:
    """Earlier requests on the route: one pending, which is followed; one cancelled, one done."""
    make.request("a/1", source, "g")
    make.request("a/2", source, "g", cancelled=True)
    make.request("a/3", source, "g", completed=True)
    meanwhile.steps = [arrive(make, dest, "a/1", "a/2")]
    result = run(*SYNC)
    assert "Done: 2 of 2 files (8 B)" in result.stdout
    assert result.code == 0


def test_an_interrupted_wait_can_be_taken_up(
    make: Any, run: Any, meanwhile: Meanwhile, source: Any, dest: Any
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    meanwhile.steps = [interrupt]
    first = run(*SYNC)
    assert first.code == 1
    assert first.stdout.splitlines()[-1].startswith("Interrupted: 0 of 2 files")
    meanwhile.steps = [arrive(make, dest, "a/1", "a/2")]
    second = run(*SYNC)
    assert "already scheduled" in second.stdout
    assert "Done: 2 of 2 files" in second.stdout


def test_requests_made_meanwhile_are_not_waited_for(
    make: Any, run: Any, meanwhile: Meanwhile, source: Any, dest: Any
) -> None:
    meanwhile.steps = [
        lambda: make.request("a/late", source, "g"),
        arrive(make, dest, "a/1", "a/2"),
    ]
    assert "Done: 2 of 2 files" in run(*SYNC).stdout


def test_the_timeout(make: Any, run: Any, meanwhile: Meanwhile, source: Any, dest: Any) -> None:
    meanwhile.steps = [arrive(make, dest, "a/1")]
    result = run(*SYNC, "--timeout", "2.5")
    assert result.code == 4
    last = result.stdout.splitlines()[-1]
    assert last == "Timed out: 1 of 2 files (4 B) in 2.5s, 0.4 files/s, 1 B/s; 1 pending."
    assert meanwhile.pauses == [1, 1, 0.5]


def stuck(run: Any, *args: str) -> dict[str, int]:
    result = run(*args, "--wait", "--timeout", "0", "--json")
    assert result.code in (3, 4), result
    return {item["reason"]: item["files"] for item in result.json["stuck"]}


def test_why_copies_are_stuck(
    make: Any, run: Any, meanwhile: Meanwhile, source: Any, dest: Any
) -> None:
    DaemonLease.delete().execute()
    alive("here", ago_s=300)
    for path in ("a/3", "a/4"):
        make.copy(path, source)
        make.request(path, source, "g")
    becomes(source, "M", file=make.file("a/3"))()
    make.copy("a/4", dest, "M")
    request = make.request("a/1", source, "g")
    TransferAttempt.create(request_id=request.id, failure="source", message="old")
    TransferAttempt.create(request_id=request.id, failure="route", message="no route")
    assert stuck(run, *SYNC[:-1]) == {
        'no daemon is alive for host "here"': 4,
        "the source copy is suspect: it is to be verified first": 1,
        "a suspect copy at the destination is to be verified first": 1,
        "last attempt failed: route: no route": 1,
    }


def test_reasons_cannot_forge_lines(
    make: Any, run: Any, meanwhile: Meanwhile, source: Any, dest: Any
) -> None:
    request = make.request("a/1", source, "g")
    TransferAttempt.create(request_id=request.id, failure="route", message="no\nDone: all")
    result = run(*SYNC, "--timeout", "0")
    assert "\nDone" not in result.stdout
    assert r"last attempt failed: route: no\nDone: all (1 file)." in result.stdout


def test_the_source_is_inactive(
    make: Any, run: Any, meanwhile: Meanwhile, source: Any, dest: Any
) -> None:
    StorageNode.update(active=False).where(StorageNode.id == source.id).execute()
    assert stuck(run, *SYNC[:-1]) == {"the source node is not active": 2}


def test_no_active_destination(
    make: Any, run: Any, meanwhile: Meanwhile, source: Any, dest: Any
) -> None:
    StorageNode.update(active=False).where(StorageNode.id == dest.id).execute()
    assert stuck(run, *SYNC[:-1]) == {'no active Node of Group "g"': 2}


@pytest.mark.parametrize("noun", ["node", "file"])
@pytest.mark.parametrize(("found", "code"), [("Y", 0), ("X", 3), ("N", 3)])
def test_verification(
    make: Any, run: Any, meanwhile: Meanwhile, source: Any, noun: str, found: str, code: int
) -> None:
    alive("here")
    make.copy("a/bad", source, "X")
    file = make.file("a/1")
    meanwhile.steps = [
        becomes(source, "Y", file=make.file("a/2")),
        becomes(source, found, "Y", file),
    ]
    what = ["src", "--healthy", "--force"] if noun == "node" else ["a/1", "src"]
    result = run(noun, "verify", *what, "--wait")
    assert result.code == code
    last = result.stdout.splitlines()[-1]
    assert last.startswith("Failed: " if code else "Done: ")
    assert ("1 corrupt or missing" in last) == bool(code)


def test_what_is_still_corrupt_after_the_check_has_failed(
    make: Any, run: Any, meanwhile: Meanwhile, source: Any
) -> None:
    becomes(source, "X")()
    meanwhile.steps = [becomes(source, "X", file=make.file("a/1")), becomes(source, "X")]
    result = run("node", "verify", "src", "--corrupt", "--force", "--wait", "--json")
    assert (result.code, result.json["failed"], result.json["done"]) == (3, 2, 0)


def test_a_released_copy_is_not_verified_and_so_not_done(
    make: Any, run: Any, meanwhile: Meanwhile, source: Any
) -> None:
    becomes(source, "Y", "N")()
    result = run("file", "verify", "a/1", "src", "--wait")
    assert result.code == 3
    assert "Not waiting: the copy is released" in result.stdout


@pytest.mark.parametrize("active", [True, False])
def test_why_verification_is_stuck(
    make: Any, run: Any, meanwhile: Meanwhile, source: Any, active: bool
) -> None:
    StorageNode.update(active=active, host="far").where(StorageNode.id == source.id).execute()
    reason = 'no daemon is alive for host "far"' if active else 'no active Node "src"'
    assert stuck(run, "node", "verify", "src", "--all", "--force") == {reason: 2}


CLEAN = {
    "node": ("node", "clean", "src", "--now", "--force"),
    "file": ("file", "clean", "a/1", "--node", "src", "--now"),
}


@pytest.fixture
def archived(make: Any, source: Any) -> list[Any]:
    """Two archive nodes that have the files."""
    nodes = [make.node(name, storage_type="A") for name in ("arc1", "arc2")]
    for node in nodes:
        make.copy("a/1", node)
        make.copy("a/2", node)
    return nodes


@pytest.mark.parametrize("noun", ["node", "file"])
def test_clean(
    make: Any, run: Any, meanwhile: Meanwhile, source: Any, archived: Any, noun: str
) -> None:
    alive("here")
    meanwhile.steps = [becomes(source, "M", "N"), becomes(source, "N", "N")]
    result = run(*CLEAN[noun], "--wait")
    assert result.code == 0
    assert result.stdout.splitlines()[-1].startswith(f"Done: {'2 of 2' if noun == 'node' else '1'}")
    assert meanwhile.pauses == [1, 1]


@pytest.mark.parametrize("noun", ["node", "file"])
def test_a_refused_deletion_ends_the_waiting(
    make: Any, run: Any, meanwhile: Meanwhile, source: Any, noun: str
) -> None:
    alive("here")
    result = run(*CLEAN[noun], "--wait")
    assert result.code == 3
    assert "pending: too few archive copies: not removed" in result.stdout
    assert meanwhile.pauses == []


def test_a_deletion_that_may_still_come_is_waited_for(
    make: Any, run: Any, meanwhile: Meanwhile, source: Any, archived: Any
) -> None:
    alive("here")
    ArchiveFileCopy.delete().where(ArchiveFileCopy.node == archived[1]).execute()
    request = make.request("a/1", archived[0], "arc2")
    found = stuck(run, *CLEAN["file"])
    assert found == {"too few archive copies yet; more are requested": 1}
    Request.update(node_from=source).where(Request.id == request.id).execute()
    assert stuck(run, *CLEAN["file"]) == {"still to be copied from here": 1}


def test_a_clean_taken_back_has_failed(
    make: Any, run: Any, meanwhile: Meanwhile, source: Any, archived: Any
) -> None:
    meanwhile.steps = [becomes(source, "Y", "Y")]
    result = run(*CLEAN["node"], "--wait")
    assert result.code == 3
    assert "2 not to be removed any more" in result.stdout


def complete_imports() -> None:
    ArchiveFileImportRequest.update(completed=True).execute()


@pytest.mark.parametrize(("registered", "code"), [("Y", 0), ("X", 3), (None, 3)])
def test_import(
    make: Any, run: Any, meanwhile: Meanwhile, source: Any, registered: str | None, code: int
) -> None:
    def imported() -> None:
        complete_imports()
        if registered:
            make.copy("a/new", source, registered)

    meanwhile.steps = [lambda: None, imported]
    result = run("file", "import", "a/new", "src", "--wait")
    assert result.code == code
    assert len(meanwhile.pauses) == 2
    assert ("1 not imported" in result.stdout) == bool(code)


def test_scan(make: Any, run: Any, meanwhile: Meanwhile, source: Any) -> None:
    meanwhile.steps = [lambda: make.copy("a/3", source), complete_imports]
    result = run("node", "scan", "src", "/data/a", "--wait")
    assert result.code == 0
    assert result.stdout.splitlines()[-1] == "Done: 1 file (4 B) in 2.0s, 0.5 files/s, 2 B/s."


def test_json_is_one_object(
    make: Any, run: Any, meanwhile: Meanwhile, source: Any, dest: Any
) -> None:
    meanwhile.steps = [arrive(make, dest, "a/1", "a/2")]
    result = run(*SYNC, "--json")
    assert result.json == {
        "result": "done",
        "total": 2,
        "done": 2,
        "failed": 0,
        "pending": 0,
        "done_b": 8,
        "failed_b": 0,
        "pending_b": 0,
        "seconds": 1.0,
        "files_per_second": 2.0,
        "bytes_per_second": 8.0,
        "stuck": [],
    }
    assert "Syncing 2 files" in result.stderr


def test_nothing_to_do_is_done(run: Any, make: Any, meanwhile: Meanwhile, dest: Any) -> None:
    make.node("src")
    result = run(*SYNC)
    assert (result.code, result.stdout) == (0, "No files to sync.\n")
    assert run(*SYNC, "--json").json["result"] == "done"


def test_a_wish_that_was_not_carried_out_has_failed(
    make: Any, run: Any, meanwhile: Meanwhile, source: Any, dest: Any
) -> None:
    assert run("node", "sync", "src", "g", "--wait", input="n\n").code == 3
    make.file("a/gone")
    result = run("file", "sync", "a/gone", "--from", "src", "--to", "g", "--wait")
    assert result.code == 3
    assert result.stdout.startswith("Not done: ")


@pytest.mark.parametrize(
    "args",
    [
        ("node", "sync", "src", "g"),
        ("group", "sync", "g", "src"),
        ("file", "sync", "a/1"),
        ("node", "verify", "src"),
        ("file", "verify", "a/1", "src"),
        ("node", "clean", "src"),
        ("file", "clean", "a/1"),
        ("node", "scan", "src"),
        ("file", "import", "a/1", "src"),
    ],
)
def test_options_that_need_wait(run: Any, args: tuple[str, ...]) -> None:
    extra = ("--cancel",) if args[:2] in {("file", "sync"), ("file", "clean")} else ()
    for option, text in (("--timeout=1", "--timeout"), ("--json", "--json")):
        result = run(*args, *extra, option)
        assert result.code == 2
        assert f"{text} may only be used with --wait" in result.stderr


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("node", "sync", "s", "g", "--check"), "cannot use both --check and --wait"),
        (("node", "sync", "s", "g", "--cancel"), "cannot use both --cancel and --wait"),
        (("node", "verify", "s", "--cancel"), "cannot use both --cancel and --wait"),
        (("node", "clean", "s"), "--wait may only be used with --now"),
        (("file", "clean", "f", "--node", "n"), "--wait may only be used with --now"),
    ],
)
def test_nothing_to_wait_for(run: Any, args: tuple[str, ...], text: str) -> None:
    result = run(*args, "--wait")
    assert result.code == 2
    assert text in result.stderr


@pytest.mark.parametrize("count", [2, 40])
@pytest.mark.parametrize(
    ("args", "statements"),
    [
        (("node", "sync", "src", "g"), 3),
        (("node", "verify", "src", "--healthy"), 2),
        (("node", "clean", "src", "--now"), 3),
    ],
)
def test_a_look_takes_a_fixed_handful_of_statements_that_only_read(
    make: Any,
    run: Any,
    meanwhile: Meanwhile,
    source: Any,
    dest: Any,
    archived: Any,
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    args: tuple[str, ...],
    statements: int,
) -> None:
    for number in range(count):
        make.copy(f"b/{number}", source)
        for node in archived:
            make.copy(f"b/{number}", node)
    seen: list[str] = []

    def listen() -> None:
        execute = database_proxy.obj.execute_sql
        monkeypatch.setattr(
            database_proxy.obj,
            "execute_sql",
            lambda sql, *a, **k: (seen.append(sql), execute(sql, *a, **k))[1],
        )

    looked: list[str] = []
    meanwhile.steps = [listen, lambda: looked.extend(seen)]
    assert run(*args, "--force", "--wait", "--timeout", "2").code == 4
    assert len(looked) == statements
    assert all(sql.lstrip("(").startswith("SELECT") for sql in looked)
