"""Bandwidth limits by the hour: what people may write, and when it holds."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from alpenhorn.transfer.timetable import UNLIMITED, parse

MONDAY = datetime(2025, 3, 3)
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MIB = 2**20


def at(day: str, clock: str = "12:00") -> datetime:
    hours, minutes = map(int, clock.split(":"))
    return MONDAY + timedelta(days=DAYS.index(day), hours=hours, minutes=minutes)


@pytest.mark.parametrize(
    ("value", "rate"),
    [
        ("20M", 20 * MIB),
        ("500k", 500 * 1024),
        ("1G", 2**30),
        ("1.5M", 3 * MIB // 2),
        ("4096", 4096),
        (4096, 4096),
        (["20M"], 20 * MIB),
        (" 20M ; ", 20 * MIB),
    ],
)
def test_a_plain_rate_holds_always(value: object, rate: int) -> None:
    table = parse(value)
    for hours in range(24 * 7):
        assert table.rate_at(MONDAY + timedelta(hours=hours)) == rate


def test_without_a_timetable_there_is_no_limit() -> None:
    assert UNLIMITED.rate_at(MONDAY) is None


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        (
            "Mon-Fri 08:00-18:00 20M",
            [("Mon", "08:00"), ("Wed", "12:30"), ("Fri", "17:59")],
            [("Mon", "07:59"), ("Fri", "18:00"), ("Sat", "12:00"), ("Sun", "12:00")],
        ),
        ("Sat,Sun 20M", [("Sat", "00:00"), ("Sun", "23:59")], [("Fri", "23:59"), ("Mon", "00:00")]),
        ("08:00-09:00 20M", [(day, "08:30") for day in DAYS], [(day, "09:00") for day in DAYS]),
        # over the end of the week
        ("Fri-Mon 20M", [("Fri", "12:00"), ("Sun", "12:00"), ("Mon", "12:00")], [("Tue", "12:00")]),
        ("Sun-Sun 20M", [("Sun", "12:00")], [("Mon", "12:00"), ("Sat", "12:00")]),
        ("Mon-Wed,Sat 20M", [("Tue", "01:00"), ("Sat", "01:00")], [("Thu", "01:00")]),
        # over midnight: the days are those on which the range begins
        (
            "Fri 22:00-06:00 20M",
            [("Fri", "22:00"), ("Fri", "23:59"), ("Sat", "00:00"), ("Sat", "05:59")],
            [("Fri", "05:00"), ("Fri", "21:59"), ("Sat", "06:00"), ("Sat", "22:00")],
        ),
        ("Sun 23:00-01:00 20M", [("Sun", "23:30"), ("Mon", "00:59")], [("Sun", "00:30")]),
        ("22:00-06:00 20M", [(day, "23:00") for day in DAYS], [(day, "12:00") for day in DAYS]),
        # midnight itself
        ("Mon 18:00-24:00 20M", [("Mon", "23:59")], [("Tue", "00:00"), ("Mon", "17:59")]),
        ("Mon 18:00-00:00 20M", [("Mon", "23:59")], [("Tue", "00:00"), ("Mon", "17:59")]),
        ("Mon 00:00-24:00 20M", [("Mon", "00:00"), ("Mon", "23:59")], [("Tue", "00:00")]),
        # spelling
        ("mon-FRI 8:00-18:00 20M", [("Mon", "08:00")], [("Sat", "08:00")]),
        ("Mon  08:00-18:00   20M", [("Mon", "08:00")], [("Tue", "08:00")]),
    ],
)
def test_an_entry_holds_in_its_days_and_hours(
    text: str, inside: list[tuple[str, str]], outside: list[tuple[str, str]]
) -> None:
    table = parse(text)
    assert [table.rate_at(at(*moment)) for moment in inside] == [20 * MIB] * len(inside)
    assert [table.rate_at(at(*moment)) for moment in outside] == [None] * len(outside)


def test_the_last_second_of_a_range_belongs_to_it() -> None:
    table = parse("08:00-18:00 20M")
    assert table.rate_at(datetime(2025, 3, 3, 17, 59, 59, 999999)) == 20 * MIB


@pytest.mark.parametrize(
    "value",
    [
        "Mon-Fri 08:00-18:00 20M; Sat 50M; 100M",
        ["Mon-Fri 08:00-18:00 20M", "Sat 50M", "100M"],
        ["Mon-Fri 08:00-18:00 20M; 100M", "Sat 50M"],
    ],
)
def test_of_several_entries_the_strictest_counts(value: object) -> None:
    table = parse(value)
    assert table.rate_at(at("Mon", "12:00")) == 20 * MIB
    assert table.rate_at(at("Mon", "20:00")) == 100 * MIB
    assert table.rate_at(at("Sat", "12:00")) == 50 * MIB


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("", "no entry"),
        (" ; ", "no entry"),
        ([], "no entry"),
        ("fast", '"fast" is no rate'),
        ("20MB", '"20MB" is no rate'),
        ("-20M", '"-20M" is no rate'),
        ("0", "not a size above 0"),
        (0, "not a size above 0"),
        ("nan", "is no rate"),
        ("1e9999", "is no rate"),
        ("٢٠M", "is no rate"),
        ("Mon-Fri 08:00-18:00", '"08:00-18:00" is no rate'),
        ("Mon-Fry 20M", '"Fry" is no day'),
        ("Monday 20M", '"Monday" is no day'),
        ("Mon-Tue-Wed 20M", '"Mon-Tue-Wed" is no range of days'),
        ("Mon,, 20M", '"" is no day'),
        ("Mon - Fri 20M", "use [DAYS]"),
        ("08:00-18:00 Mon 20M", "use [DAYS]"),
        ("08:00-18:00 08:00-18:00 20M", '"08:00" is no day'),
        ("08:00 20M", '"08:00" is no range of hours'),
        ("08:00-25:00 20M", '"25:00" is no time of day'),
        ("08:60-18:00 20M", '"08:60" is no time of day'),
        ("24:01-02:00 20M", '"24:01" is no time of day'),
        ("08:00-08:00 20M", "is empty"),
        ("24:00-08:00 20M", "is empty"),
        ("Mon-Fri 20M; Sat 10X", '"Sat 10X": "10X" is no rate'),
        ("Mon\nTue\x1b[1m 20X", "is no rate"),
        (True, "use [DAYS]"),
        (None, "use [DAYS]"),
        ({"rate": "20M"}, "use [DAYS]"),
        ([["20M"]], "use [DAYS]"),
        ("20M --rsh=x", "is no rate"),
    ],
)
def test_a_bad_timetable_is_refused_in_one_clear_line(value: object, said: str) -> None:
    with pytest.raises(ValueError) as error:
        parse(value)
    assert said in str(error.value)
    assert str(error.value).isprintable()
