"""What programs print is compared with the walkthrough, save for what differs from run to run."""

from __future__ import annotations

import pytest

from alpenhorn.demo.templates import fill, matches

PLACES = {"data1": "/demo dir/data"}


@pytest.mark.parametrize(
    ("template", "printed"),
    [
        ("Last Checked: {time}", "Last Checked: Fri Mar  7 02:27:47 2025 UTC"),
        ("[Node Init]  -  {request_time}", "[Node Init]  -  2025-02-26 22:54:14"),
        ("Available: {size}", "Available: 46.47 GiB"),
        ("Available: {size}", "Available: 52 B"),
        ("in {duration} [{size}/s]", "in 0.4s [139 B/s]"),
        ("request #{n}.", "request #12."),
        ('root "{data1}"', 'root "/demo dir/data"'),
        ("Notes:\nx", "\nNotes: \nx\n\n"),
    ],
)
def test_what_may_differ_does(template: str, printed: str) -> None:
    assert matches(template, printed, PLACES)


@pytest.mark.parametrize(
    ("template", "printed"),
    [
        ("Node updated.", "Node updated!"),
        ("Node updated.", "Node updated.\nWARNING >> something"),
        ("demo_storage1   5", "demo_storage1  5"),
        ("Last Checked: {time}", "Last Checked: -"),
        ("Available: {size}", "Available: -"),
        ('root "{data1}"', 'root "/other/data"'),
    ],
)
def test_everything_else_may_not(template: str, printed: str) -> None:
    assert not matches(template, printed, PLACES)


def test_directories_in_commands_are_quoted() -> None:
    assert fill("find {data1} | sort", PLACES) == "find '/demo dir/data' | sort"
