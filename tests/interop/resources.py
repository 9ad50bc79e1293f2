"""Resources to write to a server, and the Bundles it answers, as far as a test looks at them."""

from typing import Any
from uuid import uuid4

import msgspec

LABEL = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}


class Link(msgspec.Struct):
    relation: str
    url: str


class Answer(msgspec.Struct, rename={"status_code": "status"}):
    status_code: str


class Entry(msgspec.Struct):
    resource: dict[str, Any] | None = None
    response: Answer | None = None


class Bundle(msgspec.Struct):
    type: str
    total: int | None = None
    link: list[Link] = []
    entry: list[Entry] = []

    def ids(self) -> list[str]:
        return [entry.resource["id"] for entry in self.entry if entry.resource]

    def statuses(self) -> list[str]:
        return [entry.response.status_code[:3] for entry in self.entry if entry.response]

    def next(self) -> str | None:
        return next((link.url for link in self.link if link.relation == "next"), None)


def bundle(body: object) -> Bundle:
    return msgspec.convert(body, Bundle)


def new_id() -> str:
    return f"t-{uuid4()}"


def put(resource: dict[str, Any]) -> dict[str, Any]:
    url = f"{resource['resourceType']}/{resource['id']}"
    return {"resource": resource, "request": {"method": "PUT", "url": url}}


def get(url: str) -> dict[str, Any]:
    return {"request": {"method": "GET", "url": url}}


def bundle_of(kind: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def patient(id_: str) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id_, "active": True}


def observation(id_: str, patient_id: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": id_,
        "meta": {"security": [LABEL]},
        "status": "final",
        "code": {"text": "weight"},
        "subject": {"reference": f"Patient/{patient_id}"},
    }


def audit_event(id_: str, **more: object) -> dict[str, Any]:
    return {
        "resourceType": "AuditEvent",
        "id": id_,
        "type": {
            "system": "http://terminology.hl7.org/CodeSystem/audit-event-type",
            "code": "rest",
        },
        "recorded": "2026-01-01T00:00:00.123Z",
        "agent": [{"who": {"identifier": {"value": "someone"}}, "requestor": True}],
        "source": {"observer": {"display": "gateway"}},
        **more,
    }
