"""A change that the server undid to end a deadlock is repeated as a whole."""

from __future__ import annotations

import threading

import peewee as pw
import pytest

from alpenhorn import db
from alpenhorn.db import connection

DEADLOCKS = [
    pw.OperationalError(1213, "Deadlock found when trying to get lock; try restarting transaction"),
    pw.OperationalError("deadlock detected\nDETAIL:  Process 1 waits for ShareLock"),
]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(connection, "_DEADLOCK_PAUSES_S", (0.0, 0.0, 0.0))


def failing(*faults):
    """A change that fails so and then works; counts its attempts in the index."""
    left = list(faults)

    @connection.repeat_on_deadlock
    def change():
        with connection.change():
            db.StorageGroup.create(name=f"{len(left)} faults left")
            if left:
                raise left.pop(0)
            return "done"

    return change


@pytest.mark.parametrize("fault", DEADLOCKS, ids=["MySQL", "PostgreSQL"])
def test_it_is_repeated_and_done_once(index, fault):
    assert failing(fault, fault)() == "done"
    assert [group.name for group in db.StorageGroup.select()] == ["0 faults left"]


def test_it_is_not_repeated_for_ever(index):
    with pytest.raises(pw.OperationalError, match="Deadlock"):
        failing(*DEADLOCKS[:1] * 10)()


@pytest.mark.parametrize("fault", [pw.OperationalError("database is locked"), KeyError("x")])
def test_after_other_errors_it_is_not_repeated(index, fault):
    with pytest.raises(type(fault)):
        failing(fault)()
    assert db.StorageGroup.select().count() == 0


def test_inside_the_callers_transaction_it_is_not_repeated(index):
    """The server has undone the caller's part as well."""
    with pytest.raises(pw.OperationalError), connection.change():
        failing(DEADLOCKS[0])()


def test_two_changes_that_lock_crosswise_are_both_done(make, together, index_kind):
    if index_kind == "sqlite":
        pytest.skip("SQLite has one write lock and no deadlocks")
    ids = [make.node(name).id for name in ("one", "two")]
    both_have_one = threading.Barrier(2)

    def crosswise(first, second):
        met = []

        @connection.repeat_on_deadlock
        def change():
            with connection.change():
                for number, node_id in enumerate((first, second)):
                    db.StorageNode.update(auto_verify=db.StorageNode.auto_verify + 1).where(
                        db.StorageNode.id == node_id
                    ).execute()
                    if number == 0 and not met:
                        met.append(True)
                        both_have_one.wait(30)

        return change

    together(crosswise(*ids), crosswise(*reversed(ids)))
    assert [node.auto_verify for node in db.StorageNode.select()] == [2, 2]
