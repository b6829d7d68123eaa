"""Is a node initialised, and its initialisation on request (spec: daemon.md §6.3)."""

from __future__ import annotations

from typing import Any

from alpenhorn import db
from alpenhorn.daemon.jobs import init as module


def unread(daemon: Any) -> str:
    return f'Node file "{daemon.root("node")}/ALPENHORN_NODE" could not be read.'


def test_without_a_request_an_uninitialised_node_is_ignored_in_every_pass(daemon: Any) -> None:
    daemon.node(initialised=False)
    lines = [
        'Node "node" now available.',
        unread(daemon),
        'Ignoring node "node": not initialised.',
        "Main loop execution was 0.0s.",
        "Tasks: 0 queued, 0 deferred, 0 in-progress on 0 workers",
    ]
    daemon.tick()
    daemon.tick()
    assert daemon.said == lines * 2
    assert not daemon.loop.nodes
    assert not daemon.loop.groups


def test_initialisation_on_request(daemon: Any, ended: list[Any]) -> None:
    """The lines of the seed; nobody hears of a completed import request."""
    daemon.node(initialised=False)
    request = daemon.ask("ALPENHORN_NODE")
    daemon.tick()
    assert daemon.said[:3] == [
        'Node "node" now available.',
        unread(daemon),
        'Requesting init of node "node".',
    ]
    daemon.forget()
    daemon.work()
    assert daemon.said == [
        'Beginning task Init Node "node"',
        unread(daemon),
        unread(daemon),
        'Node "node" initialised.',
        'Finished task: Init Node "node"',
    ]
    assert daemon.done(request)
    assert (daemon.root("node") / "ALPENHORN_NODE").read_text().strip() == "node"
    assert [(e.kind, e.result) for e in ended] == [("import", "success")]
    daemon.tick()
    assert "node" in daemon.loop.nodes


def test_while_the_init_is_queued_no_second_one_is(daemon: Any) -> None:
    daemon.node(initialised=False)
    daemon.ask("ALPENHORN_NODE")
    for _ in range(3):
        daemon.tick()
    assert daemon.tasks() == ['Init Node "node"']


def test_a_failed_init_is_tried_again_in_the_next_pass(daemon: Any) -> None:
    daemon.node(initialised=False)
    request = daemon.ask("ALPENHORN_NODE")
    daemon.root("node").rmdir()
    daemon.tick()
    daemon.work()
    assert 'Initialisation of node "node" failed.' in daemon.said
    assert not daemon.done(request)
    daemon.root("node").mkdir()
    daemon.tick()
    daemon.work()
    assert daemon.done(request)


def test_init_never_takes_over_the_medium_of_another_node(daemon: Any) -> None:
    """Weakness 11: the wrong disk at the mount point stays what it is."""
    daemon.node(initialised=False)
    daemon.ask("ALPENHORN_NODE")
    file = daemon.root("node") / "ALPENHORN_NODE"
    file.write_text("other\n")
    daemon.tick()
    daemon.work()
    assert file.read_text() == "other\n"
    assert 'Initialisation of node "node" failed.' in daemon.said
    assert f'Node file "{file}" names another node: "other", not "node".' in daemon.said


def test_somebody_else_was_quicker(daemon: Any, ended: list[Any]) -> None:
    daemon.node(initialised=False)
    request = daemon.ask("ALPENHORN_NODE")
    daemon.tick()
    (daemon.root("node") / "ALPENHORN_NODE").write_text("node\n")
    daemon.work()
    assert 'Node "node" already initialised.' in daemon.said
    assert daemon.done(request)
    assert ended[0].result == "duplicate"


def test_an_init_request_for_a_node_in_use_is_completed(daemon: Any, ended: list[Any]) -> None:
    """It is always safe to ask for it."""
    daemon.node()
    request = daemon.ask("ALPENHORN_NODE")
    daemon.settle()
    assert daemon.done(request)
    assert ended[0].result == "duplicate"
    assert not daemon.lines("Completed import request")


def test_a_node_deactivated_during_the_pass_is_ignored(daemon: Any, monkeypatch: Any) -> None:
    daemon.node()
    monkeypatch.setattr(module.node_queries, "still_active", lambda node_id: False)
    daemon.tick()
    assert 'Ignoring node "node": deactivated during the update.' in daemon.said
    assert not daemon.loop.nodes


def test_a_medium_that_goes_away_takes_its_node_out_of_use(daemon: Any) -> None:
    """Nothing is concluded to be missing from a disk that is not mounted."""
    row = daemon.node()
    daemon.make.copy("acq/f", row, has="M")
    daemon.tick()
    (daemon.root("node") / "ALPENHORN_NODE").unlink()
    daemon.tick()
    daemon.work()
    assert "node" not in daemon.loop.nodes
    assert db.ArchiveFileCopy.get().has_file == "M"
