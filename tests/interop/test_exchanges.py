"""The golden conversations, with a real HAPI FHIR server as upstream; those with a scripted upstream are left out."""

from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
import pytest_asyncio

from tests.exchange import Turn, conversations, run
from tests.interop import hapi_server
from tests.stage import SAMPLES, Stage, staged

TURNS = {name: turn for name, turn in conversations() if turn.exchange.portable}
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def hapi() -> Iterator[str]:
    """A server of its own: what other tests leave on theirs would show in the journal as withheld."""
    with hapi_server.running() as base_url:
        yield base_url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory, hapi: str) -> AsyncIterator[Stage]:
    async with aiohttp.ClientSession() as session:
        for file in sorted(SAMPLES.glob("*.json")):
            headers = {"content-type": "application/fhir+json"}
            async with session.post(hapi, data=file.read_bytes(), headers=headers) as answer:
                assert answer.status == 200, await answer.text()
    async with staged(tmp_path_factory.mktemp("gateway"), hapi) as stage:
        yield stage


def _case(name: str) -> object:
    reason = TURNS[name].exchange.pending
    marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
    return pytest.param(name, marks=marks)


@pytest.mark.parametrize("name", [_case(name) for name in TURNS])
async def test_conversation(stage: Stage, name: str) -> None:
    turn: Turn = TURNS[name]
    await run(turn, stage, None, ordered=False)
