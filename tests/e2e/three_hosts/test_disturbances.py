"""What breaks under three hosts is not taken for broken data, and work goes on after it.

Each test disturbs a site at work, prints what index and disks say before, during and after it
(``pytest -rP``), and leaves the site in order for the next. "Asked" is asked once: with one import
request, whose files the auto-syncs carry to the other hosts.
"""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

import pytest

from e2e.three_hosts.fleet import QUICK, Fleet
from e2e.three_hosts.world import ADDRESSES, HOSTS, ZONES, World

pytestmark = pytest.mark.slow

MB = 1_000_000

OUTAGE_S = float(os.environ.get("ALPENHORN_TEST_OUTAGE_S", "12"))
"""How long the database server is away."""

AWAY = "waiting for the database."


@pytest.fixture(scope="module")
def site(build: Callable[..., World]) -> Iterator[Fleet]:
    """Three hosts at work."""
    fleet = Fleet(build(QUICK))
    with fleet.daemons:
        yield fleet


@pytest.fixture
def fleet(site: Fleet) -> Fleet:
    """The site, in order: a test that failed has not left it to the next one."""
    site.alive()
    return site


def in_the_middle(fleet: Fleet, acq: str, size_b: int, count: int) -> dict[str, str]:
    """Send files; returns when some of their bytes, but not all, are on the second host."""
    md5s = fleet.send(acq, count, size_b)
    fleet.wait(lambda: fleet.staged_b("alpenhost2") > MB, what="the first bytes")
    assert fleet.states("node2", acq) == {}, "disturbed too late"
    return md5s


def assert_never_doubted(fleet: Fleet, acq: str, checked_on: str = "") -> None:
    """No copy was ever anything but present.

    Args:
        fleet: the site.
        acq: the acquisition.
        checked_on: a node where files may have been found without a record, and then checked.
    """
    for node, ever in fleet.ever(acq).items():
        assert "YY" in ever
        assert ever <= ({"YY", "MY"} if node == checked_on else {"YY"})
    for host in HOSTS:
        assert not fleet.logged(host, "corrupt")
        assert not fleet.logged(host, "marked suspect")


def test_a_route_that_is_cut_during_a_sync(fleet: Fleet) -> None:
    acq = "2025/03/01"
    before = len(fleet.log("alpenhost2"))
    md5s = in_the_middle(fleet, acq, 16 * MB, 3)
    fleet.tell("before", acq)
    with fleet.world.cut("alpenhost1"):
        failed = "Pull from node1 to node2 failed (route)"
        fleet.wait(lambda: fleet.logged("alpenhost2", failed, before), what="the failure")
        fleet.tell("during", acq)
    fleet.wait(lambda: fleet.everywhere(acq, md5s), what="all copies")
    fleet.tell("after", acq)
    print("reasons kept:", fleet.reasons(acq))
    assert [reason for reason in fleet.reasons(acq) if reason.startswith("route: ")]
    assert_never_doubted(fleet, acq)


def test_a_host_that_is_killed_and_comes_back(fleet: Fleet) -> None:
    """All its processes at once: the daemon in the middle of a pull, rsync, the ssh server."""
    acq = "2025/03/02"
    md5s = in_the_middle(fleet, acq, 16 * MB, 3)
    fleet.tell("before", acq)
    fleet.world.kill("alpenhost2")
    fleet.tell("during", acq)
    assert set(fleet.states("node1", acq).values()) == {"YY"}
    # Its lease lapses after a minute; a service manager would start the daemon again until then.
    fleet.change(
        "UPDATE alpenhorn_daemon SET last_seen = last_seen - INTERVAL 60 SECOND"
        " WHERE host = 'alpenhost2'"
    )
    fleet.world.boot("alpenhost2")
    fleet.start("alpenhost2")
    fleet.wait(lambda: fleet.everywhere(acq, md5s), what="all copies")
    fleet.tell("after", acq)
    assert_never_doubted(fleet, acq, checked_on="node2")
    fleet.wait(lambda: fleet.staged_b("alpenhost2") == 0, what="a tidy disk")


def test_an_ssh_key_that_is_refused_and_then_allowed(fleet: Fleet) -> None:
    acq = "2025/03/03"
    fleet.tell("before", acq)
    with fleet.world.keys_refused("alpenhost1"):
        md5s = fleet.send(acq, 3, 1000)
        fleet.wait(lambda: fleet.reasons(acq), what="the failure")
        fleet.tell("during", acq)
        print("reasons kept:", fleet.reasons(acq))
        assert fleet.pending(acq) == 3
        assert any("Permission denied" in reason for reason in fleet.reasons(acq))
    fleet.wait(lambda: fleet.everywhere(acq, md5s), what="all copies")
    fleet.tell("after", acq)
    assert_never_doubted(fleet, acq)


def test_times_are_the_same_in_all_time_zones(fleet: Fleet) -> None:
    """Hosts and server are up to 21 hours apart; the index has UTC, and the shell says so."""
    acq = "2025/03/04"
    begin = utcnow()
    md5s = fleet.send(acq, 2, 1000)
    fleet.wait(lambda: fleet.everywhere(acq, md5s), what="all copies")
    end = utcnow()
    times = {
        "registered": "SELECT registered FROM archivefile",
        "last_update": "SELECT last_update FROM archivefilecopy",
        "transfer requested": "SELECT timestamp FROM archivefilecopyrequest",
        "transfer started": "SELECT transfer_started FROM archivefilecopyrequest",
        "transfer completed": "SELECT transfer_completed FROM archivefilecopyrequest",
        "import requested": "SELECT timestamp FROM archivefileimportrequest",
    }
    for what, sql in times.items():
        newest = fleet.rows(f"{sql} ORDER BY id DESC LIMIT 1")[0][0]
        print(f"{what}: {newest} UTC; the test ran from {begin:%H:%M:%S} to {end:%H:%M:%S}")
        assert begin <= newest <= end, what
    hours = {host: fleet.world[host].run("date", "+%H %Z").strip() for host in ZONES}
    print("clocks on the walls:", hours)
    assert len(set(hours.values())) == len(ZONES)
    assert f"{end:%Y} UTC" in fleet.do("alpenhorn file list --node=node3 --details")


def utcnow() -> datetime.datetime:
    """Now, as the index writes it: to the second."""
    return datetime.datetime.now(datetime.UTC).replace(microsecond=0, tzinfo=None)


@pytest.mark.parametrize(
    ("column", "value"),
    [("address", "-oProxyCommand=touch${IFS}/tmp/owned"), ("username", "ro ot")],
)
def test_a_log_in_that_could_be_an_option_is_refused(fleet: Fleet, column: str, value: str) -> None:
    """By the command line; and if some other program wrote it, by the daemon, which waits."""
    acq = f"2025/04/{len(column):02}"
    refused = fleet.type(f"alpenhorn node modify node1 --{column}='{value}'")
    print(f"typed: exit status {refused.code}: {refused.stderr.strip()}")
    assert (refused.code, len(refused.stderr.splitlines())) == (1, 1)
    before = len(fleet.log("alpenhost2"))
    with fleet.changed(column, value):
        md5s = fleet.send(acq, 1, 1000)
        fleet.wait(lambda: fleet.logged("alpenhost2", "invalid ", before), what="the refusal")
        print([line.text for line in fleet.log("alpenhost2")[before:] if "invalid " in line.text])
        fleet.tell("during", acq)
        assert fleet.pending(acq) == 1
        fleet.alive()
        assert "owned" not in fleet.world["alpenhost2"].run("ls", "/tmp")
    fleet.wait(lambda: fleet.everywhere(acq, md5s), what="all copies")
    assert_never_doubted(fleet, acq)


def test_a_database_server_that_is_away_while_all_kinds_of_work_go_on(fleet: Fleet) -> None:
    """Some files are pulled twice and deleted where they came from, others are being imported."""
    fleet.do("alpenhorn node autoclean node1 node3")
    try:
        away_while_all_goes_on(fleet)
    finally:
        fleet.do("alpenhorn node autoclean --remove node1 node3")


def away_while_all_goes_on(fleet: Fleet) -> None:
    old, new = "2025/03/05", "2025/03/06"
    before = {host: len(fleet.log(host)) for host in HOSTS}
    md5s = {new: fleet.write(new, 800, 200), old: fleet.send(old, 800, 100_000)}
    fleet.wait(lambda: fleet.states("node2", old), what="the first pull")
    fleet.do(f"alpenhorn node scan node1 --register-new {new}")
    fleet.wait(lambda: fleet.states("node1", new), what="an import")
    fleet.wait(lambda: "NN" in fleet.states("node1", old).values(), what="a deletion")
    tell_both(fleet, "before", md5s)
    left = list(fleet.states("node1", old).values())
    assert "YY" in left, "too late for deletions"
    assert fleet.pending(old) > 0, "too late for pulls"
    assert len(fleet.states("node1", new)) < len(md5s[new]), "too late for imports"
    with fleet.world.without_database():
        until = time.monotonic() + OUTAGE_S
        fleet.wait(
            lambda: all(fleet.logged(host, AWAY, before[host]) for host in HOSTS),
            what="all daemons to notice",
        )
        fleet.wait(lambda: time.monotonic() > until, patience=OUTAGE_S + 1)
        tell_both(fleet, "during", md5s, index=False)
        fleet.alive()
    for acq in (old, new):
        carried_on(fleet, acq, md5s[acq])
    tell_both(fleet, "after", md5s)
    assert_waited_calmly(fleet, before, md5s)


def test_a_database_host_that_dies_while_daemons_wait_for_its_answer(fleet: Fleet) -> None:
    """Nobody tells them that the answer will never come; they notice, long before two hours."""
    acq = "2025/03/07"
    with fleet.locked("alpenhorn_doorbell"):
        hosts = {ADDRESSES[host] for host in HOSTS}
        fleet.wait(lambda: fleet.waiting() == hosts, what="all daemons to wait for an answer")
        with fleet.world.database_host_dead():
            fleet.tell("during", acq, index=False)
    begin = time.monotonic()
    md5s = fleet.send(acq, 2, 1000)
    fleet.wait(lambda: fleet.everywhere(acq, md5s), what="all copies")
    fleet.tell("after", acq)
    print(f"at work again after {time.monotonic() - begin:.0f} s")
    assert_never_doubted(fleet, acq)


def carried_on(fleet: Fleet, acq: str, md5s: dict[str, str]) -> None:
    """Wait until all files are in the archives, and gone from where they came from."""
    patience = 90 + OUTAGE_S
    fleet.wait(lambda: fleet.everywhere(acq, md5s, HOSTS[1:]), f"copies of {acq}", patience)
    gone = dict.fromkeys(md5s, "NN")
    fleet.wait(lambda: fleet.states("node1", acq) == gone, "the deletions")
    assert fleet.disk("alpenhost1", acq) == {}


def tell_both(fleet: Fleet, when: str, acqs: Iterable[str], index: bool = True) -> None:
    """Print what index and disks say of some acquisitions."""
    for acq in sorted(acqs):
        print(f"{acq}:")
        fleet.tell(when, acq, index)


def assert_waited_calmly(fleet: Fleet, before: Mapping[str, int], acqs: Iterable[str]) -> None:
    """No copy was doubted, no daemon ended or showed a traceback, and their pauses grew."""
    for acq in acqs:
        ever = fleet.ever(acq)
        assert ever["node1"] <= {"YY", "YN", "MN", "NN"}
        assert not any(state[0] == "X" for states in ever.values() for state in states)
    for host in HOSTS:
        log = fleet.log(host)[before[host] :]
        assert not [line for line in log if line.level == ""]
        assert 3 <= sum(line.text.endswith(AWAY) for line in log) <= 12
        assert sum(line.level == "ERROR" for line in log) <= 30, "tasks do not wait"
    fleet.alive()
