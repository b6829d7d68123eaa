"""Auto-verify: a few copies at a time, round and round, none too often (spec: daemon.md §12)."""

from __future__ import annotations

import datetime
import time
from typing import Any

import pytest

from alpenhorn import db
from alpenhorn.common.units import utcnow
from alpenhorn.daemon.jobs import autoverify

OLD = datetime.timedelta(days=100)


@pytest.fixture
def node(daemon: Any, settings: dict[str, Any]) -> Any:
    """A node with auto-verify of two, in use and at rest; every pass is a regular one."""
    settings["update_interval"] = 0
    row = daemon.node(auto_verify=2)
    daemon.settle()
    return row


def copies(daemon: Any, node: Any, count: int, age: datetime.timedelta = OLD) -> list[int]:
    return [daemon.make.copy(f"acq/{n}", node, last_update=utcnow() - age).id for n in range(count)]


def step(daemon: Any, cursor: int | None = None) -> list[int]:
    """Do one step, from a cursor; the ids that were marked, which are then good again."""
    if cursor is not None:
        daemon.live().verify_cursor = cursor
    autoverify.step(daemon.live())
    marked = [copy.id for copy in db.ArchiveFileCopy.select() if copy.has_file == "M"]
    db.ArchiveFileCopy.update(has_file="Y", last_update=utcnow() - OLD).execute()
    return marked


def test_the_cursor_goes_on_and_wraps(daemon: Any, node: Any) -> None:
    ids = copies(daemon, node, 5)
    assert step(daemon, 0) == ids[0:2]
    assert step(daemon) == ids[2:4]
    assert step(daemon) == ids[4:5]
    assert step(daemon) == ids[0:2]


def test_the_start_is_random_and_everything_comes_up(daemon: Any, node: Any) -> None:
    ids = copies(daemon, node, 7)
    daemon.live().verify_cursor = None
    seen = {number for _ in range(9) for number in step(daemon)}
    assert seen == set(ids)


@pytest.mark.parametrize(("days", "marked"), [(6.9, False), (7.1, True)])
def test_a_copy_that_was_looked_at_lately_is_left_alone(
    daemon: Any,
    node: Any,
    monkeypatch: pytest.MonkeyPatch,
    days: float,
    marked: bool,
) -> None:
    """In UTC, wherever the daemon is: here it is already tomorrow, or still yesterday."""
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        db.ArchiveFileCopy.delete().execute()
        ids = copies(daemon, node, 1, age=datetime.timedelta(days=days))
        assert step(daemon, 0) == (ids if marked else [])
    monkeypatch.delenv("TZ")
    time.tzset()


def test_the_days_can_be_configured(daemon: Any, node: Any, settings: dict[str, Any]) -> None:
    settings["auto_verify_min_days"] = 0
    ids = copies(daemon, node, 1, age=datetime.timedelta(seconds=5))
    assert step(daemon, 0) == ids


@pytest.mark.parametrize(("has", "wants"), [("N", "Y"), ("N", "N"), ("Y", "N")])
def test_absent_and_released_copies_are_left_out(
    daemon: Any, node: Any, has: str, wants: str
) -> None:
    daemon.make.copy("acq/file", node, has=has, wants=wants, last_update=utcnow() - OLD)
    assert step(daemon, 0) == []


def test_an_empty_node(daemon: Any, node: Any) -> None:
    assert step(daemon) == []


def test_passes_between_the_regular_ones_do_not_make_it_quicker(
    daemon: Any, node: Any, settings: dict[str, Any]
) -> None:
    """A busy site wakes its daemons often; the number is meant per update interval."""
    ids = copies(daemon, node, 5)
    settings["update_interval"] = 3600
    assert step(daemon, 0) == ids[0:2]
    assert step(daemon) == []


def test_in_passes_marked_copies_are_checked(daemon: Any, settings: dict[str, Any]) -> None:
    settings["update_interval"] = 0
    row = daemon.node(auto_verify=1)
    daemon.make.file("acq/file", md5sum="8d777f385d3dfec8815d20f7496026dc")
    daemon.make.copy("acq/file", row, last_update=utcnow() - OLD)
    daemon.write("acq/file", b"rotted")
    for _ in range(4):
        daemon.settle()
    assert daemon.make.states(row) == {"acq/file": "XY"}
    assert daemon.lines("Auto-verifying 1 copies on node node")


def test_it_is_off_unless_asked_for(daemon: Any) -> None:
    row = daemon.node()
    daemon.make.copy("acq/file", row, last_update=utcnow() - OLD)
    for _ in range(3):
        daemon.settle()
    assert daemon.make.states(row) == {"acq/file": "YY"}
