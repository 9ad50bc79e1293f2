"""Histories of instances, types and the system: what shows of what happened, and under which labels."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from proxy.enforcement import histories
from proxy.enforcement.histories import LEAST_ASKED
from proxy.sandbox.samples import load_samples
from tests.past import SINCE, Step, happen, told
from tests.stage import Json, Reply, Stage, Upstream, bundle, names, serving, staged, world_of
from tests.worlds.twins import labelled

pytestmark = pytest.mark.asyncio(loop_scope="module")
PHYSICIAN, NURSE, PATIENT = "care-team-physician", "care-team-nurse", "patient"


@dataclass(frozen=True, slots=True)
class Scene:
    stage: Stage
    upstream: Upstream


def version(number: int) -> Json:
    return {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": f"v{number}"}, "subject": {"reference": "Patient/camille"}}  # fmt: skip


def about(patient: str, own: str, text: str, *labels: str) -> Json:
    """A version of an Observation."""
    return {
        "resourceType": "Observation",
        "id": own,
        "status": "final",
        "code": {"text": text},
        "subject": {"reference": f"Patient/{patient}"},
        "performer": [{"reference": "Practitioner/dr-vernay"}],
        **({"meta": labelled(*labels)} if labels else {}),
    }


STEPS: list[Step] = [
    about("camille", "plain", "1"), about("camille", "plain", "2"),
    about("camille", "hidden-later", "1"), about("camille", "hidden-later", "2", "V"),
    about("camille", "shown-later", "1", "V"), about("camille", "shown-later", "2"),
    about("noe", "handed-over", "1"), about("camille", "handed-over", "2"),
    about("camille", "taken-away", "1"), about("noe", "taken-away", "2"),
    about("camille", "gone", "1", "V"), about("camille", "gone", "2"), "Observation/gone",
    about("camille", "gone-hidden", "1"), about("camille", "gone-hidden", "2", "V"), "Observation/gone-hidden",
    about("noe", "gone-elsewhere", "1"), "Observation/gone-elsewhere",
    about("camille", "back", "1"), "Observation/back", about("camille", "back", "2"),
    about("camille", "back-hidden", "1"), "Observation/back-hidden", about("camille", "back-hidden", "2", "V"),
    about("camille", "twice", "1", "V"), "Observation/twice", about("camille", "twice", "2"), "Observation/twice",
    about("camille", "again", "1"), "Observation/again", about("camille", "again", "2", "V"), "Observation/again",
    {"resourceType": "Consent", "id": "noe-new", "status": "draft", "scope": {"text": "x"}, "category": [{"text": "x"}], "patient": {"reference": "Patient/noe"}},
    {"resourceType": "Practitioner", "id": "somebody"}, "Practitioner/somebody",
    {"resourceType": "Condition", "id": "last", "subject": {"reference": "Patient/camille"}},
]  # fmt: skip
OBSERVATIONS = [
    ("DELETE", "Observation/twice", "4"), ("PUT", "Observation/twice", "3"),
    ("PUT", "Observation/back", "3"), ("DELETE", "Observation/back", "2"), ("PUT", "Observation/back", "1"),
    ("DELETE", "Observation/gone", "3"), ("PUT", "Observation/gone", "2"),
    ("PUT", "Observation/handed-over", "2"),
    ("PUT", "Observation/shown-later", "2"),
    ("PUT", "Observation/plain", "2"), ("PUT", "Observation/plain", "1"),
]  # fmt: skip
"""What a physician of Camille's care team sees of it, newest first."""
ELSEWHERE = [
    ("PUT", "Condition/last", "1"),
    ("DELETE", "Practitioner/somebody", "2"),
    ("PUT", "Practitioner/somebody", "1"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    world = world_of(*(bundle(version(number)) for number in range(5)))
    for number in (5, 6):
        world.store.delete("Observation", "o")
        load_samples(world.store, [bundle(version(number))])
    happen(world.store, STEPS)
    upstream = Upstream(world)
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path_factory.mktemp("gateway"), url) as stage,
    ):
        yield Scene(stage, upstream)


async def pages(stage: Stage, target: str, who: str = PHYSICIAN) -> list[Reply]:
    found = [await stage.ask(target, who)]
    while (following := found[-1].next) is not None:
        found.append(await stage.ask(following, who))
    return found


@pytest.mark.parametrize("count", [1, 2, 4, 100])
async def test_a_history_has_every_version_and_every_deletion_once(
    scene: Scene, count: int
) -> None:
    found = await pages(scene.stage, f"Observation/o/_history?_count={count}")
    entries = [entry for page in found for entry in page.json["entry"]]
    methods = [entry["request"]["method"] for entry in entries]
    texts = [entry["resource"]["code"]["text"] for entry in entries if "resource" in entry]
    assert methods == ["PUT", "DELETE", "PUT", "DELETE", "PUT", "PUT", "PUT", "PUT", "PUT"]
    assert texts == ["v6", "v5", "v4", "v3", "v2", "v1", "v0"]
    assert [len(page.json["entry"]) for page in found[:-1]] == [count] * (len(found) - 1)


@pytest.mark.parametrize("asked", ["_elements=code", "_summary=text", "_summary=true"])
@pytest.mark.parametrize("path", ["Observation/o/_history", "Observation/_history"])
async def test_each_version_of_a_history_is_cut(scene: Scene, path: str, asked: str) -> None:
    found = await scene.stage.ask(f"{path}?{asked}", PHYSICIAN)
    whole = [entry["resource"] for entry in found.json["entry"] if "resource" in entry]
    assert len(whole) >= 7
    assert all("subject" not in one or asked == "_summary=true" for one in whole)
    assert {one["meta"]["tag"][-1]["code"] for one in whole} == {"SUBSETTED"}
    assert {one["status"] for one in whole} == {"final"}


@pytest.mark.parametrize("count", [1, 2, 5, 100])
async def test_the_history_of_a_type_shows_what_its_instances_show(
    scene: Scene, count: int
) -> None:
    found = await pages(scene.stage, f"Observation/_history?{SINCE}&_count={count}")
    assert [one for page in found for one in told(page)] == OBSERVATIONS
    assert [len(told(page)) for page in found[:-1]] == [count] * (len(found) - 1)


@pytest.mark.parametrize("count", [1, 4, 100])
async def test_the_history_of_the_system_is_that_of_all_types(scene: Scene, count: int) -> None:
    found = await pages(scene.stage, f"_history?{SINCE}&_count={count}")
    assert [one for page in found for one in told(page)] == [*ELSEWHERE, *OBSERVATIONS]


@pytest.mark.parametrize("asked", [1, 2, 3, 7])
@pytest.mark.parametrize("path", ["Observation/_history", "Observation/back/_history"])
async def test_it_is_the_same_wherever_upstreams_pages_end(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, path: str, asked: int
) -> None:
    monkeypatch.setattr(histories, "LEAST_ASKED", asked)
    found = await pages(scene.stage, f"{path}?{SINCE}&_count=1")
    expected = [one for one in OBSERVATIONS if "back" in one[1] or "back" not in path]
    assert [one for page in found for one in told(page)] == expected


async def test_the_history_of_each_instance_agrees_with_that_of_the_type(scene: Scene) -> None:
    for reference in {step if isinstance(step, str) else f"{step['resourceType']}/{step['id']}" for step in STEPS}:  # fmt: skip
        expected = [one for one in [*ELSEWHERE, *OBSERVATIONS] if one[1] == reference]
        reply = await scene.stage.ask(f"{reference}/_history?{SINCE}", PHYSICIAN)
        assert (told(reply) if reply.status == 200 else []) == expected
        for number in ("1", "2", "3"):
            read = await scene.stage.ask(f"{reference}/_history/{number}", PHYSICIAN)
            assert (read.status == 200) == (("PUT", reference, number) in expected)


@pytest.mark.parametrize("path", ["Observation/_history", "_history"])
async def test_only_a_whole_result_tells_its_total(scene: Scene, path: str) -> None:
    whole = await scene.stage.ask(f"{path}?{SINCE}", PHYSICIAN)
    assert whole.json["total"] == len(told(whole))
    for page in await pages(scene.stage, f"{path}?{SINCE}&_count=5"):
        assert "total" not in page.json


async def test_a_redacted_view_has_no_versions_in_any_history(scene: Scene) -> None:
    for path in ("Patient/_history", "_history?_count=1000"):
        assert "Patient/camille" in str((await scene.stage.ask(path, PHYSICIAN)).json)
        entries = told(await scene.stage.ask(path, NURSE))
        assert not [one for one in entries if one[1].startswith("Patient/")]


@pytest.mark.parametrize("path", ["Observation/_history", "_history"])
async def test_nobody_may_have_it_who_may_have_no_part_of_it(scene: Scene, path: str) -> None:
    scene.upstream.calls.clear()
    reading = {"like": PHYSICIAN, "scope": "user/*.r openid"}
    assert (await scene.stage.ask(path, reading)).status == 403
    assert not [call for call in scene.upstream.calls if "_history" in call.target]


async def test_types_that_scopes_do_not_cover_are_left_out(scene: Scene) -> None:
    few = {"like": PHYSICIAN, "scope": "user/Condition.s user/Practitioner.rs user/Observation.r"}
    assert told(await scene.stage.ask(f"_history?{SINCE}", few)) == ELSEWHERE
    assert (await scene.stage.ask(f"Observation/_history?{SINCE}", few)).status == 403


async def test_current_versions_are_looked_up_many_at_a_time(scene: Scene) -> None:
    scene.upstream.calls.clear()
    await scene.stage.ask("Observation/_history?_count=1000", PHYSICIAN)
    asked = [call.target for call in scene.upstream.calls]
    assert (
        len([one for one in asked if "Observation?_id=" in one or "Observation/_search" in one])
        <= 3
    )
    gone = {step for step in STEPS if isinstance(step, str) and step.startswith("Observation/")}
    looked_back = {one.partition("/fhir/")[2].partition("/_history?_count=2")[0] for one in asked if "/_history?_count=2" in one}  # fmt: skip
    assert looked_back == gone - {"Observation/back", "Observation/back-hidden"}


async def test_upstream_is_asked_for_more_than_a_small_page_holds(scene: Scene) -> None:
    scene.upstream.calls.clear()
    await scene.stage.ask("Observation/_history?_count=1", PHYSICIAN)
    assert f"/fhir/Observation/_history?_count={LEAST_ASKED}" in [call.target for call in scene.upstream.calls]  # fmt: skip


async def test_what_leaves_stands_in_the_journal_deletions_too(scene: Scene) -> None:
    scene.stage.entries()
    reply = await scene.stage.ask(f"Observation/_history?{SINCE}", PHYSICIAN)
    [entry] = scene.stage.entries()
    references = [
        ref for one in entry.touched if one.outcome == "disclosed" for ref in one.references
    ]
    assert sorted(references) == sorted(
        f"{ref}/_history/{number}" for _, ref, number in told(reply)
    )
    assert all(one.patients for one in entry.touched)
    assert (entry.interaction, entry.type, entry.resource_id) == ("history-type", "Observation", "")
    assert "Observation/gone-hidden" in names([entry], "withheld")


@pytest.mark.parametrize("path", ["Observation/_history", "_history"])
async def test_links_name_what_was_asked(scene: Scene, path: str) -> None:
    reply = await scene.stage.ask(f"{path}?_count=2&{SINCE}", PHYSICIAN)
    assert reply.json["link"][0]["url"].endswith(f"/{path}?_count=2&{SINCE}")
    assert f"/{path}?_page=" in (reply.next or "")
    assert (await scene.stage.ask(reply.next or "", PATIENT)).status == 404


async def test_head_is_get_without_a_body(scene: Scene) -> None:
    reply = await scene.stage.ask("Observation/_history", PHYSICIAN, "HEAD")
    assert (reply.status, reply.body) == (200, b"")
