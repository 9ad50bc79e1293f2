"""The golden conversations, with the embedded FHIR server as upstream."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import pytest_asyncio

from proxy.sandbox.interactions import Interactions
from tests.exchange import Turn, conversations, run
from tests.stage import ROOT, Stage, Upstream, bundle, serving, staged, world_of

TURNS = dict(conversations())
PACKS = sorted({turn.exchange.pack for turn in TURNS.values()})
pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True, slots=True)
class Scene:
    """A stage, its upstream, and the world that the upstream holds when nothing else is said."""

    stages: dict[str, Stage]
    """By pack."""
    upstream: Upstream
    samples: Interactions


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    samples = world_of()
    upstream = Upstream(samples)
    async with serving(upstream.respond) as url:
        upstream.url = url
        async with AsyncExitStack() as stack:
            stages = {}
            for pack in PACKS:
                folder = tmp_path_factory.mktemp("gateway")
                gateway = staged(folder, url, policies=ROOT / "policies" / pack)
                stages[pack] = await stack.enter_async_context(gateway)
            yield Scene(stages, upstream, samples)


def _case(name: str) -> object:
    reason = TURNS[name].exchange.pending
    marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
    return pytest.param(name, marks=marks)


@pytest.mark.parametrize("name", [_case(name) for name in TURNS])
async def test_conversation(scene: Scene, name: str) -> None:
    turn: Turn = TURNS[name]
    scene.upstream.world = scene.samples
    if turn.exchange.extra:
        scene.upstream.world = world_of(*map(bundle, turn.exchange.extra))
    await run(turn, scene.stages[turn.exchange.pack], scene.upstream)
