"""Free space and the reservations against it (spec: io-classes.md §6.2)."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from alpenhorn.io.default import space


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """Set the free bytes of every file system."""
    return lambda free_b: monkeypatch.setattr(space, "available", lambda root: free_b)


def test_the_example_of_the_specification(site: Any, free: Any) -> None:
    io = site.node("n")
    free(10_000)
    assert io.reserve_bytes(2000)
    assert io.reserve_bytes(2000)
    assert not io.reserve_bytes(2000)
    assert site.reserved() == 8000
    io.release_bytes(2000)
    assert not io.reserve_bytes(4000), "needs 8 000, 6 000 left"
    assert io.reserve_bytes(3000)


def test_a_question_reserves_nothing(site: Any, free: Any) -> None:
    io = site.node("n")
    free(10_000)
    assert io.fits(5000)
    assert not io.fits(5001)
    assert io.reserve_bytes(5000, check_only=True)
    assert site.reserved() == 0


def test_nodes_on_one_file_system_share_reservations(site: Any, free: Any) -> None:
    """Weakness 10: two nodes on one disk must not both fill it."""
    first, second = site.node("n1"), site.node("n2")
    free(10_000)
    assert first.reserve_bytes(4000)
    assert not second.reserve_bytes(2000)
    assert second.reserve_bytes(1000)
    first.release_bytes(4000)
    assert second.fits(4000)


def test_nodes_on_different_file_systems_do_not(
    site: Any, free: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "store_of", lambda root: root)
    first, second = site.node("n1"), site.node("n2")
    free(10_000)
    assert first.reserve_bytes(5000)
    assert second.reserve_bytes(5000)


def test_releasing_more_than_is_reserved_is_an_error(site: Any, free: Any) -> None:
    io = site.node("n")
    free(10_000)
    io.reserve_bytes(100)
    with pytest.raises(ValueError, match="released"):
        io.release_bytes(101)
    io.release_bytes(100)
    with pytest.raises(ValueError):
        io.release_bytes(1)


def test_unknown_free_space_never_refuses(site: Any, free: Any) -> None:
    io = site.node("n")
    free(None)
    assert io.reserve_bytes(2**60)
    io.release_bytes(2**60)
    assert site.reserved() == 0


def test_a_class_may_reserve_by_another_factor(site: Any, free: Any) -> None:
    io = site.node("n")
    type(io).reserve_factor = 2
    io.reserve_factor = 1
    free(10_000)
    assert io.reserve_bytes(10_000)
    io.release_bytes(10_000)
    assert site.reserved() == 0


def test_a_reservation_goes_back_to_where_it_was_made_if_the_medium_is_gone(site: Any) -> None:
    """Otherwise the release is an error and the space stays reserved for ever."""
    io = site.node("n")
    io.reserve_bytes(1000)
    io.node.root = "/no/such/directory"
    io.release_bytes(1000)
    assert site.reserved() == 0


def test_the_free_space_is_that_of_unprivileged_users_in_fragments(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weakness 36: statvfs counts in f_frsize."""
    status = SimpleNamespace(f_bavail=10, f_bfree=99, f_frsize=512, f_bsize=4096)
    monkeypatch.setattr(os, "statvfs", lambda path: status)
    io = site.node("n")
    assert io.bytes_avail() == io.bytes_avail(fast=True) == 5120


@pytest.mark.parametrize("root", [None, "/no/such/directory", "nul\0"])
def test_the_free_space_of_a_root_that_is_not_there_is_unknown(site: Any, root: str | None) -> None:
    io = site.node("n")
    io.node.root = root
    assert io.bytes_avail() is None
    assert io.fits(100)
