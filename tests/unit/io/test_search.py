"""The pre-pull search: what is there already is checked, not fetched (spec: daemon.md §10.3)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from alpenhorn import db
from alpenhorn.db.queries import checks
from alpenhorn.io.default import DefaultGroupIO

FILE = "2025/02/21/meta.txt"


class Asked(DefaultGroupIO):
    """A group that remembers what it was asked to pull."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.pulls: list[tuple[int, bool]] = []

    def pull_many(self, requests: Any, did_search: bool) -> None:
        self.pulls.extend((request.id, did_search) for request in requests)


@pytest.fixture
def source(site: Any) -> Any:
    source = site.node("src")
    site.put(source, FILE)
    return source


@pytest.fixture
def io(site: Any) -> Any:
    return site.node("dst")


@pytest.fixture
def group(site: Any, io: Any) -> Any:
    return site.group(io, cls=Asked)


@pytest.fixture
def request_(site: Any, source: Any, io: Any) -> Any:
    return site.make.request(FILE, source.node, "dst")


def search(site: Any, group: Any, *requests: Any) -> list[tuple[int, bool]]:
    group.search_many(requests)
    site.run()
    pulls: list[tuple[int, bool]] = group.pulls
    return pulls


def test_what_is_nowhere_is_pulled(site: Any, group: Any, request_: Any) -> None:
    assert search(site, group, request_) == [(request_.id, True)]


def test_the_task_is_on_the_groups_own_fifo(site: Any, group: Any, request_: Any) -> None:
    group.pull_search(request_)
    task, key = site.queue.get(0)
    assert task.name == f"Pre-pull search for {FILE} in dst"
    assert key == group.fifo


@pytest.mark.parametrize("known", [None, "NY", "NN"])
def test_an_untracked_file_is_checked_and_not_fetched(
    site: Any, group: Any, io: Any, request_: Any, known: str | None, lines: Any
) -> None:
    place = site.write(io, FILE, b"data")
    if known:
        site.make.copy(FILE, io.node, *known, size_b=1, ready=True)
    assert search(site, group, request_) == []
    copy = site.row(io, FILE)
    assert (copy.has_file, copy.wants_file, copy.ready) == ("M", "Y", False)
    assert copy.size_b == (1 if known else place.stat().st_blocks * 512)
    assert not db.ArchiveFileCopyRequest.get().cancelled
    assert FILE in lines("WARNING")[0]


def test_a_found_file_satisfies_the_request_after_its_check(
    site: Any, group: Any, io: Any, request_: Any
) -> None:
    site.write(io, FILE, b"data")
    search(site, group, request_)
    io.check_many(checks.suspect(io.node, 10))
    site.run()
    assert site.state(io, FILE) == "YY"


def test_a_found_file_that_is_corrupt_is_pulled_over(
    site: Any, group: Any, io: Any, request_: Any
) -> None:
    site.write(io, FILE, b"xxxx")
    search(site, group, request_)
    io.check_many(checks.suspect(io.node, 10))
    site.run()
    assert site.state(io, FILE) == "XY"
    assert search(site, group, request_) == [(request_.id, True)]


def test_a_known_corrupt_copy_does_not_count_as_found(
    site: Any, group: Any, io: Any, request_: Any
) -> None:
    site.put(io, FILE, has="X", really=b"bad!")
    assert search(site, group, request_) == [(request_.id, True)]
    assert site.state(io, FILE) == "XY"


@pytest.mark.parametrize("state", ["YY", "MY", "YN", "MN"])
def test_a_copy_that_the_index_knows_is_left_alone(
    site: Any, group: Any, io: Any, request_: Any, state: str
) -> None:
    site.make.copy(FILE, io.node, *state)
    site.write(io, FILE, b"data")
    assert search(site, group, request_) == []
    assert site.state(io, FILE) == state


def test_what_became_hopeless_while_the_task_waited_is_not_pulled(
    site: Any, group: Any, source: Any, request_: Any
) -> None:
    group.search_many([request_])
    db.ArchiveFileCopyRequest.update(cancelled=True).execute()
    site.run()
    assert group.pulls == []


def test_a_link_to_a_file_elsewhere_is_no_file_here(
    site: Any, group: Any, source: Any, io: Any, request_: Any
) -> None:
    place = Path(io.node.root, FILE)
    place.parent.mkdir(parents=True)
    place.symlink_to(Path(source.node.root, FILE))
    assert search(site, group, request_) == [(request_.id, True)]


def test_a_node_without_a_medium_finds_nothing(
    site: Any, group: Any, io: Any, request_: Any
) -> None:
    Path(io.node.root).rename(f"{io.node.root}.unmounted")
    search(site, group, request_)
    assert site.state(io, FILE) is None


def test_many_requests_are_one_task_and_a_fixed_number_of_statements(
    site: Any, group: Any, source: Any, io: Any, statements: Any
) -> None:
    def cost(count: int) -> int:
        requests = []
        for n in range(count):
            site.put(source, f"acq{count}/{n}")
            requests.append(site.make.request(f"acq{count}/{n}", source.node, "dst"))
        group.search_many(requests)
        with statements() as seen:
            assert site.run() == 1
        return len(seen)

    cost(17)
    assert cost(80) == cost(20)
    assert len(group.pulls) == 117


def test_the_search_and_the_pull_bring_the_rest(site: Any, source: Any, io: Any) -> None:
    """Half of the files are there already."""
    group = site.group(io)
    requests = []
    for n in range(20):
        site.put(source, f"acq/{n}")
        requests.append(site.make.request(f"acq/{n}", source.node, "dst"))
        if n % 2:
            site.write(io, f"acq/{n}", b"data")
    group.search_many(requests)
    site.run()
    states = site.make.states(io.node)
    assert {states[f"acq/{n}"] for n in range(0, 20, 2)} == {"YY"}
    assert {states[f"acq/{n}"] for n in range(1, 20, 2)} == {"MY"}
