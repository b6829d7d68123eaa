"""The signs by which a group's waiting requests are left alone, or searched (design P6)."""

from __future__ import annotations

import pytest

from alpenhorn import db
from alpenhorn.db.queries import standstill

COPY, NODE, REQUEST = db.ArchiveFileCopy, db.StorageNode, db.ArchiveFileCopyRequest


@pytest.fixture
def nodes(make):
    """Three requests into `target`: from an inactive node, from a suspect copy, onto one."""
    found = {
        "away": make.node("away", active=False),
        "source": make.node("source"),
        "dest": make.node("dest", group="target"),
        "other": make.node("other"),
    }
    make.copy("a/away", found["away"])
    make.copy("a/there", found["source"], "M")
    make.copy("a/here", found["source"])
    make.copy("a/here", found["dest"], "M")
    make.copy("a/more", found["source"], "M")
    for path, source in (("a/away", "away"), ("a/there", "source"), ("a/here", "source")):
        make.request(path, found[source], "target")
    return found


def look(nodes, sources=None):
    group = nodes["dest"].group
    signs = standstill.signs(group, standstill.sources(group) if sources is None else sources)
    return signs, standstill.count_pending(group)


def set_copy(path, node, **values):
    acq, name = path.split("/")
    file = db.ArchiveFile.select().join(db.ArchiveAcq).where(db.ArchiveAcq.name == acq)
    found = [row.id for row in file.where(db.ArchiveFile.name == name)]
    assert COPY.update(values).where(COPY.file << found, COPY.node == node).execute() == 1


def swap_suspects(nodes):
    """As many copies are suspect as before, but others."""
    set_copy("a/there", nodes["source"], has_file="Y")
    set_copy("a/here", nodes["source"], has_file="M")


def swap_requests(make, nodes):
    REQUEST.update(cancelled=True).where(REQUEST.id == 1).execute()
    make.request("a/more", nodes["source"], "target")


MOVES = {
    "the source is switched on": lambda make, n: NODE.update(active=True).execute(),
    "the source's copy is found good": lambda make, n: set_copy(
        "a/there", n["source"], has_file="Y"
    ),
    "the destination's copy is found bad": lambda make, n: set_copy(
        "a/here", n["dest"], has_file="X"
    ),
    "one copy is found good, another becomes suspect": lambda make, n: swap_suspects(n),
    "a new request": lambda make, n: make.request("a/more", n["source"], "target"),
    "a new request from elsewhere": lambda make, n: make.request("a/more", n["other"], "target"),
    "a request is cancelled": lambda make, n: (
        REQUEST.update(cancelled=True).where(REQUEST.id == 1).execute()
    ),
    "one is cancelled, another comes": swap_requests,
    "a copy arrives in the group": lambda make, n: make.copy("a/away", n["dest"]),
    "a node joins the group": lambda make, n: (
        NODE.update(group=n["dest"].group).where(NODE.name == "other").execute()
    ),
}

NOTHING = {
    "a copy arrives elsewhere": lambda make, n: make.copy("b/new", n["other"]),
    "a source takes in new files": lambda make, n: make.copy("b/new", n["source"]),
    "a request of another group": lambda make, n: make.request("a/more", n["source"], "other"),
    "a copy is released": lambda make, n: set_copy("a/away", n["away"], wants_file="N"),
    "requests that have ended": lambda make, n: make.request(
        "b/old", n["source"], "target", completed=True
    ),
}


@pytest.mark.parametrize("what", MOVES)
def test_whatever_could_let_a_request_move_shows(make, nodes, what):
    sources = standstill.sources(nodes["dest"].group)
    before = look(nodes, sources)
    MOVES[what](make, nodes)
    assert look(nodes, sources) != before


@pytest.mark.parametrize("what", NOTHING)
def test_what_does_not_concern_the_requests_does_not_show(make, nodes, what):
    before = look(nodes)
    NOTHING[what](make, nodes)
    assert look(nodes) == before


def test_a_group_without_requests_has_signs_too(make):
    node = make.node("n")
    assert standstill.sources(node.group) == []
    assert standstill.signs(node.group, []).last_request == 0
    assert standstill.count_pending(node.group) == 0
