"""Walking round and round a table: every row gets its turn, wherever the walk begins."""

from __future__ import annotations

from typing import Any

import peewee as pw
import pytest

from alpenhorn.db import ArchiveAcq
from alpenhorn.db.querywalker import QueryWalker


@pytest.fixture
def names(index: Any) -> list[str]:
    """Five rows; the keys have a gap."""
    for name in ("a", "b", "c", "gap", "d", "e"):
        ArchiveAcq.create(name=name)
    ArchiveAcq.delete().where(ArchiveAcq.name == "gap").execute()
    return ["a", "b", "c", "d", "e"]


def walk(walker: QueryWalker[ArchiveAcq], n: int) -> str:
    return "".join(str(row.name) for row in walker.get(n))


def first(low: int, high: int) -> int:
    return low


@pytest.mark.parametrize("start", range(1, 7))
def test_from_any_start_each_row_comes_once_per_round(names: list[str], start: int) -> None:
    walker = QueryWalker(ArchiveAcq, choose=lambda low, high: start)
    seen = "".join(walk(walker, 1) for _ in names)
    assert sorted(seen) == names
    assert seen in "abcdeabcde"


def test_the_start_is_any_key_between_the_first_and_the_last(names: list[str]) -> None:
    asked: list[tuple[int, int]] = []
    QueryWalker(ArchiveAcq, choose=lambda low, high: asked.append((low, high)) or low)  # type: ignore[func-returns-value]
    assert asked == [(1, 6)]


def test_several_rows_go_on_at_the_beginning(names: list[str]) -> None:
    walker = QueryWalker(ArchiveAcq, choose=first)
    assert [walk(walker, 3) for _ in range(4)] == ["abc", "dea", "bcd", "eab"]


def test_rows_are_repeated_if_there_are_too_few(names: list[str]) -> None:
    walker = QueryWalker(ArchiveAcq, choose=first)
    assert walk(walker, 1) == "a"
    assert walk(walker, 13) == "bcdeabcdeabcd"[:13]
    assert walk(walker, 2) == "ea"


def test_only_rows_that_meet_all_conditions_are_met(names: list[str]) -> None:
    walker = QueryWalker(ArchiveAcq, ArchiveAcq.name > "a", ArchiveAcq.name < "d", choose=first)
    assert walk(walker, 4) == "bcbc"


def test_rows_may_come_and_go_during_the_walk(names: list[str]) -> None:
    walker = QueryWalker(ArchiveAcq, choose=first)
    assert walk(walker, 2) == "ab"
    ArchiveAcq.delete().where(ArchiveAcq.name.in_(["b", "c"])).execute()
    ArchiveAcq.create(name="f")
    assert walk(walker, 4) == "defa"


def test_without_any_row_the_library_s_error_is_raised(names: list[str]) -> None:
    with pytest.raises(pw.DoesNotExist):
        QueryWalker(ArchiveAcq, ArchiveAcq.name == "none")
    walker = QueryWalker(ArchiveAcq)
    ArchiveAcq.delete().execute()
    with pytest.raises(pw.DoesNotExist):
        walker.get()


@pytest.mark.parametrize("n", [0, -1])
def test_at_least_one_row_must_be_asked_for(names: list[str], n: int) -> None:
    with pytest.raises(ValueError):
        QueryWalker(ArchiveAcq).get(n)


def test_a_huge_wish_costs_two_reads(names: list[str], caplog: pytest.LogCaptureFixture) -> None:
    walker = QueryWalker(ArchiveAcq)
    caplog.set_level("DEBUG", "peewee")
    assert len(walker.get(10_000)) == 10_000
    assert len(caplog.records) == 2
