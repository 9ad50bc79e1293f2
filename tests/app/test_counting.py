import pytest

from proxy.app.counting import CountingJournal
from proxy.audit.entry import Entry
from proxy.errors import OwnError
from proxy.wire.admin import Metrics
from tests.audit.cases import READ, changed

LABEL = ("unknown-label", "urn:x#odd in Observation/CANARY")


class Journal:
    def __init__(self, *, full: bool = False) -> None:
        self.full = full
        self.kept: list[Entry] = []

    async def record(self, entry: Entry) -> None:
        if self.full:
            raise OwnError("the journal is full")
        self.kept.append(entry)


def counted(metrics: Metrics) -> float | None:
    value = metrics.registry.get_sample_value("proxy_findings_total", {"kind": "unknown-label"})
    assert value is None or isinstance(value, float)
    return value


async def test_what_is_recorded_is_counted_by_kind() -> None:
    journal, metrics = Journal(), Metrics()
    assert counted(metrics) == 0
    counting = CountingJournal(journal, metrics)
    await counting.record(changed(READ, findings=(LABEL, ("dead-reference", "Consent/c"))))
    await counting.record(READ)
    assert counted(metrics) == 1
    assert len(journal.kept) == 2


async def test_what_is_not_recorded_is_not_counted() -> None:
    metrics = Metrics()
    with pytest.raises(OwnError):
        await CountingJournal(Journal(full=True), metrics).record(changed(READ, findings=(LABEL,)))
    assert counted(metrics) == 0
