"""Chained searches, beside the golden conversations and the two worlds: composition, bounds, guards, pages, journal."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from proxy.audit.event import Observer, events_of
from proxy.sandbox.http import ask_of, response_of
from proxy.sandbox.samples import load_samples
from tests.emergencies import close_glass, open_glass
from tests.stage import Json, Reply, Stage, Upstream, bundle, names, serving, staged, world_of
from tests.worlds.twins import hidden, labelled, observation

pytestmark = pytest.mark.asyncio(loop_scope="module")
PHYSICIAN = "care-team-physician"
MOST = 12
INLINE = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"
VERY_RESTRICTED = {"url": INLINE, "valueCoding": labelled("V")["security"][0]}
SUSANS_VISIT = {"reference": "Encounter/susan-visit"}


@dataclass(frozen=True, slots=True)
class Scene:
    stage: Stage
    upstream: Upstream

    async def ids(self, target: str, who: Any = PHYSICIAN) -> list[str]:
        """All matches, over all pages."""
        return [one for page in await self.pages(target, who) for one in page.ids]

    async def pages(self, target: str, who: Any = PHYSICIAN) -> list[Reply]:
        found = [await self.stage.ask(target, who)]
        while (following := found[-1].next) is not None:
            found.append(await self.stage.ask(following, who))
        assert {page.status for page in found} == {200}
        return found

    def asked(self) -> list[str]:
        """What upstream was searched for, apart from facts."""
        return [call.target for call in self.upstream.calls if not call.target.endswith("_count=500")]  # fmt: skip


def visit(**more: Any) -> Json:
    return {
        "resourceType": "Encounter", "id": "susan-visit", "status": "planned", "class": {"code": "AMB"},
        "subject": {"reference": "Patient/susan"}, **more,
    }  # fmt: skip


def cut(code: str) -> Json:
    """An Observation of which only the category may be seen by its author alone."""
    return observation(
        f"cut-{code}",
        "susan",
        1,
        category=[{"extension": [VERY_RESTRICTED], "coding": [{"code": code}]}],
    )


def rows() -> list[Json]:
    return [
        visit(),
        *(observation(f"visit-{n}", "susan", n, encounter=SUSANS_VISIT) for n in range(6)),
        *(hidden(f"unseen-{n}", "ines", n) for n in range(3 * MOST)),
        cut("secret-category"),
    ]


@pytest_asyncio.fixture(loop_scope="module")
async def scene(scenes: Scene) -> AsyncIterator[Scene]:
    scenes.upstream.world = world_of(bundle(*rows()))
    scenes.upstream.calls.clear()
    scenes.stage.entries()
    yield scenes
    scenes.upstream.override = None


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scenes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    upstream = Upstream(world_of())
    bound = f"paging: {{max_consulted: {MOST}}}"
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path_factory.mktemp("gateway"), url, more=bound) as stage,
    ):
        yield Scene(stage, upstream)


FORWARDS = [
    ("Observation?encounter.status=planned", "Encounter?status=planned", "encounter"),
    ("Observation?patient.name=susan&status=final", "Patient?name=susan", "patient"),
    ("Condition?subject:Patient.gender=female", "Patient?gender=female", "subject"),
    ("Observation?performer:Practitioner.name=martin", "Practitioner?name=martin", "performer"),
    ("Patient?general-practitioner:Practitioner.family=petit", "Practitioner?family=petit", "general-practitioner"),
    ("MedicationRequest?medication.code:missing=false", "Medication?code:missing=false", "medication"),
]  # fmt: skip


@pytest.mark.parametrize("who", [PHYSICIAN, "care-team-nurse", "outside-clinician", "patient"])
@pytest.mark.parametrize(("chained", "inner", "name"), FORWARDS)
async def test_a_chain_is_two_searches_by_the_same_caller(
    scene: Scene, chained: str, inner: str, name: str, who: str
) -> None:
    first = await scene.ids(inner, who)
    path, _, rest = chained.partition("?")
    others = "&".join(one for one in rest.split("&") if "." not in one)
    second = (
        await scene.ids(f"{path}?{name}={','.join(first)}&{others}".rstrip("&"), who)
        if first
        else []
    )
    assert await scene.ids(chained, who) == second
    if who == PHYSICIAN:
        assert second


@pytest.mark.parametrize("who", [PHYSICIAN, "care-team-nurse", "patient"])
async def test_a_reverse_chain_leads_to_what_visible_resources_name(scene: Scene, who: str) -> None:
    page = await scene.stage.ask("Condition?clinical-status=active&_count=100", who)
    named = {entry["resource"]["subject"]["reference"] for entry in page.json.get("entry", [])}
    found = await scene.ids("Patient?_has:Condition:patient:clinical-status=active", who)
    assert set(found) == named & set(await scene.ids("Patient", who))


async def test_links_in_a_row_lead_on(scene: Scene) -> None:
    found = await scene.ids("Observation?encounter.patient.name=susan&encounter.status=planned")
    assert found == [f"Observation/visit-{n}" for n in range(6)]
    back = await scene.ids("Patient?_has:Encounter:patient:_has:Observation:encounter:_id=visit-1")
    assert back == ["Patient/susan"]


async def test_several_chains_and_ids_must_all_lead_there(scene: Scene) -> None:
    key = "_has:Encounter:patient:status=planned"
    assert await scene.ids(f"Patient?_id=susan,camille&{key}") == ["Patient/susan"]
    assert await scene.ids(f"Patient?_id=camille&{key}") == []
    assert await scene.ids(f"Patient?{key}&_has:Observation:patient:_id=visit-1") == ["Patient/susan"]  # fmt: skip


async def test_upstream_is_never_asked_for_a_chain(scene: Scene) -> None:
    await scene.ids("Observation?encounter.patient.name=susan&_count=2&_elements=code")
    await scene.ids("Patient?_has:Encounter:patient:status=planned&_total=accurate")
    heard = " ".join(scene.asked())
    assert not any(word in heard for word in ("_has", ".name", "_elements", "_total", "_summary"))


async def test_nothing_is_asked_where_a_chain_leads_to_nothing_visible(scene: Scene) -> None:
    answer = await scene.stage.ask("Observation?patient.name=noe", PHYSICIAN)
    assert (answer.ids, answer.json["total"], answer.next) == ([], 0, None)
    assert not any("/Observation" in one for one in scene.asked())


async def test_hidden_resources_lead_nowhere_and_count_for_nothing(scene: Scene) -> None:
    found = await scene.stage.ask("Patient?_has:Observation:patient:performer=Practitioner/dr-vernay", PHYSICIAN)  # fmt: skip
    assert (found.status, found.ids) == (200, [])
    assert len(names(scene.stage.entries(), "withheld")) >= 3 * MOST


async def test_too_much_that_is_visible_is_too_costly(scene: Scene) -> None:
    load_samples(scene.upstream.world.store, [bundle(*(observation(f"more-{n}", "susan", n, encounter=SUSANS_VISIT) for n in range(MOST)))])  # fmt: skip
    key = "Patient?_has:Observation:patient:encounter=susan-visit"
    answer = await scene.stage.ask(key, PHYSICIAN)
    assert (answer.status, answer.json["issue"][0]["code"]) == (403, "too-costly")
    [entry] = scene.stage.entries()
    assert (entry.refusal, names([entry], "disclosed")) == ("too-costly", [])
    exactly = ",".join(f"more-{n}" for n in range(MOST))
    assert await scene.ids(f"Patient?_has:Observation:patient:_id={exactly}") == ["Patient/susan"]


async def test_what_many_references_lead_to_is_bounded_too(scene: Scene) -> None:
    names_ = [f"helper-{n}" for n in range(MOST + 1)]
    helpers: list[Json] = [{"resourceType": "Practitioner", "id": one} for one in names_]
    performers = [{"reference": f"Practitioner/{one}"} for one in names_]
    some = observation("helped", "susan", 1, performer=performers[1:])
    every = observation("helped-more", "susan", 1, performer=performers)
    load_samples(scene.upstream.world.store, [bundle(*helpers, some, every)])
    key = "Practitioner?_has:Observation:performer:_id="
    assert await scene.ids(f"{key}helped") == [f"Practitioner/{one}" for one in sorted(names_[1:])]
    answer = await scene.stage.ask(f"{key}helped-more", PHYSICIAN)
    assert (answer.status, answer.json["issue"][0]["code"]) == (403, "too-costly")


async def test_several_lists_of_ids_are_asked_as_one(scene: Scene) -> None:
    key = "_has:Encounter:patient:status=planned"
    await scene.ids(f"Patient?_id=susan,camille&{key}")
    [asked] = [one for one in scene.asked() if one.startswith("/fhir/Patient?")]
    assert asked == "/fhir/Patient?_id=susan&_sort=_id&_count=100"


async def test_a_page_link_does_not_outlive_the_grant_that_a_chain_needed(scene: Scene) -> None:
    who = "outside-clinician"
    about = observation("noes", "noe", 1, performer=[{"reference": f"Practitioner/{one}"} for one in ("dr-martin", "dr-petit")])  # fmt: skip
    load_samples(scene.upstream.world.store, [bundle(about)])
    target = "Practitioner?_has:Observation:performer:_id=noes&_count=1"
    assert await scene.ids(target, who) == []
    assert (await open_glass(scene.stage, who)).status == 200
    scene.stage.entries()
    first = await scene.stage.ask(target, who)
    [entry] = scene.stage.entries()
    assert (len(first.ids), [one.act.value for one in entry.grants]) == (1, ["used"])
    assert first.next is not None
    assert len((await scene.stage.ask(first.next, who)).ids) == 1
    await close_glass(scene.stage, who)
    assert (await scene.stage.ask(first.next, who)).status == 404
    assert await scene.ids(target, who) == []


SCOPES = [
    ("Observation?patient.name=susan", "user/Observation.rs", 403),
    ("Observation?subject.name=susan", "user/Observation.rs", 403),
    ("Observation?subject.name=susan", "user/Observation.rs user/Patient.rs", 200),
    ("Observation?patient.name=susan", "user/Observation.rs user/Patient.r", 403),
    ("Patient?_has:Observation:patient:code=x", "user/Patient.rs", 403),
    ("Observation?encounter.patient.name=x", "user/Observation.rs user/Encounter.rs", 403),
    ("Observation?encounter.patient.name=x", "user/*.rs", 200),
]


@pytest.mark.parametrize(("target", "scope", "status"), SCOPES)
async def test_a_search_inside_needs_a_scope_of_its_own(
    scene: Scene, target: str, scope: str, status: int
) -> None:
    answer = await scene.stage.ask(target, {"like": PHYSICIAN, "scope": scope})
    assert answer.status == status
    assert bool(scene.asked()) == (status == 200)


async def test_types_that_the_caller_may_not_search_are_not_asked_for(scene: Scene) -> None:
    who = {"like": PHYSICIAN, "scope": "user/Observation.rs user/Patient.rs"}
    assert await scene.ids("Observation?subject.name=susan", who)
    assert not any("/Location" in one for one in scene.asked())
    await scene.ids("Observation?subject.name=susan")
    assert any("/Location" in one for one in scene.asked())


async def test_a_reverse_chain_leads_to_the_type_that_is_searched_alone(scene: Scene) -> None:
    namesake = observation("of-a-group", "susan", 1, subject={"reference": "Group/susan"})
    helped = observation("by-patient", "susan", 1, performer=[{"reference": "Patient/susan"}])
    load_samples(scene.upstream.world.store, [bundle(namesake, helped)])
    assert await scene.ids("Patient?_has:Observation:subject:_id=of-a-group") == []
    assert await scene.ids("Practitioner?_has:Observation:performer:_id=by-patient") == []
    assert all(one.startswith("/fhir/Observation?") for one in scene.asked())


async def test_a_reference_that_is_pruned_leads_nowhere(scene: Scene) -> None:
    member = observation("member", "camille", 1)
    panel = observation("panel", "susan", 1, hasMember=[{"reference": "Observation/member"}])
    own = observation("own", "susan", 1, hasMember=[{"reference": "Observation/visit-0"}])
    load_samples(scene.upstream.world.store, [bundle(member, panel, own)])
    assert (await scene.stage.ask("Observation/member", PHYSICIAN)).status == 200
    assert "hasMember" not in (await scene.stage.ask("Observation/panel", PHYSICIAN)).json
    assert await scene.ids("Observation?has-member._id=member,visit-0") == ["Observation/own"]
    back = await scene.ids("Observation?_has:Observation:has-member:_id=panel,own")
    assert back == ["Observation/visit-0"]


async def test_what_upstream_finds_beyond_a_chain_is_withheld(scene: Scene) -> None:
    target = "Observation?encounter.status=planned"
    expected = await scene.ids(target)
    whole = await scene.stage.ask("Observation?patient=susan&_count=100", PHYSICIAN)
    assert set(expected) < set(whole.ids)
    scene.upstream.override = _instead("encounter=Encounter", whole.body)
    assert await scene.ids(target) == expected
    scene.upstream.override = _instead("/Patient?_id=", await _body(scene, "Patient?_count=100"))
    assert await scene.ids("Patient?_has:Encounter:patient:status=planned") == ["Patient/susan"]


async def _body(scene: Scene, target: str) -> bytes:
    return (await scene.stage.ask(target, PHYSICIAN)).body


def _instead(at: str, body: bytes) -> Any:
    async def override(request: web.BaseRequest) -> web.StreamResponse | None:
        if at in request.raw_path and "_count=500" not in request.raw_path:
            return web.Response(body=body, content_type="application/fhir+json")
        return None

    return override


async def test_each_page_of_a_chain_is_judged_anew(scene: Scene) -> None:
    first = await scene.stage.ask("Observation?encounter.status=planned&_count=2", PHYSICIAN)
    assert first.ids == ["Observation/visit-0", "Observation/visit-1"]
    assert first.next is not None
    second = await scene.stage.ask(first.next, PHYSICIAN)
    assert second.ids == ["Observation/visit-2", "Observation/visit-3"]
    load_samples(scene.upstream.world.store, [bundle(visit(meta=labelled("V")))])
    again = await scene.stage.ask(first.next, PHYSICIAN)
    assert (again.ids, again.next) == ([], None)


async def test_a_long_link_of_upstream_makes_no_long_link_of_ours(scene: Scene) -> None:
    target = "Observation?patient.name=susan&_sort=-date"
    short = await scene.pages(f"{target}&_count=2")
    scene.upstream.override = _writing_long_links(scene.upstream)
    long = await scene.pages(f"{target}&_count=2")
    assert [page.ids for page in long] == [page.ids for page in short]
    assert len(short) > 3
    assert max(len(page.next or "") for page in long) < 2000
    load_samples(scene.upstream.world.store, [bundle({"resourceType": "Patient", "id": "susan", "meta": labelled("V")})])  # fmt: skip
    assert (await scene.stage.ask(long[0].next or "", PHYSICIAN)).ids == []


def _writing_long_links(upstream: Upstream) -> Any:
    """A server of small pages, whose page links hold whole queries."""

    async def override(request: web.BaseRequest) -> web.StreamResponse | None:
        ask = await ask_of(request)
        if "_count=500" in request.raw_path:
            return None
        query = tuple((key, "3" if key == "_count" else value) for key, value in ask.query)
        answer = response_of(upstream.world.answer(replace(ask, query=query)))
        assert isinstance(answer, web.Response)
        body = bytes(answer.body).replace(b"_getpages=", b"_q=" + b"x" * 3000 + b"&_getpages=")  # type: ignore[arg-type]
        return web.Response(body=body, content_type="application/fhir+json")

    return override


async def test_what_is_cut_out_of_a_resource_leads_nowhere(scene: Scene) -> None:
    seen = await scene.stage.ask("Observation/cut-secret-category", PHYSICIAN)
    assert seen.status == 200
    assert "category" not in seen.json
    target = "Patient?_has:Observation:patient:{}&_id=susan"
    assert await scene.ids(target.format("category=secret-category")) == []
    assert await scene.ids(target.format("_id=cut-secret-category")) == ["Patient/susan"]


async def test_what_a_chain_led_through_is_recorded(scene: Scene) -> None:
    await scene.stage.ask("Observation?encounter.status=planned&_count=1", PHYSICIAN)
    [entry] = scene.stage.entries()
    assert names([entry], "consulted") == ["Encounter/susan-visit"]
    assert names([entry], "disclosed") == ["Observation/visit-0"]
    await scene.stage.ask("Practitioner?_has:Observation:performer:_id=visit-0", PHYSICIAN)
    [entry] = scene.stage.entries()
    assert names([entry], "consulted") == ["Observation/visit-0"]
    rest = [e for e in events_of(entry, observer=OBSERVER) if e["type"]["code"] == "rest"]
    whats = [one["what"].get("reference") for e in rest for one in e["entity"] if "what" in one]
    assert "Patient/susan" in whats


OBSERVER = Observer("http://gateway.example.org/fhir", "gateway")
