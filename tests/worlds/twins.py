"""Two worlds that differ only in what is hidden from one caller (non-interference; architecture §1, promise 1).

W1 holds everything. W0 is W1 in which what the caller may not see never existed. Every hidden text says CANARY.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec
import orjson

from proxy.sandbox.body import draft_of
from proxy.sandbox.interactions import Interactions
from proxy.sandbox.store import Store
from tests.stage import CANARY, NOW, SAMPLES, Json, Reply, Stage

_CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
MOST_PAGES = 200
_PAGE_LINK = re.compile(rb"_page=[A-Za-z0-9_~.-]+")
_THROWN = re.compile(rb"urn:uuid:[0-9a-f-]{36}")
_DOCUMENT = b'"type":"document","timestamp":'


class Thing(NamedTuple):
    """One resource to be loaded; without content, it is deleted."""

    reference: str
    raw: bytes
    patients: frozenset[str]


class _Entry(msgspec.Struct):
    resource: msgspec.Raw


class _Bundle(msgspec.Struct):
    entry: list[_Entry]


_PATIENT = re.compile(rb'"reference"\s*:\s*"(Patient/[A-Za-z0-9.-]+)"')


def thing_of(raw: bytes) -> Thing:
    """A resource, with every patient that it names or is."""
    read = orjson.loads(raw)
    reference = f"{read['resourceType']}/{read['id']}"
    patients = {one.decode() for one in _PATIENT.findall(raw)}
    if read["resourceType"] == "Patient":
        patients.add(reference)
    return Thing(reference, raw, frozenset(patients))


def thing(resource: Json) -> Thing:
    return thing_of(orjson.dumps(resource))


def samples() -> list[Thing]:
    """The sample records, in their order."""
    files = sorted(SAMPLES.glob("*.json"))
    bundles = [msgspec.json.decode(file.read_bytes(), type=_Bundle) for file in files]
    return [thing_of(bytes(entry.resource)) for bundle in bundles for entry in bundle.entry]


def loaded(things: Iterable[Thing]) -> Interactions:
    """A server's content, loaded in order; its clock stands still."""
    store = Store(clock=lambda: NOW - 3600)
    for one in things:
        if one.raw:
            store.update(draft_of(one.raw, store.definitions), one.reference.partition("/")[2])
        else:
            store.delete(*one.reference.split("/"))
    return Interactions(store)


def labelled(*codes: str) -> Json:
    return {"security": [{"system": _CONFIDENTIALITY, "code": code} for code in codes]}


def observation(name: str, patient: str, number: int, **more: Any) -> Json:
    """An Observation with enough in it to be searched and sorted by."""
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "category": [{"coding": [{"code": "laboratory"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": f"{1000 + number % 7}-0"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": f"2026-0{1 + number % 9}-1{number % 10}",
        "performer": [
            {"reference": f"Practitioner/{('dr-martin', 'dr-petit', 'nurse-nora')[number % 3]}"}
        ],
        "valueQuantity": {"value": number, "unit": "mmol/L"},
        **more,
    }


def hidden(name: str, patient: str, number: int) -> Json:
    """The same, very restricted: for its author and the patient alone, and its author is nobody who asks."""
    return observation(
        name,
        patient,
        number,
        meta=labelled("V"),
        code={"text": f"{CANARY}{name}"},
        performer=[{"reference": "Practitioner/dr-vernay"}],
        encounter={"reference": "Encounter/camille-consultation-2"},
    )


def more() -> list[Thing]:
    """Rows that make gaps: single hidden ones, hidden runs at the beginning, in the middle and at the end."""
    rows = [hidden(f"run-a{n}", "camille", n) for n in range(25)]
    for n in range(12):
        rows.append(
            observation(
                f"seen-{n}",
                "camille",
                n,
                encounter={"reference": f"Encounter/camille-consultation-{1 + n % 2}"},
            )
        )
        rows += [hidden(f"gap-{n}-{m}", "camille", n + m) for m in range(n % 4)]
    rows += [hidden(f"run-b{n}", "susan", n) for n in range(25)]
    rows += [observation(f"last-{n}", "ines", n) for n in range(3)]
    rows += [
        observation(f"noe-{n}", "noe", n, code={"text": f"{CANARY}noe-{n}"}) for n in range(30)
    ]
    # Plain in its first version, hidden in its second: the newest labels hold for all of them (T-47).
    rows += [observation("relabelled", "camille", 4), hidden("relabelled", "camille", 4)]
    rows.append(cut("one thing"))
    return [thing(row) for row in rows]


_INLINE = {
    "url": "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"
}


def cut(told: str) -> Json:
    """An Observation whose value is labelled by itself: whoever may not see restricted data sees it without."""
    restricted = {
        "extension": [{**_INLINE, "valueCoding": {"system": _CONFIDENTIALITY, "code": "R"}}]
    }
    flag = {
        "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
        "code": "PROCESSINLINELABEL",
        "display": "process inline security label",
    }
    return {
        "resourceType": "Observation",
        "id": "cut",
        "meta": {"security": [flag]},
        "status": "final",
        "code": {"text": "shown"},
        "subject": {"reference": "Patient/camille"},
        "valueString": told,
        "_valueString": restricted,
    }


def otherwise(one: Thing) -> Thing:
    """The same where what a nurse sees redacted says something else: address, telephone, a value with a label of its own."""
    if not one.raw:
        return one
    read = orjson.loads(one.raw)
    if one.reference == "Observation/cut":
        return thing(cut("another"))
    if read["resourceType"] != "Patient":
        return one
    other = {
        "telecom": [{"system": "email", "value": "other@example.org"}],
        "address": [{"city": "Elsewhere", "country": "IS"}],
    }
    return thing(read | {name: value for name, value in other.items() if name in read})


POLICY_BEARING = frozenset(
    {
        "Consent",
        "CareTeam",
        "RelatedPerson",
        "Practitioner",
        "PractitionerRole",
        "Organization",
        "Group",
    }
)
"""What decisions read: of a patient who is visible it stays in both worlds, though it may be hidden itself."""


async def without_hidden(things: list[Thing], stage: Stage, who: Any) -> list[Thing]:
    """The things of W0: less what a read does not give to the caller, or where it is deleted now its history."""
    asked = {
        one.reference: one.reference if one.raw else f"{one.reference}/_history" for one in things
    }
    seen: Mapping[str, bool] = {
        reference: (await stage.ask(target, who)).status == 200
        for reference, target in asked.items()
    }
    return [one for one in things if seen[one.reference] or _stays(one, seen)]


def _stays(one: Thing, seen: Mapping[str, bool]) -> bool:
    kind = one.reference.partition("/")[0]
    return kind in POLICY_BEARING and all(seen.get(patient, False) for patient in one.patients)


class Shape(NamedTuple):
    """A request, whoever makes it."""

    target: str
    method: str = "GET"
    body: str = ""
    accept: str = "application/fhir+json"
    headers: tuple[tuple[str, str], ...] = ()


def name_of(one: object) -> str:
    """A short name of a shape for the id of a test."""
    if not isinstance(one, Shape):
        return str(one)
    said = (*one[:3], *(f"{name}: {value}" for name, value in one.headers))
    return " ".join(filter(None, said))


Heard = list[tuple[int, Mapping[str, str], bytes]]


async def heard(stage: Stage, who: Any, shape: Shape, most: int = MOST_PAGES) -> Heard:
    """Every page of the answer, `most` at most, as the caller can tell answers apart."""
    headers = {"accept": shape.accept}
    if shape.method == "POST":
        headers["content-type"] = "application/x-www-form-urlencoded"
    headers |= dict(shape.headers)
    reply = await stage.ask(shape.target, who, shape.method, headers, shape.body.encode() or None)
    pages = [told_by(reply)]
    while reply.status == 200 and (following := next_of(reply)) and len(pages) < most:
        reply = await stage.ask(following, who)
        pages.append(told_by(reply))
    return pages


def next_of(reply: Reply) -> str | None:
    is_bundle = reply.body.startswith(b'{"resourceType":"Bundle"')
    return reply.next if is_bundle else None


def told_by(reply: Reply) -> tuple[int, Mapping[str, str], bytes]:
    """An answer without what differs between equal answers; of a page link its length counts, not its seal.

    A document has names that were thrown for it: `test_document_worlds.py` compares them with the same dice.
    """
    headers = {k: v for k, v in reply.headers.items() if k not in {"date", "x-request-id"}}
    body = _PAGE_LINK.sub(lambda found: b"_page=" + b"." * len(found.group()), reply.body)
    if _DOCUMENT in body:
        body = _THROWN.sub(b"urn:uuid:" + b"0" * 36, body)
    return reply.status, headers, body


def canaries(pages: Heard) -> set[str]:
    """The hidden texts that some answer gives away."""
    text = "".join(str(dict(headers)) + body.decode("latin-1") for _, headers, body in pages)
    return set(re.findall(CANARY + r"[\w-]+", text))


Switch = Callable[[Interactions], None]
