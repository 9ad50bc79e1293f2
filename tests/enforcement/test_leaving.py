"""A page as it leaves, beside the golden conversations: what is sealed in its link."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.stage import PUBLIC, Stage, Upstream, serving, staged, world_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    upstream = Upstream(world_of())
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path_factory.mktemp("gateway"), url) as stage,
    ):
        yield stage


TARGETS = [
    "Observation?patient=camille",
    "Patient/camille/Observation",
    "Observation?patient=camille&_sort=-date",
]


@pytest.mark.parametrize("target", TARGETS)
async def test_links_name_the_gateway_and_nothing_of_upstream(stage: Stage, target: str) -> None:
    reply = await stage.ask(f"{target}{'&' if '?' in target else '?'}_count=2", "patient")
    links = {one["relation"]: one["url"] for one in reply.json["link"]}
    path = target.partition("?")[0]
    assert links["self"].startswith(f"{PUBLIC}/{path}?")
    assert links["next"].startswith(f"{PUBLIC}/{path}?_page=")
    assert stage.upstream_url not in reply.text


@pytest.mark.parametrize("target", TARGETS)
async def test_the_length_of_a_link_does_not_depend_on_where_it_leads(
    stage: Stage, target: str
) -> None:
    at: str | None = f"{target}{'&' if '?' in target else '?'}_count=1"
    lengths = set()
    while at:
        reply = await stage.ask(at, "patient")
        at = reply.next
        lengths.add(len(at or ""))
    assert len(lengths - {0}) == 1
