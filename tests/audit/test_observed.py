"""The decision diff report: what is counted, by what, and that nothing else is named."""

import pytest

from proxy.audit.entry import Actor, Entry, Judged, Touched, Would
from proxy.audit.observed import observed_report

MASKED = Judged("deny", (("policy", "deny", "patient-masked", "masked by the patient"),))
SILENT = Judged("deny", (("policy", "not-applicable", "", "no rule permits this"),))
NURSES = Judged(
    "permit",
    (("policy", "permit", "nurse-reads", ""), ("consent", "permit", "Consent/c#provision", "")),
)
NURSE = Actor(kind="practitioner", roles=(("http://roles.example.org", "nurse"),))


def entry_of(
    would: Would | None,
    *touched: Touched,
    decisions: tuple[Judged, ...] = (MASKED,),
    status: int = 200,
    name: str = "e",
) -> Entry:
    outcome = "permitted" if status < 400 else "denied"
    return Entry(
        name, 0.0, "r", outcome, status, "GET", "/", "read", "DocumentReference",
        actor=NURSE, decisions=decisions, touched=touched, would=would,
    )  # fmt: skip


WITHHELD = Touched(("DocumentReference/d",), "withheld", ("Patient/p",), (), 0)
SHOWN = Touched(("Observation/o",), "disclosed", ("Patient/p",), (), 0)


def test_what_was_enforced_is_no_part_of_it() -> None:
    assert observed_report([entry_of(None, WITHHELD)]).requests == 0


def test_what_would_be_shown_as_it_is_counts_as_unchanged() -> None:
    told = observed_report([entry_of(Would(200), SHOWN)])
    assert (told.requests, told.unchanged, told.withheld) == (1, 1, ())


def test_withheld_resources_are_counted_by_rule_and_role_with_an_example() -> None:
    told = observed_report(
        [
            entry_of(Would(404, "not-found", "withheld"), WITHHELD, name="first"),
            entry_of(Would(200), WITHHELD, SHOWN, name="second"),
            entry_of(Would(200), WITHHELD, decisions=(SILENT,), name="third"),
        ]
    )
    assert told.unchanged == 0
    assert told.refused == ()
    by_rule, by_silence = told.withheld
    assert (by_rule.why, by_rule.who) == ("patient-masked", "practitioner nurse")
    assert (by_rule.requests, by_rule.resources, by_rule.example) == (2, 2, "first")
    assert (by_silence.why, by_silence.example) == ("policy: no rule permits this", "third")


def test_redactions_are_counted_by_element() -> None:
    redacted = Touched(("Patient/p",), "redacted", ("Patient/p",), ("Patient.telecom",), 0)
    told = observed_report([entry_of(Would(200), redacted, decisions=(NURSES,))])
    [line] = told.redacted
    assert (line.what, line.resources) == ("Patient.telecom", 1)
    assert line.why.startswith("nurse-reads, consent")


@pytest.mark.parametrize(
    ("would", "status", "decisions", "why"),
    [
        (Would(400, "parameter", "`_text` is not allowed"), 200, (), "`_text` is not allowed"),
        (Would(501, "not-supported", "no such thing"), 200, (), "no such thing"),
        (Would(503, "unavailable", "unforeseen ValueError"), 200, (), "unforeseen ValueError"),
        (Would(403, "forbidden", "not covered"), 200, (SILENT,), "policy: no rule permits this"),
    ],
)
def test_refused_requests_are_told_with_their_true_reason(
    would: Would, status: int, decisions: tuple[Judged, ...], why: str
) -> None:
    told = observed_report([entry_of(would, status=status, decisions=decisions)])
    [line] = told.refused
    assert (line.what, line.why) == (f"{would.status} read DocumentReference", why)


def test_what_upstream_does_not_have_either_is_unchanged() -> None:
    told = observed_report([entry_of(Would(404, "not-found", "upstream"), status=404)])
    assert (told.unchanged, told.refused) == (1, ())


def test_an_unreadable_resource_is_told_as_such() -> None:
    unreadable = Touched(("",), "withheld")
    [line] = observed_report([entry_of(Would(200), unreadable)]).withheld
    assert (line.what, line.why) == ("read unreadable", "cannot be read")


def test_neither_patients_nor_resources_are_named() -> None:
    told = observed_report([entry_of(Would(200), WITHHELD, name="entry-id")])
    assert "Patient/p" not in str(told)
    assert "DocumentReference/d" not in str(told)
