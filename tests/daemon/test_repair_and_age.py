"""What a daemon does by itself: repair groups, and verify archive copies before it deletes."""

from __future__ import annotations

import datetime
import hashlib
import os
from typing import Any

import pytest

from alpenhorn import db
from alpenhorn.common.units import utcnow
from alpenhorn.daemon import integrity
from alpenhorn.db.operations import DeletionEvidence, Verification
from alpenhorn.db.queries import deletion, doorbell, group_policy
from alpenhorn.errors import ConfigValueError

MD5 = hashlib.md5(b"data").hexdigest()


def bad_bytes(daemon: Any, path: str, node: str) -> Any:
    """Bytes of the right length that are not the file's."""
    return daemon.write(path, b"DATA", node)


class TestAutoRepair:
    @pytest.fixture
    def node(self, daemon: Any) -> Any:
        """A node whose group is to be repaired, and one with a good copy."""
        row, source = daemon.node(), daemon.node("source")
        daemon.make.file("acq/f", md5sum=MD5)
        daemon.make.copy("acq/f", source)
        daemon.write("acq/f", node="source")
        group_policy.set_auto_repair(row.group, True)
        return row

    def test_corrupt_bytes_of_the_same_length_are_replaced(self, daemon: Any, node: Any) -> None:
        """Size and time agree, as for rsync's quick check: the bytes are replaced all the same."""
        path = bad_bytes(daemon, "acq/f", "node")
        good = daemon.root("source") / "acq/f"
        os.utime(path, ns=(good.stat().st_atime_ns, good.stat().st_mtime_ns))
        daemon.make.copy("acq/f", node, has="X")
        daemon.settle()
        assert path.read_bytes() == b"data"
        assert daemon.make.states(node) == {"acq/f": "YY"}
        assert daemon.lines("Auto-repair") == ["Auto-repair: requesting 1 copies for group node."]

    def test_a_missing_file_comes_back(self, daemon: Any, node: Any) -> None:
        daemon.make.copy("acq/f", node, has="N")
        daemon.settle()
        assert (daemon.root("node") / "acq/f").read_bytes() == b"data"
        assert daemon.make.states(node) == {"acq/f": "YY"}

    def test_a_group_that_is_not_to_be_repaired_is_not(self, daemon: Any, node: Any) -> None:
        group_policy.set_auto_repair(node.group, False)
        daemon.make.copy("acq/f", node, has="X")
        daemon.settle()
        assert daemon.make.states(node) == {"acq/f": "XY"}

    def test_what_nobody_has_is_named_once(self, daemon: Any, node: Any) -> None:
        daemon.make.copy("acq/lost", node, has="X")
        for _ in range(3):
            daemon.settle()
        assert daemon.lines("Auto-repair") == [
            "Auto-repair: 1 copies in group node have no healthy copy elsewhere."
        ]

    def test_it_is_tried_again_at_growing_intervals(
        self, daemon: Any, node: Any, clock: Any
    ) -> None:
        daemon.make.copy("acq/lost", node, has="X")
        daemon.settle()
        source = db.StorageNode.get(name="source")
        daemon.make.copy("acq/lost", source)
        daemon.tick()
        assert db.ArchiveFileCopyRequest.select().count() == 0
        clock.advance(61)
        daemon.tick()
        assert db.ArchiveFileCopyRequest.select().count() == 1

    def test_an_idle_pass_costs_two_statements_at_most(
        self, daemon: Any, node: Any, statements: Any
    ) -> None:
        def cost() -> int:
            daemon.settle()
            with statements() as seen:
                daemon.tick()
            return len(seen)

        with_repair = cost()
        group_policy.set_auto_repair(node.group, False)
        assert with_repair - cost() <= 1


class TestAge:
    @pytest.fixture
    def archives(self, daemon: Any, settings: dict[str, Any]) -> list[Any]:
        """Two archive nodes on one file system: their copies never allow a deletion here."""
        settings["archive_copy_max_age_days"] = 30
        return [daemon.node(f"arc{n}", storage_type="A") for n in (1, 2)]

    def test_old_copies_are_verified_first(self, daemon: Any, archives: list[Any]) -> None:
        daemon.make.file("acq/f", md5sum=MD5)
        for archive in archives:
            daemon.make.copy("acq/f", archive)
            daemon.write("acq/f", node=archive.name)
        daemon.make.copy("acq/f", daemon.node("local"), wants="N")
        daemon.write("acq/f", node="local")
        daemon.tick()
        said = daemon.lines("not verified for 30 days")
        assert said == [
            "Requesting verification of 2 archive copies, on which released copies on local wait: "
            "not verified for 30 days."
        ]
        assert [daemon.make.states(a)["acq/f"] for a in archives] == ["MY", "MY"]
        daemon.settle()
        assert [daemon.make.states(a)["acq/f"] for a in archives] == ["YY", "YY"]
        assert Verification.select().where(Verification.verified.is_null(False)).count() == 2
        daemon.forget()
        daemon.settle()
        assert daemon.lines("not verified for") == []

    def test_the_reason_is_told(self, daemon: Any, archives: list[Any]) -> None:
        """Nobody can check: the archives' nodes are inactive."""
        local = daemon.node("local")
        for archive in archives:
            daemon.make.copy("acq/f", archive)
        db.StorageNode.update(active=False).where(db.StorageNode.storage_type == "A").execute()
        daemon.make.copy("acq/f", local, wants="N")
        daemon.write("acq/f", node="local")
        daemon.settle()
        assert daemon.make.states(local) == {"acq/f": "YN"}
        assert (
            "1 released copies on local wait until archive copies have been verified again."
            in daemon.said
        )


class TestCount:
    def test_as_many_archive_copies_are_needed_as_are_configured(
        self, daemon: Any, settings: dict[str, Any]
    ) -> None:
        settings["archive_copy_count"] = 3
        archives = [
            daemon.make.node(f"arc{n}", storage_type="A", host=f"host{n}") for n in range(3)
        ]
        row = daemon.node()
        daemon.write("acq/f")
        daemon.make.copy("acq/f", row, wants="N")
        for archive in archives[:2]:
            daemon.make.copy("acq/f", archive)
        daemon.settle()
        assert daemon.lines("Too few archive copies (2)")
        daemon.make.copy("acq/f", archives[2])
        daemon.settle()
        assert daemon.make.states(row) == {"acq/f": "NN"}

    @pytest.mark.parametrize("count", [0, 1])
    def test_too_few_are_refused_at_the_start(
        self, index: Any, settings: dict[str, Any], count: int, caplog: Any
    ) -> None:
        settings["archive_copy_count"] = count
        with pytest.raises(ConfigValueError) as caught:
            integrity.check(few_copies_ok=False)
        assert caught.value.message == (
            'Config parameter "daemon.archive_copy_count" too small to guarantee archive '
            f"integrity: {count}.  Set it to 2 or more, or start alpenhornd with "
            "--disable-archive-integrity."
        )
        integrity.check(few_copies_ok=True)
        assert f"Archive integrity is disabled: {count} archive copies allow deletion." in (
            caplog.messages
        )

    @pytest.mark.parametrize("count", [None, 2, 5])
    def test_enough_are_no_word_worth(
        self, index: Any, settings: dict[str, Any], count: int | None, caplog: Any
    ) -> None:
        if count is not None:
            settings["archive_copy_count"] = count
        integrity.check(few_copies_ok=False)
        assert caplog.messages == []

    def test_an_index_of_an_earlier_version_is_worth_a_warning(
        self, index: Any, settings: dict[str, Any], caplog: Any
    ) -> None:
        db.DataIndexVersion.update(version=1).where(
            db.DataIndexVersion.component == "operations"
        ).execute()
        integrity.check(few_copies_ok=False)
        (line,) = caplog.messages
        assert "Run `alpenhorn db init`" in line

    def test_an_age_without_a_record_of_verifications_is_refused(
        self, index: Any, settings: dict[str, Any]
    ) -> None:
        settings["archive_copy_max_age_days"] = 30
        integrity.check(few_copies_ok=False)
        db.DataIndexVersion.delete().where(db.DataIndexVersion.component == "operations").execute()
        doorbell._available = (None, False)
        with pytest.raises(ConfigValueError, match="alpenhorn db init"):
            integrity.check(few_copies_ok=False)


def test_a_claim_that_a_kill_left_on_a_copy_that_is_wanted_again_is_ended(daemon: Any) -> None:
    row = daemon.node()
    for n in (1, 2):
        archive = daemon.make.node(f"arc{n}", storage_type="A", host=f"host{n}")
        daemon.make.copy("acq/f", archive)
    daemon.make.file("acq/f")
    db.ArchiveFile.update(md5sum=MD5).execute()
    copy = daemon.make.copy("acq/f", row, wants="N")
    daemon.write("acq/f")
    deletion.claim(row.id, [copy.id], {})  # and the daemon was killed
    db.ArchiveFileCopy.update(wants_file="Y").where(db.ArchiveFileCopy.id == copy.id).execute()
    daemon.settle()
    assert daemon.make.states(row) == {"acq/f": "YY"}
    assert DeletionEvidence.get().given_back is not None
    assert utcnow() - Verification.get().verified < datetime.timedelta(minutes=1)
