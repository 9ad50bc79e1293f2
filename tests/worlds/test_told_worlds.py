"""Hidden equals absent where the policy tells of refusals too: a shut record and no patient answer alike."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from proxy.sandbox.interactions import Interactions
from tests.enforcement.test_openness import telling
from tests.stage import Stage, Upstream, serving, staged
from tests.worlds.shapes import SHAPES
from tests.worlds.twins import Shape, canaries, heard, loaded, more, samples, without_hidden

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALLERS: dict[str, Any] = {
    "care-team-physician": "care-team-physician",
    "patient": "patient",
    "one-patient-only": {
        "like": "care-team-physician",
        "scope": "patient/*.rs",
        "patient": "camille",
    },
}
NAMING = [
    Shape(target.format(patient))
    for patient in ("noe", "leo", "susan", "camille", "no-such", "camille,noe", "ines,no-such")
    for target in (
        "Patient/{}", "Patient/{}/_history", "Patient?_id={}", "Observation?patient={}", "Encounter?subject=Patient/{}",
        "Patient?_id={}&_revinclude=Observation:patient", "Observation?patient={}&_count=2",
    )
    if not (target.startswith("Patient/") and "," in patient)
    and not ("=Patient/" in target and "," in patient)
]  # fmt: skip
TOLD = [*NAMING, *SHAPES[::5]]


@dataclass(frozen=True, slots=True)
class Twins:
    stage: Stage
    upstream: Upstream
    whole: Interactions
    without: dict[str, Interactions]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def twins(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Twins]:
    things = [*samples(), *more()]
    whole = loaded(things)
    upstream = Upstream(whole)
    folder = tmp_path_factory.mktemp("gateway")
    async with (
        serving(upstream.respond) as url,
        staged(folder, url, policies=telling(folder / "policies")) as stage,
    ):
        kept = {name: await without_hidden(things, stage, who) for name, who in CALLERS.items()}
        without = {name: loaded(left) for name, left in kept.items()}
        yield Twins(stage, upstream, whole, without)


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("shape", TOLD, ids=lambda shape: " ".join(filter(None, shape[:3])))
async def test_a_shut_record_might_as_well_not_exist(
    twins: Twins, caller: str, shape: Shape
) -> None:
    twins.upstream.world = twins.whole
    with_hidden = await heard(twins.stage, CALLERS[caller], shape)
    twins.upstream.world = twins.without[caller]
    assert await heard(twins.stage, CALLERS[caller], shape) == with_hidden
    assert not {one for one in canaries(with_hidden) if one.startswith("CANARY-noe")}


async def test_refusals_are_told_here(twins: Twins) -> None:
    twins.upstream.world = twins.whole
    statuses = [
        (await twins.stage.ask(f"Observation?patient={patient}", "care-team-physician")).status
        for patient in ("noe", "no-such", "camille")
    ]
    assert statuses == [403, 403, 200]
