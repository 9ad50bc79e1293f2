"""What comes with what leaves: found by ids, and nothing else; a failure of upstream is never an empty answer."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from aiohttp import web

from proxy.enforcement import supporting
from proxy.enforcement.supporting import lenient
from proxy.errors import CallerError, Refusal, UpstreamError
from proxy.fhir.bundle import Frame
from proxy.obligations.pages import Fetch
from tests.stage import Stage, Upstream, serving, staged, world_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
PHYSICIAN = "care-team-physician"
CONDITIONS = "Patient/camille/$everything?_type=Condition,Practitioner"


@dataclass(frozen=True, slots=True)
class Scene:
    stage: Stage
    upstream: Upstream


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    upstream = Upstream(world_of())
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path_factory.mktemp("gateway"), url) as stage,
    ):
        yield Scene(stage, upstream)


def refusing(refusal: Refusal | None) -> Fetch:
    async def fetch(_: str) -> tuple[Frame, bytes]:
        if refusal is None:
            return Frame("Bundle", "searchset"), b"body"
        raise CallerError(refusal, "")

    return fetch


async def test_a_type_that_upstream_does_not_know_holds_nothing() -> None:
    frame, body = await lenient(refusing(Refusal.NOT_FOUND))("X")
    assert (list(frame.entry), body) == ([], b"")
    assert (await lenient(refusing(None))("X"))[1] == b"body"


async def test_any_other_refusal_is_a_failure_of_the_whole() -> None:
    with pytest.raises(UpstreamError):
        await lenient(refusing(Refusal.PARAMETER))("X")


async def test_what_was_not_asked_for_does_not_come(scene: Scene) -> None:
    async with scene.stage.session.get(f"{scene.stage.upstream_url}/Practitioner/dr-vernay") as one:
        other = json.loads(await one.read())

    async def beside(request: web.BaseRequest) -> web.Response | None:
        if "/Practitioner?_id" not in request.raw_path or "_count=500" in request.raw_path:
            return None
        found = {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": other}]}
        return web.json_response(found)

    whole = await scene.stage.ask(CONDITIONS, PHYSICIAN)
    assert any(one.startswith("Practitioner/") for one in whole.ids)
    scene.upstream.override = beside
    try:
        reply = await scene.stage.ask(CONDITIONS, PHYSICIAN)
    finally:
        scene.upstream.override = None
    assert not any(one.startswith("Practitioner/") for one in reply.ids)


async def test_many_are_asked_for_some_at_a_time(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await scene.stage.ask("Patient/camille/$everything?_count=200", PHYSICIAN)
    monkeypatch.setattr(supporting, "MOST_IDS", 1)
    scene.upstream.calls.clear()
    parts = await scene.stage.ask("Patient/camille/$everything?_count=200", PHYSICIAN)
    asked = [one.target for one in scene.upstream.calls if "/Practitioner?_id" in one.target]
    assert parts.body == whole.body
    assert len([one for one in asked if "_count=1" in one]) >= 2


async def test_types_that_the_caller_may_not_search_do_not_come(scene: Scene) -> None:
    who = {"like": PHYSICIAN, "scope": "user/Patient.rs user/Condition.rs"}
    reply = await scene.stage.ask("Patient/camille/$everything", who)
    assert {one.partition("/")[0] for one in reply.ids} == {"Patient", "Condition"}
