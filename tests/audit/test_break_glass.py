"""AuditEvents of grants: BTG where a grant was needed and nowhere else, start and stop, and no event that FHIR refuses."""

from typing import Any

import msgspec
import pytest
from fhir.resources.auditevent import AuditEvent as AuditEventR5
from fhir.resources.R4B.auditevent import AuditEvent

from proxy.audit.entry import Entry, GrantAct, GrantNote, Judged, Touched
from proxy.audit.event import events_of
from proxy.audit.report import access_report, concerns
from tests.audit.cases import OBSERVER, READ, SEARCH, changed

Json = dict[str, Any]
NOTE = GrantNote(
    GrantAct.USED, "grant-1", "Patient/p1", "https://idp.example.org", "user-anna", "ward-app", "Practitioner/anna",
    100.0, 200.0, "http://terminology.hl7.org/CodeSystem/v3-ActReason#ETREAT",
)  # fmt: skip
USED = changed(
    READ,
    grants=(NOTE,),
    decisions=(
        Judged("permit", consents=("Consent/c1",), patients=("Patient/p1",), grants=("grant-1",)),
    ),
)


def act(kind: GrantAct, text: str = "") -> Entry:
    note = msgspec.structs.replace(NOTE, act=kind, text=text)
    return changed(
        READ, method="POST", target="/fhir/$break-glass", interaction="operation", type="", resource_id="",
        decisions=(), touched=(), grants=(note,),
    )  # fmt: skip


def events(entry: Entry) -> list[Json]:
    return events_of(entry, observer=OBSERVER)


def purposes(event: Json) -> list[str]:
    return [one["coding"][0]["code"] for one in event.get("purposeOfEvent", [])]


def entities(event: Json) -> list[Json]:
    return [one for one in event["entity"] if one.get("description", "").startswith("break-glass")]


def test_a_use_says_btg_and_which_grant() -> None:
    rest, authorization = events(USED)
    assert purposes(rest) == purposes(authorization) == ["BTG"]
    [entity] = entities(rest)
    assert entity["what"]["identifier"]["value"] == "grant-1"
    assert {"type": "reason", "valueString": NOTE.reason} in entity["detail"]
    [user] = [agent for agent in rest["agent"] if agent["requestor"]]
    assert [one["coding"][0]["code"] for one in user["purposeOfUse"]] == ["TREAT", "BTG"]
    assert rest["meta"]["profile"][0].endswith("IHE.BasicAudit.PatientRead")


def test_who_was_read_ordinarily_in_the_same_search_is_not_read_in_an_emergency() -> None:
    both = changed(
        SEARCH,
        grants=(NOTE,),
        touched=tuple(
            Touched((f"Observation/{one}",), "disclosed", (f"Patient/{one}",))
            for one in ("p1", "p2")
        ),
    )
    told = {
        one["what"]["reference"]: purposes(event)
        for event in events(both) if event["type"]["code"] == "rest"
        for one in event["entity"] if one["type"]["code"] == "1"
    }  # fmt: skip
    assert told == {"Patient/p1": ["BTG"], "Patient/p2": []}


STARTS = [
    (GrantAct.STARTED, ["110127", "operation"], "justification"),
    (GrantAct.ENDED, ["110138", "operation"], None),
    (GrantAct.EXPIRED, ["110138", "operation"], None),
]


@pytest.mark.parametrize(("kind", "codes", "text"), STARTS)
def test_start_and_stop_are_those_of_an_emergency_override(
    kind: GrantAct, codes: list[str], text: str | None
) -> None:
    [event] = events(act(kind, "found unconscious" if text else ""))
    assert [one["code"] for one in event["subtype"]] == codes
    assert purposes(event) == ["BTG"]
    assert "Patient/p1" in [
        one["what"].get("reference") for one in event["entity"] if "what" in one
    ]
    [entity] = entities(event)
    assert [one["type"] for one in entity["detail"]] == ["reason", *([text] if text else [])]


def test_a_review_is_no_emergency() -> None:
    [event] = events(act(GrantAct.REVIEWED, "it was real"))
    assert purposes(event) == []
    assert all("BTG" not in str(agent.get("purposeOfUse")) for agent in event["agent"])
    [entity] = entities(event)
    assert {"type": "review", "valueString": "it was real"} in entity["detail"]


@pytest.mark.parametrize(
    "entry", [USED, *map(act, GrantAct)], ids=["used", *(one.value for one in GrantAct)]
)
def test_every_event_is_valid_in_both_versions(entry: Entry) -> None:
    for event in events(entry):
        AuditEvent.model_validate(event)
    for event in events_of(entry, observer=OBSERVER, fhir_version="5.0.0"):
        AuditEventR5.model_validate(event)


def test_an_entry_of_a_grant_concerns_its_patient() -> None:
    assert concerns(act(GrantAct.STARTED), "Patient/p1")
    assert not concerns(act(GrantAct.STARTED), "Patient/p2")


def test_the_report_of_a_patient_tells_of_grants() -> None:
    entries = [act(GrantAct.STARTED, "found unconscious"), USED, act(GrantAct.REVIEWED, "real")]
    told = [(one.what, one.why, one.outcome) for one in access_report(entries, "Patient/p1")]
    assert told == [
        (("break-glass started",), ("TREAT",), "started"),
        (("Observation/o1/_history/3",), ("TREAT", "BTG"), "disclosed"),
        (("break-glass reviewed",), ("TREAT",), "reviewed"),
    ]
    assert access_report(entries, "Patient/p2") == []
