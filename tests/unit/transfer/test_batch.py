"""What is moved, and how work is cut into batches."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpenhorn.errors import InvalidName
from alpenhorn.transfer.batch import Item, split, time_limit


def numbers(sizes: list[int], **limits: int) -> list[list[int]]:
    return split(sizes, lambda size: size, **limits)


def test_batches_are_bounded_by_files() -> None:
    assert numbers([1] * 5, max_files=2) == [[1, 1], [1, 1], [1]]


def test_batches_are_bounded_by_bytes() -> None:
    assert numbers([4, 4, 4], max_bytes=8) == [[4, 4], [4]]


def test_a_large_file_travels_alone_and_does_not_cut_the_batch_around_it() -> None:
    assert numbers([1, 100, 2, 200, 3], alone_above=50) == [[1, 2, 3], [100], [200]]


def test_files_of_unknown_length_are_batched() -> None:
    assert split(["a", "b"], lambda _: None) == [["a", "b"]]


def test_nothing_makes_no_batches() -> None:
    assert numbers([]) == []


@given(st.lists(st.integers(0, 20)))
def test_no_work_is_lost_doubled_or_reordered(sizes: list[int]) -> None:
    work = list(enumerate(sizes))
    batches = split(work, lambda w: w[1], max_files=4, max_bytes=30, alone_above=10)
    assert sorted(w for batch in batches for w in batch) == work
    assert all(batch == sorted(batch) for batch in batches)
    assert [batch[0] for batch in batches] == sorted(batch[0] for batch in batches)
    for batch in batches:
        assert len(batch) == 1 or (len(batch) <= 4 and sum(size for _, size in batch) <= 30)


def test_time_limit_grows_with_the_bytes() -> None:
    assert time_limit(40_000_000, 300, 20_000_000) == 302


def test_a_rate_of_zero_means_no_time_limit() -> None:
    assert time_limit(10**12, 300, 0) is None


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/.", "a\0b", "\ud800"]
)
def test_a_path_that_could_leave_the_staging_directory_is_refused(path: str) -> None:
    with pytest.raises(InvalidName):
        Item(1, path, "/root/x")


@pytest.mark.parametrize("source", ["", "relative", "-option", "host:/x", "/a\0b"])
def test_a_source_that_is_no_absolute_path_is_refused(source: str) -> None:
    with pytest.raises(InvalidName):
        Item(1, "x", source)


def test_names_that_are_not_utf8_are_fine() -> None:
    name = os.fsdecode(b"\xff")
    assert Item(1, name, f"/root/{name}").path == name
