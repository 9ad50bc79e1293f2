"""Hidden equals absent, wherever the hidden rows stand and however large the pages are."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from tests.stage import Json, Stage, Upstream, serving, staged
from tests.worlds.twins import (
    Shape,
    Thing,
    canaries,
    heard,
    hidden,
    loaded,
    observation,
    samples,
    thing,
)  # fmt: skip

pytestmark = pytest.mark.asyncio(loop_scope="module")
SAMPLES = [one for one in samples() if not one.reference.startswith("Observation/")]


@dataclass(frozen=True, slots=True)
class Scene:
    stage: Stage
    upstream: Upstream


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    upstream = Upstream(loaded(SAMPLES))
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path_factory.mktemp("gateway"), url, facts_ttl_s=3600) as stage,
    ):
        yield Scene(stage, upstream)


def _masked(name: str, number: int) -> Json:
    label = {"system": "https://mos.esante.gouv.fr/NOS/TRE_A07-StatutVisibiliteDocument/FHIR/TRE-A07-StatutVisibiliteDocument", "code": "MASQUE_PS"}  # fmt: skip
    return {**hidden(name, "camille", number), "meta": {"security": [label]}}


def _hidden(kind: str, name: str, number: int) -> Json:
    match kind:
        case "masked":
            return _masked(name, number)
        case "labelled":
            return hidden(name, "camille", number)
        case "unknown label":
            return {**hidden(name, "camille", number), "meta": {"security": [{"code": "VIP"}]}}
        case "about two":
            about_noe = {"focus": [{"reference": "Patient/noe"}], "meta": {}}
            return {**hidden(name, "camille", number), **about_noe}
        case _:
            return {**hidden(name, kind, number), "meta": {}}


KINDS = ("masked", "labelled", "unknown label", "about two", "noe", "leo", "nobody")


@st.composite
def rows(draw: st.DrawFn) -> list[tuple[bool, Thing]]:
    """Rows that are visible to Dr Martin, and between them such as are not."""
    kinds = draw(st.lists(st.sampled_from(("visible", "visible", *KINDS)), max_size=30))
    made = []
    for number, kind in enumerate(kinds):
        # Ids that stand before, between and after those of others, whatever is sorted by them.
        name = f"{draw(st.sampled_from(('', 'a', 'm', 'z')))}row-{number}"
        if kind == "visible":
            made.append((True, thing(observation(name, "camille", draw(st.integers(0, 20))))))
        else:
            made.append((False, thing(_hidden(kind, name, draw(st.integers(0, 20))))))
    return made


SEARCHES = (
    "Observation",
    "Observation?patient=camille",
    "Observation?patient=camille,noe",
    "Observation?status=final&_sort=-date",
    "Observation?_include=Observation:performer",
    "Observation?_sort=value-quantity&_include=Observation:subject",
    "Practitioner?_revinclude=Observation:performer",
    "Patient?_revinclude=Observation:patient",
    "Encounter?_revinclude=Observation:encounter",
    "Observation?_sort=_id",
    "Observation?_sort=-_id,date&_total=accurate",
    "Observation?patient.name=camille&_sort=-code,_id",
    "Patient?_has:Observation:patient:value-quantity=gt9",
    "Observation?_summary=count",
    "Patient/camille/$everything",
    "Patient/camille/$summary",
)


@given(rows=rows(), search=st.sampled_from(SEARCHES), count=st.sampled_from([0, 1, 2, 3, 7, 30]))
async def test_hidden_rows_leave_no_trace(
    scene: Scene, rows: list[tuple[bool, Thing]], search: str, count: int
) -> None:
    paged = count and not search.endswith("$summary")
    size = f"{'&' if '?' in search else '?'}_count={count}" if paged else ""
    shape = Shape(search + size)
    scene.upstream.world = loaded([*SAMPLES, *(one for _, one in rows)])
    with_hidden = await heard(scene.stage, "care-team-physician", shape)
    scene.upstream.world = loaded([*SAMPLES, *(one for visible, one in rows if visible)])
    without_hidden = await heard(scene.stage, "care-team-physician", shape)
    assert with_hidden == without_hidden
    assert not any("row-" in found for found in canaries(with_hidden))


@given(rows=rows(), count=st.sampled_from([1, 2, 3, 7]))
async def test_the_pages_hold_every_visible_row_once(
    scene: Scene, rows: list[tuple[bool, Thing]], count: int
) -> None:
    scene.upstream.world = loaded([*SAMPLES, *(one for _, one in rows)])
    expected = sorted(one.reference for visible, one in rows if visible)
    found: list[str] = []
    sizes: list[int] = []
    target: str | None = f"Observation?_count={count}"
    while target is not None:
        reply = await scene.stage.ask(target, "care-team-physician")
        sizes.append(len(reply.ids))
        found += reply.ids
        target = reply.next
    assert found == expected
    assert all(size == count for size in sizes[:-1])
    assert 0 < sizes[-1] <= count or not expected


async def test_a_run_of_hidden_rows_does_not_make_a_search_too_costly(scene: Scene) -> None:
    run = [thing(hidden(f"row-{number}", "camille", number)) for number in range(500)]
    seen = [thing(observation(f"seen-{number}", "camille", number)) for number in range(2)]
    scene.upstream.world = loaded([*SAMPLES, seen[0], *run, seen[1]])
    shape = Shape("Observation?patient=camille&_count=1")
    pages = await heard(scene.stage, "care-team-physician", shape)
    scene.upstream.world = loaded([*SAMPLES, *seen])
    assert pages == await heard(scene.stage, "care-team-physician", shape)
    assert len(pages) == 2
