"""What happens between two requests: a Consent, a label, a deletion. Both worlds go on alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
import pytest_asyncio

from proxy.sandbox.body import draft_of
from tests.attacks.records import consent
from tests.stage import CANARY, Json, Stage, Upstream, serving, staged
from tests.worlds.pair import world_of
from tests.worlds.twins import (
    Heard,
    Thing,
    hidden,
    labelled,
    loaded,
    more,
    next_of,
    observation,
    samples,
    told_by,
    without_hidden,
)

WHO = "care-team-physician"
REFUSED: Json = {
    **consent("camille-denies-all", "deny"),
    "patient": {"reference": "Patient/camille"},
}
CHANGES: dict[str, list[Json]] = {
    "a consent denies": [REFUSED],
    "a label hides what was to follow": [
        {**observation(f"seen-{n}", "camille", n), "meta": labelled("V")} for n in range(6, 12)
    ],
    "more that is hidden comes": [hidden(f"late-{n}", "camille", n) for n in range(40)],
    "more that is shown comes": [observation("late", "camille", 1)],
}
INSERTED, APPENDED = "Observation?_sort=_id&_count=40", "Observation?patient=camille&_count=15"
CASES = [
    (change, search)
    for change in CHANGES
    for search in (INSERTED, APPENDED)
    # A page link counts rows as upstream has them: what comes before its place moves it (docs/threat-model.md, Between pages).
    if (change, search) != ("more that is hidden comes", INSERTED)
]


@dataclass(frozen=True, slots=True)
class Held:
    """One world while it is asked."""

    stage: Stage
    upstream: Upstream


async def walk(held: Held, search: str, change: Sequence[Json]) -> Heard:
    """The first page; then the change; then the pages that follow."""
    reply = await held.stage.ask(search, WHO)
    pages = [told_by(reply)]
    store = held.upstream.world.store
    for one in change:
        raw = orjson.dumps(one)
        store.update(draft_of(raw, store.definitions), one["id"])
    while (following := next_of(reply)) and len(pages) < 100:
        reply = await held.stage.ask(following, WHO)
        pages.append(told_by(reply))
    return pages


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


async def walked(folder: Path, things: list[Thing], search: str, change: list[Json]) -> Heard:
    upstream = Upstream(loaded(things))
    async with serving(upstream.respond) as url, staged(_made(folder), url) as stage:
        return await walk(Held(stage, upstream), search, change)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def left(tmp_path_factory: pytest.TempPathFactory) -> list[Thing]:
    """The content of the world without what is hidden before anything changes."""
    things = [*samples(), *more()]
    async with world_of(tmp_path_factory.mktemp("left") / "whole", things) as world:
        return await without_hidden(things, world.stage, WHO)


@pytest.mark.parametrize(("change", "search"), CASES)
async def test_a_consent_between_two_pages_acts_in_both_worlds_alike(
    tmp_path: Path, left: list[Thing], change: str, search: str
) -> None:
    shown = [one for one in CHANGES[change] if not one["id"].startswith("late-")]
    whole = await walked(tmp_path / "whole", [*samples(), *more()], search, CHANGES[change])
    assert whole == await walked(tmp_path / "without", left, search, shown)
    assert not any(f"{CANARY}late" in str(page) for page in whole)
    assert len(whole) > 1
