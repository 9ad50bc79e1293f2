from proxy.audit.findings import findings_report
from tests.audit.cases import READ, changed

LABEL = ("unknown-label", "urn:x#odd in Observation/o")
CONSENT = ("unreadable-consent", "Consent/c: unknown status")
ENTRIES = [
    changed(READ, id="one", recorded=0.0, findings=(LABEL,)),
    changed(READ, id="two", recorded=60.0),
    changed(READ, id="three", recorded=120.0, findings=(CONSENT, LABEL)),
    changed(READ, id="four", recorded=180.0, findings=(CONSENT,)),
]


def test_findings_are_told_once_with_how_often_and_since_when() -> None:
    [consent, label] = findings_report(ENTRIES)
    assert (consent.kind, consent.about, consent.times) == (*CONSENT, 2)
    assert (consent.first, consent.last) == ("1970-01-01T00:02:00.000+00:00", "1970-01-01T00:03:00.000+00:00")  # fmt: skip
    assert consent.entry == "four"
    assert (label.times, label.first, label.entry) == (2, "1970-01-01T00:00:00.000+00:00", "three")


def test_one_kind_may_be_asked_for_and_nothing_is_nothing() -> None:
    assert [one.about for one in findings_report(ENTRIES, "unknown-label")] == [LABEL[1]]
    assert findings_report(ENTRIES, "dead-reference") == []
    assert findings_report([READ]) == []
