"""Sizes, durations and times as people read and write them.

Nothing here depends on the locale or on the time zone of the machine. Times are naive
`datetime` objects in UTC, as the Data Index stores them.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_PREFIXES = "kMGTPE"
_SIZE_SUFFIXES = {"k": 2**10, "M": 2**20, "G": 2**30}


def pretty_bytes(n: object) -> str:
    """Write a size with four significant digits: ``52 B``, ``46.77 GiB`` (spec: cli.md §3.1).

    Args:
        n: bytes; None if unknown. Fractions are cut off. Text that holds an int is accepted.

    Returns:
        The text; ``-`` for None.

    Raises:
        TypeError: `n` is not a number.
    """
    if n is None:
        return "-"
    try:
        count = int(n)  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"not a number of bytes: {n!r}") from None
    sign, size = ("-", -count) if count < 0 else ("", count)
    if size < 1024 or size >= 1024**7:
        return f"{sign}{size} B"
    power = (size.bit_length() - 1) // 10
    value = size / 1024**power
    decimals = 1 if value >= 100 else 2 if value >= 10 else 3
    return f"{sign}{value:.{decimals}f} {_PREFIXES[power - 1]}iB"


def pretty_deltat(seconds: float) -> str:
    """Write a duration: ``0.4s``, ``20m34s``, ``3h25m45s`` (spec: daemon.md §18.1).

    Args:
        seconds: the duration; negative ones are written as seconds with one decimal.

    Raises:
        TypeError: `seconds` is not a number.
    """
    if isinstance(seconds, str) or not hasattr(seconds, "__float__"):
        raise TypeError(f"not a number of seconds: {seconds!r}")
    if not 60 <= seconds < math.inf:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m{rest:02d}s" if hours else f"{minutes}m{rest:02d}s"


def pretty_time(time: datetime | None) -> str:
    """Write a time in the long form, ``Thu Mar  6 22:54:37 2025 UTC`` (spec: cli.md §3.3).

    Args:
        time: naive UTC, or with a time zone; None if unset.

    Returns:
        The text without fractions of a second; ``-`` for None.
    """
    if time is None:
        return "-"
    time = _as_utc(time)
    return (
        f"{_WEEKDAYS[time.weekday()]} {MONTHS[time.month - 1]} {time.day:2d} "
        f"{time.hour:02d}:{time.minute:02d}:{time.second:02d} {time.year:04d} UTC"
    )


def pretty_time_short(time: datetime | None) -> str:
    """Write a time in the short form, ``2025-02-26 22:54:14``; ``-`` for None (cli.md §3.3)."""
    if time is None:
        return "-"
    return _as_utc(time).replace(microsecond=0).isoformat(sep=" ")


def parse_bytes(value: object) -> int:
    """Read a size such as ``4096``, ``16M`` or ``3.3k`` (spec: config.md §5).

    Args:
        value: a number, or a number followed by k, M or G (1024, 1024², 1024³).

    Returns:
        Bytes, cut to an int, above 0.

    Raises:
        ValueError: `value` is no size, or not above 0.
    """
    text = str(value).strip()
    factor = _SIZE_SUFFIXES.get(text[-1:], 1)
    number = text if factor == 1 else text[:-1]
    try:
        # Whole numbers stay exact: a float has no more than 53 bits.
        size = int(number) * factor if number.isdecimal() else int(float(number) * factor)
    except (ValueError, OverflowError):
        raise ValueError(f"not a size: {value!r}") from None
    if size <= 0:
        raise ValueError(f"not a size above 0: {value!r}")
    return size


def utcnow() -> datetime:
    """Return the present time as a naive datetime in UTC."""
    return datetime.now(UTC).replace(tzinfo=None)


def utcfromtimestamp(timestamp: float) -> datetime:
    """Return a time given in seconds since 1970 (UTC) as a naive datetime in UTC."""
    return datetime.fromtimestamp(timestamp, UTC).replace(tzinfo=None)


def _as_utc(time: datetime) -> datetime:
    return time if time.tzinfo is None else time.astimezone(UTC).replace(tzinfo=None)
