"""The tables of `benchmarks/bulk.py` tell the truth about what is reached."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

from bulkwork import report
from bulkwork.rows import Result, Row
from bulkwork.targets import Fact, at_most, not_measured, verdict
from bulkwork.works import Took, check
from bulkwork.yardsticks import md5sum

ROW = Row("check", check, md5sum, "md5sum", 0.5, rate=100, grows=True, peer_ratio=20)


def result(ours: float = 1.0, grown: float = 1.0, peer_rate: float = 5.0) -> Result:
    """A row in which all targets are just reached: 100 files/s, half the yardstick's speed."""
    return Result(
        ROW,
        100,
        yardstick=[0.5] * 3,
        ours=[Took(ours, 0.1, 50)] * 3,
        grown=[Took(grown, 0.1, 50)] * 3,
        peer_rates=[peer_rate],
    )


def test_targets_that_are_just_reached_are_reached() -> None:
    assert verdict(result(grown=1.25).missed()) == "reached"


@pytest.mark.parametrize(
    ("made", "missed"),
    [
        (result(grown=1.26), ["growth"]),
        (result(peer_rate=5.1), ["public"]),
        (result(ours=1.1), ["ratio", "files/s", "public"]),
    ],
)
def test_each_target_that_is_missed_is_named(made: Result, missed: list[str]) -> None:
    assert made.missed() == missed
    assert verdict(missed).startswith("NOT reached")


def test_a_single_slow_round_does_not_decide() -> None:
    made = result()
    made.ours[0] = Took(9.0, 0.1, 50)
    assert made.missed() == []


def test_a_row_that_failed_is_not_reached_and_says_why() -> None:
    cells = report._row_cells(Result(ROW, 100, failure="the daemon has ended"))
    assert cells[-1] == "NOT reached: the daemon has ended"
    assert len(cells) == len(report.ROW_HEADERS)


def test_a_figure_above_its_bound_or_without_value_is_not_reached() -> None:
    assert verdict(Fact("pass", "0.2 s", 0.2, at_most(0.2), "≤ 0.2 s").missed()) == "reached"
    assert "NOT" in verdict(Fact("pass", "0.3 s", 0.3, at_most(0.2), "≤ 0.2 s").missed())
    assert "NOT" in verdict(not_measured("pass", "the daemon has ended").missed())


def test_the_table_of_one_index_leaves_that_of_the_other_alone(tmp_path: Path) -> None:
    page = tmp_path / "performance.md"
    page.write_text("# How fast it is\n")
    for kind, text in (("sqlite", "old\n"), ("mariadb", "theirs\n"), ("sqlite", "new\n")):
        report.write(page, kind, text)
    written = page.read_text()
    assert "old" not in written
    assert written.index("# How fast it is") < written.index("new") < written.index("theirs")
