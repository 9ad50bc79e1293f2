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
    strict: bool = False
    """Whether it needs a server that keeps referential integrity, as HAPI does unless told otherwise."""


CASES: list[Case] = []


def case(
    *, hapi: bool = True, r5: bool = True, strict: bool = False
) -> Callable[[Callable[[Client, str], Awaitable[None]]], Callable[[Client, str], Awaitable[None]]]:
    """Add a function to the list."""

    def add(
        run: Callable[[Client, str], Awaitable[None]],
    ) -> Callable[[Client, str], Awaitable[None]]:
        CASES.append(Case(run.__name__, run, hapi, r5, strict))
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
    return [
        tagged(p, "Organization", "org", name="Clinique Étoile"),
        tagged(p, "Practitioner", "doc", name=[{"family": "House"}]),
        *_patients(p, system, doctor),
        tagged(p, "Condition", "con", subject={"reference": f"Patient/{p}-ann"}),
        _encounter(p),
        *_observations(p, doctor),
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


def _patients(p: str, system: str, doctor: Json) -> list[Json]:
    return [
        patient(
            p,
            "ann",
            identifier=[{"system": system, "value": f"{p}-ann"}],
            active=True,
            name=[{"family": "Müller", "given": ["Ann", "Lou"]}],
            gender="female",
            birthDate="1980-05-17",
            telecom=[
                {"system": "phone", "value": "0102"},
                {"system": "email", "value": "a@x.example"},
            ],
            address=[{"line": ["1 High Street"], "city": "Lyon", "country": "FR"}],
            managingOrganization={"reference": f"Organization/{p}-org"},
        ),
        patient(
            p,
            "bob",
            identifier=[{"system": system, "value": f"{p}-bob"}],
            name=[{"family": "Berg", "given": ["Bob"]}],
            gender="male",
            birthDate="1990-12-01",
            generalPractitioner=[doctor],
        ),
        patient(p, "cyd", name=[{"family": "Comma, Case"}], gender="male", birthDate="1999"),
    ]


def _observations(p: str, doctor: Json) -> list[Json]:
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
    return [glucose, pressure]


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


def statuses(bundle: Json) -> Sequence[str]:
    """The status codes of a batch or transaction response."""
    return [e["response"]["status"][:3] for e in bundle["entry"]]
