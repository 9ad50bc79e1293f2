"""read and vread, beside the golden conversations: what is unusual."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.stage import Json, Stage, Upstream, bundle, serving, staged, world_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


def version(text: str, **more: object) -> Json:
    return {"resourceType": "Observation", "id": "o", "status": "final", "code": {"text": text}, "subject": {"reference": "Patient/camille"}, **more}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    world = world_of(*map(bundle, (version("first"), version("second"), version("third"))))
    world.store.delete("Condition", "camille-migraine")
    upstream = Upstream(world)
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path_factory.mktemp("gateway"), url) as stage,
    ):
        yield stage


@pytest.mark.parametrize(("number", "text"), [("1", "first"), ("2", "second"), ("3", "third")])
async def test_each_version_is_given_as_it_was(stage: Stage, number: str, text: str) -> None:
    reply = await stage.ask(f"Observation/o/_history/{number}", "care-team-physician")
    assert (reply.json["code"], reply.headers["etag"]) == ({"text": text}, f'W/"{number}"')


async def test_a_read_gives_the_current_version(stage: Stage) -> None:
    assert (await stage.ask("Observation/o", "patient")).json["meta"]["versionId"] == "3"


@pytest.mark.parametrize("target", ["Condition/camille-migraine", "Condition/camille-migraine/_history/1", "Condition/camille-migraine/_history", "Observation/o/_history/4", "Observation/o/_history/0"])  # fmt: skip
async def test_what_was_deleted_is_absent_with_all_its_versions(stage: Stage, target: str) -> None:
    gone = await stage.ask(target, "care-team-physician")
    absent = await stage.ask("Condition/no-such", "care-team-physician")
    assert (gone.status, gone.body) == (absent.status, absent.body) == (404, absent.body)


async def test_a_redacted_view_has_no_validator_and_says_who_changed_it(stage: Stage) -> None:
    whole = await stage.ask("Patient/camille", "care-team-physician")
    view = await stage.ask("Patient/camille", "care-team-nurse")
    assert ("etag" in whole.headers, "x-intermediary" in whole.headers) == (True, False)
    assert ("etag" in view.headers, "x-intermediary" in view.headers) == (False, True)


async def test_head_is_get_without_a_body(stage: Stage) -> None:
    for target in ("Observation/o", "Observation/o/_history/1", "Observation/nobody", "metadata"):
        got = await stage.ask(target, "patient")
        head = await stage.ask(target, "patient", "HEAD")
        assert (head.status, head.body) == (got.status, b"")
        assert head.headers.get("etag") == got.headers.get("etag")
