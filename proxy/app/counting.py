"""Counts the findings of journal entries, so that an alert and the journal speak of the same things."""

from proxy.audit.entry import Entry
from proxy.enforcement.house import Journal
from proxy.wire.admin import Metrics


class CountingJournal:
    """Port `Journal`: records in another, and counts what was found once that is durable."""

    def __init__(self, journal: Journal, metrics: Metrics) -> None:
        self._journal = journal
        self._metrics = metrics

    async def record(self, entry: Entry) -> None:
        """Returns when the entry is durable; `OwnError` otherwise."""
        await self._journal.record(entry)
        for kind, _ in entry.findings:
            self._metrics.findings.labels(kind).inc()
