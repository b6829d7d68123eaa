"""What follows when a verified copy was added: auto-sync and auto-clean (spec: §11)."""

from __future__ import annotations

import datetime

import pytest

from alpenhorn import db
from alpenhorn.db import connection
from alpenhorn.db.queries import autoactions, doorbell

LONG_AGO = datetime.datetime(2020, 1, 1)


@pytest.fixture
def nodes(make):
    return [make.node("src", host="a"), make.node("dst", host="b")]


def apply(node, *copies):
    with connection.change():
        autoactions.apply(node, [copy.file_id for copy in copies])


def requests():
    return [
        (str(r.file.path), r.node_from.name, r.group_to.name)
        for r in db.ArchiveFileCopyRequest.select()
    ]


def test_auto_sync_asks_for_a_copy_in_each_group_of_an_edge(make, nodes, edge):
    third = make.node("third")
    for dest in (nodes[1], third):
        edge(nodes[0], dest.group, autosync=True)
    apply(nodes[0], make.copy("a/f", nodes[0]))
    assert sorted(requests()) == [("a/f", "src", "dst"), ("a/f", "src", "third")]
    request = db.ArchiveFileCopyRequest.get()
    assert not request.completed and not request.cancelled
    assert request.timestamp is not None


@pytest.mark.parametrize("has,wants", ["MY", "XY", "NY", "NN", "YN"])
def test_auto_sync_asks_if_the_group_has_no_good_copy_that_stays(make, nodes, edge, has, wants):
    """A released copy counts as absent (W-7)."""
    edge(nodes[0], nodes[1].group, autosync=True)
    make.copy("a/f", nodes[1], has, wants)
    apply(nodes[0], make.copy("a/f", nodes[0]))
    assert len(requests()) == 1


@pytest.mark.parametrize("wants", "YM")
def test_auto_sync_does_not_ask_for_what_is_there(make, nodes, edge, wants):
    edge(nodes[0], nodes[1].group, autosync=True)
    make.copy("a/f", nodes[1], "Y", wants)
    apply(nodes[0], make.copy("a/f", nodes[0]))
    assert requests() == []


def test_auto_sync_asks_again_only_after_a_request_has_ended(make, nodes, edge):
    edge(nodes[0], nodes[1].group, autosync=True)
    copy = make.copy("a/f", nodes[0])
    apply(nodes[0], copy)
    apply(nodes[0], copy)
    assert len(requests()) == 1
    db.ArchiveFileCopyRequest.update(cancelled=True).execute()
    apply(nodes[0], copy)
    assert len(requests()) == 2


def test_a_request_from_another_node_does_not_count(make, nodes, edge):
    edge(nodes[0], nodes[1].group, autosync=True)
    make.request("a/f", make.node("third"), "dst")
    apply(nodes[0], make.copy("a/f", nodes[0]))
    assert len(requests()) == 2


def test_auto_clean_releases_healthy_copies_at_the_source(make, nodes, edge):
    edge(nodes[0], nodes[1].group, autoclean=True)
    before = make.copy("a/f", nodes[0], last_update=LONG_AGO)
    make.copy("a/other", nodes[0])
    apply(nodes[1], make.copy("a/f", nodes[1]))
    assert make.states(nodes[0]) == {"a/f": "YN", "a/other": "YY"}
    assert db.ArchiveFileCopy.get_by_id(before.id).last_update > before.last_update
    assert requests() == []


@pytest.mark.parametrize("state", ["YM", "YN", "MY", "XY", "NY"])
def test_auto_clean_touches_only_healthy_copies(make, nodes, edge, state):
    edge(nodes[0], nodes[1].group, autoclean=True)
    make.copy("a/f", nodes[0], *state)
    apply(nodes[1], make.copy("a/f", nodes[1]))
    assert make.states(nodes[0]) == {"a/f": state}


def test_edges_without_flags_and_edges_of_others_do_nothing(make, nodes, edge):
    edge(nodes[0], nodes[1].group)
    edge(nodes[1], nodes[0].group, autosync=True, autoclean=True)
    make.copy("a/x", nodes[1])
    apply(nodes[0], make.copy("a/f", nodes[0]))
    assert requests() == []
    assert make.states(nodes[1]) == {"a/x": "YY"}


def test_both_hosts_are_rung(make, nodes, edge):
    edge(nodes[0], nodes[1].group, autosync=True, autoclean=True)
    edge(nodes[1], nodes[0].group, autosync=True, autoclean=True)
    apply(nodes[0], make.copy("a/f", nodes[0]))
    assert doorbell.rings("b") >= 1
    assert doorbell.rings("a") == 0


def test_an_empty_list_asks_nothing(make, nodes, statements):
    with statements() as seen:
        autoactions.apply(nodes[0], [])
    assert seen == []
