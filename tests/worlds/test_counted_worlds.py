"""What is counted is what a walk over all pages shows: `_summary=count`, `_count=0` and `_total=accurate` of every search (T-8, T-9)."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.stage import CANARY, Json, Stage
from tests.worlds.callers import ALWAYS
from tests.worlds.composed_shapes import COMPOSED_SHAPES, stored
from tests.worlds.pair import world_of
from tests.worlds.shapes import SHAPES
from tests.worlds.twins import Thing, more, observation, samples, thing

pytestmark = pytest.mark.asyncio(loop_scope="module")

_SEARCH = re.compile(r"(?:Patient/[a-z-]+/)?[A-Z][A-Za-z]+(?:\?.*)?")
_RESULT = re.compile(r"&?\b_(?:count|total|summary|elements|sort|include|revinclude|page)=[^&]*")


def _bare(target: str) -> str:
    """The search without what says how its result is given."""
    path, _, query = target.partition("?")
    left = _RESULT.sub("", query).strip("&")
    return f"{path}?{left}" if left else path


BASES = sorted(
    {
        _bare(one.target)
        for one in (*SHAPES, *COMPOSED_SHAPES)
        if one.method == "GET" and _SEARCH.fullmatch(one.target)
    }
)
NAMES = list(ALWAYS)
CASES = [(NAMES[at % len(NAMES)], base) for at, base in enumerate(BASES)] + [
    (name, base)
    for name in NAMES
    for base in ("Bundle", "Bundle?type=collection", "Observation", "Patient", "Patient/camille/Observation", "Observation?encounter:missing=true")
]  # fmt: skip


def _bundle(name: str, *resources: Json) -> Thing:
    entries = [{"resource": one} for one in resources]
    bundle = {"resourceType": "Bundle", "id": name, "type": "collection", "entry": entries}
    return thing(bundle)


def _deep(levels: int) -> Json:
    """An extension in an extension in an extension."""
    nested: Json = {"url": "http://example.org/deep", "valueString": CANARY + "deep"}
    for _ in range(levels):
        nested = {"url": "http://example.org/deep", "extension": [nested]}
    return nested


def straying() -> list[Thing]:
    """What holds or names what most may not see, in places from which it cannot be cut: it is permitted, and then withheld."""
    secret = {"reference": "Observation/run-a0"}
    led = observation("c-in", "camille", 1, hasMember=[secret])
    return [
        *(_bundle(f"c-led-{n}", {**led, "id": f"c-in-{n}"}) for n in range(3)),
        _bundle("c-open", observation("c-in-open", "camille", 1)),
        thing(observation("c-deep", "camille", 1, hasMember=[secret], extension=[_deep(40)])),
        thing(observation("c-led", "camille", 1, hasMember=[secret])),
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    things = [*samples(), *more(), *stored(), *straying()]
    async with world_of(tmp_path_factory.mktemp("world") / "whole", things) as world:
        yield world.stage


async def walked(
    stage: Stage, who: Any, base: str, count: int
) -> tuple[list[str], set[int | None]]:
    """The matches of all pages, in order, and the totals that the pages say."""
    found: list[str] = []
    totals: set[int | None] = set()
    reply = await stage.ask(_with(base, f"_total=accurate&_count={count}"), who)
    while True:
        assert reply.status == 200, reply.body
        page = list(reply.ids)
        assert len(page) == count or reply.next is None, "a page with a gap"
        found += page
        totals.add(reply.json.get("total"))
        if reply.next is None:
            return found, totals
        reply = await stage.ask(reply.next, who)


def _with(base: str, asked: str) -> str:
    return f"{base}{'&' if '?' in base else '?'}{asked}"


@pytest.mark.parametrize(("caller", "base"), CASES)
async def test_a_count_is_the_number_of_matches_on_all_pages(
    stage: Stage, caller: str, base: str
) -> None:
    who = ALWAYS[caller]
    counted = await stage.ask(_with(base, "_summary=count"), who)
    zero = await stage.ask(_with(base, "_count=0"), who)
    assert counted.status == zero.status
    if counted.status != 200:
        plain = await stage.ask(base, who)
        assert plain.status == counted.status
        return
    count = 7 if "Observation" in base else 2
    found, totals = await walked(stage, who, base, count)
    assert len(found) == len(set(found))
    assert counted.json["total"] == zero.json["total"] == len(found)
    assert totals == {len(found)}


async def test_some_of_what_is_counted_would_be_withheld(stage: Stage) -> None:
    reply = await stage.ask("Bundle?_count=100", ALWAYS["care-team-physician"])
    assert "Bundle/c-open" in reply.ids
    assert "Bundle/c-led-0" not in reply.ids
    assert CANARY not in reply.text
