"""Sizes, durations and times look as the specification shows."""

import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from alpenhorn.common import units


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (None, "-"),
        (0, "0 B"),
        (1, "1 B"),
        (52, "52 B"),
        (1000, "1000 B"),
        (1023, "1023 B"),
        (1024, "1.000 kiB"),
        (1234, "1.205 kiB"),
        (4096, "4.000 kiB"),
        (10240, "10.00 kiB"),
        (12345, "12.06 kiB"),
        (102399, "100.00 kiB"),
        (102400, "100.0 kiB"),
        (123456, "120.6 kiB"),
        (1048575, "1024.0 kiB"),
        (1048576, "1.000 MiB"),
        (1234567890, "1.150 GiB"),
        (12345678901, "11.50 GiB"),
        (-1, "-1 B"),
        (-1234, "-1.205 kiB"),
        (-123456789012, "-115.0 GiB"),
        (1152921504606846976, "1.000 EiB"),
        (1024**7 - 1, "1024.0 EiB"),
        (1024**7, f"{1024**7} B"),
        (139.7, "139 B"),
        (-0.5, "0 B"),
        ("4096", "4.000 kiB"),
        (Decimal(4096), "4.000 kiB"),
    ],
)
def test_sizes(n, text):
    assert units.pretty_bytes(n) == text


@pytest.mark.parametrize("n", ["x", "", [], math.nan, math.inf, object()])
def test_a_size_that_is_no_number_is_a_type_error(n):
    with pytest.raises(TypeError):
        units.pretty_bytes(n)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0s"),
        (0.44, "0.4s"),
        (59.9, "59.9s"),
        (60, "1m00s"),
        (61.9, "1m01s"),
        (1234, "20m34s"),
        (3600, "1h00m00s"),
        (7325, "2h02m05s"),
        (12345, "3h25m45s"),
        (360000, "100h00m00s"),
        (-1.25, "-1.2s"),
        (-100, "-100.0s"),
        (Decimal("61"), "1m01s"),
    ],
)
def test_durations(seconds, text):
    assert units.pretty_deltat(seconds) == text


@pytest.mark.parametrize("seconds", ["1", None, timedelta(seconds=1), []])
def test_a_duration_that_is_no_number_is_a_type_error(seconds):
    with pytest.raises(TypeError):
        units.pretty_deltat(seconds)


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (datetime(2025, 2, 21, 23, 7, 8, 999999), "Fri Feb 21 23:07:08 2025 UTC"),
        (datetime(2025, 3, 6, 22, 54, 37), "Thu Mar  6 22:54:37 2025 UTC"),
        (
            datetime(2025, 3, 6, 23, 54, 37, tzinfo=timezone(timedelta(hours=1))),
            "Thu Mar  6 22:54:37 2025 UTC",
        ),
        (None, "-"),
    ],
)
def test_times_in_the_long_form(time, text):
    assert units.pretty_time(time) == text


def test_times_in_the_short_form():
    assert units.pretty_time_short(datetime(2025, 2, 26, 22, 54, 14, 5)) == "2025-02-26 22:54:14"
    assert units.pretty_time_short(None) == "-"


def test_times_are_naive_utc():
    assert units.utcfromtimestamp(0) == datetime(1970, 1, 1)
    now = units.utcnow()
    assert now.tzinfo is None
    assert abs(now.replace(tzinfo=UTC) - datetime.now(UTC)) < timedelta(minutes=1)


def test_big_sizes_are_read_exactly():
    assert units.parse_bytes(2**53 + 1) == 2**53 + 1
    assert units.parse_bytes(" 16M ") == 16 * 2**20
