"""Hidden equals absent in compartments: of patients, encounters, practitioners, related persons and devices."""

import logging
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.worlds.callers import ALWAYS
from tests.worlds.compartment_shapes import COMPARTMENT_SHAPES
from tests.worlds.held import held
from tests.worlds.pair import Told, Worlds, require_same, require_silent, worlds_of
from tests.worlds.twins import Shape, more, name_of, samples

pytestmark = pytest.mark.asyncio(loop_scope="module")

PHYSICIAN = "care-team-physician"
FULL = {PHYSICIAN, "care-team-nurse"}
CASES = [
    (name, shape)
    for at, name in enumerate(ALWAYS)
    for shape in (COMPARTMENT_SHAPES if name in FULL else COMPARTMENT_SHAPES[at % 3 :: 3])
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worlds(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Worlds]:
    folder = tmp_path_factory.mktemp("worlds")
    async with worlds_of(folder, [*samples(), *more(), *held()]) as worlds:
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


def _of(told: Told, name: str) -> list[tuple[int, bytes]]:
    return [(status, body.replace(name.encode(), b"x")) for status, _, body in told.pages]


def _asked(told: Told, name: str) -> list[str]:
    """What upstream was asked for; a decoy asks about nobody, whoever that is."""
    named = (target.partition("?")[0].replace(f"/{name}", "/x") for _, target in told.calls)
    return sorted(named)


ABSENT = [
    ("Encounter", "h-hidden-visit"),
    ("Encounter", "noe-emergency"),
    ("RelatedPerson", "h-secret"),
    ("Device", "h-secret"),
]


@pytest.mark.parametrize("rest", ["Observation", "*?_count=5", "*?_summary=count", "Condition", ""])
@pytest.mark.parametrize(("owner", "name"), ABSENT)
async def test_the_compartment_of_a_hidden_owner_is_that_of_an_absent_one(
    worlds: Worlds, owner: str, name: str, rest: str
) -> None:
    """Answers, and what is asked of upstream: of what is hidden no member is searched for."""
    who = ALWAYS[PHYSICIAN]
    rest = rest or owner
    hidden = await worlds.whole.told(who, Shape(f"{owner}/{name}/{rest}"))
    absent = await worlds.whole.told(who, Shape(f"{owner}/no-such/{rest}"))
    assert _of(hidden, name) == _of(absent, "no-such")
    assert _asked(hidden, name) == _asked(absent, "no-such")


async def test_there_are_enough_requests() -> None:
    assert len(set(COMPARTMENT_SHAPES)) == len(COMPARTMENT_SHAPES) >= 130
