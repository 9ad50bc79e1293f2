import json

import pytest
from fhir.resources import communication as r5
from fhir.resources.R4B import communication as r4b
from pydantic import BaseModel

from proxy.audit.communication import communication_of, report_of
from tests.audit.cases import OBSERVER
from tests.audit.notices import ADA, TEXTS, messages, noticing, told

[MESSAGE] = messages(noticing(1, told()))
[EMERGENCY] = messages(noticing(1, told(why="break-glass-start")))


@pytest.mark.parametrize(
    ("version", "model"),
    [("4.0.1", r4b.Communication), ("4.3.0", r4b.Communication), ("5.0.0", r5.Communication)],
)
def test_it_is_a_communication_of_its_version(version: str, model: type[BaseModel]) -> None:
    body = communication_of(MESSAGE, OBSERVER, TEXTS, version)
    model.model_validate(body)
    assert (body["subject"], body["recipient"]) == ({"reference": ADA}, [{"reference": ADA}])
    assert (body["status"], body["sent"], body["id"]) == (
        "completed",
        "2026-09-21T10:00:00.000+00:00",
        MESSAGE.id,
    )


def test_the_text_is_constant_for_each_kind_and_an_emergency_is_urgent() -> None:
    texts = [
        (body["payload"], body["priority"])
        for body in (communication_of(one, OBSERVER, TEXTS) for one in (MESSAGE, EMERGENCY))
    ]
    assert texts == [([{"contentString": "read"}], "routine"), ([{"contentString": "broken"}], "urgent")]  # fmt: skip


def test_who_accessed_is_named_by_logical_references_only() -> None:
    about = communication_of(MESSAGE, OBSERVER, TEXTS)["about"]
    assert [(one["type"], one["identifier"]["value"]) for one in about] == [
        ("AuditEvent", "urn:uuid:e1"),
        ("Practitioner", "anna"),
        ("Organization", "org-7"),
        ("Device", "ward-app"),
    ]
    assert all("reference" not in one for one in about)


def test_nothing_of_what_was_read_is_told() -> None:
    body = json.dumps(communication_of(MESSAGE, OBSERVER, TEXTS))
    for text in (body, report_of(MESSAGE, OBSERVER).decode()):
        assert "Observation" not in text
        assert "TREAT" not in text


def test_the_privacy_officer_hears_who_when_and_why() -> None:
    told_to = json.loads(report_of(MESSAGE, OBSERVER))
    [access] = told_to["accesses"]
    assert (told_to["id"], told_to["patient"]) == (MESSAGE.id, ADA)
    assert (access["subject"], access["why"], access["entry"]) == ("anna", "team-reads", "e1")


def test_made_again_it_is_the_same() -> None:
    assert communication_of(MESSAGE, OBSERVER, TEXTS) == communication_of(MESSAGE, OBSERVER, TEXTS)
    assert report_of(MESSAGE, OBSERVER) == report_of(MESSAGE, OBSERVER)
