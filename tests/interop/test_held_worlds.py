"""Hidden equals absent in compartments, lists and groups, in front of two HAPI FHIR servers (tests/interop/test_worlds.py)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.interop import hapi_server
from tests.interop.test_worlds import Server, both, two_servers, worlds_of
from tests.worlds.callers import ALWAYS
from tests.worlds.compartment_shapes import COMPARTMENT_SHAPES
from tests.worlds.held import HELD_SHAPES, held
from tests.worlds.pair import world_without
from tests.worlds.twins import more, name_of, samples

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(
        hapi_server.why_unavailable() is not None, reason="no HAPI FHIR server can be had"
    ),
]
THINGS = [*samples(), *more(), *held()]
SHAPES = [*HELD_SHAPES, *COMPARTMENT_SHAPES]
FULL = {"care-team-physician", "care-team-nurse"}
"""Those who make every request; the others every third, each another third."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Server, Server]]:
    """The one that keeps everything, and the one that is filled anew."""
    async with two_servers(tmp_path_factory, THINGS) as found:
        yield found


@pytest.mark.parametrize("caller", ALWAYS)
async def test_what_is_hidden_might_as_well_not_exist(
    servers: tuple[Server, Server], tmp_path: Path, caller: str
) -> None:
    who = ALWAYS[caller]
    left = await world_without(caller, who, THINGS, servers[0].stage)
    at = list(ALWAYS).index(caller)
    different, answered = [], 0
    async with worlds_of(servers, left, tmp_path) as worlds:
        for shape in SHAPES if caller in FULL else SHAPES[at % 3 :: 3]:
            one, other = await both(worlds, who, shape)
            if one != other:
                different.append(name_of(shape))
            answered += one[0][0] == 200
    assert different == []
    assert answered >= (100 if caller in FULL else 1)
