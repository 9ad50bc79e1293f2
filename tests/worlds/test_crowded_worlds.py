"""Hidden equals absent however much is hidden: thousands of matches in a row, more than any bound on what is visible."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from proxy.sandbox.interactions import Interactions
from tests.stage import Json, Stage, Upstream, serving, staged
from tests.worlds.twins import Shape, Thing, heard, hidden, loaded, observation, samples, thing

pytestmark = pytest.mark.asyncio(loop_scope="module")
WHO = "care-team-physician"
HIDDEN_ROWS, HIDDEN_PATIENTS = 5_500, 600
"""More than `paging.max_counted` and than `paging.max_consulted`."""


@dataclass(frozen=True, slots=True)
class Twins:
    stage: Stage
    upstream: Upstream
    crowded: Interactions
    empty: Interactions


def stranger(number: int) -> Json:
    """A patient with whom the caller has nothing to do, and of the name of one whom the caller treats."""
    name = {"family": "Sorel-Test", "given": ["Susan"]}
    return {"resourceType": "Patient", "id": f"stranger-{number}", "name": [name], "gender": "female"}  # fmt: skip


def crowd() -> list[Thing]:
    rows = [hidden(f"crowd-{n}", "camille", n) for n in range(HIDDEN_ROWS)]
    people = [stranger(n) for n in range(HIDDEN_PATIENTS)]
    theirs = [observation(f"theirs-{n}", f"stranger-{n}", n) for n in range(HIDDEN_PATIENTS)]
    return [thing(one) for one in (*people, *rows, *theirs)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def twins(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Twins]:
    first = [thing(observation(f"first-{n}", "camille", n)) for n in range(3)]
    last = [thing(observation(f"last-{n}", "susan", n)) for n in range(3)]
    crowded = loaded([*samples(), *first, *crowd(), *last])
    empty = loaded([*samples(), *first, *last])
    upstream = Upstream(crowded)
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path_factory.mktemp("gateway"), url, facts_ttl_s=3600) as stage,
    ):
        yield Twins(stage, upstream, crowded, empty)


SHAPES = [
    "Observation?_count=50", "Observation?patient=camille&_count=3", "Observation?_sort=-date&_count=50",
    "Observation?_summary=count", "Observation?patient=camille&_count=0", "Observation?status=final&_total=accurate&_count=2",
    "Observation?_total=estimate&_count=50", "Patient?name=susan&_summary=count", "Patient?_count=50",
    "Observation?patient.name=susan", "Observation?patient.name=susan&_total=accurate&_count=1", "Observation?patient.gender=female&_summary=count",
    "Observation?patient._id=camille&_count=20", "Patient?_has:Observation:patient:status=final", "Patient?_has:Observation:patient:_id=crowd-1,first-1",
    "Patient?_has:Observation:patient:patient.name=susan", "Practitioner?_has:Observation:performer:status=final&_summary=count",
    "Encounter?_has:Observation:encounter:status=final",
]  # fmt: skip


@pytest.mark.parametrize("target", SHAPES)
async def test_a_crowd_of_hidden_resources_changes_nothing(twins: Twins, target: str) -> None:
    twins.upstream.world = twins.crowded
    with_hidden = await heard(twins.stage, WHO, Shape(target))
    twins.upstream.world = twins.empty
    without_hidden = await heard(twins.stage, WHO, Shape(target))
    assert with_hidden == without_hidden
    assert {status for status, _, _ in with_hidden} == {200}
