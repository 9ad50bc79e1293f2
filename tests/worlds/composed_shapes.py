"""Requests that the gateway composes or answers from a view: compartments, operations, conditional reads, stored Bundles, histories."""

import json
from typing import Any

from tests.stage import CANARY
from tests.worlds.twins import Shape, Thing, labelled, observation, thing

_PATIENTS = ("camille", "susan", "ines", "noe", "no-such")
_TYPES = ("Observation", "Condition", "Encounter", "DocumentReference", "Consent", "CareTeam", "Group", "Provenance", "AuditEvent", "Patient", "List", "Bundle", "Medication")  # fmt: skip

_COMPARTMENTS = [f"Patient/{who}/{rtype}" for who in ("camille", "noe") for rtype in _TYPES] + [
    f"Patient/{who}/Observation" for who in _PATIENTS[1:3]
]
_FILTERED = [
    f"Patient/{who}/{rest}"
    for who in ("camille", "noe")
    for rest in (
        "Observation?_count=3", "Observation?code=1003-0", "Observation?_id=run-a0,seen-0", "Observation?_summary=count",
        "Observation?_total=accurate&_count=5", "Observation?date=ge2026-05-01&_count=10", "Observation?_sort=date",
        "Observation?_include=Observation:performer&_count=10", "Condition?_elements=code", "Encounter?_revinclude=Observation:encounter",
        "Observation?performer=Practitioner/dr-vernay", "Observation?_lastUpdated=gt2020",
    )
]  # fmt: skip
_EVERYTHING = [
    f"Patient/{who}/$everything{rest}"
    for who in ("camille", "noe")
    for rest in (
        "", "?_count=30", "?_count=200", "?_type=Observation&_count=7", "?_type=Patient", "?_type=Observation,Practitioner&_count=40",
        "?start=2026-03-01&_count=100", "?end=2026-05-01&_type=Observation&_count=50", "?_since=2020-01-01T00:00:00Z&_count=100",
        "?_type=Medication", "?_type=Nothing", "?_count=0",
    )
] + ["Patient/susan/$everything", "Patient/no-such/$everything", "Patient/$everything", "Encounter/camille-consultation-2/$everything"]  # fmt: skip
_LASTN = [
    f"Observation/$lastn?patient={who}&{rest}"
    for who in ("camille", "susan", "noe")
    for rest in ("category=laboratory", "category=laboratory&max=3", "code=1003-0&max=2")
] + ["Observation/$lastn?patient=camille"]
_DOCREF = [
    f"DocumentReference/$docref?patient={who}{rest}"
    for who in ("camille", "marcel", "noe", "no-such")
    for rest in ("", "&start=2020&_count=2")
]
_UNSERVED = [
    "Observation/_history", "_history", "Patient/_history?_count=1", "Patient/noe/*", "Observation/run-a0/$meta", "Practitioner/dr-vernay/Observation",
]  # fmt: skip
_BUNDLES = [
    f"Bundle{rest}"
    for rest in ("", "/w-open", "/w-label", "/w-inner", "/w-noe", "/w-nested", "/w-inner/_history", "/w-inner/_history/1", "?_id=w-noe,w-open", "?_summary=count")
] + ["List/w-list", "List?patient=camille"]  # fmt: skip

_STALE = 'W/"1", W/"2", "00000000000000000000000000000000", *'
_CONDITIONAL = [
    Shape(target, method, headers=((header, value),))
    for target in ("Observation/run-a0", "Observation/seen-0", "Patient/noe", "Patient/camille", "Observation/run-a0/_history/1")
    for method, header, value in (
        ("GET", "if-none-match", _STALE),
        ("HEAD", "if-none-match", _STALE),
        ("GET", "if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT"),
    )
]  # fmt: skip
_HEADS = [
    Shape(target, "HEAD")
    for target in ("Patient/noe/Observation", "Patient/camille/Observation", "Patient/noe/$everything", "Patient/camille/$everything?_type=Condition", "Bundle/w-inner", "Observation/$lastn?patient=noe&category=laboratory")
]  # fmt: skip
_JSON = (("content-type", "application/fhir+json"),)
_PARAMETERS = json.dumps(
    {"resourceType": "Parameters", "parameter": [{"name": "_count", "valueInteger": 40}]}
)
_POSTED = [
    Shape("Patient/camille/Observation/_search", "POST", "_count=4"),
    Shape("Patient/noe/Observation/_search", "POST", "code=1003-0"),
    Shape("Patient/camille/$everything", "POST", _PARAMETERS, headers=_JSON),
    Shape("Patient/noe/$everything", "POST", _PARAMETERS, headers=_JSON),
    Shape("Observation/$lastn", "POST", _PARAMETERS, headers=_JSON),
]

COMPOSED_SHAPES = [
    *map(
        Shape,
        (*_COMPARTMENTS, *_FILTERED, *_EVERYTHING, *_LASTN, *_DOCREF, *_UNSERVED, *_BUNDLES),
    ),
    *_CONDITIONAL,
    *_HEADS,
    *_POSTED,
]


def stored() -> list[Thing]:
    """Bundles and a List, each holding or naming what some may not see."""
    open_one = observation("w-in-open", "camille", 1)
    of_noe = observation("w-in-noe", "noe", 2, code={"text": f"{CANARY}w-noe"})
    secret = observation("w-in-secret", "camille", 3, meta=labelled("V"), performer=[{"reference": "Practitioner/dr-vernay"}])  # fmt: skip
    bundles: list[dict[str, Any]] = [
        _bundle("w-open", open_one),
        _bundle("w-label", open_one, meta=labelled("V")),
        _bundle("w-inner", open_one, {**secret, "code": {"text": f"{CANARY}w-inner"}}),
        _bundle("w-noe", open_one, of_noe),
        _bundle("w-nested", _bundle("w", {**secret, "code": {"text": f"{CANARY}w-nested"}})),
    ]
    listed = {
        "resourceType": "List",
        "id": "w-list",
        "status": "current",
        "mode": "working",
        "subject": {"reference": "Patient/camille"},
        "entry": [{"item": {"reference": one}} for one in ("Observation/seen-0", "Observation/run-a0", "Observation/noe-1")],
    }  # fmt: skip
    return [thing(one) for one in (*bundles, listed)]


def _bundle(name: str, *resources: dict[str, Any], **more: Any) -> dict[str, Any]:
    entries = [{"resource": one} for one in resources]
    return {"resourceType": "Bundle", "id": name, "type": "collection", "entry": entries, **more}
