"""Hidden equals absent: the same request of the same caller to two worlds gives the same answers."""

import logging
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.stage import CANARY
from tests.worlds.callers import ALWAYS, EVERYBODY, SOMETIMES
from tests.worlds.pair import Worlds, require_same, require_silent, worlds_of
from tests.worlds.shapes import EVERY, SHAPES
from tests.worlds.twins import Shape, more, name_of, samples
from tests.worlds.wire_shapes import HEADED

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMES = list(ALWAYS)
CASES = [
    *((name, shape) for name in ALWAYS for shape in SHAPES),
    *((NAMES[at % len(NAMES)], shape) for at, shape in enumerate(HEADED)),
    *((name, shape) for at, name in enumerate(SOMETIMES) for shape in EVERY[at % 4 :: 4]),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worlds(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Worlds]:
    folder = tmp_path_factory.mktemp("worlds")
    async with worlds_of(folder, [*samples(), *more()]) as worlds:
        yield worlds


@pytest.mark.parametrize(("caller", "shape"), CASES, ids=name_of)
async def test_what_is_hidden_might_as_well_not_exist(
    worlds: Worlds, caller: str, shape: Shape, caplog: pytest.LogCaptureFixture
) -> None:
    who = EVERYBODY[caller]
    without = await worlds.of(caller, who)
    caplog.set_level(logging.DEBUG)
    told = await worlds.whole.told(who, shape)
    require_same(told, await without.told(who, shape), shape)
    require_silent(told, worlds.hidden[caller], caplog.text)


async def test_there_are_enough_requests_and_callers() -> None:
    assert len(set(SHAPES)) == len(SHAPES) >= 400
    assert len(ALWAYS) >= 6


async def test_something_is_hidden_from_everyone_here_and_something_shown(worlds: Worlds) -> None:
    for name, who in ALWAYS.items():
        await worlds.of(name, who)
        assert len(worlds.hidden[name]) >= 40
        assert "Observation/noe-0" in worlds.hidden[name]
        shown = [one for one in worlds.things if one.reference not in worlds.hidden[name]]
        assert len(shown) >= 20


async def test_no_metric_names_what_is_hidden(worlds: Worlds) -> None:
    await worlds.of("care-team-physician", "care-team-physician")
    told = await worlds.whole.stage.metrics()
    assert CANARY not in told
    assert not any(one.partition("/")[2] in told for one in worlds.hidden["care-team-physician"])
