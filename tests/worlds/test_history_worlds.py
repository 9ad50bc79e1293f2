"""Hidden equals absent in histories: an instance that is hidden, or was hidden when it was deleted, might as well never have been."""

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from proxy.enforcement import histories, newest
from proxy.enforcement.hearing import Hearing
from proxy.enforcement.newest import Looking, Newest
from proxy.enforcement.single import leaves_whole
from proxy.obligations.disclose import Judged
from tests.worlds.callers import ALWAYS
from tests.worlds.history_shapes import HISTORY_SHAPES, NAMES, past
from tests.worlds.pair import Worlds, require_same, require_silent, world_of, worlds_of
from tests.worlds.twins import Shape, heard, more, name_of, samples

pytestmark = pytest.mark.asyncio(loop_scope="module")

FULL = {"care-team-physician", "patient"}
"""Those who make every request; the others every third, each another third."""
CASES = [
    (name, shape)
    for at, name in enumerate(ALWAYS)
    for shape in (HISTORY_SHAPES if name in FULL else HISTORY_SHAPES[at % 3 :: 3])
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worlds(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Worlds]:
    folder = tmp_path_factory.mktemp("worlds")
    async with worlds_of(folder, [*samples(), *more(), *past()]) as worlds:
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


async def test_there_are_enough_requests() -> None:
    assert len(set(HISTORY_SHAPES)) == len(HISTORY_SHAPES) >= 150


PHYSICIAN = "care-team-physician"


async def test_of_what_happened_a_physician_is_shown_what_is_shown_now(worlds: Worlds) -> None:
    await worlds.of(PHYSICIAN, ALWAYS[PHYSICIAN])
    hidden = {
        one.removeprefix("Observation/h-") for one in worlds.hidden[PHYSICIAN] if "/h-" in one
    }
    assert hidden == {"gone-hidden", "gone-of-noe", "back-hidden", "hidden-later", "moved-away"}
    assert set(NAMES) - hidden == {"gone", "back", "moved-here", "twice"}
    [(_, _, body)] = await heard(worlds.whole.stage, PHYSICIAN, Shape("_history?_count=1000"))
    assert body.count(b'"method":"DELETE"') == 4


# ---- the guards, taken away one at a time ------------------------------------------------------------------------------

Patch = pytest.MonkeyPatch


def _what_is_now_does_not_count(patch: Patch) -> None:
    async def found(self: Looking, references: Sequence[str]) -> Mapping[str, Newest]:
        return {one: Newest(Judged(b"", None, None)) for one in references}

    patch.setattr(Looking, "newest", found)
    patch.setattr(
        histories,
        "leaves_whole",
        lambda hearing, one: one.envelope is None or leaves_whole(hearing, one),
    )


def _every_deletion_shows(patch: Patch) -> None:
    patch.setattr(histories, "_is_seen", lambda *_: True)


def _the_last_version_is_not_judged(patch: Patch) -> None:
    async def last_of(hearing: Hearing, reference: str) -> Any:
        found = await look(hearing, reference)
        if found is None:
            return None
        shown = await hearing.ask("Observation/seen-0")
        own, other = reference.partition("/")[2].encode(), b"seen-0"
        return found._replace(raw=shown.replace(b'"id":"%b"' % other, b'"id":"%b"' % own))

    look = newest.last_of
    patch.setattr(newest, "last_of", last_of)


Removal = Callable[[Patch], None]
REMOVED: list[tuple[Removal, str]] = [
    (_what_is_now_does_not_count, "Observation/_history?_count=1000"),
    (_every_deletion_shows, "Observation/_history?_count=1000"),
    (_the_last_version_is_not_judged, "Observation/_history?_count=1000"),
    (_the_last_version_is_not_judged, "Observation/h-gone-hidden/_history"),
]


async def differs(folder: Path, worlds: Worlds, target: str) -> bool:
    """Whether the two worlds answer a physician differently, by gateways that know nothing yet."""
    await worlds.of(PHYSICIAN, ALWAYS[PHYSICIAN])
    left = [one for one in worlds.things if one.reference not in worlds.hidden[PHYSICIAN]]
    async with AsyncExitStack() as opened:
        enter = opened.enter_async_context
        whole = await enter(world_of(folder / "whole", worlds.things))
        without = await enter(world_of(folder / "without", left))
        told = [await heard(one.stage, PHYSICIAN, Shape(target), 3) for one in (whole, without)]
    return told[0] != told[1]


@pytest.mark.parametrize(("removal", "target"), REMOVED)
async def test_without_a_guard_the_worlds_differ(
    worlds: Worlds, tmp_path: Path, monkeypatch: Patch, removal: Removal, target: str
) -> None:
    removal(monkeypatch)
    assert await differs(tmp_path, worlds, target)


async def test_with_every_guard_they_do_not(worlds: Worlds, tmp_path: Path) -> None:
    for at, target in enumerate(sorted({target for _, target in REMOVED})):
        assert not await differs(tmp_path / str(at), worlds, target)
