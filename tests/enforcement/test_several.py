"""Searches, beside the golden conversations and the two worlds: pages, totals, order."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio

from proxy.enforcement.several import LEAST_ASKED
from tests.stage import Reply, Stage, Upstream, names, serving, staged, world_of

pytestmark = pytest.mark.asyncio(loop_scope="module")
PHYSICIAN = "care-team-physician"


@dataclass(frozen=True, slots=True)
class Scene:
    stage: Stage
    upstream: Upstream


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scene]:
    upstream = Upstream(world_of())
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path_factory.mktemp("gateway"), url) as stage,
    ):
        yield Scene(stage, upstream)


async def pages(stage: Stage, target: str, who: str = PHYSICIAN) -> list[Reply]:
    found = [await stage.ask(target, who)]
    while (following := found[-1].next) is not None:
        found.append(await stage.ask(following, who))
    return found


@pytest.mark.parametrize("count", [1, 3, 7, 50])
async def test_only_a_whole_result_tells_its_total(scene: Scene, count: int) -> None:
    found = await pages(scene.stage, f"Condition?patient=susan,marcel&_count={count}")
    total = sum(len(page.ids) for page in found)
    told = [page.json.get("total") for page in found]
    assert told == ([total] if len(found) == 1 else [None] * len(found))


def asked_of(upstream: Upstream) -> list[str]:
    """The `_count` of each search for Observations."""
    searches = [call.target for call in upstream.calls if "/Observation" in call.target]
    return [target.rpartition("_count=")[2] for target in searches]


async def test_upstream_is_asked_for_more_than_a_small_page_holds(scene: Scene) -> None:
    scene.upstream.calls.clear()
    await scene.stage.ask("Observation?patient=camille&_count=1", PHYSICIAN)
    await scene.stage.ask("Observation?patient=camille&_count=150", PHYSICIAN)
    assert asked_of(scene.upstream) == [str(LEAST_ASKED), "150"]


async def test_no_page_is_larger_than_the_limit(scene: Scene) -> None:
    scene.upstream.calls.clear()
    assert (await scene.stage.ask("Observation?_count=99999", PHYSICIAN)).status == 200
    assert asked_of(scene.upstream) == ["1000"]


async def test_includes_stand_in_an_order_of_their_own(scene: Scene) -> None:
    target = "Observation?patient=camille&_include=Observation:performer&_count=100"
    reply = await scene.stage.ask(target, PHYSICIAN)
    modes = [entry["search"]["mode"] for entry in reply.json["entry"]]
    included = reply.ids[modes.index("include") :]
    assert included == sorted(included)
    assert len(included) > 1
    assert modes == sorted(modes, reverse=True)


async def test_a_search_by_post_pages_by_get(scene: Scene) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    body = b"patient=camille&_count=3"
    posted = await scene.stage.ask("Observation/_search", PHYSICIAN, "POST", form, body)
    assert posted.next
    following = await scene.stage.ask(posted.next, PHYSICIAN)
    gotten = await pages(scene.stage, "Observation?patient=camille&_count=3")
    assert (posted.ids, following.ids) == (gotten[0].ids, gotten[1].ids)


COUNTED = ["Observation?patient=susan", "Condition?patient=susan,marcel", "Observation", "Patient", "DocumentReference?status=current",
    "Observation?patient.gender=female", "Patient?_has:Observation:patient:status=final"]  # fmt: skip


@pytest.mark.parametrize("who", [PHYSICIAN, "care-team-nurse", "psychiatrist", "patient"])
@pytest.mark.parametrize("target", COUNTED)
async def test_a_count_is_the_number_of_entries_over_all_pages(
    scene: Scene, target: str, who: str
) -> None:
    joint = "&" if "?" in target else "?"
    number = len([one for page in await pages(scene.stage, f"{target}{joint}_count=4", who) for one in page.ids])  # fmt: skip
    for asked in ("_summary=count", "_count=0", "_total=accurate"):
        counted = await scene.stage.ask(f"{target}{joint}{asked}", who)
        assert counted.json["total"] == number
    assert number or who == "patient"


async def test_a_total_that_was_counted_stands_on_every_page(scene: Scene) -> None:
    found = await pages(scene.stage, "Observation?patient=susan&_count=1&_total=accurate")
    assert [page.json["total"] for page in found] == [3, 3, 3]
    assert found[0].json["link"][0]["url"].endswith("_total=accurate")


async def test_a_count_says_so_in_the_journal(scene: Scene) -> None:
    scene.stage.entries()
    await scene.stage.ask("Observation?patient=susan&_summary=count", PHYSICIAN)
    [entry] = scene.stage.entries()
    assert sorted(names([entry], "consulted")) == [
        "Observation/susan-bp-1", "Observation/susan-bp-2", "Observation/susan-hemoglobin",
    ]  # fmt: skip
    assert len(names([entry], "withheld")) == 3


async def test_what_is_included_stays_whole_beside_elements(scene: Scene) -> None:
    target = "Observation?_id=susan-hemoglobin&_include=Observation:subject&_elements=code"
    match, included = [entry["resource"] for entry in (await scene.stage.ask(target, PHYSICIAN)).json["entry"]]  # fmt: skip
    assert set(match) == {"resourceType", "id", "meta", "status", "code"}
    assert (included["resourceType"], "birthDate" in included) == ("Patient", True)
