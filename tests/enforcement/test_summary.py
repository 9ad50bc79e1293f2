"""`$summary`: composed of what the caller's own searches show; what is hidden, absent, or not to be searched makes no difference."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import pytest_asyncio
from aiohttp import web
from fhir.resources.R4B.bundle import Bundle

from proxy.enforcement import summary
from proxy.errors import CallerError, Refusal
from proxy.fhir.interaction import FhirRequest
from proxy.fhir.summary import NOTHING
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
PROBLEMS, ALLERGIES, MEDICATIONS, RESULTS = "11450-4", "48765-2", "10160-0", "30954-2"
ALWAYS = [PROBLEMS, ALLERGIES, MEDICATIONS]


def about(rtype: str, name: str, **more: object) -> Json:
    who = "patient" if rtype in {"AllergyIntolerance", "Immunization"} else "subject"
    return {"resourceType": rtype, "id": name, who: {"reference": "Patient/camille"}, **more}


def coded(code: str) -> Json:
    return {"coding": [{"code": code}]}


HIDDEN = (CANARY + "condition", CANARY + "medication", "only-hidden")
EXTRA = [
    about("Condition", "s-hidden", meta=SECRET, code={"text": CANARY + "condition"}, recorder={"reference": "Practitioner/only-hidden"}),
    about("Condition", "s-over", code={"text": "Measles"}, clinicalStatus=coded("resolved")),
    about("Condition", "s-refuted", code={"text": "Refuted thing"}, verificationStatus=coded("refuted")),
    about("Condition", "s-markup", code={"text": "<script>alert('x')</script> & more"}),
    about("MedicationStatement", "s-statement", status="active", medicationReference={"reference": "Medication/s-medication"}),
    about("MedicationRequest", "s-request", status="active", intent="order", medicationReference={"reference": "Medication/s-secret"}),
    about("Procedure", "s-procedure", status="completed", code={"text": "Appendectomy"}, reasonReference=[{"reference": "Condition/s-hidden"}], performer=[{"actor": {"reference": "Practitioner/dr-vernay"}}]),
    about("DeviceUseStatement", "s-device", status="active", device={"reference": "Device/s-stent"}),
    about("Observation", "s-smoking", status="final", code=coded("72166-2"), valueCodeableConcept={"text": "Never smoked"}),
    about("Observation", "s-vital", status="final", code={"text": "pulse"}, category=[coded("vital-signs")]),
    {"resourceType": "Medication", "id": "s-medication", "code": {"text": "Metformin"}},
    {"resourceType": "Medication", "id": "s-secret", "meta": SECRET, "code": {"text": CANARY + "medication"}},
    {"resourceType": "Device", "id": "s-stent", "patient": {"reference": "Patient/camille"}, "parent": {"reference": "Device/no-such"}, "deviceName": [{"name": "Stent", "type": "user-friendly-name"}]},
    {"resourceType": "Practitioner", "id": "only-hidden", "name": [{"family": "only-hidden"}]},
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scene:
    stage: Stage
    upstream: Upstream

    async def raw(self, reference: str) -> bytes:
        """A resource as upstream gives it."""
        async with self.stage.session.get(f"{self.stage.upstream_url}/{reference}") as answer:
            return await answer.read()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    upstream = Upstream(world_of(bundle(*EXTRA)))
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path_factory.mktemp("gateway"), url) as stage,
    ):
        yield Scene(stage, upstream)


async def summed(scene: Scene, who: Any = PHYSICIAN, patient: str = "camille") -> Reply:
    reply = await scene.stage.ask(f"Patient/{patient}/$summary", who)
    assert reply.status == 200
    return reply


def sections(reply: Reply) -> dict[str, Json]:
    """The sections by their code."""
    listed = reply.json["entry"][0]["resource"]["section"]
    return {one["code"]["coding"][0]["code"]: one for one in listed}


def named(section: Json) -> list[str]:
    return [one["reference"].removeprefix(f"{PUBLIC}/") for one in section.get("entry", [])]


def entries(reply: Reply) -> list[str]:
    """Composition and author have URLs of their own; the rest is `Type/id`."""
    return [one["fullUrl"].removeprefix(f"{PUBLIC}/") for one in reply.json["entry"]]


@pytest.mark.parametrize("who", [PHYSICIAN, NURSE, "patient"])
async def test_it_is_a_valid_document(scene: Scene, who: str) -> None:
    reply = await summed(scene, who)
    read = Bundle.model_validate_json(reply.body)
    assert read.type == "document"
    kinds = [one["resource"]["resourceType"] for one in reply.json["entry"]]
    assert kinds[:3] == ["Composition", "Patient", "Device"]
    composition = reply.json["entry"][0]["resource"]
    assert composition["subject"] == {"reference": f"{PUBLIC}/Patient/camille"}
    assert composition["author"] == [{"reference": reply.json["entry"][2]["fullUrl"]}]
    assert composition["type"]["coding"][0]["code"] == "60591-5"
    assert composition["date"] == reply.json["timestamp"] == "2026-11-22T09:00:00.000+00:00"
    for section in sections(reply).values():
        ET.fromstring(section["text"]["div"])  # noqa: S314  (what we wrote)
        assert bool(section.get("entry")) != bool(section.get("emptyReason"))


PRUNED = {"Procedure/s-procedure", "Device/s-stent"}
"""What refers to something hidden, or not there."""


async def test_every_entry_of_a_section_is_in_it_byte_for_byte(scene: Scene) -> None:
    reply = await summed(scene)
    found = entries(reply)
    assert len(set(found)) == len(found)
    for section in sections(reply).values():
        assert set(named(section)) <= set(found)
    for one in found:
        if not one.startswith("urn:"):
            assert (await scene.raw(one) in reply.body) is (one not in PRUNED)


STANDS = [
    (PROBLEMS, "Condition/camille-migraine", "Migraine"),
    (PROBLEMS, "Condition/s-markup", "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp; more"),
    (ALLERGIES, "AllergyIntolerance/camille-penicillin", "penicillin"),
    (MEDICATIONS, "MedicationStatement/s-statement", "Metformin"),
    (MEDICATIONS, "MedicationRequest/camille-ramipril", "ramipril"),
    ("11369-6", "Immunization/camille-tetanus", "Tdap"),
    (RESULTS, "Observation/camille-crp", "1E+2 mg/L"),
    ("47519-4", "Procedure/s-procedure", "Appendectomy"),
    ("46264-8", "DeviceUseStatement/s-device", "Stent"),
    ("11348-0", "Condition/s-over", "Measles"),
    ("29762-2", "Observation/s-smoking", "Never smoked"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "entry", "text"), STANDS)
async def test_what_is_shown_stands_in_its_section_and_is_told_of(
    scene: Scene, code: str, entry: str, text: str
) -> None:
    section = sections(await summed(scene))[code]
    assert entry in named(section)
    assert text in section["text"]["div"]


async def test_what_the_entries_refer_to_comes_with_them(scene: Scene) -> None:
    found = entries(await summed(scene))
    for one in ("Medication/s-medication", "Device/s-stent", "Practitioner/dr-vernay", "Organization/hopital-saint-aubin"):  # fmt: skip
        assert one in found


async def test_what_is_hidden_is_nowhere_in_it(scene: Scene) -> None:
    scene.upstream.calls.clear()
    reply = await summed(scene)
    assert not any(one in reply.text for one in HIDDEN)
    assert "Condition/s-hidden" not in entries(reply)
    assert "MedicationRequest/s-request" in entries(reply)
    assert not any("only-hidden" in one.target for one in scene.upstream.calls)


async def test_what_belongs_in_no_section_is_left_out_and_written_down(scene: Scene) -> None:
    scene.stage.entries()
    reply = await summed(scene)
    [entry] = scene.stage.entries()
    left = {"Condition/s-refuted"}
    found = {
        outcome: {
            reference.partition("/_history")[0]
            for one in entry.touched
            if one.outcome == outcome
            for reference in one.references
        }
        for outcome in ("disclosed", "redacted", "consulted")
    }
    assert left <= found["consulted"]
    assert left.isdisjoint(entries(reply))
    assert found["redacted"] == PRUNED
    assert found["disclosed"] | PRUNED == {
        one for one in entries(reply) if not one.startswith("urn:")
    }
    assert (entry.interaction, entry.resource_id) == ("search-type", "camille")


async def test_the_bundle_is_as_confidential_as_what_is_in_it(scene: Scene) -> None:
    for who in (PHYSICIAN, NURSE, "patient"):
        reply = await summed(scene, who)
        [label] = [
            one["code"]
            for one in reply.json["meta"]["security"]
            if one["system"] == CONFIDENTIALITY
        ]
        assert reply.json["entry"][0]["resource"]["confidentiality"] == label


async def test_redacted_views_are_told_of_as_they_are_shown(scene: Scene) -> None:
    reply = await summed(scene, NURSE)
    shown = (await scene.stage.ask("Patient/camille", NURSE)).body
    assert shown in reply.body
    assert await scene.raw("Patient/camille") not in reply.body


NARROW = "user/Patient.rs user/Practitioner.rs user/Organization.rs"


async def test_who_may_search_nothing_learns_what_an_empty_record_says(scene: Scene) -> None:
    scene.upstream.calls.clear()
    reply = await summed(scene, {"like": PHYSICIAN, "scope": NARROW})
    assert not any("/Condition?" in one.target for one in scene.upstream.calls)
    found = sections(reply)
    assert list(found) == ALWAYS
    for section in found.values():
        assert "entry" not in section
        assert NOTHING in section["text"]["div"]
        assert section["emptyReason"]["coding"][0]["code"] == "unavailable"


async def test_a_section_is_the_same_whether_it_may_not_be_searched_or_holds_nothing(
    scene: Scene,
) -> None:
    without = sections(await summed(scene, {"like": PHYSICIAN, "scope": f"{NARROW} user/Condition.rs"}))  # fmt: skip
    nothing = sections(await summed(scene, {"like": PHYSICIAN, "scope": f"{NARROW} user/Condition.rs user/ClinicalImpression.rs"}))  # fmt: skip
    assert without == nothing
    assert named(without[PROBLEMS])


@pytest.mark.parametrize("patient", ["noe", "no-such"])
async def test_a_hidden_patient_is_absent(scene: Scene, patient: str) -> None:
    reply = await scene.stage.ask(f"Patient/{patient}/$summary", PHYSICIAN)
    none = await scene.stage.ask("Patient/nobody-else/$summary", PHYSICIAN)
    assert (reply.status, reply.body) == (none.status, none.body) == (404, none.body)


async def test_who_may_not_search_patients_has_no_summary(scene: Scene) -> None:
    who = {"like": PHYSICIAN, "scope": "user/Patient.r user/Condition.rs"}
    assert (await scene.stage.ask("Patient/camille/$summary", who)).status == 403


IDENTIFIED = "Patient/$summary?identifier="


async def test_a_patient_is_found_by_an_identifier_of_what_is_seen(scene: Scene) -> None:
    identifiers = json.loads(await scene.raw("Patient/camille"))["identifier"]
    hidden = json.loads(await scene.raw("Patient/noe"))["identifier"]
    by_id = await summed(scene)
    for one in identifiers:
        found = await scene.stage.ask(f"{IDENTIFIED}{one['system']}%7C{one['value']}", PHYSICIAN)
        assert entries(found)[3:] == entries(by_id)[3:]
    for one in hidden:
        found = await scene.stage.ask(f"{IDENTIFIED}{one['system']}%7C{one['value']}", PHYSICIAN)
        none = await scene.stage.ask(f"{IDENTIFIED}nobody", PHYSICIAN)
        assert (found.status, found.body) == (none.status, none.body) == (404, none.body)


async def test_an_identifier_of_several_is_of_nobody(scene: Scene) -> None:
    found = [json.loads(await scene.raw(f"Patient/{one}")) for one in ("camille", "ines")]

    async def several(request: web.BaseRequest) -> web.Response | None:
        if "/Patient?identifier" not in request.raw_path:
            return None
        listed = [{"resource": one} for one in found[:most]]
        return web.json_response({"resourceType": "Bundle", "type": "searchset", "entry": listed})

    scene.upstream.override = several
    try:
        most = 1
        assert (await scene.stage.ask(f"{IDENTIFIED}x", PHYSICIAN)).status == 200
        most = 2
        assert (await scene.stage.ask(f"{IDENTIFIED}x", PHYSICIAN)).status == 404
    finally:
        scene.upstream.override = None


async def test_what_reads_something_redacted_is_not_searched(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def guarded(_: object, search: FhirRequest) -> None:
        if any(one.name == "category" for one in search.parameters):
            raise CallerError(Refusal.PARAMETER, "reads what is redacted")

    monkeypatch.setattr(summary, "guarded", guarded)
    scene.upstream.calls.clear()
    reply = await summed(scene)
    assert not any("category=" in one.target for one in scene.upstream.calls)
    assert not any(one.startswith("Observation/") for one in named(sections(reply)[RESULTS]))
    assert "Observation/s-smoking" in entries(reply)


async def test_upstream_is_never_asked_for_the_operation(scene: Scene) -> None:
    scene.upstream.calls.clear()
    await summed(scene)
    assert not any("$" in call.target or "_leg" in call.target for call in scene.upstream.calls)


JSON = {"content-type": "application/fhir+json"}


async def test_every_way_to_ask_gives_the_same(scene: Scene) -> None:
    expected = entries(await summed(scene))[3:]
    profile = "http://hl7.org/fhir/uv/ips/StructureDefinition/Composition-uv-ips"
    found = await scene.stage.ask(f"Patient/camille/$summary?profile={profile}", PHYSICIAN)
    assert entries(found)[3:] == expected
    body = json.dumps({"resourceType": "Parameters"}).encode()
    found = await scene.stage.ask("Patient/camille/$summary", PHYSICIAN, "POST", JSON, body)
    assert entries(found)[3:] == expected
    head = await scene.stage.ask("Patient/camille/$summary", PHYSICIAN, "HEAD")
    assert (head.status, head.body) == (200, b"")


@pytest.mark.parametrize(
    ("at", "status", "expected"),
    [
        ("/Procedure?", 400, 503),
        ("/Observation?", 500, 503),
        ("/Practitioner?_id", 422, 503),
        ("/CarePlan?", 404, 200),
    ],
)
async def test_nothing_is_left_out_silently(
    scene: Scene, at: str, status: int, expected: int
) -> None:
    async def failing(request: web.BaseRequest) -> web.Response | None:
        if at not in request.raw_path or "_count=500" in request.raw_path:
            return None
        return web.json_response({"resourceType": "OperationOutcome"}, status=status)

    scene.upstream.override = failing
    try:
        reply = await scene.stage.ask("Patient/camille/$summary", PHYSICIAN)
    finally:
        scene.upstream.override = None
    assert reply.status == expected


async def test_what_upstream_gives_of_somebody_else_is_left_out(scene: Scene) -> None:
    other = about("Condition", "s-ines", code={"text": "of ines"}) | {"subject": {"reference": "Patient/ines"}}  # fmt: skip

    async def beside(request: web.BaseRequest) -> web.Response | None:
        if "/Condition?patient" not in request.raw_path:
            return None
        found = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": other}]}
        return web.json_response(found)

    who = {"like": PHYSICIAN}
    scene.upstream.override = beside
    try:
        reply = await scene.stage.ask("Patient/camille/$summary", who)
    finally:
        scene.upstream.override = None
    assert "of ines" not in reply.text
    assert named(sections(reply)[PROBLEMS]) == []


POISON = [
    ("/Condition?patient", b'"resourceType":"Condition","id":"poison","subject":{"reference":"Patient/camille"}'),
    ("/Practitioner?_id", b'"resourceType":"Practitioner","id":"dr-petit"'),
]  # fmt: skip


@pytest.mark.parametrize(("at", "head"), POISON)
@pytest.mark.parametrize("odd", [b"\xff", b"\\ud800", b'","language":"'])
async def test_what_cannot_be_read_breaks_nothing(
    scene: Scene, at: str, head: bytes, odd: bytes
) -> None:
    one = b'{%b,"language":"%b"}' % (head, odd)
    body = b'{"resourceType":"Bundle","type":"searchset","entry":[{"resource":%b}]}' % one

    async def poisoned(request: web.BaseRequest) -> web.Response | None:
        if at not in request.raw_path or "_count=500" in request.raw_path:
            return None
        return web.Response(body=body, content_type="application/fhir+json")

    scene.upstream.override = poisoned
    try:
        reply = await summed(scene)
    finally:
        scene.upstream.override = None
    json.loads(reply.body.decode())
    assert "poison" not in reply.text or odd.startswith(b'"')
    assert one not in reply.body or odd.startswith(b'"')


async def test_what_is_too_much_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    upstream = Upstream(world_of(bundle(*EXTRA)))
    folder = tmp_path_factory.mktemp("bounded")
    async with (
        serving(upstream.respond) as url,
        staged(folder, url, more="paging: {max_counted: 5}") as stage,
    ):
        reply = await stage.ask("Patient/camille/$summary", PHYSICIAN)
        assert (reply.status, reply.json["issue"][0]["code"]) == (403, "too-costly")


async def test_few_searches_are_made_at_once(scene: Scene) -> None:
    assert summary.AHEAD <= 8
    scene.upstream.calls.clear()
    await summed(scene)
    data = [
        one.target.partition("?")[0]
        for one in scene.upstream.calls
        if "?patient=Patient/camille" in one.target and "_count=500" not in one.target
    ]
    assert len(data) == len(set(data)) + 1 == 13  # of observations by category, and by code
