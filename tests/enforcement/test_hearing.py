"""What a request asks of upstream and of the facts, and what it writes down of each resource."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from aiohttp import web

from tests.stage import Stage, Upstream, names, serving, staged, world_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True, slots=True)
class Scene:
    stage: Stage
    upstream: Upstream

    def asked(self) -> list[str]:
        return [
            call.target.removeprefix("/fhir/").partition("?")[0] for call in self.upstream.calls
        ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    upstream = Upstream(world_of())
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path_factory.mktemp("gateway"), url) as stage,
    ):
        yield Scene(stage, upstream)


STATUSES = {404: 404, 410: 404, 400: 400, 422: 400, 401: 503, 403: 503, 500: 503, 301: 503, 204: 503, 429: 503}  # fmt: skip


@pytest.mark.parametrize("status", STATUSES)
async def test_what_a_status_of_upstream_says_of_the_request(scene: Scene, status: int) -> None:
    async def override(request: web.BaseRequest) -> web.StreamResponse | None:
        is_data = request.raw_path.startswith("/fhir/Observation")
        return web.Response(status=status) if is_data else None

    scene.upstream.override = override
    reply = await scene.stage.ask("Observation/x", "care-team-physician")
    scene.upstream.override = None
    assert reply.status == STATUSES[status]


async def test_the_facts_about_all_patients_of_a_page_are_asked_for_together(scene: Scene) -> None:
    scene.upstream.calls.clear()
    await scene.stage.ask("Observation?_count=100", "care-team-physician")
    asked = scene.asked()
    assert asked.count("Observation") == 1
    assert asked.count("Consent") == 1
    assert len(asked) <= 20


async def test_the_request_id_goes_up_with_the_data_request(scene: Scene) -> None:
    scene.upstream.calls.clear()
    await scene.stage.ask("Patient/camille", "patient", headers={"X-Request-Id": "trace-1"})
    [data] = [call for call in scene.upstream.calls if call.target == "/fhir/Patient/camille"]
    assert data.headers["x-request-id"] == "trace-1"
    assert all("authorization" not in call.headers for call in scene.upstream.calls)


async def test_every_resource_is_written_down_with_what_became_of_it(scene: Scene) -> None:
    scene.stage.entries()
    await scene.stage.ask("Observation?patient=susan", "care-team-physician")
    entries = scene.stage.entries()
    assert names(entries, "disclosed") == ["Observation/susan-bp-1", "Observation/susan-bp-2", "Observation/susan-hemoglobin"]  # fmt: skip
    assert names(entries, "withheld") == ["Observation/susan-depression-score", "Observation/susan-urine-may", "Observation/susan-urine-september"]  # fmt: skip
    [entry] = entries
    reasons = {entry.decisions[one.decision].effect for one in entry.touched}
    assert reasons == {"permit", "deny"}
    assert all(one.patients == ("Patient/susan",) for one in entry.touched)


async def test_facts_that_cannot_be_had_hide_what_they_are_about(scene: Scene) -> None:
    async def override(request: web.BaseRequest) -> web.StreamResponse | None:
        return web.Response(status=500) if request.raw_path.startswith("/fhir/Consent?") else None

    scene.upstream.override = override
    reply = await scene.stage.ask("Patient/camille", "care-team-physician")
    directory = await scene.stage.ask("Practitioner/dr-martin", "care-team-physician")
    scene.upstream.override = None
    assert (reply.status, directory.status) == (404, 200)


async def test_what_does_not_open_has_no_part_and_is_absent_where_one_is_asked_for(
    scene: Scene,
) -> None:
    inside = b'{"url":"u","extension":[' * 40 + b"]}" * 40
    deep = b'{"resourceType":"Observation","id":"deep","status":"final","code":{"text":"c"},"subject":{"reference":"Patient/camille"},"extension":[%s]}' % inside  # fmt: skip

    async def override(request: web.BaseRequest) -> web.StreamResponse | None:
        is_data = request.raw_path.startswith("/fhir/Observation")
        return web.Response(body=deep, content_type="application/fhir+json") if is_data else None

    scene.upstream.override = override
    part = await scene.stage.ask("Observation/deep?_elements=code", "care-team-physician")
    scene.upstream.override = None
    absent = await scene.stage.ask("Observation/no-such", "care-team-physician")
    assert (part.status, part.body) == (404, absent.body)
    [entry] = [one for one in scene.stage.entries() if "_elements" in one.target]
    assert names([entry], "withheld") == ["Observation/deep"]
