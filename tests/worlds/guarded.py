"""What guards protect: resources that differ between two worlds in nothing but what a caller may not see in them.

The house of these worlds redacts more than the policies that ship: for nurses notes, names, performers and dates too.
"""

import shutil
from pathlib import Path
from typing import Any

from proxy.sandbox.interactions import Interactions
from tests.stage import BASELINE, CANARY, Json
from tests.worlds.twins import Thing, hidden, labelled, loaded, observation, thing

KEPT = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace"
"""An extension that the baseline lets stay in what nurses are shown redacted."""

_SHIPPED = "remove: [Patient.telecom, Patient.address, Person.telecom, Person.address]"
_STRICTER = """remove: [Patient.telecom, Patient.address, Person.telecom, Person.address, Patient.name, Patient.identifier, Observation.note,
               Observation.performer, Observation.effective, DocumentReference.context]
      mask: [Observation.interpretation]
      generalise: [Observation.issued]"""
_INLINE = (
    "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"
)
_RESTRICTED = {
    "url": _INLINE,
    "valueCoding": {
        "system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
        "code": "R",
    },
}
_FLAG = {
    "security": [
        {
            "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
            "code": "PROCESSINLINELABEL",
            "display": "process inline security label",
        }
    ]
}
HIDDEN, ABSENT = "Observation/run-a0", "Observation/never-was"
"""What a reference leads to in each of the worlds."""


def stricter_house(folder: Path) -> Path:
    """The policies that ship, with more redactions."""
    policies = shutil.copytree(BASELINE, folder / "policies")
    path = policies / "treatment.yaml"
    text = path.read_text()
    assert _SHIPPED in text
    path.write_text(text.replace(_SHIPPED, _STRICTER))
    return policies


def _seen(name: str, **more: Any) -> Json:
    made = observation(name, "camille", 1, **more)
    return {key: value for key, value in made.items() if value is not None}


def _noted(name: str, word: str, **more: Any) -> Json:
    """An Observation with a note, which a nurse does not see."""
    return _seen(name, note=[{"text": f"{word} was noted"}], **more)


def _leading(name: str, target: str, **more: Any) -> Json:
    return _seen(name, hasMember=[{"reference": target, "display": f"{target} and its name"}], **more)  # fmt: skip


def _narrative(text: str) -> Json:
    div = f'<div xmlns="http://www.w3.org/1999/xhtml">{text}</div>'
    return {"status": "generated", "div": div}


def _redacted(word: str, date: str) -> list[Json]:
    """What a nurse sees redacted, and what repeats it."""
    held = {"resourceType": "Practitioner", "id": "held", "name": [{"family": word}]}
    note = [{"text": "a note", "authorReference": {"reference": "#held"}}]
    told = {"reference": "Patient/camille", "display": word}
    named = {"reference": "Patient/camille", "identifier": {"system": "urn:x", "value": word}}
    return [
        _noted("g-note", word),
        _noted("g-narrative", word, text=_narrative(f"told as {word[:3]}")),
        _noted("g-repeat", word, valueQuantity=None, valueString=f"since {word} was noted"),
        _noted("g-beside", word, extension=[{"url": "urn:y", "valueString": word[:3]}]),
        _seen("g-orphan", note=note, contained=[held]),
        _seen("g-told", subject=told),
        _seen("g-named", subject=named),
        _seen("g-masked", interpretation=[{"text": word}]),
        _seen("g-general", issued=f"{date}T10:00:00Z"),
        _seen("g-dated", effectiveDateTime=date, code={"text": "dated"}),
        _seen("g-dated-2", effectiveDateTime="2026-05-15", code={"text": "dated"}),
        _document(date),
    ]  # fmt: skip


def _modified(word: str) -> Json:
    """An Observation with a note, and something beside it that changes its meaning: nothing of it is shown without the note."""
    return _noted("g-modified", word, modifierExtension=[{"url": "urn:y", "valueBoolean": True}])


def _document(date: str) -> Json:
    return {
        "resourceType": "DocumentReference",
        "id": "g-document",
        "status": "current",
        "subject": {"reference": "Patient/camille"},
        "content": [{"attachment": {"contentType": "text/plain", "title": "a document"}}],
        "context": {"period": {"start": date, "end": date}},
    }


def _performed(by: str) -> Json:
    return _seen("g-performed", performer=[{"reference": by}])


def _referring(target: str) -> list[Json]:
    """What refers to something hidden, and what repeats where it leads."""
    return [
        _leading("g-led", target),
        _leading("g-echo", target, extension=[{"url": "urn:y", "valueString": f"see {target}"}]),
        _leading("g-prose", target, text=_narrative(f"about {target[12:15]}")),
    ]


def _row(role: str, target: str) -> Json:
    """An Encounter with a row that is there for somebody whom the caller does not see."""
    participant = {"type": [{"coding": [{"code": role}]}], "individual": {"reference": target}}
    return {
        "resourceType": "Encounter",
        "id": "g-row",
        "status": "finished",
        "class": {"code": "AMB"},
        "subject": {"reference": "Patient/camille"},
        "participant": [participant],
    }


def _kin() -> Json:
    return {
        "resourceType": "RelatedPerson",
        "id": "g-kin",
        "meta": labelled("V"),
        "patient": {"reference": "Patient/camille"},
    }


def _uncuttable() -> Json:
    """What an inline label hides must be there: nothing of it can be shown."""
    return _seen("g-uncuttable", meta=_FLAG, code={"extension": [_RESTRICTED], "text": f"{CANARY}g-uncuttable"})  # fmt: skip


def _holding() -> Json:
    """A Bundle whose entry refers to something hidden: it leaves whole or not at all."""
    entry = {"resource": _leading("g-inside", HIDDEN)}
    return {"resourceType": "Bundle", "id": "g-bundle", "type": "collection", "entry": [entry]}


def _derived() -> list[Json]:
    """What was made from a document that hardly anybody sees."""
    secret = {**_document("2026-05-01"), "id": "g-source", "meta": labelled("V")}
    return [secret, _seen("g-derived", derivedFrom=[{"reference": "DocumentReference/g-source"}])]


def guarded_whole() -> list[Thing]:
    """Of the world that holds everything."""
    rows = [*_redacted("raspberry", "2026-03-05"), *_referring(HIDDEN)]
    rows += [
        _performed("Patient/ines"),
        _uncuttable(),
        _modified("raspberry"),
        _holding(),
        *_derived(),
        _kin(),
        _row("PART", "RelatedPerson/g-kin"),
    ]
    rows += [_noted("g-moved", "first"), _noted("g-moved", "second")]
    return [thing(one) for one in rows]


def guarded_without(*, nurse: bool) -> list[Thing]:
    """Of the world in which what is hidden from a nurse, or from a physician, never existed; a physician sees all that may be cut."""
    word, date = ("strawberry", "2026-07-08") if nurse else ("raspberry", "2026-03-05")
    rows = [*_redacted(word, date), *_referring(ABSENT), _row("REF", "RelatedPerson/never-was")]
    if nurse:
        rows += [_performed("Practitioner/dr-petit"), _noted("g-moved", "other")]
    else:
        rows += [_performed("Patient/ines"), _uncuttable(), _modified("raspberry"), _noted("g-moved", "first"), _noted("g-moved", "second")]  # fmt: skip
    return [thing(one) for one in rows]


def loaded_whole(things: list[Thing]) -> Interactions:
    """That world, in which something was deleted too."""
    world = loaded([*things, *guarded_whole(), thing(hidden("g-gone", "camille", 1))])
    world.store.delete("Observation", "g-gone")
    return world
