"""Hidden equals absent where the gateway composes an answer, or answers from a view."""

import logging
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.worlds.callers import ALWAYS
from tests.worlds.composed_shapes import COMPOSED_SHAPES, stored
from tests.worlds.pair import Worlds, require_same, require_silent, worlds_of
from tests.worlds.twins import Shape, more, name_of, samples

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMES = list(ALWAYS)
FULL = {"care-team-physician", "care-team-nurse"}
"""Those who make every request; the others every third, each another third."""
CASES = [
    (name, shape)
    for at, name in enumerate(NAMES)
    for shape in (COMPOSED_SHAPES if name in FULL else COMPOSED_SHAPES[at % 3 :: 3])
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worlds(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Worlds]:
    folder = tmp_path_factory.mktemp("worlds")
    async with worlds_of(folder, [*samples(), *more(), *stored()]) as worlds:
        yield worlds


@pytest.mark.parametrize(("caller", "shape"), CASES, ids=name_of)
async def test_what_is_hidden_might_as_well_not_exist(
    worlds: Worlds, caller: str, shape: Shape, caplog: pytest.LogCaptureFixture
) -> None:
    who = ALWAYS[caller]
    without = await worlds.of(caller, who)
    caplog.set_level(logging.DEBUG)
    told = await worlds.whole.told(who, shape)
    require_same(told, await without.told(who, shape), shape)
    require_silent(told, worlds.hidden[caller], caplog.text)


async def test_there_are_enough_requests_and_callers() -> None:
    assert len(set(COMPOSED_SHAPES)) == len(COMPOSED_SHAPES) >= 140
    assert len(NAMES) >= 6


async def test_some_bundles_are_hidden_and_one_is_shown(worlds: Worlds) -> None:
    await worlds.of("care-team-physician", ALWAYS["care-team-physician"])
    hidden = {one for one in worlds.hidden["care-team-physician"] if one.startswith("Bundle/")}
    assert hidden == {f"Bundle/w-{one}" for one in ("label", "inner", "noe", "nested")}
