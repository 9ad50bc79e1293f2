import pytest
from fhir.resources.auditevent import AuditEvent as Newer
from fhir.resources.R4B.auditevent import AuditEvent

from proxy.audit.event import events_of
from proxy.audit.policy_change import POLICIES, changed, refused
from proxy.audit.report import access_report
from tests.audit.cases import OBSERVER

ID = "4b6f0c5e-0d2a-4b53-9c0e-5d7f3b8a1c2d"
CHANGED = changed(ID, 1.5, "a" * 64, "b" * 64)
REFUSED = refused(ID, 1.5, "a" * 64, "1 findings, first policy.yaml:6: no effect")


def test_a_change_says_what_was_in_force_and_what_is() -> None:
    assert (CHANGED.interaction, CHANGED.outcome, CHANGED.policy_digest) == (POLICIES, "permitted", "b" * 64)  # fmt: skip
    assert "a" * 64 in CHANGED.detail


def test_a_refusal_says_why_and_that_nothing_changed() -> None:
    assert (REFUSED.interaction, REFUSED.outcome, REFUSED.policy_digest) == (POLICIES, "denied", "a" * 64)  # fmt: skip
    assert "policy.yaml:6" in REFUSED.detail


@pytest.mark.parametrize(("entry", "outcome"), [(CHANGED, "0"), (REFUSED, "4")])
def test_its_event_is_valid_and_claims_no_profile(entry: object, outcome: str) -> None:
    [event] = events_of(entry, observer=OBSERVER)  # type: ignore[arg-type]
    AuditEvent.model_validate(event)
    assert (event["outcome"], event["type"]["code"]) == (outcome, "110113")
    assert [one["code"] for one in event["subtype"]] == ["110129"]
    assert "meta" not in event
    assert "policy.yaml" not in str(event), "what is wrong in a file is for the journal"
    [newer] = events_of(entry, observer=OBSERVER, fhir_version="5.0.0")  # type: ignore[arg-type]
    Newer.model_validate(newer)


def test_it_concerns_no_patient() -> None:
    assert access_report([CHANGED, REFUSED], "Patient/p1") == []
