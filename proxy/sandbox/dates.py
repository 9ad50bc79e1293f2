"""FHIR dates as intervals: a partial date is the whole year, month, day, minute or second it names.

All intervals are half-open, `low <= t < high`, in seconds since 1970 UTC; a date without zone is UTC.
"""

import math
import re
from datetime import UTC, datetime, timedelta

Interval = tuple[float, float]

_DATE = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d)"
    r"(?:T(?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d+))?)?"
    r"(?P<zone>Z|[+-]\d\d:\d\d)?)?)?)?"
)
_STEPS = {
    "day": timedelta(days=1),
    "minute": timedelta(minutes=1),
    "second": timedelta(seconds=1),
    "fraction": timedelta(milliseconds=1),
}


def interval_of(text: str) -> Interval | None:
    """Give the interval that a date, dateTime or instant names; None if it is no date."""
    match = _DATE.fullmatch(text.strip())
    if match is None:
        return None
    parts = {name: value for name, value in match.groupdict().items() if value is not None}
    try:
        start = _start_of(parts)
        return start.timestamp(), _end_of(start, parts)
    except (ValueError, OverflowError):
        return None


def _start_of(parts: dict[str, str]) -> datetime:
    names = ("year", "month", "day", "hour", "minute", "second")
    year, month, day, hour, minute, second = (
        int(parts.get(name, default))
        for name, default in zip(names, (1, 1, 1, 0, 0, 0), strict=True)
    )
    micro = int(parts.get("fraction", "0").ljust(6, "0")[:6])
    start = datetime(year, month, day, hour, minute, min(second, 59), micro, UTC)
    return start - _offset_of(parts.get("zone", "Z"))


def _offset_of(zone: str) -> timedelta:
    if zone == "Z":
        return timedelta()
    hours, minutes = zone[1:].split(":")
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    return -offset if zone.startswith("-") else offset


def _end_of(start: datetime, parts: dict[str, str]) -> float:
    last = list(parts)[-1] if "zone" not in parts else list(parts)[-2]
    try:
        if last == "year":
            return start.replace(year=start.year + 1).timestamp()
        if last == "month":
            return (start + timedelta(days=32)).replace(day=1).timestamp()
        return (start + _STEPS[last]).timestamp()
    except (ValueError, OverflowError):
        return math.inf


def period_of(start: object, end: object) -> Interval | None:
    """Give the interval of a Period; an open end reaches to infinity."""
    first = interval_of(start) if isinstance(start, str) else None
    last = interval_of(end) if isinstance(end, str) else None
    if first is None and last is None:
        return None
    return (first[0] if first else -math.inf), (last[1] if last else math.inf)


def compare(prefix: str, target: Interval, search: Interval, now: float) -> bool:
    """Whether a resource's interval satisfies `prefix` and the search interval (FHIR search, prefix)."""
    low, high = target
    start, end = search
    if prefix == "ap":
        slack = abs(now - (start + end) / 2) / 10
        return low < end + slack and high > start - slack
    return {
        "eq": start <= low and high <= end,
        "ne": not (start <= low and high <= end),
        "gt": high > end,
        "lt": low < start,
        "ge": high > start,
        "le": low < end,
        "sa": low >= end,
        "eb": high <= start,
    }[prefix]
