"""The order of things: who is not known hears nothing, what is refused by its shape asks nothing, page links are bound."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from proxy.enforcement.flow import PERFORM, PUBLIC
from proxy.fhir.interaction import Interaction
from tests.stage import Stage, Upstream, serving, staged, world_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
PHYSICIAN = "care-team-physician"


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


async def link_of(stage: Stage, target: str, who: Any = PHYSICIAN) -> str:
    following = (await stage.ask(target, who)).next
    assert following
    return following


OTHERS: dict[str, Any] = {
    "another person": "general-practitioner",
    "nobody on the team": "outside-clinician",
    "another client": {"like": PHYSICIAN, "client_id": "other"},
    "another subject": {"like": PHYSICIAN, "sub": "other"},
    "another patient context": {"like": PHYSICIAN, "patient": "camille"},
    "the patient": "patient",
}


@pytest.mark.parametrize("name", OTHERS)
async def test_a_page_link_of_one_caller_is_absent_for_every_other(scene: Scene, name: str) -> None:
    link = await link_of(scene.stage, "Observation?patient=camille&_count=2")
    absent = await scene.stage.ask("Observation?_page=AAAA", OTHERS[name])
    scene.upstream.calls.clear()
    foreign = await scene.stage.ask(link, OTHERS[name])
    assert (foreign.status, foreign.body) == (404, absent.body)
    assert not scene.upstream.calls
    assert (await scene.stage.ask(link, PHYSICIAN)).status == 200


PATHS = ["Patient", "Condition", "Observation/camille-crp/_history", "Patient/camille/_history"]


@pytest.mark.parametrize("path", PATHS)
async def test_a_page_link_leads_where_it_was_made_for(scene: Scene, path: str) -> None:
    link = await link_of(scene.stage, "Observation?patient=camille&_count=2")
    moved = f"{path}?{link.partition('?')[2]}"
    assert (await scene.stage.ask(moved, PHYSICIAN)).status == 404


async def test_a_page_link_that_was_touched_is_absent(scene: Scene) -> None:
    link = await link_of(scene.stage, "Observation?patient=camille&_count=2")
    head, _, seal = link.partition("_page=")
    for at in range(0, len(seal), 37):
        other = "A" if seal[at] != "A" else "B"
        touched = f"{head}_page={seal[:at]}{other}{seal[at + 1 :]}"
        assert (await scene.stage.ask(touched, PHYSICIAN)).status == 404
    for rest in ("&patient=noe", "&_count=100", "&_include=Observation:subject", "&_page=AAAA"):
        assert (await scene.stage.ask(link + rest, PHYSICIAN)).status == 400
    assert (await scene.stage.ask(link + "&_format=json", PHYSICIAN)).status == 200


async def test_whoever_opens_a_page_link_is_judged_anew(scene: Scene) -> None:
    link = await link_of(scene.stage, "Observation?patient=camille&_count=2")
    narrowed = {"like": PHYSICIAN, "scope": "user/Patient.rs"}
    assert (await scene.stage.ask(link, narrowed)).status == 403


async def test_a_consent_that_is_revoked_acts_on_the_next_page(scene: Scene) -> None:
    link = await link_of(scene.stage, "Observation?patient=camille&_count=2")
    store = scene.upstream.world.store
    consent = store.current("Consent", "camille-treatment")
    assert consent
    scene.stage.entries()
    store.delete("Consent", "camille-treatment")
    reply = await scene.stage.ask(link, PHYSICIAN)
    scene.upstream.world = world_of()
    assert (reply.status, reply.ids, reply.next) == (200, [], None)
    [entry] = scene.stage.entries()
    assert {touched.outcome for touched in entry.touched} == {"withheld"}


async def test_a_page_link_does_not_tell_where_it_leads_nor_what_was_skipped(scene: Scene) -> None:
    links = [
        await link_of(scene.stage, f"Observation?patient={who}&_count=1")
        for who in ("camille", "susan")
    ]
    seals = [link.partition("_page=")[2] for link in links]
    assert len({len(seal) for seal in seals}) == 1
    again = await link_of(scene.stage, "Observation?patient=camille&_count=1")
    assert again != links[0]
    assert all("getpages" not in link and "127.0.0.1" not in link for link in links)


async def test_every_interaction_is_performed_or_needs_no_caller() -> None:
    assert set(PERFORM) | set(PUBLIC) | {Interaction.OPERATION, Interaction.EXPORT} == set(
        Interaction
    )


async def test_an_unknown_caller_learns_nothing_of_the_shape_of_requests(scene: Scene) -> None:
    scene.upstream.calls.clear()
    targets = ["Patient/camille", "Nonsense", "Patient?x=1", "$export", "Patient/../x", "%", ""]
    told = {
        (reply.status, reply.body, reply.headers["www-authenticate"])
        for target in targets
        for method in ("GET", "POST", "DELETE")
        for reply in [await scene.stage.ask(target, None, method)]
    }
    assert len(told) == 1
    assert not scene.upstream.calls
