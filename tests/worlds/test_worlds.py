"""Hidden equals absent: the same request of the same caller to two worlds gives the same answers."""

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from proxy.sandbox.interactions import Interactions
from tests.stage import CANARY, Stage, Upstream, serving, staged
from tests.worlds.shapes import SHAPES
from tests.worlds.twins import Shape, canaries, heard, loaded, more, samples, without_hidden

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALLERS: dict[str, Any] = {
    "care-team-physician": "care-team-physician",
    "care-team-nurse": "care-team-nurse",
    "outside-clinician": "outside-clinician",
    "psychiatrist": "psychiatrist",
    "patient": "patient",
    "one-patient-only": {
        "like": "care-team-physician",
        "scope": "patient/*.rs",
        "patient": "camille",
    },
}


@dataclass(frozen=True, slots=True)
class Twins:
    """A stage whose upstream can hold either world of each caller."""

    stage: Stage
    upstream: Upstream
    whole: Interactions
    without: dict[str, Interactions]
    hidden: dict[str, frozenset[str]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def twins(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Twins]:
    things = [*samples(), *more()]
    whole = loaded(things)
    upstream = Upstream(whole)
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path_factory.mktemp("gateway"), url, facts_ttl_s=3600) as stage,
    ):
        kept = {name: await without_hidden(things, stage, who) for name, who in CALLERS.items()}
        gone = {
            name: frozenset(one.reference for one in things) - {one.reference for one in left}
            for name, left in kept.items()
        }
        without = {name: loaded(left) for name, left in kept.items()}
        yield Twins(stage, upstream, whole, without, gone)


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: " ".join(filter(None, shape[:3])))
async def test_what_is_hidden_might_as_well_not_exist(
    twins: Twins, caller: str, shape: Shape, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    who = CALLERS[caller]
    twins.upstream.world = twins.whole
    with_hidden = await heard(twins.stage, who, shape)
    twins.upstream.world = twins.without[caller]
    without_hidden_ = await heard(twins.stage, who, shape)
    assert with_hidden == without_hidden_
    assert canaries(with_hidden).isdisjoint(_texts(twins.hidden[caller]))
    assert CANARY not in caplog.text


def _texts(hidden: frozenset[str]) -> set[str]:
    """What hidden resources say: each names itself."""
    return {CANARY + one.partition("/")[2] for one in hidden}


async def test_something_is_hidden_from_everyone_here(twins: Twins) -> None:
    assert all(len(hidden) >= 40 for hidden in twins.hidden.values())
    assert all("Observation/noe-0" in hidden for hidden in twins.hidden.values())


async def test_no_metric_names_what_is_hidden(twins: Twins) -> None:
    told = await twins.stage.metrics()
    assert CANARY not in told
    assert not any(one.partition("/")[2] in told for one in twins.hidden["care-team-physician"])
