"""FHIR date, dateTime and instant as intervals (https://hl7.org/fhir/R4/datatypes.html#dateTime).

A partial date is the whole year, month or day it names, in the zone the operator declares; ends are inclusive to the
last instant (threats T-194). All instants are seconds since the epoch. Pure.
"""

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import NamedTuple


class Interval(NamedTuple):
    """A closed interval in seconds since the epoch."""

    start: float
    end: float


_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)
INSTANT = re.compile(
    r"[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3]):[0-5][0-9]"
    r":(?:[0-5][0-9]|60)(?:\.[0-9]{1,9})?(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])"
)
"""A FHIR instant (https://hl7.org/fhir/R4/datatypes.html#instant)."""
_LEAP = 60
_LAST = timedelta(microseconds=1)


@lru_cache(maxsize=8192)
def interval_of(text: str, zone: tzinfo) -> Interval | None:
    """Give the interval that a date names; `start/end` (ISO 8601) names the one from the first to the last.

    A date-time without offset, and every date, is read in `zone`. None if it is no date.
    """
    first, slash, last = text.partition("/")
    start = _one(first, zone)
    end = _one(last, zone) if slash else start
    if start is None or end is None or start.start > end.end:
        return None
    return Interval(start.start, end.end)


def _one(text: str, zone: tzinfo) -> Interval | None:
    found = _DATE.fullmatch(text)
    if not found:
        return None
    try:
        return _date(found, zone) if found[4] is None else _instant(found, zone)
    except (ValueError, OverflowError):
        return None


def _date(found: re.Match[str], zone: tzinfo) -> Interval:
    year, month, day = int(found[1]), found[2], found[3]
    last_month = int(month or 12)
    last_day = int(day or monthrange(year, last_month)[1])
    start = datetime(year, int(month or 1), int(day or 1), tzinfo=zone)
    # fold=1: on the night the clocks go back the day ends with the second of the two hours
    end = datetime(year, last_month, last_day, 23, 59, 59, 999999, tzinfo=zone, fold=1)
    return Interval(start.timestamp(), end.timestamp())


def _instant(found: re.Match[str], zone: tzinfo) -> Interval:
    year, month, day, hour, minute = (int(found[group]) for group in range(1, 6))
    leap = int(found[6] or 0) == _LEAP
    second = 59 if leap else int(found[6] or 0)
    micro = int((found[7] or "").ljust(6, "0")[:6])
    start = datetime(
        year, month, day, hour, minute, second, micro, _offset(found[8], zone)
    ).timestamp()
    return Interval(start, start + leap + (_width(found) - _LAST).total_seconds())


def _width(found: re.Match[str]) -> timedelta:
    """How long the instant lasts: a minute, a second, or one unit of its last decimal."""
    if found[6] is None:
        return timedelta(minutes=1)
    return timedelta(microseconds=10 ** max(0, 6 - len(found[7] or "")))


def _offset(text: str | None, zone: tzinfo) -> tzinfo:
    if text is None:
        return zone
    if text == "Z":
        return UTC
    hours, minutes = int(text[1:3]), int(text[4:6])
    offset = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset if text[0] == "-" else offset)
