"""What a search finds: which entries are matches, and reading all of them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import orjson
import pytest
import pytest_asyncio
from aiohttp import web

from tests.stage import Json, Stage, Upstream, bundle, names, serving, staged, world_of
from tests.worlds.twins import hidden, observation

pytestmark = pytest.mark.asyncio(loop_scope="module")
PHYSICIAN = "care-team-physician"
MOST = 7
SUSAN = observation("mine", "susan", 1)


@dataclass(frozen=True, slots=True)
class Scene:
    stage: Stage
    upstream: Upstream

    def answers(self, *entries: Json, at: str = "/Observation?") -> None:
        body = orjson.dumps({"resourceType": "Bundle", "type": "searchset", "entry": list(entries)})

        async def override(request: web.BaseRequest) -> web.StreamResponse | None:
            if at not in request.raw_path or "_count=500" in request.raw_path:
                return None
            return web.Response(body=body, content_type="application/fhir+json")

        self.upstream.override = override


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scenes(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    rows = [observation(f"seen-{n}", "susan", n) for n in range(MOST)]
    unseen = [hidden(f"unseen-{n}", "susan", n) for n in range(3 * MOST)]
    upstream = Upstream(world_of(bundle(*unseen, *rows)))
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path_factory.mktemp("g"), url, more=f"paging: {{max_counted: {MOST}}}") as stage,
    ):
        yield Scene(stage, upstream)


@pytest_asyncio.fixture(loop_scope="module")
async def scene(scenes: Scene) -> AsyncIterator[Scene]:
    scenes.upstream.calls.clear()
    scenes.stage.entries()
    yield scenes
    scenes.upstream.override = None


def entry(resource: Json, mode: str = "match") -> Json:
    return {"resource": resource, "search": {"mode": mode}}


ENTRIES = [
    ([entry(SUSAN)], 1),
    ([{"resource": SUSAN}], 1),
    ([entry(SUSAN), entry(SUSAN)], 1),
    ([entry(SUSAN, "include")], 0),
    ([entry(SUSAN, "outcome")], 0),
    ([entry({**SUSAN, "resourceType": "Condition"})], 0),
    ([entry({key: one for key, one in SUSAN.items() if key != "id"})], 0),
    ([entry({**SUSAN, "subject": {"reference": "Patient/noe"}})], 0),
    ([{"search": {"mode": "match"}}], 0),
    ([entry({**SUSAN, "id": f"other-{n}"}) for n in range(MOST)], MOST),
]


@pytest.mark.parametrize(("entries", "count"), ENTRIES)
async def test_what_shows_is_what_counts(scene: Scene, entries: list[Json], count: int) -> None:
    scene.answers(*entries)
    shown = await scene.stage.ask("Observation?status=final", PHYSICIAN)
    assert (len(shown.ids), shown.json["total"]) == (count, count)
    for asked in ("_summary=count", "_count=0"):
        counted = await scene.stage.ask(f"Observation?status=final&{asked}", PHYSICIAN)
        assert (counted.json["total"], counted.ids) == (count, [])


@pytest.mark.parametrize(
    ("ids", "status"), [(range(MOST), 200), (range(MOST + 1), 403), (range(3 * MOST), 403)]
)
async def test_the_bound_of_a_count_is_of_what_is_visible(
    scene: Scene, ids: range, status: int
) -> None:
    mine = [entry({**SUSAN, "id": f"other-{n}"}) for n in ids]
    theirs = [entry(hidden(f"theirs-{n}", "susan", n)) for n in range(2 * MOST)]
    scene.answers(*theirs, *mine, *theirs)
    answer = await scene.stage.ask("Observation?_summary=count", PHYSICIAN)
    assert answer.status == status
    [told] = scene.stage.entries()
    assert len(names([told], "consulted")) == min(MOST, len(ids))
    assert names([told], "disclosed") == []


@pytest.mark.parametrize("asked", ["_total=accurate", "_total=estimate"])
async def test_a_total_within_the_bound_is_exact(scene: Scene, asked: str) -> None:
    ids = ",".join(f"seen-{n}" for n in range(MOST))
    unseen = ",".join(f"unseen-{n}" for n in range(3 * MOST))
    answer = await scene.stage.ask(f"Observation?_id={ids},{unseen}&_count=2&{asked}", PHYSICIAN)
    assert (len(answer.ids), answer.json["total"]) == (2, MOST)


async def test_beyond_the_bound_an_estimate_is_none_and_the_exact_total_too_costly(
    scene: Scene,
) -> None:
    estimate = await scene.stage.ask("Observation?_total=estimate&_count=2", PHYSICIAN)
    assert (estimate.status, "total" in estimate.json, len(estimate.ids)) == (200, False, 2)
    accurate = await scene.stage.ask("Observation?_total=accurate&_count=2", PHYSICIAN)
    assert (accurate.status, accurate.json["issue"][0]["code"]) == (403, "too-costly")
    assert names(scene.stage.entries()[1:], "disclosed") == []


@pytest.mark.parametrize(("more", "status"), [(0, 200), (1, 403)])
async def test_the_bound_of_a_total_counts_what_the_page_shows(
    scene: Scene, more: int, status: int
) -> None:
    scene.answers(*(entry({**SUSAN, "id": f"other-{n}"}) for n in range(MOST + more)))
    answer = await scene.stage.ask("Observation?_total=accurate&_count=2", PHYSICIAN)
    assert answer.status == status


async def test_upstream_is_asked_for_whole_resources_and_for_many_at_once(scene: Scene) -> None:
    await scene.stage.ask("Observation?patient=susan&_summary=count&_sort=-date", PHYSICIAN)
    await scene.stage.ask("Observation?patient=susan&_elements=code&_total=estimate", PHYSICIAN)
    asked = [call.target for call in scene.upstream.calls if "/Observation?" in call.target]
    search = "/fhir/Observation?patient=Patient/susan&_sort=_id&_count="
    assert asked == [f"{search}1000", f"{search}100"]
