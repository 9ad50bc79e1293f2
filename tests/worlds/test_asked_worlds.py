"""Hidden equals absent, whatever is asked: requests drawn from the grammar of what is served."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from hypothesis import event, given
from hypothesis import strategies as st

from tests.worlds.callers import ALWAYS
from tests.worlds.grammar import requests
from tests.worlds.pair import Worlds, require_same, require_silent, worlds_of
from tests.worlds.twins import Shape, more, samples

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worlds(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Worlds]:
    folder = tmp_path_factory.mktemp("asked")
    async with worlds_of(folder, [*samples(), *more()]) as worlds:
        yield worlds


@given(caller=st.sampled_from(sorted(ALWAYS)), shapes=st.lists(requests(), min_size=6, max_size=6))
async def test_whatever_is_asked_the_worlds_answer_alike(
    worlds: Worlds, caller: str, shapes: list[Shape]
) -> None:
    without = await worlds.of(caller, ALWAYS[caller])
    for shape in shapes:
        told = await worlds.whole.told(ALWAYS[caller], shape)
        require_same(told, await without.told(ALWAYS[caller], shape), shape)
        require_silent(told, worlds.hidden[caller], "")
        event(f"answered with {told.status}")
