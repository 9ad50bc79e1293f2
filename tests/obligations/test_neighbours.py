"""What stands beside what is hidden goes with it: the rest of `meta`, and of an Attachment (T-77, T-79)."""

import json
from typing import Any

import pytest

from tests.obligations.redacting import applied, patient, shown

META = {
    "versionId": "7",
    "lastUpdated": "2026-01-01T00:00:00Z",
    "source": "http://hiv-ward",
    "profile": ["http://x/hiv-patient"],
    "tag": [{"code": "hiv-clinic"}],
    "extension": [{"url": "http://x", "valueUri": "http://hiv-ward"}],
}
LABEL = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "N"}


def test_of_meta_only_labels_are_left() -> None:
    before = patient(meta={**META, "security": [LABEL]}, telecom=[{"value": "1"}])
    told = json.loads(applied(before, "remove Patient.telecom").body)
    assert set(told["meta"]) == {"security"}
    assert told["meta"]["security"][0] == LABEL
    assert [one["code"] for one in told["meta"]["security"]] == ["N", "REDACTED"]
    assert applied(patient(meta=META), "remove Patient.telecom").paths == ()


ATTACHMENT = {
    "contentType": "application/pdf",
    "language": "fr",
    "data": "Q0FOQVJZ",
    "url": "https://pacs.example.org/x?sig=1",
    "size": 4242,
    "hash": "2jmj7l5rSw0yVb",
    "title": "HIV results",
    "creation": "2026-01-01",
}
LEFT = {name: ATTACHMENT[name] for name in ("contentType", "language", "creation")}


@pytest.mark.parametrize("hidden", ["url", "data"])
@pytest.mark.parametrize(
    ("before", "path", "left"),
    [
        (patient(photo=[ATTACHMENT]), "Patient.photo", patient(photo=[LEFT])),
        (
            {"resourceType": "Media", "status": "completed", "content": ATTACHMENT},
            "Media.content",
            {"resourceType": "Media", "status": "completed", "content": LEFT},
        ),
        (
            {"resourceType": "DocumentReference", "content": [{"attachment": ATTACHMENT}]},
            "DocumentReference.content.attachment",
            {"resourceType": "DocumentReference", "content": [{"attachment": LEFT}]},
        ),
    ],
)
def test_where_the_content_is_hidden_what_tells_of_it_is(
    before: dict[str, Any], path: str, left: dict[str, Any], hidden: str
) -> None:
    assert shown(before, f"remove {path}.{hidden}") == left


def test_a_url_of_the_resource_itself_is_no_content() -> None:
    before = {
        "resourceType": "Questionnaire",
        "url": "http://x",
        "title": "kept",
        "status": "draft",
    }
    assert shown(before, "remove Questionnaire.url") == {
        "resourceType": "Questionnaire",
        "title": "kept",
        "status": "draft",
    }
