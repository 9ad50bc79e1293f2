"""Hidden equals absent in documents and summaries: whole or absent the ones, silent of what is not shown the others."""

import logging
import uuid
from collections.abc import AsyncIterator
from itertools import count
from types import SimpleNamespace

import pytest
import pytest_asyncio

from proxy.enforcement import document, matching, summary, supporting
from proxy.enforcement.hearing import Hearing
from tests.stage import Reply
from tests.worlds.callers import ALWAYS
from tests.worlds.document_shapes import DOCUMENT_SHAPES, NAMES, compositions
from tests.worlds.pair import Worlds, require_same, require_silent, worlds_of
from tests.worlds.twins import Shape, more, name_of, samples

pytestmark = pytest.mark.asyncio(loop_scope="module")
PHYSICIAN = "care-team-physician"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worlds(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Worlds]:
    folder = tmp_path_factory.mktemp("worlds")
    async with worlds_of(folder, [*samples(), *more(), *compositions()]) as worlds:
        yield worlds


@pytest.mark.parametrize("shape", DOCUMENT_SHAPES, ids=name_of)
@pytest.mark.parametrize("caller", ALWAYS)
async def test_what_is_hidden_might_as_well_not_exist(
    worlds: Worlds, caller: str, shape: Shape, caplog: pytest.LogCaptureFixture
) -> None:
    who = ALWAYS[caller]
    without = await worlds.of(caller, who)
    caplog.set_level(logging.DEBUG)
    told = await worlds.whole.told(who, shape)
    require_same(told, await without.told(who, shape), shape)
    require_silent(told, worlds.hidden[caller], caplog.text)


async def test_some_documents_are_whole_and_most_are_absent(worlds: Worlds) -> None:
    asked = {
        name: await worlds.whole.stage.ask(f"Composition/c-{name}/$document", PHYSICIAN)
        for name in NAMES
    }
    assert {name for name, reply in asked.items() if reply.status == 200} == {"open", "bare", "round", "cut"}  # fmt: skip
    assert {reply.status for reply in asked.values()} == {200, 404}


SAME_DICE = [
    f"Composition/c-{name}/$document" for name in ("open", "hidden", "bare")
] + ["Patient/camille/$summary", "Patient/susan/$summary", "Patient/noe/$summary"]  # fmt: skip


@pytest.mark.parametrize("target", SAME_DICE)
async def test_with_the_same_dice_both_worlds_give_the_same_bytes(
    worlds: Worlds, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = ALWAYS[PHYSICIAN]
    without = await worlds.of(PHYSICIAN, who)
    first = (1 + SAME_DICE.index(target)) << 64
    replies: list[Reply] = []
    for world in (worlds.whole, without):
        throws = count(first)
        dice = SimpleNamespace(uuid4=lambda throws=throws: uuid.UUID(int=next(throws)))
        monkeypatch.setattr("proxy.app.house.uuid", dice)
        replies.append(await world.stage.ask(target, who))
    one, other = replies
    assert (one.status, one.body) == (other.status, other.body)


# ---- without its guards the worlds differ ------------------------------------------------------------------------------


async def differ(worlds: Worlds, target: str) -> bool:
    who = ALWAYS[PHYSICIAN]
    without = await worlds.of(PHYSICIAN, who)
    shape = Shape(target)
    one, other = await worlds.whole.told(who, shape), await without.told(who, shape)
    return one.pages != other.pages


async def test_a_document_of_all_that_is_found_would_tell(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not await differ(worlds, "Composition/c-hidden/$document")

    async def of_all(hearing: Hearing, rtype: str, ids: list[str]) -> object:
        raw = [await hearing.ask(f"{rtype}/{one}") for one in ids]
        found = await supporting.by_ids(hearing, rtype, ids)
        return found if len(raw) == len(ids) else []

    monkeypatch.setattr(document, "by_ids", of_all)
    monkeypatch.setattr(document, "_is_held", lambda *_: True)
    assert not await differ(worlds, "Composition/c-hidden/$document")
    monkeypatch.setattr(document, "_is_whole", lambda *_: True)
    assert await differ(worlds, "Composition/c-hidden/$document")


async def test_a_summary_that_says_that_something_is_left_out_would_tell(
    worlds: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not await differ(worlds, "Patient/camille/$summary")

    def telling(hearing: Hearing) -> object:
        sort = matching.matching(hearing)

        async def sorted_(frame: object, body: bytes) -> object:
            matches, others = await sort(frame, body)  # type: ignore[arg-type]
            if any(not one.visible and one.key.startswith("Observation/") for one in matches):
                hearing.record.warned.add("something was left out")
            return matches, others

        return sorted_

    monkeypatch.setattr(summary, "matching", telling)
    assert await differ(worlds, "Patient/camille/$summary")
