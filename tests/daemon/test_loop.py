"""A pass: which nodes and groups take part, and that one bad part never stops the others."""

from __future__ import annotations

from typing import Any

import peewee as pw
import pytest

from alpenhorn import db
from alpenhorn.daemon import updates
from alpenhorn.extensions import IOClassExtension, loader
from alpenhorn.io.base import BaseNodeIO
from alpenhorn.io.default import DefaultNodeIO


class TestNodesAndGroups:
    def test_a_host_without_active_nodes_says_so_in_every_pass(self, daemon: Any) -> None:
        daemon.node("idle", active=False)
        daemon.node("far", host="elsewhere")
        for _ in range(2):
            daemon.tick()
        assert (
            daemon.said
            == [
                "No active nodes on host (here)!",
                "Main loop execution was 0.0s.",
                "Tasks: 0 queued, 0 deferred, 0 in-progress on 0 workers",
            ]
            * 2
        )

    def test_a_pass_in_the_order_of_the_seed(self, daemon: Any) -> None:
        daemon.node()
        daemon.tick()
        patterns = [
            'Node "node" now available.',
            'Group "node" now available.',
            "Node node: ",
            'Updating node "node".',
            'Updating group "node".',
            "Main loop execution was 0.0s.",
            "Tasks: 1 queued, 0 deferred, 0 in-progress on 0 workers",
        ]
        assert len(daemon.said) == len(patterns)
        for line, pattern in zip(daemon.said, patterns, strict=True):
            assert line.startswith(pattern)

    def test_a_daemon_publishes_on_which_file_system_its_nodes_rest(self, daemon: Any) -> None:
        """So that the daemons of other hosts count two of its nodes on one disk once."""
        daemon.node("one")
        daemon.node("two")
        daemon.tick()
        first, second = db.operations.NodeStore.select()
        assert (first.host, first.store) == (second.host, second.store)
        assert first.store.startswith(("file system ", "device "))

    def test_a_deactivated_node_and_its_group_go(self, daemon: Any) -> None:
        row = daemon.node(group="group")
        daemon.settle()
        daemon.forget()
        type(row).update(active=False).execute()
        daemon.tick()
        assert daemon.said[:2] == [
            "No active nodes on host (here)!",
            'Node "node" no longer available.',
        ]
        assert daemon.said[2] == 'Group "group" no longer available.'

    def test_the_tasks_of_a_node_that_goes_are_thrown_away_and_counted(self, daemon: Any) -> None:
        row = daemon.node()
        daemon.tick()
        type(row).update(active=False).execute()
        daemon.tick()
        assert "Discarded 1 tasks of node node (1 pending, 0 deferred)." in daemon.said
        assert daemon.queue.qsize == 0

    def test_a_new_root_makes_a_new_storage_object(self, daemon: Any) -> None:
        """Weakness 39: nothing goes on working on the old root."""
        row = daemon.node()
        daemon.settle()
        old = daemon.live().io
        new_root = daemon.root("moved")
        daemon.root("node").rename(new_root)
        type(row).update(root=str(new_root)).execute()
        daemon.tick()
        assert daemon.live().io is not old
        assert 'Configuration of node "node" has changed: re-initialising.' in daemon.said

    def test_the_same_record_keeps_its_storage_object(self, daemon: Any) -> None:
        row = daemon.node()
        daemon.settle()
        old = daemon.live().io
        type(row).update(notes="something else").execute()
        daemon.tick()
        assert daemon.live().io is old
        assert daemon.live().db.notes == "something else"

    def test_two_active_nodes_in_a_default_group_are_refused_once(self, daemon: Any) -> None:
        daemon.node("a", group="both")
        daemon.node("b", group="both")
        daemon.settle()
        daemon.tick()
        assert daemon.lines("Too many active nodes") == [
            'Too many active nodes in group "both": a, b.'
        ]
        assert 'Updating node "a".' in daemon.said
        assert 'Updating node "b".' in daemon.said
        assert 'Updating group "both".' not in daemon.said

    def test_free_space_is_measured_in_every_pass(self, daemon: Any) -> None:
        row = daemon.node()
        daemon.tick()
        assert db.StorageNode.get_by_id(row.id).avail_gb > 0


class TestIsolation:
    """One bad part is said once per change, and the others go on."""

    @pytest.fixture
    def two(self, daemon: Any) -> Any:
        daemon.node("bad")
        daemon.node("good")
        return daemon

    def passes(self, daemon: Any, count: int = 3) -> None:
        for _ in range(count):
            daemon.settle()
            assert "good" in daemon.loop.nodes
            assert "good" in daemon.loop.groups

    def errors(self, daemon: Any) -> list[str]:
        return [line for line in daemon.said if daemon.level_of(line) == "ERROR"]

    @pytest.mark.parametrize(
        ("values", "part"),
        [
            ({"io_class": "Nonsense"}, 'Unknown I/O class: "Nonsense"'),
            ({"io_class": "Transport"}, 'No implementation of I/O class "Transport"'),
            ({"io_config": "{"}, 'Cannot use node "bad": I/O config is not JSON'),
            ({"io_config": "[]"}, 'Cannot use node "bad": I/O config is not a JSON object'),
        ],
    )
    def test_a_bad_node_row(self, two: Any, values: dict[str, str], part: str) -> None:
        db.StorageNode.update(values).where(db.StorageNode.name == "bad").execute()
        self.passes(two)
        assert len(self.errors(two)) == 1
        assert part in self.errors(two)[0]
        assert "bad" in self.errors(two)[0]
        assert "bad" not in two.loop.nodes

    @pytest.mark.parametrize(
        ("values", "part"),
        [
            ({"io_class": "Nonsense"}, 'Unknown I/O class: "Nonsense"'),
            ({"io_class": "Polling"}, 'No implementation of I/O class "Polling"'),
            ({"io_config": "null and void"}, 'Cannot use group "bad": I/O config is not JSON'),
        ],
    )
    def test_a_bad_group_row(self, two: Any, values: dict[str, str], part: str) -> None:
        db.StorageGroup.update(values).where(db.StorageGroup.name == "bad").execute()
        self.passes(two)
        assert len(self.errors(two)) == 1
        assert part in self.errors(two)[0]
        assert "bad" in two.loop.nodes, "its node is still worked on"

    def test_a_row_that_changes_is_said_again(self, two: Any) -> None:
        update = db.StorageNode.update
        update(io_config="{").where(db.StorageNode.name == "bad").execute()
        self.passes(two)
        update(io_config="[]").where(db.StorageNode.name == "bad").execute()
        self.passes(two)
        assert len(self.errors(two)) == 2

    def test_a_repaired_row_is_used_again(self, two: Any) -> None:
        update = db.StorageNode.update
        update(io_config="{").where(db.StorageNode.name == "bad").execute()
        self.passes(two)
        update(io_config=None).where(db.StorageNode.name == "bad").execute()
        self.passes(two)
        assert "bad" in two.loop.nodes

    def test_a_node_that_goes_bad_while_in_use(self, two: Any) -> None:
        self.passes(two)
        db.StorageNode.update(io_config="{").where(db.StorageNode.name == "bad").execute()
        self.passes(two)
        assert "bad" not in two.loop.nodes
        assert 'Node "bad" no longer available.' in two.said

    @pytest.mark.parametrize("method", ["before_update", "bytes_avail", "after_update"])
    def test_a_storage_class_that_raises(
        self, two: Any, monkeypatch: pytest.MonkeyPatch, method: str
    ) -> None:
        """A traceback once, for whoever wrote the class; then silence until it changes."""
        original = getattr(DefaultNodeIO, method)

        def broken(io: Any, *args: Any, **kwargs: Any) -> Any:
            if io.node.name == "bad":
                raise ZeroDivisionError("of a third party")
            return original(io, *args, **kwargs)

        monkeypatch.setattr(DefaultNodeIO, method, broken)
        self.passes(two)
        assert two.said.count("Error with node bad; the others go on.") == 1
        assert two.lines('Updating node "good".')

    def test_a_storage_class_of_an_extension_that_cannot_be_made(self, two: Any) -> None:
        class Picky(BaseNodeIO):
            def __init__(self, *args: Any) -> None:
                raise KeyError("colour")

        extension = IOClassExtension("Picky", "1.0", io_class_name="Picky", node_class=Picky)
        extension.full_name = "tests.Picky"
        loader.init_extensions([extension], stage=2)
        db.StorageNode.update(io_class="Picky").where(db.StorageNode.name == "bad").execute()
        self.passes(two)
        assert self.errors(two) == ["Cannot use node \"bad\": KeyError('colour')"]

    def test_a_root_that_vanishes_in_mid_pass(
        self, two: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Weakness 26: between the check of the node file and the measurement of space."""
        original = updates.watch.update

        def vanish(node: Any, queue: Any) -> None:
            if node.name == "bad" and two.root("bad").exists():
                (two.root("bad") / "ALPENHORN_NODE").unlink()
                two.root("bad").rmdir()
            original(node, queue)

        monkeypatch.setattr(updates.watch, "update", vanish)
        self.passes(two)
        assert "bad" not in two.loop.nodes

    def test_a_file_without_size_or_hash(self, two: Any) -> None:
        node = db.StorageNode.get(name="bad")
        file = two.make.file("acq/f")
        db.ArchiveFile.update(size_b=None, md5sum=None).execute()
        db.ArchiveFileCopy.create(file=file, node=node, has_file="M", wants_file="Y")
        two.make.request("acq/f", db.StorageNode.get(name="good"), "bad")
        self.passes(two)
        assert not [r for r in two._log.records if r.exc_info]

    def test_a_lost_database_concerns_all(self, two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is not taken for a node's problem: the daemon waits for the database."""
        two.settle()

        def gone(*args: Any) -> None:
            raise pw.OperationalError("gone away")

        monkeypatch.setattr(updates.checks, "dispatch", gone)
        with pytest.raises(pw.OperationalError):
            two.tick()
        assert "bad" in two.loop.nodes, "and no node is dropped for it"
