"""The layout rules of tables and label blocks."""

from __future__ import annotations

import datetime

import pytest

from alpenhorn.cli import render
from alpenhorn.cli.render import Column

COLUMNS = (Column("name", "Name"), Column("count", "File Count", str, right=True))


def test_counts_are_right_aligned_with_their_heading() -> None:
    rows = [{"name": "a", "count": 1}, {"name": "a longer name", "count": 22}]
    assert render.table(COLUMNS, rows).splitlines() == [
        "Name             File Count",
        "-------------  ------------",
        "a                         1",
        "a longer name            22",
    ]


def test_a_table_without_rows_is_left_aligned() -> None:
    assert render.table(COLUMNS, []).splitlines() == [
        "Name    File Count",
        "------  ------------",
    ]


@pytest.mark.parametrize("value", ["1e5", "007", "5.00", "0x10", "1,000", "inf", "-"])
def test_text_that_looks_like_a_number_is_kept(value: str) -> None:
    """D20."""
    table = render.table((Column("a", "A"), Column("b", "B")), [{"a": value, "b": value}])
    assert table.splitlines()[2].split() == [value, value]


def test_blanks_around_a_cell_and_null() -> None:
    rows = [{"name": "  x ", "count": 1}, {"name": None, "count": 2}]
    assert render.table(COLUMNS, rows).splitlines()[2:] == [
        "x                  1",
        "                   2",
    ]


def test_label_block_keeps_the_blank_after_the_colon() -> None:
    block = render.label_block([("Name", "x"), None, ("Longer", "")])
    assert block == "  Name: x\n\nLonger: "


def test_names_cannot_act_on_the_terminal() -> None:
    assert render.printable("a\nb\x1b[2J\x9b\u2028é") == r"a\nb\x1b[2J\x9b\u2028é"


def test_json_values(capsys: pytest.CaptureFixture[str]) -> None:
    render.show_json({"t": datetime.datetime(2025, 1, 2, 3, 4, 5), "n": None, "é": 2**60})
    assert capsys.readouterr().out == (
        '{\n  "t": "2025-01-02T03:04:05Z",\n  "n": null,\n  "é": 1152921504606846976\n}\n'
    )


def test_nested_config_values_are_json() -> None:
    assert render.io_config_section('{"a": [1, {"b": null}], "c": true}').splitlines()[3:] == [
        '  a: [1, {"b": null}]',
        "  c: True",
    ]
