"""What daemons share beside the nine tables: the doorbell, the lease; and their first questions."""

from __future__ import annotations

import datetime

import peewee as pw
import pytest

from alpenhorn import db
from alpenhorn.db import connection, operations
from alpenhorn.db.queries import doorbell, failures, leases, nodes
from alpenhorn.errors import IndexProblem

ME = leases.Holder("token-1", "machine", 42, "3.0.0")
YOU = leases.Holder("token-2", "machine", 43, "3.0.0")


# ---- doorbell


def test_a_bell_counts_per_host(index):
    assert doorbell.rings("here") == 0
    doorbell.ring(["here", "here", None, "", "there"])
    doorbell.ring(["here"])
    assert (doorbell.rings("here"), doorbell.rings("there")) == (2, 1)


def test_the_bell_rings_for_the_hosts_of_nodes_and_of_the_active_nodes_of_groups(make):
    one = make.node("one", group="g", host="h1")
    make.node("two", group="g", host="h2", active=False)
    make.node("three", group="g", host=None)
    doorbell.ring_nodes([one.id])
    assert doorbell.rings("h1") == 1
    doorbell.ring_groups([one.group_id])
    assert [doorbell.rings(host) for host in ("h1", "h2")] == [2, 0]


def test_nobody_loses_a_ring(index, together):
    def ring_often():
        for _ in range(20):
            with connection.change():
                doorbell.ring(["here"])

    together(*[ring_often] * 4)
    assert doorbell.rings("here") == 80


def test_a_ring_is_undone_with_the_request_that_it_announces(index):
    with pytest.raises(RuntimeError), index.atomic():
        doorbell.ring(["here"])
        raise RuntimeError
    assert doorbell.rings("here") == 0


def test_without_our_tables_there_is_no_bell_and_no_error(index):
    for model in operations.OPERATIONS_TABLES:
        model.drop_table()
    db.DataIndexVersion.delete().where(db.DataIndexVersion.component == "operations").execute()
    doorbell.ring(["here"])
    assert not doorbell.available()
    assert doorbell.rings("here") is None


def test_a_bell_that_cannot_be_read_is_no_error(index):
    assert doorbell.available()
    operations.Doorbell.drop_table()
    assert doorbell.rings("here") is None


# ---- leases


def test_the_first_daemon_of_a_host_gets_the_lease_and_the_second_does_not(index):
    assert leases.read("here") is None
    assert leases.take("here", ME, over=None)
    assert not leases.take("here", YOU, over=None)
    lease = leases.read("here")
    assert (lease.holder, lease.machine, lease.pid, lease.version) == (
        "token-1", "machine", 42, "3.0.0",
    )  # fmt: skip
    assert datetime.timedelta() <= leases.age(lease) < datetime.timedelta(minutes=1)


def test_of_many_daemons_that_start_at_once_one_gets_the_lease(index, together):
    holders = [leases.Holder(f"t{n}", "m", n, "3") for n in range(6)]
    won = together(*[lambda h=h: leases.take("here", h, over=None) for h in holders])
    assert sum(won) == 1
    assert leases.read("here").holder == holders[won.index(True)].token


def test_a_lapsed_lease_is_taken_over_once(index, together):
    leases.take("here", ME, over=None)
    holders = [leases.Holder(f"t{n}", "m", n, "3") for n in range(4)]
    won = together(*[lambda h=h: leases.take("here", h, over="token-1") for h in holders])
    assert sum(won) == 1
    assert not leases.renew("here", "token-1")


def test_a_holder_renews_and_others_do_not(index):
    leases.take("here", ME, over=None)
    long_ago = datetime.datetime(2020, 1, 1)
    operations.DaemonLease.update(last_seen=long_ago).execute()
    assert not leases.renew("here", "token-2")
    assert leases.read("here").last_seen == long_ago
    assert leases.renew("here", "token-1")
    assert leases.read("here").last_seen > long_ago
    assert not leases.renew("there", "token-1")


def test_only_the_holder_gives_the_lease_up(index):
    leases.take("here", ME, over=None)
    leases.release("here", "token-2")
    assert leases.read("here") is not None
    leases.release("here", "token-1")
    assert leases.read("here") is None
    assert leases.take("here", YOU, over=None)


def test_hosts_have_leases_of_their_own(index):
    assert leases.take("here", ME, over=None)
    assert leases.take("there", ME, over=None)


# ---- nodes


def test_a_daemon_finds_the_active_nodes_of_its_host(make, statements):
    two = make.node("two", group="g")
    one = make.node("one", group="g")
    make.node("asleep", active=False)
    make.node("elsewhere", host="there")
    make.node("case", host="HERE")
    with statements() as seen:
        found = [(node.id, node.group.name) for node in nodes.active_on("here")]
    assert found == [(two.id, "g"), (one.id, "g")]
    assert len(seen) == 1


def test_a_node_that_was_deactivated_is_noticed(make):
    node = make.node("n")
    assert nodes.still_active(node.id)
    db.StorageNode.update(active=False).execute()
    assert not nodes.still_active(node.id)
    assert not nodes.still_active(999)


def test_the_oldest_pending_init_request_is_found(make):
    node = make.node("n")
    requests = [
        db.ArchiveFileImportRequest.create(node=node, path=path, completed=done)
        for path, done in [
            ("ALPENHORN_NODE", True),
            ("a/f", False),
            ("ALPENHORN_NODE", False),
            ("ALPENHORN_NODE", False),
        ]
    ]
    assert nodes.init_request(node).id == requests[2].id
    assert nodes.init_request(make.node("other")) is None


# ---- failures


def test_database_errors_are_one_line_for_a_person(index):
    with pytest.raises(IndexProblem) as caught, failures.reported():
        raise pw.OperationalError("disk I/O\n   error")
    assert caught.value.message == "Data Index error: disk I/O error"


def test_other_errors_pass(index):
    with pytest.raises(RuntimeError), failures.reported():
        raise RuntimeError
