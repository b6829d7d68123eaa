"""``alpenhorn file sync``."""

from __future__ import annotations

from typing import Any

import pytest

from alpenhorn.common.units import utcnow
from alpenhorn.db import ArchiveFileCopyRequest
from alpenhorn.db.operations import Doorbell

META = "2025/02/21/meta.txt"


@pytest.fixture
def source(make: Any) -> Any:
    """Node `n` has no copy of a/f yet; group `g` has two nodes on other hosts."""
    make.file("a/f")
    make.node("g1", "g", host="there")
    make.node("g2", "g", host="far", active=False)
    return make.node("n")


def test_sync(make: Any, run: Any) -> None:
    """Transcript 19; the daemons of both sides are woken."""
    make.copy(META, make.node("demo_storage1", host="alpenhost1"))
    make.node("demo_storage2", host="alpenhost2")
    begin = utcnow()
    result = run("file", "sync", "--from", "demo_storage1", "--to", "demo_storage2", META)
    assert (result.stdout, result.stderr, result.code) == ("Request submitted.\n", "", 0)
    request = ArchiveFileCopyRequest.get()
    assert (request.file.path.as_posix(), request.node_from.name, request.group_to.name) == (
        META,
        "demo_storage1",
        "demo_storage2",
    )
    assert (request.completed, request.cancelled) == (False, False)
    assert (request.transfer_started, request.transfer_completed) == (None, None)
    assert begin.replace(microsecond=0) <= request.timestamp <= utcnow()
    assert {bell.host for bell in Doorbell.select()} == {"alpenhost1", "alpenhost2"}


def test_every_call_adds_a_request(make: Any, source: Any, run: Any) -> None:
    make.copy("a/f", source)
    for _ in range(2):
        assert run("file", "sync", "a/f", "--from=n", "--to=g").stdout == "Request submitted.\n"
    assert ArchiveFileCopyRequest.select().count() == 2


@pytest.mark.parametrize("wants", "YMN")
@pytest.mark.parametrize("force", [[], ["--force"]])
def test_present_in_the_group(
    make: Any, source: Any, run: Any, dump: Any, wants: str, force: list[str]
) -> None:
    """Whatever `wants_file` says; not even --force makes a request."""
    make.copy("a/f", source)
    make.copy("a/f", make.node("g3", "g"), "Y", wants)
    tables = dump()
    result = run("file", "sync", "a/f", "--from=n", "--to=g", *force)
    assert result.code == 0
    assert result.stdout.startswith("Not done:")
    assert all(word in result.stdout for word in ('"a/f"', '"g3"', '"g"', "already present"))
    assert dump() == tables


@pytest.mark.parametrize("has", ["N", "M", "X"])
def test_a_bad_copy_in_the_group_is_no_hindrance(
    make: Any, source: Any, run: Any, has: str
) -> None:
    make.copy("a/f", source, "Y", "N")
    make.copy("a/f", make.node("g3", "g"), has)
    assert run("file", "sync", "a/f", "--from=n", "--to=g").stdout == "Request submitted.\n"


@pytest.mark.parametrize("has", ["", "N", "M", "X"])
def test_no_good_copy_at_the_source(make: Any, source: Any, run: Any, dump: Any, has: str) -> None:
    if has:
        make.copy("a/f", source, has)
    tables = dump()
    refused = run("file", "sync", "a/f", "--from=n", "--to=g")
    assert refused.code == 0
    assert refused.stdout.startswith("Not done:") and "missing" in refused.stdout
    assert dump() == tables
    forced = run("file", "sync", "a/f", "--from=n", "--to=g", "--force")
    first, second = forced.stdout.splitlines()
    assert "forced" in first
    assert second == "Request submitted."
    assert ArchiveFileCopyRequest.select().count() == 1


@pytest.fixture
def requests(make: Any, source: Any) -> dict[str, int]:
    """Pending requests for a/f, and others that no cancel of a/f may touch."""
    other = make.node("n2")
    rows = {
        "n>g": make.request("a/f", source, "g"),
        "n>h": make.request("a/f", source, "h"),
        "n2>g": make.request("a/f", other, "g"),
        "n2>h": make.request("a/f", other, "h"),
    }
    make.request("a/f", source, "g", completed=True)
    make.request("a/f", source, "g", cancelled=True)
    make.request("a/other", source, "g")
    return {name: row.id for name, row in rows.items()}


@pytest.mark.parametrize(
    ("limits", "cancelled", "message"),
    [
        ("", {"n>g", "n>h", "n2>g", "n2>h"}, "Cancelled 4 requests."),
        ("--from=n", {"n>g", "n>h"}, "Cancelled 2 requests."),
        ("--to=g", {"n>g", "n2>g"}, "Cancelled 2 requests."),
        ("--from=n --to=h", {"n>h"}, "Cancelled 1 request."),
        ("--from=n --to=h --force", {"n>h"}, "Cancelled 1 request."),
        ("--from=g1", set(), "No requests to cancel."),
    ],
)
def test_cancel(
    requests: dict[str, int],
    run: Any,
    dump: Any,
    limits: str,
    cancelled: set[str],
    message: str,
) -> None:
    def untouched(tables: dict[str, Any]) -> list[Any]:
        chosen = {requests[name] for name in cancelled}
        return [row for row in tables["archivefilecopyrequest"] if row[0] not in chosen]

    before = dump()
    result = run("file", "sync", "a/f", "--cancel", *limits.split())
    assert (result.stdout, result.code) == (f"{message}\n", 0)
    assert untouched(dump()) == untouched(before)
    for name, request_id in requests.items():
        assert ArchiveFileCopyRequest.get_by_id(request_id).cancelled is (name in cancelled)


@pytest.mark.parametrize(
    ("args", "code", "phrase"),
    [
        ("a/f", 2, "missing --from"),
        ("a/f --to=g", 2, "missing --from"),
        ("a/f --from=n", 2, "missing --to"),
        ("a/f --from=n --force", 2, "missing --to"),
        ("a/f -x", 2, "-x"),
        ("--from=n --to=g", 2, "FILE"),
        ("a/x --from=n --to=g", 1, "No such file"),
        ("a/f --from=x --to=g", 1, "No such storage node"),
        ("a/f --from=n --to=x", 1, "No such storage group"),
        ("a/x --cancel", 1, "No such file"),
        ("a/f --cancel --from=x", 1, "No such storage node"),
        ("a/f --cancel --to=x", 1, "No such storage group"),
    ],
)
def test_errors(
    requests: Any, make: Any, run: Any, dump: Any, args: str, code: int, phrase: str
) -> None:
    make.copy("a/f", make.node("holder"))
    tables = dump()
    result = run("file", "sync", *args.split())
    assert (result.stdout, result.code) == ("", code)
    assert phrase in result.stderr
    assert dump() == tables
