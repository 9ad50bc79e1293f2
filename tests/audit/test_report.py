import json

import pytest

from proxy.audit.entry import Judged, Touched
from proxy.audit.event import events_of
from proxy.audit.report import access_report, concerns, export
from tests.audit.cases import ALL, DENIED, FAILED, NO_TOKEN, OBSERVER, READ, SEARCH, changed


def test_a_report_says_who_when_what_and_why() -> None:
    reasons = (
        ("policy", "permit", "care-team-reads", ""),
        ("consent", "permit", "Consent/c1#provision", ""),
        ("policy", "not-applicable", "other-rule", ""),
    )
    read = changed(READ, decisions=(Judged("permit", reasons, ("Consent/c1",), ("Patient/p1",)),))
    (access,) = access_report([read], "Patient/p1")
    assert access.when == "2026-09-21T14:13:20.250+00:00"
    assert (access.who, access.organization, access.client) == (
        "Anna Adams",
        "Example Hospital",
        "ward-app",
    )
    assert access.interaction == "read"
    assert access.what == ("Observation/o1/_history/3",)
    assert access.why == ("TREAT",)
    assert access.basis == ("care-team-reads", "Consent/c1#provision")
    assert access.outcome == "disclosed"


def test_a_report_tells_of_one_patient_only() -> None:
    seen = {name: access_report([SEARCH], f"Patient/{name}") for name in ("p1", "p2", "p3", "p4")}
    assert [one.what for one in seen["p1"]] == [("Observation/o1", "Observation/o4")]
    assert [one.outcome for one in seen["p2"]] == ["redacted"]
    assert [(one.what, one.outcome, one.basis) for one in seen["p3"]] == [
        (("Observation/o3",), "withheld", ("Consent/c3",))
    ]
    assert seen["p4"] == []


def test_refused_access_is_reported_too() -> None:
    (access,) = access_report([DENIED, FAILED, NO_TOKEN], "Patient/p1")[:1]
    assert access.outcome == "denied"


def test_a_judged_patient_is_concerned_even_if_nothing_was_reached() -> None:
    judged = changed(DENIED, touched=())
    assert concerns(judged, "Patient/p1")
    assert not concerns(judged, "Patient/p")
    (access,) = access_report([judged], "Patient/p1")
    assert access.what == ("Observation/o1",)


def test_entries_keep_their_order() -> None:
    later = changed(
        READ,
        recorded=READ.recorded + 1,
        touched=(Touched(("List/l",), "disclosed", ("Patient/p1",)),),
    )
    assert [one.what[0] for one in access_report([READ, later], "Patient/p1")] == [
        "Observation/o1/_history/3",
        "List/l",
    ]


def test_an_export_is_one_event_a_line() -> None:
    lines = list(export(ALL.values(), OBSERVER))
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)
    expected = [event for entry in ALL.values() for event in events_of(entry, observer=OBSERVER)]
    assert [json.loads(line) for line in lines] == expected


def test_an_export_can_be_r5() -> None:
    assert b'"category"' in next(export([READ], OBSERVER, "5.0.0"))


@pytest.mark.parametrize(
    ("more", "reported"), [("withheld", "consulted"), ("redacted", "redacted")]
)
def test_what_was_consulted_is_reported_unless_something_left(more: str, reported: str) -> None:
    touched = tuple(
        Touched(("Observation/o1",), one, ("Patient/p1",)) for one in ("consulted", more)
    )
    (access,) = access_report([changed(READ, touched=touched)], "Patient/p1")
    assert access.outcome == reported


def test_what_a_reviewer_was_told_is_reported_as_such() -> None:
    told = changed(READ, touched=(Touched(("Observation/o1",), "explained", ("Patient/p1",)),))
    (access,) = access_report([told], "Patient/p1")
    assert access.outcome == "explained"
