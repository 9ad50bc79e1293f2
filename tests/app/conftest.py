"""An upstream that answers from a small world."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.stage import Upstream, serving, world_of


@pytest_asyncio.fixture
async def upstream() -> AsyncIterator[Upstream]:
    upstream = Upstream(world_of())
    async with serving(upstream.respond) as url:
        upstream.url = url
        yield upstream
