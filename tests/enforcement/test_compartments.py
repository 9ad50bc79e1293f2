"""Compartment searches, beside the golden conversations: what they are composed of."""

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from proxy.fhir.definitions import definitions_of
from proxy.sandbox.http import ask_of, response_of
from tests.stage import (
    BASELINE,
    CANARY,
    Json,
    Override,
    Stage,
    Upstream,
    bundle,
    serving,
    staged,
    world_of,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
PHYSICIAN = "care-team-physician"


def observation(name: str, subject: str, *performers: str, **more: object) -> Json:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"text": name},
        "subject": {"reference": subject},
        "performer": [{"reference": one} for one in performers],
        **more,
    }


CAMILLE, INES, NOE = "Patient/camille", "Patient/ines", "Patient/noe"
RESTRICTED = {"extension": [{
    "url": "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label",
    "valueCoding": {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"},
}]}  # fmt: skip
FLAGGED = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PROCESSINLINELABEL"}]}  # fmt: skip
VERY = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"}]}  # fmt: skip
VISIT, OTHER_VISIT = "Encounter/c-visit", "Encounter/c-hidden"
DOCTOR = "Practitioner/dr-petit"


def encounter(reference: str, **more: object) -> Json:
    rtype, _, rid = reference.partition("/")
    return {"resourceType": rtype, "id": rid, "status": "finished", "class": {"code": "AMB"}, "subject": {"reference": CAMILLE}, **more}  # fmt: skip


EXTRA = [
    encounter(VISIT),
    encounter(OTHER_VISIT, meta=VERY),
    observation("c-in-visit", CAMILLE, encounter={"reference": VISIT}),
    observation("c-in-hidden", CAMILLE, encounter={"reference": OTHER_VISIT}),
    observation("c-in-nothing", CAMILLE, encounter={"reference": "Encounter/c-no-such"}),
    {
        "resourceType": "DocumentReference",
        "id": "c-in-both",
        "status": "current",
        "subject": {"reference": CAMILLE},
        "content": [{"attachment": {"title": "t"}}],
        "context": {"encounter": [{"reference": OTHER_VISIT}, {"reference": VISIT}]},
    },
    encounter("Encounter/c-by-two", participant=[{"individual": {"reference": DOCTOR}}]),
    {
        "resourceType": "ServiceRequest",
        "id": "c-cut",
        "meta": FLAGGED,
        "status": "active",
        "intent": "order",
        "subject": {"reference": CAMILLE},
        "performer": [{"reference": DOCTOR, **RESTRICTED}],
        "requester": {"reference": DOCTOR},
    },
    observation("c-both", CAMILLE, CAMILLE),
    observation("c-of-ines", INES, CAMILLE),
    observation("c-of-noe", NOE, CAMILLE, code={"text": CANARY + "noe"}),
    observation("c-twice", CAMILLE, CAMILLE, CAMILLE),
]


@dataclass(frozen=True, slots=True)
class Scene:
    stage: Stage
    upstream: Upstream


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    upstream = Upstream(world_of(bundle(*EXTRA)))
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path_factory.mktemp("gateway"), url) as stage,
    ):
        yield Scene(stage, upstream)


async def pages(stage: Stage, target: str, who: Any = PHYSICIAN) -> list[str]:
    at: str | None = target
    found: list[str] = []
    while at:
        reply = await stage.ask(at, who)
        assert reply.status == 200
        found += reply.ids
        at = reply.next
    return found


def unordered(scene: Scene) -> list[str]:
    """What upstream was asked, in whichever order it is to answer."""
    return [call.target.replace("&_sort=_id", "") for call in scene.upstream.calls]


@pytest.mark.parametrize("count", [1, 2, 3, 100])
async def test_each_member_is_given_once_wherever_pages_end(scene: Scene, count: int) -> None:
    found = await pages(scene.stage, f"Patient/camille/Observation?_count={count}")
    assert len(found) == len(set(found))
    assert {f"Observation/{one}" for one in ("c-both", "c-of-ines", "c-twice")} <= set(found)


async def test_being_performer_opens_no_other_patient(scene: Scene) -> None:
    reply = await scene.stage.ask("Patient/camille/Observation", PHYSICIAN)
    assert "Observation/c-of-noe" not in reply.ids
    assert CANARY not in reply.text


async def test_upstream_is_asked_for_types_and_never_for_the_compartment(scene: Scene) -> None:
    scene.upstream.calls.clear()
    await scene.stage.ask("Patient/camille/Observation?_count=90", PHYSICIAN)
    asked = [one for one in unordered(scene) if "Observation" in one]
    assert asked == [
        "/fhir/Observation?subject=Patient/camille&_count=100",
        "/fhir/Observation?performer=Patient/camille&_count=100",
    ]


async def test_filters_and_includes_hold_in_each_of_the_searches(scene: Scene) -> None:
    target = "Patient/camille/Observation?_id=c-of-ines,c-both&_include=Observation:subject"
    assert sorted(await pages(scene.stage, target)) == [
        "Observation/c-both", "Observation/c-of-ines", "Patient/camille", "Patient/ines",
    ]  # fmt: skip


async def test_what_upstream_gives_beside_what_was_asked_is_in_no_compartment(scene: Scene) -> None:
    whole = await pages(scene.stage, "Patient/camille/Condition")
    held = scene.upstream.world

    async def deaf(request: web.BaseRequest) -> web.StreamResponse | None:
        if not request.raw_path.startswith("/fhir/Condition?"):
            return None
        return response_of(held.answer(replace(await ask_of(request), query=())))

    scene.upstream.override = deaf
    try:
        assert await pages(scene.stage, "Patient/camille/Condition") == whole
    finally:
        scene.upstream.override = None


async def test_a_posted_search_is_the_same(scene: Scene) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    posted = await scene.stage.ask(
        "Patient/camille/Observation/_search", PHYSICIAN, "POST", form, b"_id=c-both,c-of-ines"
    )
    got = await scene.stage.ask("Patient/camille/Observation?_id=c-both,c-of-ines", PHYSICIAN)
    assert (posted.status, posted.body) == (200, got.body)


async def test_the_number_of_members_counts_each_once(scene: Scene) -> None:
    found = await pages(scene.stage, "Patient/camille/Observation")
    counted = await scene.stage.ask("Patient/camille/Observation?_summary=count", PHYSICIAN)
    assert counted.json["total"] == len(found)


async def test_a_page_link_leads_on_in_its_own_compartment_only(scene: Scene) -> None:
    reply = await scene.stage.ask("Patient/camille/Observation?_count=1", PHYSICIAN)
    assert reply.next
    for path in ("Patient/ines/Observation", "Observation", "Patient/camille/Condition"):
        other = reply.next.replace("Patient/camille/Observation", path)
        assert (await scene.stage.ask(other, PHYSICIAN)).status == 404


MEMBERS = definitions_of("4.0.1").compartments


@pytest.mark.parametrize("owner", [CAMILLE, VISIT, "Practitioner/dr-martin"])
async def test_all_types_at_once_are_the_searches_of_each(scene: Scene, owner: str) -> None:
    rtype = owner.partition("/")[0]
    apart = []
    for member in sorted({rtype, *MEMBERS[rtype]}):
        reply = await scene.stage.ask(f"{owner}/{member}?_count=1000", PHYSICIAN)
        apart += reply.ids if reply.status == 200 else []
        assert reply.status in (200, 403)
    assert owner in apart
    assert len(apart) >= 3
    for count in (1, 7, 1000):
        assert await pages(scene.stage, f"{owner}/*?_count={count}") == apart


async def test_types_that_no_scope_covers_are_left_out_and_not_asked_for(scene: Scene) -> None:
    who = {"like": PHYSICIAN, "scope": "user/Condition.rs"}
    scene.upstream.calls.clear()
    found = await pages(scene.stage, f"{CAMILLE}/*", who)
    assert found == await pages(scene.stage, f"{CAMILLE}/Condition", who) != []
    asked = {call.target.partition("?")[0] for call in scene.upstream.calls}
    assert "/fhir/Condition" in asked
    assert "/fhir/Observation" not in asked


@pytest.mark.parametrize(
    ("scope", "target"),
    [
        ("user/Medication.rs", f"{CAMILLE}/*"),
        ("user/Patient.rs", f"{VISIT}/*"),
        ("user/Condition.rs", f"{CAMILLE}/*?_type=Observation"),
        ("user/Condition.r", f"{CAMILLE}/*"),
        ("user/Condition.rs", f"{VISIT}/Observation"),
    ],
)
async def test_where_no_type_is_covered_nothing_is_answered(
    scene: Scene, scope: str, target: str
) -> None:
    reply = await scene.stage.ask(target, {"like": PHYSICIAN, "scope": scope})
    assert reply.status == 403


async def test_some_types_are_named(scene: Scene) -> None:
    found = await pages(scene.stage, f"{CAMILLE}/*?_type=Condition,Encounter&_type=Patient")
    assert {one.partition("/")[0] for one in found} == {"Condition", "Encounter", "Patient"}


async def test_what_every_type_has_filters_all_of_them(scene: Scene) -> None:
    found = await pages(scene.stage, f"{CAMILLE}/*?_id=camille,c-both,camille-migraine")
    assert found == ["Condition/camille-migraine", "Observation/c-both", CAMILLE]
    assert await pages(scene.stage, f"{CAMILLE}/*?_lastUpdated=lt1990") == []
    counted = await scene.stage.ask(f"{CAMILLE}/*?_summary=count", PHYSICIAN)
    assert counted.json["total"] == len(await pages(scene.stage, f"{CAMILLE}/*"))
    total = await scene.stage.ask(f"{CAMILLE}/*?_total=accurate&_count=1", PHYSICIAN)
    assert total.json["total"] == counted.json["total"]
    parts = await scene.stage.ask(f"{CAMILLE}/*?_elements=id&_count=5", PHYSICIAN)
    assert all("SUBSETTED" in str(one["resource"]["meta"]) for one in parts.json["entry"])


@pytest.mark.parametrize(
    "query",
    ["code=x", "_sort=_id", "_include=Observation:subject", "_revinclude=Provenance:target", "_type=Medication",
     "_type=Nothing", "_security=V", "_tag=x", "_has:Observation:patient:code=x", "patient=camille", "_elements=Patient.name"],
)  # fmt: skip
async def test_what_not_every_type_has_is_refused_by_its_shape(scene: Scene, query: str) -> None:
    scene.upstream.calls.clear()
    reply = await scene.stage.ask(f"{CAMILLE}/*?{query}", PHYSICIAN)
    assert reply.status == 400
    assert scene.upstream.calls == []


async def test_what_may_be_redacted_in_one_of_the_types_is_not_searched(scene: Scene) -> None:
    nurse = "care-team-nurse"
    every = await scene.stage.ask(f"{CAMILLE}/*?_lastUpdated=gt2020", nurse)
    some = await scene.stage.ask(f"{CAMILLE}/*?_lastUpdated=gt2020&_type=Condition", nurse)
    assert (every.status, some.status) == (400, 200)


async def test_a_posted_search_of_all_types_is_the_same(scene: Scene) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    target, body = f"{CAMILLE}/_search", b"_type=Condition&_count=1"
    posted = await scene.stage.ask(target, PHYSICIAN, "POST", form, body)
    got = await scene.stage.ask(f"{CAMILLE}/*?_type=Condition&_count=1", PHYSICIAN)
    assert (posted.status, posted.ids) == (200, got.ids)
    assert posted.next
    following = await scene.stage.ask(posted.next, PHYSICIAN)
    assert following.ids == ["Condition/camille-migraine"]


async def test_an_encounter_holds_what_refers_to_it(scene: Scene) -> None:
    assert await pages(scene.stage, f"{VISIT}/Observation") == ["Observation/c-in-visit"]
    assert await pages(scene.stage, f"{VISIT}/*") == [
        "DocumentReference/c-in-both", VISIT, "Observation/c-in-visit",
    ]  # fmt: skip


@pytest.mark.parametrize("member", ["Observation", "DocumentReference", "Encounter", "*"])
async def test_the_compartment_of_what_is_hidden_is_that_of_what_is_not_there(
    scene: Scene, member: str
) -> None:
    hidden = await scene.stage.ask(f"{OTHER_VISIT}/{member}", PHYSICIAN)
    absent = await scene.stage.ask(f"Encounter/c-no-such/{member}", PHYSICIAN)
    assert hidden.status == absent.status == 200
    assert hidden.ids == absent.ids == []
    assert hidden.body.replace(b"c-hidden", b"") == absent.body.replace(b"c-no-such", b"")


async def test_what_is_in_it_by_two_parameters_is_given_once(scene: Scene) -> None:
    found = await pages(scene.stage, f"{DOCTOR}/Encounter?_count=1")
    assert "Encounter/c-by-two" in found
    assert len(found) == len(set(found))


async def test_what_a_cut_hides_of_one_parameter_another_gives(scene: Scene) -> None:
    """As in a world in which what is cut out had never been written."""
    reply = await scene.stage.ask(f"{DOCTOR}/ServiceRequest", PHYSICIAN)
    assert reply.ids == ["ServiceRequest/c-cut"]
    assert "performer" not in reply.json["entry"][0]["resource"]
    assert await pages(scene.stage, f"ServiceRequest?performer={DOCTOR}") == []


async def test_upstream_is_asked_for_the_types_of_other_compartments_too(scene: Scene) -> None:
    scene.upstream.calls.clear()
    await scene.stage.ask(f"{VISIT}/*?_type=Observation,Encounter&_id=c-visit", PHYSICIAN)
    assert [one for one in unordered(scene) if "_count=100" in one] == [
        "/fhir/Encounter?_id=c-visit&_count=100",
        "/fhir/Observation?_id=c-visit&encounter=Encounter/c-visit&_count=100",
    ]


async def test_a_filter_that_leaves_out_the_owner_leaves_it_out(scene: Scene) -> None:
    assert await pages(scene.stage, f"{VISIT}/Encounter?_id=other") == []
    assert await pages(scene.stage, f"{VISIT}/Encounter?_id=other,c-visit&_id=c-visit") == [VISIT]


# ---- what may be redacted, and what upstream does not know ---------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def redacting(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    """Nurses do not see who performed an Observation."""
    folder = tmp_path_factory.mktemp("redacting")
    policies = folder / "policies"
    shutil.copytree(BASELINE, policies, ignore=shutil.ignore_patterns("hospital", "tests"))
    treatment = policies / "treatment.yaml"
    told = "remove: [Observation.performer, Patient.telecom,"
    treatment.write_text(treatment.read_text().replace("remove: [Patient.telecom,", told))
    upstream = Upstream(world_of(bundle(*EXTRA)))
    async with (
        serving(upstream.respond) as url,
        staged(folder, url, policies=policies) as stage,
    ):
        yield Scene(stage, upstream)


NURSE = "care-team-nurse"


async def test_a_way_that_reads_what_is_redacted_is_not_used(redacting: Scene) -> None:
    redacting.upstream.calls.clear()
    reply = await redacting.stage.ask(f"{CAMILLE}/Observation?_count=100", NURSE)
    assert "Observation/c-both" in reply.ids
    assert "Observation/c-of-ines" not in reply.ids
    assert not [one for one in unordered(redacting) if "performer" in one]


async def test_a_compartment_of_nothing_but_what_is_redacted_is_refused(redacting: Scene) -> None:
    redacting.upstream.calls.clear()
    for target in (f"{DOCTOR}/Observation", f"{DOCTOR}/*?_type=Observation"):
        assert (await redacting.stage.ask(target, NURSE)).status == 400
    assert not [one for one in unordered(redacting) if "/Observation" in one]


async def test_of_all_types_it_is_left_out(redacting: Scene) -> None:
    found = await pages(redacting.stage, f"{DOCTOR}/*?_type=Observation,Encounter", NURSE)
    assert "Encounter/c-by-two" in found
    assert not [one for one in found if one.startswith("Observation/")]


def answering(status: int, start: str) -> Override:
    async def respond(request: web.BaseRequest) -> web.StreamResponse | None:
        return web.Response(status=status) if request.raw_path.startswith(start) else None

    return respond


async def test_a_type_that_upstream_does_not_know_holds_nothing(scene: Scene) -> None:
    target = f"{CAMILLE}/*?_type=Condition,Encounter"
    known = [one for one in await pages(scene.stage, target) if one.startswith("Encounter/")]
    scene.upstream.override = answering(404, "/fhir/Condition?")
    try:
        assert await pages(scene.stage, target) == known != []
        scene.upstream.override = answering(400, "/fhir/Condition?")
        assert (await scene.stage.ask(target, PHYSICIAN)).status == 503
    finally:
        scene.upstream.override = None
