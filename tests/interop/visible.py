"""Who may see what of Camille's record: read from fhir-samples and its README alone, not from the gateway's rules."""

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from tests.stage import SAMPLES

PATIENT = "camille"

HIDDEN: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "care-team-physician": frozenset(
            {
                "DocumentReference/camille-doc-surgery",
                "Observation/camille-violence-screening",
                "Observation/camille-about-leo",
            }
        ),
        "care-team-nurse": frozenset(
            {
                "DocumentReference/camille-doc-surgery",
                "DocumentReference/camille-doc-psychology",
                "Observation/camille-violence-screening",
            }
        ),
        "general-practitioner": frozenset(),
        "patient": frozenset(
            {"DocumentReference/camille-doc-pathology", "Observation/camille-about-leo"}
        ),
    }
)
"""By person, the table *What is withheld inside a record, and why* of fhir-samples/README.md."""


def _stored() -> Iterator[dict[str, object]]:
    for path in sorted(SAMPLES.glob("*.json")):
        for entry in json.loads(path.read_text())["entry"]:
            yield entry["resource"]


def stored(kind: str) -> frozenset[str]:
    """Every resource of a type, as `Type/id`."""
    return frozenset(f"{kind}/{one['id']}" for one in _stored() if one["resourceType"] == kind)


def recorded(kind: str) -> frozenset[str]:
    """Every resource of a type whose `subject` is Camille."""
    about = [
        one
        for one in _stored()
        if one["resourceType"] == kind and f"Patient/{PATIENT}" in json.dumps(one.get("subject"))
    ]
    return frozenset(f"{kind}/{one['id']}" for one in about)


def visible(kind: str, person: str) -> frozenset[str]:
    """What of it a person may see."""
    return recorded(kind) - HIDDEN[person]
