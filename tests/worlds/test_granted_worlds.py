"""Hidden equals absent under a break-glass grant too, and a grant for one patient changes no answer about another."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from proxy.sandbox.interactions import Interactions
from tests.emergencies import close_glass, open_glass
from tests.stage import Stage, Upstream, serving, staged
from tests.worlds.shapes import SHAPES
from tests.worlds.twins import Shape, Thing, heard, loaded, more, samples, without_hidden

pytestmark = pytest.mark.asyncio(loop_scope="module")

WHO: Any = "outside-clinician"
GRANTED = ("Patient/noe", "Patient/marcel", "Patient/no-such")
"""One whose record opens, one who has opposed, one who does not exist."""


@dataclass(frozen=True, slots=True)
class Twins:
    """A stage whose caller holds grants; what he saw before he did, and the world without what he does not see now."""

    stage: Stage
    upstream: Upstream
    things: list[Thing]
    seen_before: frozenset[str]
    seen: frozenset[str]
    whole: Interactions
    without: Interactions


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def twins(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Twins]:
    things = [*samples(), *more()]
    whole = loaded(things)
    upstream = Upstream(whole)
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path_factory.mktemp("gateway"), url, facts_ttl_s=3600) as stage,
    ):
        before = await _seen(stage, things)
        for patient in GRANTED:
            assert (await open_glass(stage, WHO, patient)).status == 200
        left = await without_hidden(things, stage, WHO)
        seen = await _seen(stage, things)
        yield Twins(stage, upstream, things, before, seen, whole, loaded(left))


async def _seen(stage: Stage, things: list[Thing]) -> frozenset[str]:
    return frozenset(
        [one.reference for one in things if (await stage.ask(one.reference, WHO)).status == 200]
    )


SUMMED = [Shape(f"Patient/{who}/$summary") for who in ("camille", "noe", "susan")]


@pytest.mark.parametrize(
    "shape", [*SHAPES, *SUMMED], ids=lambda shape: " ".join(filter(None, shape[:3]))
)
async def test_what_a_grant_does_not_open_might_as_well_not_exist(
    twins: Twins, shape: Shape
) -> None:
    twins.upstream.world = twins.whole
    with_hidden = await heard(twins.stage, WHO, shape)
    twins.upstream.world = twins.without
    assert await heard(twins.stage, WHO, shape) == with_hidden
    twins.upstream.world = twins.whole


async def test_a_grant_changes_answers_about_its_patient_alone(twins: Twins) -> None:
    patients = {one.reference: one.patients for one in twins.things}
    assert twins.seen_before < twins.seen
    opened = twins.seen - twins.seen_before
    assert {patients[one] for one in opened} == {frozenset({"Patient/noe"})}
    assert "DocumentReference/noe-doc-masked" not in opened


async def test_after_the_end_everything_is_as_it_was(twins: Twins) -> None:
    twins.upstream.world = twins.whole
    for patient in GRANTED:
        await close_glass(twins.stage, WHO, patient)
    assert await _seen(twins.stage, twins.things) == twins.seen_before
