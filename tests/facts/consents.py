"""Consents as JSON, in the R4 and the R5 spelling, for tests."""

from typing import Any
from zoneinfo import ZoneInfo

from proxy.facts.directive import directive_of
from proxy.facts.model import ConsentDirective
from proxy.fhir.coding import (
    ACT_CODE,
    ACT_REASON,
    CONFIDENTIALITY,
    CONSENT_ACTION,
    CONSENT_SCOPE,
    PARTICIPATION,
)

PARIS = ZoneInfo("Europe/Paris")
Json = dict[str, Any]


def coding(system: str, code: str) -> Json:
    return {"system": system, "code": code}


def concept(system: str, code: str) -> Json:
    return {"coding": [coding(system, code)]}


def purpose(*codes: str) -> Json:
    return {"purpose": [coding(ACT_REASON, code) for code in codes]}


def label(*codes: str) -> Json:
    systems = {code: CONFIDENTIALITY if code in "ULMNRV" else ACT_CODE for code in codes}
    return {"securityLabel": [coding(systems[code], code) for code in codes]}


def actor(*references: str, role: str = "IRCP") -> Json:
    return {
        "actor": [
            {"role": concept(PARTICIPATION, role), "reference": {"reference": one}}
            for one in references
        ]
    }


def action(*codes: str) -> Json:
    return {"action": [concept(CONSENT_ACTION, code) for code in codes]}


def data(meaning: str, reference: str) -> Json:
    return {"data": [{"meaning": meaning, "reference": {"reference": reference}}]}


def permit(*elements: Json, but: tuple[Json, ...] = ()) -> Json:
    return _node("permit", elements, but)


def deny(*elements: Json, but: tuple[Json, ...] = ()) -> Json:
    return _node("deny", elements, but)


def _node(kind: str, elements: tuple[Json, ...], but: tuple[Json, ...]) -> Json:
    node: Json = {"type": kind}
    for element in elements:
        node |= element
    return node | ({"provision": list(but)} if but else {})


def r4(
    provision: Json | None, *, own: str = "c1", patient: str = "Patient/p1", **more: Any
) -> Json:
    tree: Json = {
        "resourceType": "Consent",
        "id": own,
        "status": "active",
        "scope": concept(CONSENT_SCOPE, "patient-privacy"),
        "category": [concept("http://loinc.org", "59284-0")],
        "patient": {"reference": patient},
        "dateTime": "2024-01-01",
    }
    tree |= {"provision": provision} if provision is not None else {}
    return {key: value for key, value in (tree | more).items() if value is not None}


def r5(
    decision: str, *provisions: Json, own: str = "c1", patient: str = "Patient/p1", **more: Any
) -> Json:
    tree: Json = {
        "resourceType": "Consent",
        "id": own,
        "status": "active",
        "category": [concept("http://loinc.org", "59284-0")],
        "subject": {"reference": patient},
        "date": "2024-01-01",
        "decision": decision,
    }
    tree |= {"provision": list(provisions)} if provisions else {}
    return {key: value for key, value in (tree | more).items() if value is not None}


def read4(tree: Any) -> ConsentDirective:
    return directive_of(tree, "4.0.1", PARIS, ("http://fhir.example.org/r4",))


def read5(tree: Any) -> ConsentDirective:
    return directive_of(tree, "5.0.0", PARIS, ("http://fhir.example.org/r4",))
