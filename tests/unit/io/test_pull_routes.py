"""The way to a source: what rows may say about it, how fast it may be, and which mover takes it."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import fake_bbcp
from alpenhorn import db, events
from alpenhorn.db.operations import TransferAttempt
from alpenhorn.errors import FailureClass, StorageError
from alpenhorn.io.default import DefaultNodeIO
from alpenhorn.io.default.jobs import pull, route
from alpenhorn.transfer import bbcp
from alpenhorn.transfer.batch import Endpoint, Item
from alpenhorn.transfer.options import read_options

pytestmark = pytest.mark.skipif(shutil.which("rsync") is None, reason="rsync is not installed")

FILE = "2025/02/21/meta.txt"
DATA = b"some data of an instrument"
MIB = 2**20

# Drops what names the host, as ssh does after logging in, and keeps a record of its calls.
FAKE_SSH = """#!/bin/sh
echo login >> {log}
while [ "$1" = "-l" ]; do shift 2; done
shift
exec "$@"
"""


@pytest.fixture
def shell(tmp_path: Path, daemon_config: Any) -> Callable[..., None]:
    """A remote shell that leads to this machine; sets further keys below ``daemon``."""
    script = tmp_path / "remote-shell"
    script.write_text(FAKE_SSH.format(log=shlex.quote(str(tmp_path / "logins"))))
    script.chmod(0o755)

    def configure(**keys: object) -> None:
        daemon_config(remote_shell=str(script), **keys)

    configure()
    return configure


@pytest.fixture
def source(site: Any, shell: Any) -> Any:
    return site.node("src", host="far", username="user", address="far.example")


@pytest.fixture
def io(site: Any) -> Any:
    return site.node("dst")


@pytest.fixture(autouse=True)
def afternoon(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is Monday, 15:00."""
    clock = SimpleNamespace(now=lambda: datetime(2025, 3, 3, 15))
    monkeypatch.setattr(route, "datetime", clock)


def pull_one(site: Any, source: Any, io: Any, path: str = FILE, data: bytes = DATA) -> Any:
    site.put(source, path, data)
    request = site.make.request(path, source.node, "dst")
    io.pull_many([request], True)
    site.run()
    return request


def logins(site: Any) -> int:
    log = site.tmp / "logins"
    return len(log.read_text().splitlines()) if log.exists() else 0


def with_config(io: Any, **values: object) -> Any:
    """The node I/O as it is made when the record holds this I/O config."""
    io.config = values
    return io


BAD_ROWS: list[tuple[dict[str, object], str]] = [
    ({"address": "-oProxyCommand=touch owned"}, 'invalid address "-oProxyCommand=touch owned"'),
    ({"address": "far.example -p 22"}, 'invalid address "far.example -p 22"'),
    ({"address": "far.example;touch owned"}, "invalid address"),
    ({"address": "far\nexample"}, 'invalid address "far\\nexample"'),
    ({"address": None}, "no user name or address for node src"),
    ({"username": "some body"}, 'invalid user name "some body"'),
    ({"username": "-l"}, 'invalid user name "-l"'),
    ({"username": "$(touch owned)"}, "invalid user name"),
    ({"username": None}, "no user name or address for node src"),
    ({"root": "/da\nta"}, "invalid root '/da\\nta' of node src: control character"),
    ({"io_config": '{"ssh_port": "22 -oProxyCommand=x"}'}, "invalid ssh_port in the I/O config"),
    ({"io_config": '{"ssh_identity": "-oProxyCommand=x"}'}, "invalid ssh_identity in the I/O"),
    ({"io_config": '{"rsync_path": "rsync; touch owned"}'}, "invalid rsync_path in the I/O"),
    ({"io_config": '{"compress": "--delete"}'}, "invalid compress in the I/O config"),
    ({"io_config": '{"bandwidth": "Mon-Fry 20M"}'}, '"Fry" is no day'),
    ({"io_config": "{"}, "I/O config is not JSON"),
]


@pytest.mark.parametrize(("row", "said"), BAD_ROWS)
def test_a_bad_row_leaves_the_request_pending_with_its_reason(
    site: Any, source: Any, io: Any, lines: Any, heard: Any, row: dict[str, object], said: str
) -> None:
    db.StorageNode.update(row).where(db.StorageNode.name == "src").execute()
    request = pull_one(site, source, io)
    assert logins(site) == 0
    assert not list(site.tmp.rglob("owned"))
    assert site.state(source, FILE) == "YY"
    assert site.state(io, FILE) is None
    row_now = db.ArchiveFileCopyRequest.get_by_id(request.id)
    assert not (row_now.completed or row_now.cancelled)
    [attempt] = TransferAttempt.select()
    assert (attempt.request_id, attempt.failure) == (request.id, "route")
    assert said in attempt.message
    assert attempt.message.isprintable()
    assert lines("WARNING") == [attempt.message]
    ended = [event.failure for event in heard if isinstance(event, events.TransferEnded)]
    assert ended == [FailureClass.ROUTE], "the route rests"
    assert site.reserved() == 0


def test_a_path_with_a_newline_holds_up_nobody_else(
    site: Any, source: Any, io: Any, lines: Any
) -> None:
    bad = "2025/02/21/new\nline"
    for path in (bad, FILE):
        site.put(source, path, DATA)
    requests = [site.make.request(path, source.node, "dst") for path in (bad, FILE)]
    io.pull_many(requests, True)
    site.run()
    assert site.state(io, FILE) == "YY"
    assert site.state(io, bad) is None
    assert site.state(source, bad) == "YY"
    assert not db.ArchiveFileCopyRequest.get_by_id(requests[0].id).completed
    attempt = TransferAttempt.get(TransferAttempt.request_id == requests[0].id)
    assert "'2025/02/21/new\\nline': control character in the path" in attempt.message
    assert lines("ERROR") == [attempt.message]


def test_a_bad_limit_of_the_destination_is_told_with_its_name(
    site: Any, source: Any, io: Any, lines: Any
) -> None:
    pull_one(site, source, with_config(io, bandwidth="quick"))
    assert site.state(io, FILE) is None
    assert lines("WARNING") == [
        "Skipping pull from src: node dst: invalid bandwidth in the I/O config:"
        ' "quick": "quick" is no rate; use [DAYS] [HH:MM-HH:MM] RATE,'
        " such as 20M or Mon-Fri 08:00-18:00 20M"
    ]


def test_the_nodes_own_rsync_is_called(site: Any, source: Any, io: Any) -> None:
    program = site.tmp / "my-rsync"
    program.write_text(f'#!/bin/sh\ntouch {site.tmp}/called\nexec rsync "$@"\n')
    program.chmod(0o755)
    config = json.dumps({"rsync_path": str(program), "compress": "yes"})
    db.StorageNode.update(io_config=config).where(db.StorageNode.name == "src").execute()
    pull_one(site, source, io)
    assert site.state(io, FILE) == "YY"
    assert (site.tmp / "called").exists()


# ---- bandwidth


@pytest.mark.parametrize(
    ("of_source", "of_destination", "rate"),
    [
        (None, None, None),
        ("20M", None, 20),
        (None, "10M", 10),
        ("20M", "10M", 10),
        ("10M", "20M", 10),
        ("Mon-Fri 08:00-18:00 5M", "10M", 5),
        ("Sat 5M", "18:00-08:00 10M", None),
        (["Sat 5M", "7M"], None, 7),
    ],
)
def test_the_stricter_limit_of_both_nodes_holds(
    io: Any, of_source: object, of_destination: object, rate: int | None
) -> None:
    options = read_options({"bandwidth": of_source})
    source = Endpoint(False, "user@far", "/", options)
    limits = route.limits_for(with_config(io, bandwidth=of_destination), source, [])
    assert limits.bwlimit == (rate and rate * MIB)


def test_local_copies_know_no_limit(io: Any) -> None:
    options = read_options({"bandwidth": "1M"})
    assert route.limits_for(io, Endpoint(True, None, "/", options), []).bwlimit is None


def test_a_transfer_that_we_slow_down_does_not_time_out(io: Any, daemon_config: Any) -> None:
    daemon_config(pull_timeout_base=10, pull_bytes_per_second=20e6)
    source = Endpoint(False, "user@far", "/", read_options({"bandwidth": "1M"}))
    limits = route.limits_for(io, source, [Item(1, "x", "/x", 100 * MIB)])
    assert limits.timeout is not None
    assert limits.timeout >= 100 + 10
    daemon_config(pull_bytes_per_second=0)
    assert route.limits_for(io, source, [Item(1, "x", "/x", 100 * MIB)]).timeout is None


@pytest.mark.parametrize("limited", ["src", "dst"])
def test_limited_transfers_take_turns(site: Any, source: Any, io: Any, limited: str) -> None:
    """Each rsync keeps to the rate by itself: two at once would be twice as fast."""
    if limited == "src":
        config = json.dumps({"bandwidth": "20M"})
        db.StorageNode.update(io_config=config).where(db.StorageNode.name == "src").execute()
    else:
        with_config(io, bandwidth="20M")
    site.put(source, FILE, DATA)
    request = site.make.request(FILE, source.node, "dst")
    request.node_from = db.StorageNode.get(name="src")
    waiting = pull._pull_in_turn(None, io, [request], True)  # type: ignore[arg-type]
    assert pull._turns.take({("bandwidth", limited): 1})
    assert next(waiting) == pull.TURN_S
    assert next(waiting) == pull.TURN_S
    assert site.state(io, FILE) is None
    pull._turns.give_back({("bandwidth", limited): 1})
    assert list(waiting) == []
    assert site.state(io, FILE) == "YY"
    assert pull._turns.take({("bandwidth", limited): 1}), "given back"
    pull._turns.give_back({("bandwidth", limited): 1})


@pytest.mark.parametrize(
    ("key", "busy", "waits"),
    [
        ("route_transfers", ("route", "src", "dst"), True),
        ("route_transfers", ("route", "src", "elsewhere"), False),
        ("node_transfers", ("node", "src"), True),
        ("node_transfers", ("node", "dst"), True),
        ("node_transfers", ("node", "elsewhere"), False),
    ],
)
def test_no_more_transfers_at_a_time_than_configured(
    site: Any, source: Any, io: Any, shell: Any, key: str, busy: Any, waits: bool
) -> None:
    shell(**{key: 2})
    site.put(source, FILE, DATA)
    request = site.make.request(FILE, source.node, "dst")
    others = {busy: 2}
    assert pull._turns.take(others)
    assert pull._turns.take(others)
    try:
        transfer = pull._pull_in_turn(None, io, [request], True)  # type: ignore[arg-type]
        if waits:
            assert next(transfer) == pull.TURN_S
            assert site.state(io, FILE) is None
            pull._turns.give_back(others)
        assert list(transfer) == []
        assert site.state(io, FILE) == "YY"
    finally:
        pull._turns.give_back(others)


def test_transfers_without_a_limit_wait_for_nobody(site: Any, source: Any, io: Any) -> None:
    assert pull._turns.take({("bandwidth", "src"): 1, ("bandwidth", "dst"): 1})
    try:
        pull_one(site, source, io)
    finally:
        pull._turns.give_back({("bandwidth", "src"): 1, ("bandwidth", "dst"): 1})
    assert site.state(io, FILE) == "YY"


# ---- bbcp


@pytest.fixture
def both_have_bbcp(
    tmp_path: Path, shell: Any, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Path]:
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}", prepend=":")
    monkeypatch.setattr(route, "ends", bbcp.Ends())
    shell(single_file_bytes=10)
    return lambda failure="": fake_bbcp.install(tmp_path / "bin", failure)


def test_a_large_file_travels_with_bbcp(
    site: Any, source: Any, io: Any, both_have_bbcp: Any, lines: Any
) -> None:
    log = both_have_bbcp()
    pull_one(site, source, io)
    assert site.read(io, FILE) == DATA
    assert site.state(io, FILE) == "YY"
    assert len(fake_bbcp.calls(log)) == 1
    assert f"Pulling remote file {FILE} using bbcp" in lines("INFO")


def test_what_bbcp_fails_to_bring_rsync_brings(
    site: Any, source: Any, io: Any, both_have_bbcp: Any
) -> None:
    both_have_bbcp("breaks off")
    pull_one(site, source, io)
    assert site.state(io, FILE) == "YY"
    assert site.state(source, FILE) == "YY"


def test_what_bbcp_spoils_is_never_present(
    site: Any, source: Any, io: Any, both_have_bbcp: Any
) -> None:
    """The rule of evidence: what arrived is read back, whoever brought it."""
    both_have_bbcp("corrupts")
    pull_one(site, source, io)
    assert site.read(io, FILE) is None
    assert site.state(io, FILE) is None


@pytest.mark.parametrize(
    ("config", "data"),
    [({"bbcp": "no"}, DATA), ({"bandwidth": "20M"}, DATA), ({}, b"small")],
)
def test_bbcp_is_not_used(
    site: Any, source: Any, io: Any, both_have_bbcp: Any, config: Any, data: bytes
) -> None:
    """Not where it is switched off, nor under a limit, nor for small files."""
    log = both_have_bbcp()
    update = db.StorageNode.update(io_config=json.dumps(config))
    update.where(db.StorageNode.name == "src").execute()
    pull_one(site, source, io, data=data)
    assert site.state(io, FILE) == "YY"
    assert fake_bbcp.calls(log) == []


# ---- before it is stored


def test_the_class_refuses_what_it_cannot_work_with() -> None:
    DefaultNodeIO.check_config({"ssh_port": 22, "unknown": "is left to others"})
    with pytest.raises(StorageError, match="invalid ssh_port"):
        DefaultNodeIO.check_config({"ssh_port": "-1"})
