"""Messages as FHIR Communication resources for patients, and as JSON for the privacy officer (https://hl7.org/fhir/R4/communication.html).

Neither holds anything of what was read: the text is constant for each kind, accessors are named by identifier and display.
Pure.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import orjson

from proxy.audit.agent import Observer, observer_reference
from proxy.audit.balp import Json
from proxy.audit.entry import Actor
from proxy.audit.notice import Access, Kind, Message
from proxy.fhir.coding import CONFIDENTIALITY

Texts = Mapping[Kind, str]
"""What the patient reads, by kind."""

_URI = "urn:ietf:rfc:3986"
_CATEGORY = {
    "system": "http://terminology.hl7.org/CodeSystem/communication-category",
    "code": "notification",
}
_PERSONS = {"practitioner": "Practitioner", "patient": "Patient", "related-person": "RelatedPerson"}
_PRIORITY = {"emergency": "urgent"}


def communication_of(
    message: Message, observer: Observer, texts: Texts, fhir_version: str = "4.0.1"
) -> Json:
    """The Communication, R4 (and R4B), or R5-shaped for a `fhir_version` 5.x; equal whenever it is made.

    `completed`, because it is sent when it stands in the repository; `received` is not known. Restricted, because it tells who
    treats the patient.
    """
    patient = {"reference": message.patient}
    text = texts[message.kind]
    is_r5 = fhir_version.startswith("5")
    return {
        "resourceType": "Communication",
        "id": message.id,
        "meta": {"security": [{"system": CONFIDENTIALITY, "code": "R"}]},
        "status": "completed",
        "category": [{"coding": [_CATEGORY]}],
        "priority": _PRIORITY.get(message.kind, "routine"),
        "subject": patient,
        "about": list(_about(message)),
        "sent": _instant(message.due),
        "recipient": [patient],
        "sender": {"type": "Device", **observer_reference(observer)},
        "payload": [
            {"contentCodeableConcept": {"text": text}} if is_r5 else {"contentString": text}
        ],
    }


def _about(message: Message) -> Iterator[Json]:
    """The journal entries, and whoever accessed; each once. Logical references: nobody need hold the resources."""
    found: dict[bytes, Json] = {}
    for access in message.accesses:
        for reference in _references(access):
            found.setdefault(orjson.dumps(reference), reference)
    return iter(found.values())


def _references(access: Access) -> Iterator[Json]:
    actor = access.actor
    entry = {"system": _URI, "value": f"urn:uuid:{access.entry}"}
    yield {"type": "AuditEvent", "identifier": entry, "display": _instant(access.recorded)}
    if actor.kind in _PERSONS:
        yield {"type": _PERSONS[actor.kind], **_named(actor.issuer, actor.subject, actor.name)}
    if actor.organization[1] or actor.organization_name:
        yield {"type": "Organization", **_named(*actor.organization, actor.organization_name)}
    if actor.client_id:
        yield {"type": "Device", **_named(actor.issuer, actor.client_id, "")}


def _named(system: str, value: str, display: str) -> Json:
    """Identifier and display of a Reference, without what is empty."""
    identifier = {"system": system, "value": value} if system else {"value": value}
    return {
        **({"identifier": identifier} if value else {}),
        **({"display": display} if display else {}),
    }


def report_of(message: Message, observer: Observer) -> bytes:
    """The JSON that the privacy officer gets; equal whenever it is made."""
    return orjson.dumps(
        {
            "id": message.id,
            "kind": message.kind,
            "patient": message.patient,
            "gateway": observer.public_url,
            "accesses": [_access(one) for one in message.accesses],
        }
    )


def _access(access: Access) -> Json:
    actor: Actor = access.actor
    return {
        "entry": access.entry,
        "recorded": _instant(access.recorded),
        "why": access.why,
        "issuer": actor.issuer,
        "subject": actor.subject,
        "name": actor.name,
        "kind": actor.kind,
        "organization": actor.organization_name or actor.organization[1],
        "client": actor.client_id,
        **_for_whom(actor.on_behalf_of),
    }


def _for_whom(other: Actor | None) -> Json:
    """Whom the actor acted for, where it acted for another."""
    if other is None:
        return {}
    return {"onBehalfOf": {"issuer": other.issuer, "subject": other.subject, "name": other.name}}


def _instant(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
