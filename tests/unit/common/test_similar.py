"""A mistyped name is answered with what was meant."""

from __future__ import annotations

import pytest

from alpenhorn.common.similar import similar

KNOWN = ("demo_storage1", "Demo_storage2", "tape", "cedar_online")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("demo_storag1", ["demo_storage1"]),
        ("demo_storage1 ", ["demo_storage1"]),
        ("DEMO_STORAGE2", ["Demo_storage2"]),
        ("Tpae", ["tape"]),
        ("cedar-online", ["cedar_online"]),
        ("nowhere", []),
        ("", []),
        ("x" * 300, []),
    ],
)
def test_the_closest_name_is_found(typed: str, meant: list[str]) -> None:
    assert similar(typed, KNOWN) == meant


def test_no_more_than_asked_for() -> None:
    assert sorted(similar("demo_storage", KNOWN, most=2)) == ["Demo_storage2", "demo_storage1"]
    assert len(similar("demo_storage", KNOWN)) == 1


def test_nothing_is_known() -> None:
    assert similar("a", []) == []
