"""Hidden equals absent in what holds others: lists, groups, teams, accounts, sections; and as if nobody had written it there."""

import logging
from collections.abc import AsyncIterator

import orjson
import pytest
import pytest_asyncio

from tests.worlds.callers import ALWAYS
from tests.worlds.held import HELD_SHAPES, HOLDERS, SEARCHES, held
from tests.worlds.pair import World, Worlds, require_same, require_silent, warm, world_of, worlds_of
from tests.worlds.twins import Heard, Shape, more, name_of, samples

pytestmark = pytest.mark.asyncio(loop_scope="module")

PHYSICIAN = "care-team-physician"
FULL = {PHYSICIAN, "care-team-nurse"}
CASES = [
    (name, shape)
    for at, name in enumerate(ALWAYS)
    for shape in (HELD_SHAPES if name in FULL else HELD_SHAPES[at % 3 :: 3])
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worlds(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Worlds]:
    folder = tmp_path_factory.mktemp("worlds")
    async with worlds_of(folder, [*samples(), *more(), *held()]) as worlds:
        yield worlds


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def unwritten(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A world in which nobody ever referred to what the physician may not see."""
    things = [*samples(), *more(), *held(hidden=False)]
    async with world_of(tmp_path_factory.mktemp("unwritten") / "world", things) as world:
        await warm(world, ALWAYS[PHYSICIAN], things)
        yield world


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


def _read(pages: Heard) -> list[tuple[int, object]]:
    return [(status, orjson.loads(body)) for status, _, body in pages]


@pytest.mark.parametrize("target", [*HOLDERS, *SEARCHES])
async def test_it_reads_as_if_it_had_never_been_written_there(
    worlds: Worlds, unwritten: World, target: str
) -> None:
    who = ALWAYS[PHYSICIAN]
    pruned = await worlds.whole.told(who, Shape(target))
    plain = await unwritten.told(who, Shape(target))
    assert plain.status == 200
    assert _read(pruned.pages) == _read(plain.pages)


@pytest.mark.parametrize(
    "target", ["Observation?_has:List:item:_id=h-some", "Device?_has:Group:member:_id=h-group"]
)
async def test_nothing_leads_through_what_is_pruned(worlds: Worlds, target: str) -> None:
    """Not even to upstream, which would be asked for it by its id."""
    told = await worlds.whole.told(ALWAYS[PHYSICIAN], Shape(target))
    searched = [one.target for one in worlds.whole.upstream.calls if "_count=100" in one.target]
    assert told.status == 200
    assert [one for one in searched if "/List?" in one or "/Group?" in one]
    assert not [one for one in searched if "h-secret" in one]


async def test_the_holders_are_seen_and_some_of_what_they_hold_is_not(worlds: Worlds) -> None:
    await worlds.of(PHYSICIAN, ALWAYS[PHYSICIAN])
    hidden = worlds.hidden[PHYSICIAN]
    assert not hidden & set(HOLDERS)
    assert {"Observation/h-secret", "Observation/h-of-noe", "Device/h-secret", "Condition/h-secret"} <= hidden  # fmt: skip
    assert "Observation/h-open" not in hidden
    found = await worlds.whole.told(
        ALWAYS[PHYSICIAN], Shape("List?item=Observation/h-open&_summary=count")
    )
    assert orjson.loads(found.pages[0][2])["total"] == 3


async def test_there_are_enough_requests() -> None:
    assert len(set(HELD_SHAPES)) == len(HELD_SHAPES) >= 70
