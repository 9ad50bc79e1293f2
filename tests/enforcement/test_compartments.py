"""Compartment searches, beside the golden conversations: what they are composed of."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest
import pytest_asyncio
from aiohttp import web

from proxy.sandbox.http import ask_of, response_of
from tests.stage import CANARY, Json, Stage, Upstream, bundle, serving, staged, world_of

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
EXTRA = [
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


async def pages(stage: Stage, target: str, who: str = PHYSICIAN) -> list[str]:
    at: str | None = target
    found: list[str] = []
    while at:
        reply = await stage.ask(at, who)
        assert reply.status == 200
        found += reply.ids
        at = reply.next
    return found


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
    asked = [call.target for call in scene.upstream.calls if "Observation" in call.target]
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
