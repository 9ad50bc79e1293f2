"""Cases that any FHIR server behind the gateway must pass: the embedded server and HAPI FHIR alike.

    for case in CASES: await case.run(client, prefix)

`client` is anything with `url` and `ask` (see `Client`), `prefix` a text that no other case uses, fit for ids:
all cases may run on one shared server, in any order and at once. Case by case `hapi` says whether HAPI does the
same, `r5` whether it also holds for FHIR R5.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

Json = dict[str, Any]

TAG = "urn:conformance"
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
PROFILE = "http://example.org/fhir/StructureDefinition/conformance-pressure"


@dataclass(frozen=True)
class Reply:
    """An answer: header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        found = json.loads(self.body)
        assert isinstance(found, dict)
        return found


class Client(Protocol):
    """Asks one server; `path` is below the base URL `url`, or an absolute URL."""

    url: str

    async def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply: ...


@dataclass(frozen=True)
class Case:
    name: str
    run: Callable[[Client, str], Awaitable[None]]
    hapi: bool = True
    r5: bool = True


CASES: list[Case] = []


def case(
    *, hapi: bool = True, r5: bool = True
) -> Callable[[Callable[[Client, str], Awaitable[None]]], Callable[[Client, str], Awaitable[None]]]:
    """Add a function to the list."""

    def add(
        run: Callable[[Client, str], Awaitable[None]],
    ) -> Callable[[Client, str], Awaitable[None]]:
        CASES.append(Case(run.__name__, run, hapi, r5))
        return run

    return add


# Asking


async def get(client: Client, path: str, **headers: str) -> Reply:
    # HAPI answers the same search from a cache for a minute unless told not to.
    asked = {"Accept": "application/fhir+json", "Cache-Control": "no-cache"}
    return await client.ask("GET", path, asked | _spelled(headers))


async def send(
    client: Client, method: str, path: str, body: Json | bytes | list[Json], **headers: str
) -> Reply:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"Accept": "application/fhir+json", "Content-Type": "application/fhir+json"}
    return await client.ask(method, path, sent | _spelled(headers), content)


def _spelled(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-").title(): value for name, value in headers.items()}


async def put(client: Client, resource: Json, **headers: str) -> Reply:
    return await send(
        client, "PUT", f"{resource['resourceType']}/{resource['id']}", resource, **headers
    )


def entries(bundle: Json, mode: str = "match") -> list[str]:
    """The ids of a searchset's entries of one mode, without the prefix's place in front."""
    found = bundle.get("entry", [])
    return [e["resource"]["id"] for e in found if e.get("search", {}).get("mode", "match") == mode]


def link(bundle: Json, relation: str) -> str | None:
    return next((li["url"] for li in bundle.get("link", []) if li["relation"] == relation), None)


def is_outcome(reply: Reply) -> bool:
    found = reply.json
    return found["resourceType"] == "OperationOutcome" and bool(found["issue"][0]["severity"])


# Resources


def tagged(prefix: str, kind: str, ident: str, /, **elements: object) -> Json:
    meta = {"tag": [{"system": TAG, "code": prefix}]}
    return {"resourceType": kind, "id": f"{prefix}-{ident}", "meta": meta} | elements


def patient(prefix: str, ident: str = "pat", /, **elements: object) -> Json:
    return tagged(prefix, "Patient", ident, **elements)


def observation(prefix: str, name: str, about: str, **elements: object) -> Json:
    required = {"status": "final", "code": {"text": "anything"}}
    subject = {"reference": f"Patient/{prefix}-{about}"}
    return tagged(prefix, "Observation", name, **(required | {"subject": subject} | elements))


def quantity(number: str, unit: str) -> Json:
    return {"value": float(number), "unit": unit, "system": UCUM, "code": unit}


def population(p: str) -> list[Json]:
    """Two and a half patients with their small records."""
    system = f"urn:conformance:{p}"
    doctor = {"reference": f"Practitioner/{p}-doc"}
    glucose = observation(
        p, "glu", "ann",
        code={"coding": [{"system": LOINC, "code": "15074-8"}]},
        effectiveDateTime="2020-03-01T10:00:00Z",
        valueQuantity=quantity("6.3", "mmol/L"),
        performer=[doctor],
        encounter={"reference": f"Encounter/{p}-enc"},
    )  # fmt: skip
    glucose["meta"]["security"] = [{"system": CONFIDENTIALITY, "code": "R"}]
    pressure = observation(
        p, "bp", "ann",
        code={"coding": [{"system": LOINC, "code": "85354-9"}]},
        effectiveDateTime="2020-03",
        valueQuantity=quantity("120", "mm[Hg]"),
    )  # fmt: skip
    pressure["meta"]["profile"] = [PROFILE]
    return [
        tagged(p, "Organization", "org", name="Clinique Étoile"),
        tagged(p, "Practitioner", "doc", name=[{"family": "House"}]),
        patient(
            p, "ann",
            identifier=[{"system": system, "value": f"{p}-ann"}],
            active=True,
            name=[{"family": "Müller", "given": ["Ann", "Lou"]}],
            gender="female",
            birthDate="1980-05-17",
            managingOrganization={"reference": f"Organization/{p}-org"},
        ),
        patient(
            p, "bob",
            identifier=[{"system": system, "value": f"{p}-bob"}],
            name=[{"family": "Berg", "given": ["Bob"]}],
            gender="male",
            birthDate="1990-12-01",
            generalPractitioner=[doctor],
        ),
        patient(p, "cyd", name=[{"family": "Comma, Case"}], gender="male", birthDate="1999"),
        tagged(p, "Condition", "con", subject={"reference": f"Patient/{p}-ann"}),
        _encounter(p),
        glucose,
        pressure,
        observation(
            p, "txt", "bob",
            effectivePeriod={"start": "2020-06-01", "end": "2020-06-30"},
            valueString="a text",
        ),
        tagged(
            p, "RiskAssessment", "risk",
            status="final",
            subject={"reference": f"Patient/{p}-bob"},
            prediction=[{"outcome": {"text": "fall"}, "probabilityDecimal": 0.8}],
        ),
        tagged(p, "Questionnaire", "ask", status="draft", url=f"http://example.org/{p}/ask"),
    ]  # fmt: skip


def _encounter(p: str) -> Json:
    """An Encounter, as far as R4 and R5 spell it alike."""
    return tagged(p, "Encounter", "enc", subject={"reference": f"Patient/{p}-ann"})


async def populate(client: Client, p: str) -> None:
    requests = [
        {"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}}
        for r in population(p)
    ]
    bundle: Json = {"resourceType": "Bundle", "type": "transaction", "entry": requests}
    reply = await send(client, "POST", "", bundle)
    assert reply.status == 200, reply.body


# Searches: query and the names that match, in any order

SEARCHES: list[tuple[str, str]] = [
    ("Patient?_id={p}-ann", "ann"),
    ("Patient?_id={p}-ann,{p}-bob", "ann bob"),
    ("Patient?_id={p}-nobody", ""),
    ("Patient?identifier=urn:conformance:{p}|{p}-ann", "ann"),
    ("Patient?identifier={p}-ann", "ann"),
    ("Patient?identifier=urn:conformance:{p}|", "ann bob"),
    ("Patient?identifier=|{p}-ann", ""),
    ("Patient?identifier=urn:other|{p}-ann", ""),
    ("Patient?gender=female", "ann"),
    ("Patient?gender=http://hl7.org/fhir/administrative-gender|female", "ann"),
    ("Patient?gender=female,male", "ann bob cyd"),
    ("Patient?gender:not=female", "bob cyd"),
    ("Patient?gender=female&birthdate=1990", ""),
    ("Patient?active=true", "ann"),
    ("Patient?active:missing=true", "bob cyd"),
    ("Patient?active:missing=false", "ann"),
    ("Patient?family=mul", "ann"),
    ("Patient?family=MÜL", "ann"),
    ("Patient?family=ull", ""),
    ("Patient?family:exact=Müller", "ann"),
    ("Patient?family:exact=muller", ""),
    ("Patient?family:contains=ulle", "ann"),
    ("Patient?family=Comma\\, C", "cyd"),
    ("Patient?family=Comma,B", "cyd bob"),
    ("Patient?name=lou", "ann"),
    ("Patient?given=ann,bob", "ann bob"),
    ("Patient?given=ann&given=lou", "ann"),
    ("Patient?given=ann&given=bob", ""),
    ("Patient?birthdate=1980", "ann"),
    ("Patient?birthdate=1980-05", "ann"),
    ("Patient?birthdate=1980-05-17", "ann"),
    ("Patient?birthdate=eq1980-05-18", ""),
    ("Patient?birthdate=ne1980-05-17", "bob cyd"),
    ("Patient?birthdate=gt1980-05-17", "bob cyd"),
    ("Patient?birthdate=ge1980-05-17", "ann bob cyd"),
    ("Patient?birthdate=lt1990-12-01", "ann"),
    ("Patient?birthdate=le1990-12-01", "ann bob"),
    ("Patient?birthdate=sa1985", "bob cyd"),
    ("Patient?birthdate=eb1985", "ann"),
    ("Patient?_lastUpdated=gt2000-01-01", "ann bob cyd"),
    ("Patient?_lastUpdated=lt2000-01-01", ""),
    ("Patient?_has:Observation:patient:code=15074-8", "ann"),
    ("Patient?_has:Observation:subject:date=gt2020-05-01", "bob"),
    ("Observation?code=15074-8", "glu"),
    ("Observation?code=http://loinc.org|15074-8", "glu"),
    ("Observation?code=http://loinc.org|", "glu bp"),
    ("Observation?code=http://loinc.org|15074-8,http://loinc.org|85354-9", "glu bp"),
    ("Observation?code:not=15074-8", "bp txt"),
    ("Observation?subject=Patient/{p}-ann", "glu bp"),
    ("Observation?subject={p}-ann", "glu bp"),
    ("Observation?patient={p}-ann", "glu bp"),
    ("Observation?patient=Patient/{p}-ann", "glu bp"),
    ("Observation?subject:Patient={p}-ann", "glu bp"),
    ("Observation?subject:Group={p}-ann", ""),
    ("Observation?subject={url}/Patient/{p}-ann", "glu bp"),
    ("Observation?patient={p}-ann,{p}-bob", "glu bp txt"),
    ("Observation?patient={p}-ann&patient={p}-bob", ""),
    ("Observation?performer:missing=true", "bp txt"),
    ("Observation?encounter={p}-enc", "glu"),
    ("Observation?subject:Patient.name=mul", "glu bp"),
    ("Observation?patient.identifier=urn:conformance:{p}|{p}-bob", "txt"),
    ("Observation?patient.gender=female&code=85354-9", "bp"),
    ("Observation?subject:Patient.organization.name=clinique", "glu bp"),
    ("Observation?date=2020-03", "glu bp"),
    ("Observation?date=2020-03-01", "glu"),
    ("Observation?date=2020", "glu bp txt"),
    ("Observation?date=2020-03-01T10:00:00Z", "glu"),
    ("Observation?date=2020-03-01T11:00:00%2B01:00", "glu"),
    ("Observation?date=ge2020-06-15", "txt"),
    ("Observation?date=gt2020-06-30", ""),
    ("Observation?date=lt2020-03-20", "glu bp"),
    ("Observation?date=sa2020-05-15", "txt"),
    ("Observation?date=eb2020-05-15", "glu bp"),
    ("Observation?date=ge2020-03-01&date=lt2020-04-01", "glu bp"),
    ("Observation?value-quantity=6.3", "glu"),
    ("Observation?value-quantity=gt6|http://unitsofmeasure.org|mmol/L", "glu"),
    ("Observation?value-quantity=6.3||mmol/L", "glu"),
    ("Observation?value-quantity=lt1000", "glu bp"),
    ("Observation?value-quantity=ge120", "bp"),
    ("Observation?value-quantity=6.3|http://unitsofmeasure.org|mg", ""),
    ("Observation?value-string=a te", "txt"),
    ("Observation?_security=http://terminology.hl7.org/CodeSystem/v3-Confidentiality|R", "glu"),
    ("Observation?_security=R", "glu"),
    (f"Observation?_profile={PROFILE}", "bp"),
    ("RiskAssessment?probability=gt0.5", "risk"),
    ("RiskAssessment?probability=lt0.5", ""),
    ("Questionnaire?url=http://example.org/{p}/ask", "ask"),
    ("Questionnaire?url=http://example.org/{p}", ""),
]

# Searches whose order counts

SORTED: list[tuple[str, str]] = [
    ("Patient?_sort=birthdate", "ann bob cyd"),
    ("Patient?_sort=-birthdate", "cyd bob ann"),
    ("Patient?_sort=family", "bob cyd ann"),
    ("Patient?_sort=gender,-birthdate", "ann cyd bob"),
    ("Patient?_sort=_id", "ann bob cyd"),
    ("Observation?_sort=-date&code=15074-8,85354-9&date=lt2020-05", "glu bp"),
]

# Includes: query, matches, included

INCLUDES: list[tuple[str, str, str]] = [
    ("Observation?_id={p}-glu&_include=Observation:subject", "glu", "ann"),
    ("Observation?_id={p}-glu&_include=Observation:subject:Patient", "glu", "ann"),
    ("Observation?_id={p}-glu&_include=Observation:subject:Group", "glu", ""),
    ("Observation?_id={p}-glu&_include=Observation:performer", "glu", "doc"),
    ("Observation?_id={p}-glu&_include=Observation:*", "glu", "ann doc enc"),
    ("Observation?code=15074-8,85354-9&_include=Observation:patient", "glu bp", "ann"),
    (
        "Observation?_id={p}-glu&_include=Observation:subject&_include:iterate=Patient:organization",
        "glu",
        "ann org",
    ),
    ("Patient?_id={p}-ann&_revinclude=Observation:subject", "ann", "glu bp"),
    (
        "Patient?_id={p}-ann&_revinclude=Observation:patient&_revinclude=Condition:patient",
        "ann",
        "glu bp con",
    ),
    ("Patient?_id={p}-cyd&_revinclude=Observation:subject", "cyd", ""),
    (
        "Patient?_id={p}-ann&_include=Patient:organization&_revinclude=Condition:subject",
        "ann",
        "org con",
    ),
]


def named(prefix: str, names: str) -> list[str]:
    return [f"{prefix}-{name}" for name in names.split()]


def within(path: str, client: Client, prefix: str) -> str:
    """A path with its places filled, escaped, and limited to the resources of this prefix."""
    filled = path.replace("{p}", prefix).replace("{url}", client.url)
    return quote(f"{filled}&_tag={TAG}|{prefix}&_count=100", safe=":/?&=,|%")


async def found(client: Client, prefix: str, path: str) -> Json:
    await populate(client, prefix)
    reply = await get(client, within(path, client, prefix))
    assert reply.status == 200, (path, reply.status, reply.body)
    assert reply.json["type"] == "searchset"
    return reply.json


# R5 has no such parameter.
NOT_R5 = {"Observation?value-string=a te"}


def _add_searches() -> None:
    for path, names in SEARCHES:

        async def search(c: Client, p: str, path: str = path, names: str = names) -> None:
            assert sorted(entries(await found(c, p, path))) == sorted(named(p, names))

        CASES.append(Case(f"search {path}", search, r5=path not in NOT_R5))
    for path, names in SORTED:

        async def order(c: Client, p: str, path: str = path, names: str = names) -> None:
            assert entries(await found(c, p, path)) == named(p, names)

        CASES.append(Case(f"order {path}", order))
    for path, matches, others in INCLUDES:

        async def include(
            c: Client, p: str, path: str = path, matches: str = matches, others: str = others
        ) -> None:
            bundle = await found(c, p, path)
            assert sorted(entries(bundle)) == sorted(named(p, matches))
            assert sorted(entries(bundle, "include")) == sorted(named(p, others))

        CASES.append(Case(f"include {path}", include))


_add_searches()


def statuses(bundle: Json) -> Sequence[str]:
    """The status codes of a batch or transaction response."""
    return [e["response"]["status"][:3] for e in bundle["entry"]]
