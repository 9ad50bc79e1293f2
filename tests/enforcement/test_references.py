"""Which references lead somewhere, end to end; the look-ups that it costs; `references: keep`."""

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
import pytest_asyncio
from aiohttp import web

from tests.attacks.records import NURSE, PHYSICIAN, ZED, about, answering, resource, searchset
from tests.stage import BASELINE, Json, Stage, Upstream, bundle, serving, staged, world_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
V = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"}]}  # fmt: skip
_SEARCH = "Observation?patient=zed"


@dataclass(frozen=True, slots=True)
class Scene:
    stage: Stage
    upstream: Upstream

    def holding(self, *extra: Json) -> None:
        self.upstream.world = world_of(bundle(*ZED, *extra))
        self.upstream.override = None
        self.upstream.calls.clear()

    def asked(self, rtype: str) -> list[str]:
        """Look-ups of a type by id since the world was made."""
        targets = (call.target for call in self.upstream.calls)
        return [one for one in targets if f"/{rtype}?_id=" in one or f"/{rtype}/_search" in one]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    upstream = Upstream(world_of())
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path_factory.mktemp("gateway"), url) as stage,
    ):
        yield Scene(stage, upstream)


def encounter(own: str, **more: Json) -> Json:
    return about("Encounter", own, status="finished", **more)


def led(*targets: str, own: str = "o", **more: object) -> Json:
    """An Observation with these as members."""
    members = [{"reference": one} for one in targets]
    return about("Observation", own, status="final", hasMember=members, **more)


async def members(scene: Scene, target: str = "Observation/o", who: str = PHYSICIAN) -> list[str]:
    reply = await scene.stage.ask(target, who)
    assert reply.status == 200
    shown = reply.json
    if shown["resourceType"] == "Bundle":
        [shown] = [e["resource"] for e in shown["entry"] if e["resource"]["id"] == "o"]
    return [one["reference"] for one in shown.get("hasMember", [])]


async def test_a_reference_leads_somewhere_when_its_target_may_be_read(scene: Scene) -> None:
    scene.holding(encounter("e"), encounter("v", meta=V), led("Encounter/e", "Encounter/v", "Encounter/none"))  # fmt: skip
    for target in (
        "Observation/o",
        _SEARCH,
        "Observation/o/_history",
        "Observation/o/_history/1",
        "Patient/zed/$everything",
        "Patient/zed/Observation",
    ):
        assert await members(scene, target) == ["Encounter/e"], target


async def test_what_leads_everywhere_leaves_as_it_came(scene: Scene) -> None:
    scene.holding(encounter("e"), led("Encounter/e", "#c", "urn:uuid:x", "http://else.example.org/Encounter/v"))  # fmt: skip
    stored = orjson.dumps(led("Encounter/e", performer=[{"reference": "Practitioner/none"}]))
    raw = stored.replace(b'"status"', b'"x":0.010 ,  "status"')
    answering(scene.upstream, "/Observation/o", raw)
    reply = await scene.stage.ask("Observation/o", PHYSICIAN)
    assert reply.body == raw
    assert "x-intermediary" not in reply.headers


async def test_a_pruned_answer_says_who_changed_it(scene: Scene) -> None:
    scene.holding(led("Encounter/none"))
    reply = await scene.stage.ask("Observation/o", PHYSICIAN)
    assert reply.headers["x-intermediary"] == "http://gateway.example.org/fhir"
    assert b"REDACTED" not in reply.body


async def test_the_patient_of_the_resource_and_what_is_about_nobody_stay_without_look_up(
    scene: Scene,
) -> None:
    scene.holding(led("Patient/zed", "Practitioner/none", "Organization/none", "Location/none"))
    assert len(await members(scene)) == 4
    assert len(scene.asked("Patient")) == 1  # for the general practitioner, a fact
    assert not [one for one in scene.asked("Practitioner") if "none" in one]


async def test_what_stands_in_the_same_answer_is_not_looked_up(scene: Scene) -> None:
    scene.holding(led("Observation/p"), led(own="p"))
    assert await members(scene, _SEARCH) == ["Observation/p"]
    assert scene.asked("Observation") == []


async def test_types_that_the_caller_never_reads_are_pruned_without_look_up(scene: Scene) -> None:
    scene.holding(led("Provenance/p", "Nothing/n", "Bundle/b"), resource("Provenance", "p", target=[{"reference": "Patient/zed"}]))  # fmt: skip
    caller = {"like": PHYSICIAN, "scope": "user/Observation.rs"}
    reply = await scene.stage.ask("Observation/o", caller)
    assert "hasMember" not in reply.json
    assert not scene.asked("Nothing")
    assert not scene.asked("Provenance")


async def test_another_patient_is_named_only_to_who_may_read_the_patient(scene: Scene) -> None:
    scene.holding(led("Patient/noe", "Patient/camille", "Patient/none"))
    assert await members(scene) == ["Patient/camille"]


async def test_a_hidden_patient_costs_what_an_absent_one_costs(scene: Scene) -> None:
    asked = []
    for other in ("noe", "none"):
        scene.holding(led(f"Patient/{other}"))
        assert await members(scene) == []
        asked.append([one.target.replace(other, "?") for one in scene.upstream.calls])
    assert asked[0] == asked[1]


async def test_what_is_about_somebody_else_leads_nowhere(scene: Scene) -> None:
    foreign = encounter("f") | {"subject": {"reference": "Patient/camille"}}
    scene.holding(foreign, led("Encounter/f"))
    assert (await scene.stage.ask("Encounter/f", PHYSICIAN)).status == 200
    assert await members(scene) == []
    scene.holding(foreign, led("Encounter/f", "Patient/camille"))
    assert await members(scene) == ["Encounter/f", "Patient/camille"]


async def test_what_is_about_somebody_else_costs_what_is_not_there_costs(scene: Scene) -> None:
    asked = []
    for foreign in (encounter("f") | {"subject": {"reference": "Patient/noe"}}, encounter("g")):
        scene.holding(foreign, led("Encounter/f"))
        assert await members(scene) == []
        asked.append([one.target for one in scene.upstream.calls])
    assert asked[0] == asked[1]


async def test_each_resource_is_taken_by_itself_whoever_else_is_on_the_page(scene: Scene) -> None:
    foreign = encounter("f") | {"subject": {"reference": "Patient/camille"}}
    other = led(own="p") | {"subject": {"reference": "Patient/camille"}}
    scene.holding(foreign, led("Encounter/f"), other)
    reply = await scene.stage.ask("Observation?_id=o,p", PHYSICIAN)
    assert reply.ids == ["Observation/o", "Observation/p"]
    assert await members(scene, "Observation?_id=o,p") == []


async def test_a_failing_look_up_prunes_and_does_not_fail(scene: Scene) -> None:
    scene.holding(encounter("e"), led("Encounter/e"))

    async def failing(request: web.BaseRequest) -> web.StreamResponse | None:
        return web.Response(status=500) if "/Encounter?_id" in request.raw_path else None

    scene.upstream.override = failing
    assert await members(scene) == []


async def test_a_letter_that_cannot_be_pruned_is_withheld(scene: Scene) -> None:
    whole = orjson.dumps(led(own="p"))
    deep = b'{"a":' * 80 + b"1" + b"}" * 80
    broken = orjson.dumps(led("Encounter/none"))[:-1] + b',"x":' + deep + b"}"
    scene.holding()
    answering(scene.upstream, "/Observation", searchset(broken, whole))
    reply = await scene.stage.ask(_SEARCH, PHYSICIAN)
    assert (reply.status, reply.ids) == (200, ["Observation/p"])
    answering(scene.upstream, "/Observation", broken)
    assert (await scene.stage.ask("Observation/o", PHYSICIAN)).status == 404


async def test_what_is_withheld_for_a_reference_has_no_history_either(scene: Scene) -> None:
    for hidden, status in {"v": 404, "none": 404, "e": 200}.items():
        entry = {"resource": led(f"Encounter/{hidden}", own="inside")}
        held = {"resourceType": "Bundle", "id": "b", "type": "collection", "entry": [entry]}
        scene.holding(encounter("e"), encounter("v", meta=V), held)
        for target in ("Bundle/b", "Bundle/b/_history", "Bundle/b/_history/1"):
            assert (await scene.stage.ask(target, PHYSICIAN)).status == status, target
        told = await scene.stage.ask("Bundle/_history", PHYSICIAN)
        assert (told.status, told.json["total"]) == (200, int(status == 200))


async def test_nothing_is_found_by_a_reference_that_is_not_shown(scene: Scene) -> None:
    scene.holding(
        encounter("e"), encounter("v", meta=V),
        led(own="a", encounter={"reference": "Encounter/e"}),
        led(own="b", encounter={"reference": "Encounter/v"}),
        led(own="c", encounter={"reference": "Encounter/none"}),
        led(own="d"),
    )  # fmt: skip
    for search, found in {
        "encounter=Encounter/e": ["Observation/a"],
        "encounter=Encounter/v": [],
        "encounter=Encounter/none": [],
        "encounter=Encounter/v,Encounter/e,Encounter/none": ["Observation/a"],
        "encounter:missing=false": ["Observation/a"],
        "encounter:missing=true": ["Observation/b", "Observation/c", "Observation/d"],
        "encounter:missing=true&_sort=encounter": ["Observation/d"],
        "patient=zed": ["Observation/a", "Observation/b", "Observation/c", "Observation/d"],
    }.items():
        reply = await scene.stage.ask(f"Observation?patient=zed&{search}", PHYSICIAN)
        assert reply.ids == found, search
        assert reply.json["total"] == len(found)
        counted = await scene.stage.ask(f"Observation?patient=zed&{search}&_summary=count", PHYSICIAN)  # fmt: skip
        assert counted.json["total"] == len(found)


async def test_what_is_missing_is_told_by_what_is_shown(scene: Scene) -> None:
    """Of several references some may be pruned; an identifier stands, a display alone does not."""
    shown, hidden = {"reference": "Procedure/e"}, {"reference": "Procedure/v"}
    scene.holding(
        about("Procedure", "e", status="completed"), about("Procedure", "v", status="completed", meta=V),
        led(own="both", partOf=[shown, hidden]), led(own="hidden", partOf=[hidden, hidden]), led(own="none"),
        led(own="named", partOf=[{"identifier": {"value": "1"}}]), led(own="said", partOf=[{"display": "x"}]),
    )  # fmt: skip
    for value, found in {
        "true": ["Observation/hidden", "Observation/none", "Observation/said"],
        "false": ["Observation/both", "Observation/named"],
    }.items():
        for paged in ("", "&_count=1&_total=accurate"):
            target: str | None = f"Observation?patient=zed&part-of:missing={value}{paged}"
            ids: list[str] = []
            while target:
                reply = await scene.stage.ask(target, PHYSICIAN)
                assert reply.json["total"] == len(found), (paged, reply.ids)
                ids, target = ids + reply.ids, reply.next
            assert ids == found, value
    asked = [one.target for one in scene.upstream.calls if "part-of" in one.target]
    assert not any("missing=true" in one for one in asked)
    assert asked
    chained = await scene.stage.ask("Patient?_id=zed&_has:Observation:patient:part-of:missing=true", PHYSICIAN)  # fmt: skip
    assert chained.ids == ["Patient/zed"]


async def test_where_nothing_can_be_pruned_upstream_is_asked_what_is_missing(scene: Scene) -> None:
    scene.holding(about("Condition", "c"), about("Condition", "d", recorder={"reference": "Practitioner/none"}))  # fmt: skip
    reply = await scene.stage.ask("Condition?patient=zed&subject:missing=true", PHYSICIAN)
    assert reply.ids == []
    await scene.stage.ask("Patient?organization:missing=true&_id=zed", PHYSICIAN)
    assert any("organization:missing=true" in call.target for call in scene.upstream.calls)


_KINDS = ("Encounter", "Condition", "Procedure", "Goal")


async def test_a_page_of_a_thousand_keeps_to_the_budget(tmp_path: Path) -> None:
    patients = [resource("Patient", f"p{n}") for n in range(1000)]
    rows = [
        {
            **led(*(f"{kind}/x{n}" for kind in _KINDS), own=f"o{n}"),
            "status": "amended",
            "subject": {"reference": f"Patient/p{n}"},
        }
        for n in range(1000)
    ]
    permits = [
        {**ZED[2], "id": f"c{n}", "patient": {"reference": f"Patient/p{n}"}} for n in range(1000)
    ]
    teams = [
        {**ZED[1], "id": f"t{n}", "subject": {"reference": f"Patient/p{n}"}} for n in range(1000)
    ]
    upstream = Upstream(world_of(bundle(*patients, *rows, *permits, *teams)))
    paging = "paging: {max_count: 1000}\nlimits: {body_bytes: 10485760}"
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path, url, facts_ttl_s=30, more=paging) as stage,
    ):
        await stage.ask("Practitioner/none", PHYSICIAN)  # who the caller is does not count
        upstream.calls.clear()
        reply = await stage.ask("Observation?_count=1000&status=amended", PHYSICIAN)
        lookups = [one for one in upstream.calls if "Observation" not in one.target]
        assert reply.status == 200
        assert len(reply.ids) == 1000
        assert len(lookups) <= 20
        assert [one for one in lookups if "/Condition" in one.target]
        assert b"Encounter/" not in reply.body


async def test_the_policy_may_keep_references(tmp_path: Path) -> None:
    policies = tmp_path / "policies"
    shutil.copytree(BASELINE, policies, ignore=shutil.ignore_patterns("hospital"))
    text = (policies / "treatment.yaml").read_text()
    (policies / "treatment.yaml").write_text(text.replace("combine:", "references: keep\ncombine:"))
    raw = orjson.dumps(led("Encounter/v", "Encounter/none"))
    upstream = Upstream(world_of(bundle(*ZED, encounter("v", meta=V))))
    async with serving(upstream.respond) as url, staged(tmp_path, url, policies=policies) as stage:
        answering(upstream, "/Observation", raw)
        assert (await stage.ask("Observation/o", PHYSICIAN)).body == raw
        assert not [one for one in upstream.calls if "/Encounter" in one.target]


async def test_look_ups_are_shared_between_requests_for_a_while(tmp_path: Path) -> None:
    upstream = Upstream(
        world_of(bundle(*ZED, encounter("e"), led("Encounter/e", "Encounter/none")))
    )
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path, url, facts_ttl_s=30) as stage,
    ):
        for who in (PHYSICIAN, NURSE, PHYSICIAN):
            await stage.ask("Observation/o", who)
        assert len([one for one in upstream.calls if "/Encounter?_id" in one.target]) == 1


_NO_READ = """
policy: no-read
version: "1"
source: test
rules:
  - id: encounters-are-never-read
    effect: deny
    target: {interaction: [read], resource: {type: [Encounter]}}
"""


async def test_a_search_asks_what_a_read_would_give(tmp_path: Path) -> None:
    policies = tmp_path / "policies"
    shutil.copytree(BASELINE, policies, ignore=shutil.ignore_patterns("hospital"))
    (policies / "no-read.yaml").write_text(_NO_READ)
    upstream = Upstream(world_of(bundle(*ZED, encounter("e"), led("Encounter/e"))))
    async with serving(upstream.respond) as url, staged(tmp_path, url, policies=policies) as stage:
        assert (await stage.ask("Encounter?patient=zed", PHYSICIAN)).ids == ["Encounter/e"]
        shown = await stage.ask(_SEARCH, PHYSICIAN)
        assert shown.ids == ["Observation/o"]
        assert b"Encounter/e" not in shown.body
