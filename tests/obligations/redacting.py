"""Shared by the tests of redaction: small resources, redactions written as `operator path [argument]`, what is shown."""

import json
from typing import Any

from proxy.decision.model import Redaction
from proxy.obligations.redact import PseudonymKey, Redacted, redact

KEY = PseudonymKey(b"a secret of thirty-two bytes long")
OTHER_KEY = PseudonymKey(b"another secret of thirty-two byte")
ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
MASK = {"extension": [{"url": ABSENT, "valueCode": "masked"}]}
LABELS = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"


def redactions(*texts: str) -> frozenset[Redaction]:
    """`operator path [argument]`"""
    parts = (text.split(" ", 2) for text in texts)
    return frozenset(Redaction(*part) for part in parts)


def applied(resource: dict[str, Any], *texts: str, key: PseudonymKey = KEY) -> Redacted:
    return redact(json.dumps(resource).encode(), redactions(*texts), key)


def shown(resource: dict[str, Any], *texts: str, key: PseudonymKey = KEY) -> dict[str, Any]:
    """What is shown of a resource, without the labels that say so."""
    tree: dict[str, Any] = json.loads(applied(resource, *texts, key=key).body)
    tree.get("meta", {}).pop("security", None)
    if tree.get("meta") == {}:
        del tree["meta"]
    return tree


def labels_of(body: bytes) -> list[str]:
    tree = json.loads(body)
    return [one["code"] for one in tree["meta"]["security"] if one["system"] == LABELS]


def patient(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": "p1", **elements}


def observation(**elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation", "status": "final", "code": {"text": "pulse"},
        "subject": {"reference": "Patient/p1"}, **elements,
    }  # fmt: skip
