"""Requests for documents and summaries, and Compositions of which something is hidden, cut, missing, or all there."""

import json
from typing import Any

from tests.stage import Json
from tests.worlds.twins import Shape, Thing, labelled, observation, thing

NAMES = (
    "open", "bare", "hidden", "missing", "of-noe", "naming-noe", "deep", "missing-deep", "labelled", "cut", "newer",
    "relabelled", "authored", "replacing", "round", "attested",
)  # fmt: skip
_JSON = (("content-type", "application/fhir+json"),)
_EMPTY = json.dumps({"resourceType": "Parameters"})


def _posted(*parameters: Json) -> str:
    return json.dumps({"resourceType": "Parameters", "parameter": list(parameters)})


_PATIENTS = ("camille", "susan", "ines", "noe", "leo", "marcel", "denise", "no-such")
_DOCUMENTS = [
    *(f"Composition/c-{one}/$document" for one in NAMES),
    *(f"Composition/c-{one}" for one in NAMES),
    "Composition/no-such/$document", "Composition/$document?id=c-open", "Composition/$document?id=c-hidden",
    "Composition/$document?id=no-such", "Composition/c-hidden/$document?persist=false", "Composition/c-open/$document?persist=true",
    "Composition/c-hidden/$document?persist=true", "Composition/c-hidden/$document?graph=x", "Composition/$document", "Composition?patient=camille",
]  # fmt: skip
_SUMMARIES = [
    *(f"Patient/{who}/$summary" for who in _PATIENTS),
    "Patient/$summary", "Patient/$summary?identifier=x", "Patient/noe/$summary?graph=x", "Patient/noe/$summary?_count=1",
    "Patient/$summary?identifier=urn:oid:1.2.250.1.213.1.4.8%7Cnobody",
    "Patient/noe/$summary?profile=http://hl7.org/fhir/uv/ips/StructureDefinition/Bundle-uv-ips",
]  # fmt: skip
_OTHERWISE = [
    *(Shape(f"Composition/c-{one}/$document", "HEAD") for one in ("open", "hidden", "missing")),
    *(Shape(f"Patient/{who}/$summary", "HEAD") for who in ("camille", "noe")),
    *(Shape(f"Composition/c-{one}/$document", "POST", _EMPTY, headers=_JSON) for one in ("open", "hidden")),
    Shape("Composition/$document", "POST", _posted({"name": "id", "valueUri": "c-deep"}), headers=_JSON),
    *(Shape(f"Patient/{who}/$summary", "POST", _EMPTY, headers=_JSON) for who in ("camille", "noe")),
    Shape("Patient/$summary", "POST", _posted({"name": "identifier", "valueString": "x"}), headers=_JSON),
]  # fmt: skip
DOCUMENT_SHAPES = [*map(Shape, (*_DOCUMENTS, *_SUMMARIES)), *_OTHERWISE]


def compositions() -> list[Thing]:
    """One of each; what they are made of is among what the worlds hold anyway (`twins.more`)."""
    of_noe = {"subject": {"reference": "Patient/noe"}}
    replacing = [{"code": "replaces", "targetReference": {"reference": "Composition/c-labelled"}}]
    made = [
        _composition("open", "Observation/seen-0", "Observation/seen-1"),
        _composition("bare"),
        _composition("hidden", "Observation/seen-0", "Observation/run-a0"),
        _composition("missing", "Observation/seen-0", "Observation/no-such"),
        _composition("of-noe", **of_noe),
        _composition("naming-noe", "Observation/noe-1"),
        _composition("deep", "Observation/c-leads-1"),
        _composition("missing-deep", "Observation/c-leads-2"),
        _composition("labelled", "Observation/seen-0", meta=labelled("V")),
        _composition("cut", "Observation/cut"),
        _composition("newer", "Observation/seen-0/_history/9"),
        _composition("relabelled", "Observation/relabelled/_history/1"),
        _composition("authored", author=[{"reference": "Practitioner/no-such"}]),
        _composition("replacing", "Observation/seen-0", relatesTo=replacing),
        _composition("round", "Composition/c-round"),
        _composition("attested", custodian={"reference": "Organization/no-such"}),
    ]
    leads = [
        observation("c-leads-1", "camille", 1, derivedFrom=[{"reference": "Observation/run-a0"}]),
        observation("c-leads-2", "camille", 2, derivedFrom=[{"reference": "Observation/no-such"}]),
    ]
    return [thing(one) for one in (*leads, *made)]


def _composition(name: str, *entries: str, **more: Any) -> Json:
    return {
        "resourceType": "Composition",
        "id": f"c-{name}",
        "status": "final",
        "type": {"text": "letter"},
        "subject": {"reference": "Patient/camille"},
        "date": "2026-01-01",
        "author": [{"reference": "Practitioner/dr-vernay"}],
        "title": name,
        "section": [{"title": "s", "entry": [{"reference": one}]} for one in entries],
        **more,
    }
