"""Hidden equals absent in front of two HAPI FHIR servers: one holds everything, one what is left without the hidden data.

The second is emptied and filled anew for each caller. Ids are ours on both; only the instant of loading differs, and is left
out of the comparison with the validators made from it. Long results are walked for some pages only.
"""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import orjson
import pytest
import pytest_asyncio

from tests.interop import hapi_server
from tests.interop.asking import Ask, asking
from tests.interop.resources import bundle_of, put
from tests.stage import Stage, staged
from tests.worlds.callers import ALWAYS
from tests.worlds.document_shapes import DOCUMENT_SHAPES, compositions
from tests.worlds.history_shapes import HISTORY_SHAPES, past
from tests.worlds.pair import world_without
from tests.worlds.shapes import SHAPES
from tests.worlds.twins import Heard, Shape, Thing, heard, more, name_of, samples

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(
        hapi_server.why_unavailable() is not None, reason="no HAPI FHIR server can be had"
    ),
]

THINGS = [*samples(), *more(), *compositions(), *past()]
MOST_PAGES = 4
PAGING = "paging: {key: {file: paging.key}}"
EVERYTHING = {
    "resourceType": "Parameters",
    "parameter": [{"name": "expungeEverything", "valueBoolean": True}],
}
_INSTANT = re.compile(rb'"(?:lastUpdated|lastModified)":"[^"]*"')


@dataclass(frozen=True, slots=True)
class Server:
    """A HAPI FHIR server, and the gateway in front of it."""

    ask: Ask
    url: str
    stage: Stage


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Server, Server]]:
    """The one that keeps everything, and the one that is filled anew."""
    async with two_servers(tmp_path_factory, THINGS) as found:
        yield found


@asynccontextmanager
async def two_servers(
    folders: pytest.TempPathFactory, things: Sequence[Thing]
) -> AsyncIterator[tuple[Server, Server]]:
    """Two servers that hold these, each behind a gateway of its own."""
    with (
        hapi_server.running(enforce_references=False, erasable=True) as one,
        hapi_server.running(enforce_references=False, erasable=True) as other,
    ):
        async with AsyncExitStack() as opened:
            first, second = [
                await _server(opened, folders.mktemp("gateway"), url, things)
                for url in (one, other)
            ]
            yield first, second


async def _server(
    opened: AsyncExitStack, folder: Path, url: str, things: Sequence[Thing]
) -> Server:
    ask = await opened.enter_async_context(asking(url))
    await filled(ask, things)
    return Server(ask, url, await opened.enter_async_context(_gateway(folder, url)))


@asynccontextmanager
async def _gateway(folder: Path, url: str) -> AsyncIterator[Stage]:
    (folder / "paging.key").write_text("one key for both worlds, long enough")
    async with staged(folder, url, facts_ttl_s=3600, more=PAGING) as stage:
        yield stage


@asynccontextmanager
async def worlds_of(
    servers: tuple[Server, Server], left: Iterable[Thing], folder: Path
) -> AsyncIterator[tuple[Server, Server]]:
    """Both worlds of a caller; the gateway of the second one knows nothing of what its server held for others."""
    one, other = servers
    await filled(other.ask, left)
    async with _gateway(folder, other.url) as stage:
        yield one, replace(other, stage=stage)


async def filled(ask: Ask, things: Iterable[Thing]) -> None:
    """Takes away whatever the server holds, and loads these in their order."""
    status, _, _ = await ask("POST", "$expunge", body=EVERYTHING)
    assert status == 200
    for round_ in rounds(things):
        entries = [put(orjson.loads(one.raw)) if one.raw else _deletion(one) for one in round_]
        body = bundle_of("transaction", *entries)
        # HAPI writes the id of the request into each resource.
        status, _, told = await ask("POST", "", {"X-Request-ID": "loading"}, body)
        assert status == 200, str(told)[:500]


def _deletion(one: Thing) -> dict[str, object]:
    return {"request": {"method": "DELETE", "url": one.reference}}


def rounds(things: Iterable[Thing]) -> list[list[Thing]]:
    """The first version of each resource, then the second: a transaction may write none of them twice."""
    made: list[list[Thing]] = []
    seen: Counter[str] = Counter()
    for one in things:
        if seen[one.reference] == len(made):
            made.append([])
        made[seen[one.reference]].append(one)
        seen[one.reference] += 1
    return made


async def both(servers: tuple[Server, Server], who: object, shape: Shape) -> list[Heard]:
    """What either gateway answers."""
    told = (heard(server.stage, who, shape, MOST_PAGES) for server in servers)
    return [list(map(comparable, pages)) for pages in await asyncio.gather(*told)]


def comparable(page: tuple[int, object, bytes]) -> tuple[int, dict[str, str], bytes]:
    """An answer without the instant of loading, and without the length that it has by chance."""
    status, headers, body = page
    assert isinstance(headers, dict)
    kept = {
        name: value for name, value in headers.items() if name not in ("etag", "content-length")
    }
    return status, kept, _INSTANT.sub(b"", body)


@pytest.mark.parametrize("caller", ALWAYS)
async def test_what_is_hidden_might_as_well_not_exist(
    servers: tuple[Server, Server], caller: str, tmp_path: Path
) -> None:
    who = ALWAYS[caller]
    left = await world_without(caller, who, THINGS, servers[0].stage)
    different = []
    async with worlds_of(servers, left, tmp_path) as worlds:
        for shape in [*SHAPES, *DOCUMENT_SHAPES]:
            one, other = await both(worlds, who, shape)
            if one != other:
                different.append(name_of(shape))
    assert different == []
    assert len(left) >= 25


@pytest.mark.parametrize("caller", ALWAYS)
async def test_histories_tell_nothing_of_what_is_hidden(
    servers: tuple[Server, Server], caller: str, tmp_path: Path
) -> None:
    who = ALWAYS[caller]
    left = await world_without(caller, who, THINGS, servers[0].stage)
    different = []
    async with worlds_of(servers, left, tmp_path) as worlds:
        for shape in HISTORY_SHAPES:
            one, other = await both(worlds, who, shape)
            if one != other:
                different.append(name_of(shape))
    assert different == []
    assert len(left) + 40 < len(THINGS)
