"""Bandwidth limits that depend on the hour: ``Mon-Fri 08:00-18:00 20M; Sat,Sun 100M``.

A timetable is a list of entries, divided by ``;``. An entry is ``[DAYS] [HH:MM-HH:MM] RATE``:

- DAYS: ``Mon``, ``Mon-Fri``, ``Sat,Sun``; a range may run over the week's end (``Fri-Mon``).
  Without days an entry holds on all of them.
- HH:MM-HH:MM: from the first minute up to, and without, the second. If the end is not later than
  the beginning, the range runs over midnight, into the day after each of DAYS. ``24:00`` is the
  end of a day. Without hours an entry holds all day.
- RATE: bytes per second, as a number or with k, M, G (1024, 1024², 1024³).

Times are those of the clock on the wall, with all its jumps. Of several entries that hold at one
moment the strictest counts; where none holds there is no limit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from alpenhorn.common.units import parse_bytes

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES = 24 * 60
_EVERY_DAY = frozenset(range(7))

_HOURS = re.compile(r"([0-9]{1,2}):([0-9]{2})-([0-9]{1,2}):([0-9]{2})", re.ASCII)
_RATE = re.compile(r"[0-9]+(\.[0-9]+)?[kMG]?", re.ASCII)
_FORM = "use [DAYS] [HH:MM-HH:MM] RATE, such as 20M or Mon-Fri 08:00-18:00 20M"


@dataclass(frozen=True)
class Entry:
    """A limit and when it holds.

    Args:
        days: the days on which the range begins, Monday is 0.
        start: first minute of the range, counted from midnight.
        end: the minute after its last one; above 1440 if the range runs over midnight.
        rate: bytes per second.
    """

    days: frozenset[int]
    start: int
    end: int
    rate: int

    def holds(self, now: datetime) -> bool:
        """Tell whether the limit holds at `now`."""
        minute = now.hour * 60 + now.minute
        today, yesterday = now.weekday(), (now.weekday() - 1) % 7
        return (today in self.days and self.start <= minute < self.end) or (
            yesterday in self.days and minute + _DAY_MINUTES < self.end
        )


@dataclass(frozen=True)
class Timetable:
    """A bandwidth limit that may depend on the time."""

    entries: tuple[Entry, ...] = ()

    def rate_at(self, now: datetime) -> int | None:
        """Return the limit in bytes per second at a local time; None: no limit."""
        return min((entry.rate for entry in self.entries if entry.holds(now)), default=None)


UNLIMITED = Timetable()


def parse(value: object) -> Timetable:
    """Read a timetable.

    Args:
        value: text, a list of texts, or a number of bytes per second.

    Raises:
        ValueError: one line that names the entry and says what is wrong with it.
    """
    texts = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str | int | float) and text is not True for text in texts):
        raise ValueError(f"{value!r}: {_FORM}")
    entries = [part.strip() for text in texts for part in str(text).split(";")]
    found = tuple(_entry(entry) for entry in entries if entry)
    if not found:
        raise ValueError(f"no entry: {_FORM}")
    return Timetable(found)


def _entry(text: str) -> Entry:
    shown = ascii(text)[1:-1]
    words = shown.split()
    try:
        rate = _rate(words.pop())
        start, end = _hours(words.pop()) if words and ":" in words[-1] else (0, _DAY_MINUTES)
        days = _days(words.pop()) if words else _EVERY_DAY
        if words:
            raise ValueError(_FORM)
    except ValueError as error:
        raise ValueError(f'"{shown[:80]}": {error}') from None
    return Entry(days, start, end, rate)


def _rate(word: str) -> int:
    if not _RATE.fullmatch(word):
        raise ValueError(f'"{word}" is no rate; {_FORM}')
    return parse_bytes(word)


def _hours(word: str) -> tuple[int, int]:
    """Read ``HH:MM-HH:MM``; returns minutes as in `Entry`."""
    match = _HOURS.fullmatch(word)
    if not match:
        raise ValueError(f'"{word}" is no range of hours such as 08:00-18:00')
    start, end = _minute(match[1], match[2]), _minute(match[3], match[4])
    if start in (end, _DAY_MINUTES):
        raise ValueError(f'"{word}" is empty; leave the hours out for the whole day')
    return start, end if end > start else end + _DAY_MINUTES


def _minute(hours: str, minutes: str) -> int:
    minute = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or minute > _DAY_MINUTES:
        raise ValueError(f'"{hours}:{minutes}" is no time of day')
    return minute


def _days(word: str) -> frozenset[int]:
    """Read ``Mon``, ``Mon-Fri``, ``Sat,Sun`` and mixtures."""
    days: set[int] = set()
    for part in word.split(","):
        ends = [_day(name) for name in part.split("-")]
        if len(ends) > 2:
            raise ValueError(f'"{part}" is no range of days such as Mon-Fri')
        days |= set(_range_of_days(ends))
    return frozenset(days)


def _range_of_days(ends: Sequence[int]) -> list[int]:
    """Return the days from the first to the last of `ends`, over the week's end if need be."""
    first, last = ends[0], ends[-1]
    return [(first + step) % 7 for step in range((last - first) % 7 + 1)]


def _day(name: str) -> int:
    try:
        return _DAYS.index(name.lower())
    except ValueError:
        raise ValueError(f'"{name}" is no day: use Mon, Tue, Wed, Thu, Fri, Sat, Sun') from None
