"""The findings of the journal, counted: what the gateway could not understand, and which resource it was.

The counter `proxy_findings_total` tells that there is something to see to; this tells what.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from proxy.audit.entry import Entry


@dataclass(frozen=True, slots=True)
class FindingReport:
    """One finding. `times`: in how many requests it was found, between `first` and `last` (UTC, ISO 8601).

    `entry` is the id of the last journal entry that holds it.
    """

    kind: str
    about: str
    times: int
    first: str
    last: str
    entry: str


def findings_report(entries: Iterable[Entry], kind: str = "") -> list[FindingReport]:
    """The findings of the entries, which come in the order of time; the latest first. `kind`: of this kind only."""
    found: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        for finding in entry.findings:
            if kind in ("", finding[0]):
                found.setdefault(finding, []).append(entry)
    told = [_report(*finding, seen) for finding, seen in found.items()]
    return sorted(told, key=lambda one: one.last, reverse=True)


def _report(kind: str, about: str, seen: list[Entry]) -> FindingReport:
    first, last = (_instant(one.recorded) for one in (seen[0], seen[-1]))
    return FindingReport(kind, about, len(seen), first, last, seen[-1].id)


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
