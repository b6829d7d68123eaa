"""Disks that are carried from place to place: one is filled before the next (io-classes.md §13)."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import pytest

from alpenhorn import db
from alpenhorn.db.queries import pending
from alpenhorn.io.transport import TransportGroupIO

GIB = 2**30
FILE = "acq/file"


@pytest.fixture
def disks(site: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The example of §13.3: 40, 10, unknown and 20 GiB free, in this order of ids."""
    found = []
    for name, gib in (("d40", 40), ("d10", 10), ("unknown", None), ("d20", 20)):
        io = site.node(name, "transport", storage_type="T", avail_gb=gib)
        free = None if gib is None else gib * GIB
        monkeypatch.setattr(io, "bytes_avail", lambda fast=False, free=free: free)
        monkeypatch.setattr(io, "_store_key", name, raising=False)
        found.append(io)
    return found


@pytest.fixture
def group(site: Any, disks: list[Any]) -> Any:
    return site.group(*disks, cls=TransportGroupIO)


@pytest.fixture
def given(disks: list[Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """What each disk was asked to pull."""
    asked: dict[str, list[str]] = {}
    for io in disks:

        def pull_many(requests: Any, did_search: bool, name: str = io.node.name) -> None:
            asked.setdefault(name, []).extend(str(r.file.path) for r in requests)

        monkeypatch.setattr(io, "pull_many", pull_many)
    return asked


def ask(site: Any, size_b: int, path: str = FILE, source: Any = None) -> Any:
    known = db.StorageNode.get_or_none(name="src")
    node = source or known or site.node("src").node
    request = site.make.request(path, node, "transport")
    site.make.copy(path, node)
    request.file.size_b = size_b
    return request


def test_the_fullest_disk_comes_first_and_unknown_ones_last(group: Any) -> None:
    assert [node.name for node in group.nodes] == ["d10", "d20", "d40", "unknown"]
    for node in group.nodes:
        if node.name == "d40":
            node.db.avail_gb = 1.0
    assert group.nodes[0].name == "d40", "evaluated afresh each time"


@pytest.mark.parametrize(
    ("gib", "disk"), [(0, "d10"), (5, "d10"), (6, "d20"), (11, "d40"), (21, "unknown")]
)
def test_the_example_of_the_specification(
    site: Any, group: Any, given: Any, gib: int, disk: str
) -> None:
    group.pull_many([ask(site, gib * GIB)], True)
    assert given == {disk: [FILE]}


def test_a_disk_is_filled_before_the_next_is_begun(site: Any, group: Any, given: Any) -> None:
    requests = [ask(site, 2 * GIB, f"acq/{n}") for n in range(4)]
    group.pull_many(requests, True)
    assert given == {"d10": ["acq/0", "acq/1"], "d20": ["acq/2", "acq/3"]}


def test_a_disk_over_its_limits_is_passed_over(site: Any, group: Any, given: Any) -> None:
    group.nodes[0].db.min_avail_gb = 11
    group.pull_many([ask(site, 0)], True)
    assert list(given) == ["d20"]


def test_without_room_anywhere_the_request_stays(site: Any, disks: list[Any], lines: Any) -> None:
    group = site.group(*[io for io in disks if io.node.name != "unknown"], cls=TransportGroupIO)
    request = ask(site, 30 * GIB)
    for _ in range(3):
        group.pull_many([request], True)
    assert site.run() == 0
    assert lines() == ["No transport node in group transport has room for 1 files."]
    assert not db.ArchiveFileCopyRequest.get_by_id(request.id).cancelled


def test_nodes_of_another_type_are_ignored_with_a_warning(
    site: Any, disks: list[Any], lines: Any
) -> None:
    wrong = site.node("wrong", "transport", storage_type="A")
    group = site.group(disks[0], wrong, cls=TransportGroupIO)
    assert [node.name for node in group.nodes] == ["d40"]
    assert lines("WARNING") == ["Ignoring non-transport node wrong in group transport."]
    group.nodes = list(group.nodes)
    with pytest.raises(ValueError, match="transport"):
        site.group(wrong, cls=TransportGroupIO)


def test_non_local_requests_cost_one_line_and_no_task(
    site: Any, group: Any, given: Any, lines: Any
) -> None:
    """Weakness 24: the public program spends a task and a line on each in every pass."""
    far = site.node("far", host="far").node
    requests = [ask(site, 1, f"acq/{n}", far) for n in range(50)]
    for _ in range(3):
        group.search_many(requests)
        group.pull_many(requests, True)
    assert site.run() == 0
    assert given == {}
    assert lines() == ["Skipping 50 non-local requests into group transport."]


def test_local_requests_are_not_held_up_by_non_local_ones(
    site: Any, group: Any, given: Any
) -> None:
    far = site.node("far", host="far").node
    near = ask(site, 1, "acq/near")
    group.search_many([ask(site, 1, "acq/far", far), near])
    site.run()
    assert given == {"d10": ["acq/near"]}


def test_the_search_looks_at_every_disk(site: Any, group: Any, disks: list[Any]) -> None:
    request = ask(site, 4)
    site.write(disks[2], FILE, b"data")
    group.search_many([request])
    site.run()
    assert site.state(disks[2], FILE) == "MY"
    assert pending.ready(group.group, 10) == []
    assert group.exists(PurePath(FILE)).name == "unknown"


def test_a_file_really_gets_onto_the_disk(site: Any, group: Any, disks: list[Any]) -> None:
    site.put(site.node("src"), FILE, b"data")
    group.search_many([site.make.request(FILE, db.StorageNode.get(name="src"), "transport")])
    site.run()
    assert site.read(disks[1], FILE) == b"data"
    assert site.state(disks[1], FILE) == "YY"
