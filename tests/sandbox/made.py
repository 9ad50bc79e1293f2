"""Small stores and requests for the tests of the embedded server."""

import itertools
import json
from typing import Any

from proxy.sandbox.body import draft_of
from proxy.sandbox.interactions import Interactions
from proxy.sandbox.model import Answer, Ask, Version
from proxy.sandbox.store import Store

Json = dict[str, Any]
START = 1_767_225_600.0  # 2026-01-01T00:00:00Z


def store(fhir_version: str = "4.0.1", path: str | None = None) -> Store:
    """A store whose clock goes one second with every look, and whose ids are n1, n2, n3."""
    ticks, numbers = itertools.count(START), itertools.count(1)
    return Store(fhir_version, path, lambda: next(ticks), lambda: f"n{next(numbers)}")


def put(to: Store, kind: str, ident: str, **elements: object) -> Version:
    resource = {"resourceType": kind, "id": ident} | elements
    return to.update(draft_of(json.dumps(resource).encode(), to.definitions), ident)


def resource(version: Version) -> Json:
    found = json.loads(version.body or b"null")
    assert isinstance(found, dict)
    return found


def ask(method: str, path: str, body: object = None, **headers: str) -> Ask:
    where, _, query = path.partition("?")
    pairs = tuple((n, v) for n, _, v in (part.partition("=") for part in query.split("&") if part))
    content = (
        body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    )
    lower = {name.replace("_", "-"): value for name, value in headers.items()}
    segments = tuple(part for part in where.split("/") if part)
    return Ask(method, segments, pairs, lower, content, "http://here/fhir")


def read(answer: Answer) -> Json:
    found = json.loads(answer.body)
    assert isinstance(found, dict)
    return found


def ids(bundle: Json) -> list[str]:
    return [e["resource"]["id"] for e in bundle.get("entry", [])]


def small_world() -> Interactions:
    """Ann with an observation by a doctor, and Bob, who has none."""
    made = store()
    put(made, "Organization", "org", name="Clinic")
    put(made, "Practitioner", "doc", name=[{"family": "House"}])
    put(made, "Patient", "ann", name=[{"family": "A"}], managingOrganization=to("Organization/org"))
    put(made, "Patient", "bob", name=[{"family": "B"}], gender="male")
    put(
        made, "Observation", "obs",
        code={"coding": [{"system": "http://loinc.org", "code": "1-8"}]},
        subject=to("Patient/ann"),
        performer=[to("Practitioner/doc")],
        effectiveDateTime="2020-01-01",
    )  # fmt: skip
    return Interactions(made)


def to(reference: str) -> Json:
    return {"reference": reference}
