"""`$document`: a document leaves whole, or not at all; what it is made of is read by the caller, each judged."""

import json
import re
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from fhir.resources.R4B.bundle import Bundle

from proxy.enforcement import document
from tests.stage import (
    CANARY,
    PUBLIC,
    Json,
    Reply,
    Stage,
    Upstream,
    bundle,
    serving,
    staged,
    world_of,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
PHYSICIAN, NURSE = "care-team-physician", "care-team-nurse"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
SECRET = {"security": [{"system": CONFIDENTIALITY, "code": "V"}]}
INLINE = {
    "url": "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label",
    "valueCoding": {"system": CONFIDENTIALITY, "code": "V"},
}
MARKED = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PROCESSINLINELABEL"}]}  # fmt: skip


def to(reference: str) -> Json:
    return {"reference": reference}


def observation(name: str, patient: str = "camille", **more: object) -> Json:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"text": name},
        "subject": to(f"Patient/{patient}"),
        **more,
    }


def composition(name: str, *entries: str, **more: Any) -> Json:
    return {
        "resourceType": "Composition",
        "id": name,
        "status": "final",
        "type": {"text": "letter"},
        "subject": to("Patient/camille"),
        "date": "2026-01-01",
        "author": [to("Practitioner/dr-martin")],
        "title": name,
        "section": [{"title": "s", "section": [{"title": "in s", "entry": [to(one)]}]} for one in entries],
        **more,
    }  # fmt: skip


HIDDEN = observation("d-secret", meta=SECRET, code={"text": CANARY + "secret"})
THINGS = [
    observation("d-one", note=[{"text": "é \\u00e9", "authorReference": to("Practitioner/dr-petit")}]),
    observation("d-two", derivedFrom=[to("Observation/d-one")], valueQuantity={"value": 1}),
    observation("d-far", derivedFrom=[to("https://elsewhere.example.org/fhir/Observation/1")]),
    observation("d-odd", derivedFrom=[to("Observation/d-one/x")]),
    observation("d-deep", derivedFrom=[to("Observation/d-secret")]),
    observation("d-lost", derivedFrom=[to("Observation/no-such")]),
    observation("d-cut", meta=MARKED, valueString=CANARY + "cut", _valueString={"extension": [INLINE]}),
    observation("d-noe", "noe", code={"text": CANARY + "noe"}),
    HIDDEN,
    observation("d-round", hasMember=[to("Observation/d-round")]),
]  # fmt: skip
HOLDING = {
    "resourceType": "Bundle",
    "id": "d-bundle",
    "type": "collection",
    "entry": [
        {"resource": observation("d-in", hasMember=[to("Observation/d-in-too")])},
        {"resource": observation("d-in-too")},
    ],
}
WHOLE = {
    "holding": composition("holding", "Bundle/d-bundle"),
    "whole": composition("whole", "Observation/d-one", "Observation/d-two"),
    "bare": composition("bare", section=[{"title": "s", "text": {"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"}}]),
    "contained": composition("contained", author=[to("#me")], contained=[{"resourceType": "Practitioner", "id": "me"}]),
    "logical": composition("logical", author=[{"identifier": {"system": "urn:x", "value": "1"}}]),
    "absolute": composition("absolute", f"{PUBLIC}/Observation/d-one"),
    "version": composition("version", "Observation/d-one/_history/1"),
    "far": composition("far", "Observation/d-far"),
    "round": composition("round", "Observation/d-round", "Composition/round"),
    "after": composition("after", relatesTo=[{"code": "replaces", "targetReference": to("Composition/whole")}]),
    "attested": composition(
        "attested",
        attester=[{"mode": "legal", "party": to("Practitioner/dr-petit")}],
        custodian=to("Organization/hopital-saint-aubin"),
        encounter=to("Encounter/camille-consultation-1"),
        event=[{"detail": [to("Condition/camille-migraine")]}],
    ),
}  # fmt: skip
SHUT = {
    "hidden": composition("hidden", "Observation/d-secret"),
    "lost": composition("lost", "Observation/no-such"),
    "lost-author": composition("lost-author", author=[to("Practitioner/no-such")]),
    "hidden-deep": composition("hidden-deep", "Observation/d-deep"),
    "lost-deep": composition("lost-deep", "Observation/d-lost"),
    "odd-deep": composition("odd-deep", "Observation/d-odd"),
    "other": composition("other", "Observation/d-noe"),
    "cut": composition("cut", "Observation/d-cut"),
    "odd": composition("odd", "Observation/d-one/x"),
    "no-type": composition("no-type", "Nothing/x"),
    "elsewhere": composition("elsewhere", author=[to("https://elsewhere.example.org/fhir/Practitioner/1")]),
    "urn": composition("urn", author=[to("urn:uuid:b1a6a5c0-0f5e-4d7e-8a57-0d9a2a1d8a11")]),
    "old": composition("old", "Observation/d-one/_history/7"),
    "labelled": composition("labelled", "Observation/d-one", meta=SECRET, author=[to("Practitioner/dr-vernay")]),
    "of-noe": composition("of-noe", subject=to("Patient/noe")),
    "after-hidden": composition("after-hidden", relatesTo=[{"code": "replaces", "targetReference": to("Composition/labelled")}]),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scene:
    stage: Stage
    upstream: Upstream

    async def raw(self, reference: str) -> bytes:
        """A resource as upstream gives it."""
        url = f"{self.stage.upstream_url}/{reference}"
        async with self.stage.session.get(url) as answer:
            return await answer.read()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    held = [*THINGS, HOLDING, *WHOLE.values(), *SHUT.values()]
    upstream = Upstream(world_of(bundle(*held)))
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path_factory.mktemp("gateway"), url) as stage,
    ):
        yield Scene(stage, upstream)


def named(reply: Reply) -> list[str]:
    """The entries, by their URLs."""
    return [one["fullUrl"].removeprefix(f"{PUBLIC}/") for one in reply.json["entry"]]


@pytest.mark.parametrize("name", WHOLE)
async def test_a_whole_document_leaves_byte_for_byte(scene: Scene, name: str) -> None:
    reply = await scene.stage.ask(f"Composition/{name}/$document", PHYSICIAN)
    assert reply.status == 200
    entries = named(reply)
    assert entries[0] == f"Composition/{name}"
    assert len(set(entries)) == len(entries)
    for one in entries:
        assert await scene.raw(one) in reply.body
    read = Bundle.model_validate_json(reply.body)
    assert (read.type, read.total, read.link) == ("document", None, None)


PARTS = [
    ("whole", {"Observation/d-one", "Observation/d-two", "Practitioner/dr-petit"}),
    ("absolute", {"Observation/d-one"}),
    ("far", {"Observation/d-far"}),
    ("round", {"Observation/d-round"}),
    ("attested", {"Practitioner/dr-petit", "Encounter/camille-consultation-1", "Condition/camille-migraine"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "parts"), PARTS)
async def test_it_holds_all_that_it_refers_to(scene: Scene, name: str, parts: set[str]) -> None:
    reply = await scene.stage.ask(f"Composition/{name}/$document", PHYSICIAN)
    entries = set(named(reply))
    assert entries >= parts | {"Patient/camille", "Practitioner/dr-martin"}
    text = reply.body.decode()
    for reference in {one["reference"] for one in _references(json.loads(text))}:
        inside = reference.removeprefix(f"{PUBLIC}/")
        assert "elsewhere" in reference or inside in entries


def _references(node: Any) -> list[Json]:
    below = list(node.values()) if isinstance(node, dict) else node if isinstance(node, list) else []  # fmt: skip
    own = [node] if isinstance(node, dict) and isinstance(node.get("reference"), str) else []
    return [*own, *(found for one in below for found in _references(one))]


async def test_what_it_replaces_is_no_part_of_it(scene: Scene) -> None:
    reply = await scene.stage.ask("Composition/after/$document", PHYSICIAN)
    assert "Composition/whole" not in named(reply)
    assert b'"Composition/whole"' in reply.body


@pytest.mark.parametrize("name", SHUT)
async def test_a_document_that_would_not_be_whole_is_absent(scene: Scene, name: str) -> None:
    none = await scene.stage.ask("Composition/no-such/$document", PHYSICIAN)
    scene.stage.entries()
    reply = await scene.stage.ask(f"Composition/{name}/$document", PHYSICIAN)
    assert (reply.status, reply.body) == (404, none.body)
    assert {k: v for k, v in reply.headers.items() if k not in {"date", "x-request-id"}} == {
        k: v for k, v in none.headers.items() if k not in {"date", "x-request-id"}
    }
    [entry] = scene.stage.entries()
    assert not {one.outcome for one in entry.touched} & {"disclosed", "redacted"}


async def test_redacted_views_make_no_document(scene: Scene) -> None:
    shown = await scene.stage.ask("Composition/whole", NURSE)
    assert shown.status == 200
    assert (await scene.stage.ask("Patient/camille", NURSE)).json["meta"]["security"]
    assert (await scene.stage.ask("Composition/whole/$document", NURSE)).status == 404


@pytest.mark.parametrize(("hidden", "lost"), [("hidden", "lost"), ("hidden-deep", "lost-deep")])
async def test_as_much_is_asked_for_what_is_hidden_as_for_what_is_not_there(
    scene: Scene, hidden: str, lost: str
) -> None:
    asked = []
    own = re.compile(f"{hidden}|{lost}|no-such|d-(?:secret|deep|lost)")
    for name in (hidden, lost):
        scene.upstream.calls.clear()
        await scene.stage.ask(f"Composition/{name}/$document", PHYSICIAN)
        asked.append([own.sub("", one) for one in data(scene)])
    assert asked[0] == asked[1] != []


def data(scene: Scene) -> list[str]:
    """What upstream was asked, less the facts."""
    return [one.target for one in scene.upstream.calls if "_count=500" not in one.target]


async def test_upstream_is_never_asked_for_the_operation(scene: Scene) -> None:
    scene.upstream.calls.clear()
    await scene.stage.ask("Composition/whole/$document", PHYSICIAN)
    assert not any("$" in call.target for call in scene.upstream.calls)
    asked = [one.partition("&")[0] for one in data(scene) if "Practitioner?" in one]
    assert asked == ["/fhir/Practitioner?_id=dr-martin", "/fhir/Practitioner?_id=dr-petit"]


async def test_id_and_time_are_of_the_dice_and_the_clock(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = [await scene.stage.ask("Composition/whole/$document", PHYSICIAN) for _ in range(2)]
    assert one.json["timestamp"] == other.json["timestamp"] == "2026-11-22T09:00:00.000+00:00"
    names = {reply.json["identifier"]["value"] for reply in (one, other)}
    assert len(names) == 2
    thrown = uuid.UUID("b1a6a5c0-0f5e-4d7e-8a57-0d9a2a1d8a11")
    throws = iter([uuid.uuid4(), thrown])  # of the record, then of the document
    monkeypatch.setattr("proxy.app.house.uuid", SimpleNamespace(uuid4=lambda: next(throws)))
    reply = await scene.stage.ask("Composition/whole/$document", PHYSICIAN)
    assert reply.json["identifier"] == {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{thrown}"}  # fmt: skip


JSON = {"content-type": "application/fhir+json"}


def posted(*parameters: Json) -> bytes:
    return json.dumps({"resourceType": "Parameters", "parameter": list(parameters)}).encode()


async def test_every_way_to_ask_gives_the_same(scene: Scene) -> None:
    def bare(reply: Reply) -> object:
        return reply.status, {k: v for k, v in reply.json.items() if k != "identifier"}

    ask = scene.stage.ask
    expected = bare(await ask("Composition/whole/$document", PHYSICIAN))
    for target in ("Composition/$document?id=whole", "Composition/whole/$document?persist=false"):
        assert bare(await ask(target, PHYSICIAN)) == expected
    for target, body in (
        ("Composition/whole/$document", posted({"name": "persist", "valueBoolean": False})),
        ("Composition/whole/$document", posted()),
        ("Composition/$document", posted({"name": "id", "valueUri": "whole"})),
    ):
        assert bare(await ask(target, PHYSICIAN, "POST", JSON, body)) == expected
    head = await ask("Composition/whole/$document", PHYSICIAN, "HEAD")
    assert (head.status, head.body) == (200, b"")


async def test_the_journal_has_a_read_with_all_that_left(scene: Scene) -> None:
    scene.stage.entries()
    reply = await scene.stage.ask("Composition/whole/$document", PHYSICIAN)
    [entry] = scene.stage.entries()
    left = {
        reference.partition("/_history")[0]
        for one in entry.touched
        if one.outcome == "disclosed"
        for reference in one.references
    }
    assert (entry.interaction, entry.type, entry.resource_id) == ("read", "Composition", "whole")
    assert left == set(named(reply))


SCOPES = [
    ("user/*.r", 200),
    ("user/*.s", 403),
    ("user/Observation.r user/Patient.r user/Practitioner.r", 403),
    ("user/Composition.r user/Patient.r user/Practitioner.r user/Organization.r", 404),
    ("user/Composition.r user/Observation.r user/Patient.r user/Practitioner.r user/Organization.r", 200),
]  # fmt: skip


@pytest.mark.parametrize(("scope", "status"), SCOPES)
async def test_it_needs_what_the_reads_need(scene: Scene, scope: str, status: int) -> None:
    who = {"like": PHYSICIAN, "scope": scope}
    scene.upstream.calls.clear()
    assert (await scene.stage.ask("Composition/whole/$document", who)).status == status
    if "Observation.r" not in scope and "*" not in scope:
        assert not any("Observation" in one for one in data(scene))


async def test_the_bundle_is_as_confidential_as_what_is_in_it(scene: Scene) -> None:
    reply = await scene.stage.ask("Composition/whole/$document", PHYSICIAN)
    assert reply.json["meta"] == {"security": [{"system": CONFIDENTIALITY, "code": "N"}]}
    assert reply.headers["x-intermediary"] == PUBLIC


BOUNDS = [("MOST_PARTS", 4), ("MOST_BYTES", 2000), ("MOST_SEARCHES", 3)]


@pytest.mark.parametrize(("name", "value"), BOUNDS)
async def test_what_is_too_large_is_refused(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, name: str, value: int
) -> None:
    assert (await scene.stage.ask("Composition/whole/$document", PHYSICIAN)).status == 200
    monkeypatch.setattr(document, name, value)
    reply = await scene.stage.ask("Composition/whole/$document", PHYSICIAN)
    assert (reply.status, reply.json["issue"][0]["code"]) == (403, "too-costly")


@pytest.mark.parametrize(("status", "expected"), [(400, 503), (500, 503), (404, 404)])
async def test_what_fails_is_no_document(scene: Scene, status: int, expected: int) -> None:
    async def failing(request: web.BaseRequest) -> web.Response | None:
        if "Observation?_id" not in request.raw_path:
            return None
        return web.json_response({"resourceType": "OperationOutcome"}, status=status)

    scene.upstream.override = failing
    try:
        reply = await scene.stage.ask("Composition/whole/$document", PHYSICIAN)
    finally:
        scene.upstream.override = None
    assert reply.status == expected
