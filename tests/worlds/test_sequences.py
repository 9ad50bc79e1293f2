"""What happens between two requests: a Consent, a label, a deletion, more of what is hidden and of what is shown. Both worlds go on alike.

What happens to what is hidden happens in the one world alone, which has it. Pages come from a place that is far enough for upstream's
own page links to be used (W1 holds runs of hidden rows around it), and from one that is near enough to read from the beginning.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

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
    canaries,
    hidden,
    labelled,
    loaded,
    more,
    next_of,
    observation,
    samples,
    thing,
    told_by,
    without_hidden,
)

WHO = "care-team-physician"
SHOWN_ROWS = 130
REFUSED: Json = {
    **consent("camille-denies-all", "deny"),
    "patient": {"reference": "Patient/camille"},
}


class Deed(NamedTuple):
    """Something that is done to one resource: it is written (or deleted, where there is none), in W1 alone where it is `hidden`."""

    reference: str
    written: Json | None
    hidden: bool = False


def shown(name: str) -> Deed:
    return Deed(f"Observation/{name}", observation(name, "camille", 1))


def unseen(name: str) -> Deed:
    return Deed(f"Observation/{name}", hidden(name, "camille", 1), hidden=True)


def relabelled(name: str) -> Deed:
    made = {**observation(name, "camille", 1), "meta": labelled("V")}
    return Deed(f"Observation/{name}", made)


def gone(name: str, *, was_hidden: bool = False) -> Deed:
    return Deed(f"Observation/{name}", None, was_hidden)


def rows(count: int) -> list[Thing]:
    """Visible rows in order, with hidden ones before, between and behind them: ids sort as they stand here."""
    made = [hidden(f"aa-{n:03}", "camille", n) for n in range(70)]
    for n in range(count):
        made.append(observation(f"row-{n:03}", "camille", n))
        made += [hidden(f"row-{n:03}-{m}", "camille", n) for m in range(2 * (n % 2))]
    made += [hidden(f"zz-{n:03}", "camille", n) for n in range(30)]
    return [thing(one) for one in made]


def number_of(given: Sequence[str]) -> int:
    """The number of the visible row that was given last; 0 before the first."""
    found = [int(name[4:7]) for name in given if re.fullmatch("row-[0-9]{3}", name)]
    return found[-1] if found else 0


def names(given: Sequence[str], *offsets: int) -> list[str]:
    """The rows that stand so far behind the one given last."""
    at = number_of(given)
    return [f"row-{at + one:03}" for one in offsets if at + one >= 0]


Change = Callable[[Sequence[str], int], list[Deed]]
"""What happens after a page, by the ids it showed and its number."""
CHANGES: dict[str, Change] = {
    "a consent denies": lambda *_: [Deed("Consent/camille-denies-all", REFUSED)],
    "a label hides what was to follow": lambda given, _: [relabelled(one) for one in names(given, 1, 2, 3)],
    "a label hides what was given last": lambda given, _: [relabelled(one) for one in names(given, 0)],
    "a label hides what was given": lambda given, _: [relabelled(one) for one in given if one.startswith("row-")],
    "more that is hidden comes before": lambda _, page: [unseen(f"ab-{page}-{n}") for n in range(40)],
    "much more that is hidden comes before": lambda _, page: [unseen(f"ab-{page}-{n}") for n in range(330)],
    "more that is hidden comes behind": lambda _, page: [unseen(f"zy-{page}-{n}") for n in range(40)],
    "more that is hidden comes in between": lambda given, page: [unseen(f"{one}-{page}-{n}") for one in names(given, -1, 0, 1) for n in range(9)],
    "hidden ones before are deleted": lambda _, page: [gone(f"aa-{n:03}", was_hidden=True) for n in range(30 * page, 30 * page + 30)],
    "hidden ones in between are deleted": lambda given, _: [gone(f"{one}-{n}", was_hidden=True) for one in names(given, -2, -1, 0, 1, 2) for n in range(2)],
    "more that is shown comes before": lambda _, page: [shown(f"ab-{page}-{n}") for n in range(5)],
    "more that is shown comes in between": lambda given, page: [shown(f"{one}-{page}x") for one in names(given, -1, 0, 1)],
    "more that is shown comes behind": lambda _, page: [shown(f"zy-{page}-{n}") for n in range(5)],
    "the one given last is deleted": lambda given, _: [gone(one) for one in names(given, 0)],
    "the one that comes next is deleted": lambda given, _: [gone(one) for one in names(given, 1)],
    "both are deleted, and hidden ones come": lambda given, page: [*(gone(one) for one in names(given, 0, 1)), *(unseen(f"ab-{page}-{n}") for n in range(60))],
    "all that was given is deleted": lambda given, _: [gone(one) for one in given if one.startswith("row-")],
}  # fmt: skip
SEARCHES = (
    "Observation?_sort=_id&_count=40",
    "Observation?patient=camille&_count=15",
    "Observation?patient=camille&_sort=-_id&_count=35&_total=accurate",
    "Patient/camille/Observation?_count=40",
    "Patient/camille/$everything?_count=60",
    "Observation?patient.name=camille&_include=Observation:subject&_count=45",
)
CASES = sorted(
    {(change, SEARCHES[0]) for change in CHANGES}
    | {(change, SEARCHES[number % len(SEARCHES)]) for number, change in enumerate(CHANGES)}
)
AFTER = (1, 3)
"""The pages after which it happens."""


@dataclass(frozen=True, slots=True)
class Held:
    """One world while it is asked; `whole`: whether it is W1."""

    stage: Stage
    upstream: Upstream
    whole: bool


def ids_of(heard: tuple[int, object, bytes]) -> list[str]:
    entries = orjson.loads(heard[2]).get("entry", ())
    return [one["resource"]["id"] for one in entries if one["search"]["mode"] == "match"]


def done(held: Held, deed: Deed) -> None:
    store, (kind, _, ident) = held.upstream.world.store, deed.reference.partition("/")
    if deed.hidden and not held.whole:
        return
    if deed.written is not None:
        store.update(draft_of(orjson.dumps(deed.written), store.definitions), ident)
    elif store.everything(kind).get(ident) is not None:
        store.delete(kind, ident)


async def walk(held: Held, search: str, change: Change, forgets: bool) -> Heard:
    """The first page and those that follow; something happens between some of them."""
    reply = await held.stage.ask(search, WHO)
    pages = [told_by(reply)]
    while (following := next_of(reply)) and len(pages) < 100:
        if len(pages) in AFTER:
            for deed in change(ids_of(pages[-1]), len(pages)):
                done(held, deed)
            if forgets:
                held.upstream.world.pages.forget()
        reply = await held.stage.ask(following, WHO)
        pages.append(told_by(reply))
    return pages


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


async def walked(
    folder: Path, things: list[Thing], search: str, change: Change, *, whole: bool, forgets: bool
) -> Heard:
    upstream = Upstream(loaded(things))
    async with serving(upstream.respond) as url, staged(_made(folder), url) as stage:
        return await walk(Held(stage, upstream, whole), search, change, forgets)


@pytest.fixture(scope="module")
def things() -> list[Thing]:
    return [*samples(), *more(), *rows(SHOWN_ROWS)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def left(tmp_path_factory: pytest.TempPathFactory, things: list[Thing]) -> list[Thing]:
    """The content of the world without what is hidden before anything changes."""
    async with world_of(tmp_path_factory.mktemp("left") / "whole", things) as world:
        return await without_hidden(things, world.stage, WHO)


async def require_alike(
    folder: Path, things: list[Thing], left: list[Thing], search: str, name: str, *, forgets: bool
) -> Heard:
    change = CHANGES[name]
    one = await walked(folder / "whole", things, search, change, whole=True, forgets=forgets)
    other = await walked(folder / "without", left, search, change, whole=False, forgets=forgets)
    assert one == other
    assert not any(re.match(f"{CANARY}(aa|ab|zy|zz|row)-", told) for told in canaries(one))
    assert len(one) > 1
    assert {status for status, _, _ in one} == {200}
    return one


@pytest.mark.parametrize(("change", "search"), CASES)
async def test_what_happens_between_two_pages_acts_in_both_worlds_alike(
    tmp_path: Path, things: list[Thing], left: list[Thing], change: str, search: str
) -> None:
    pages = await require_alike(tmp_path, things, left, search, change, forgets=False)
    given = [one for page in pages for one in ids_of(page)]
    assert len(given) == len(set(given))


@pytest.mark.parametrize("change", ["more that is hidden comes before", "both are deleted, and hidden ones come"])  # fmt: skip
async def test_so_it_does_where_upstream_has_forgotten_its_page_links(
    tmp_path: Path, things: list[Thing], left: list[Thing], change: str
) -> None:
    pages = await require_alike(tmp_path, things, left, SEARCHES[0], change, forgets=True)
    given = [one for page in pages for one in ids_of(page)]
    assert len(given) == len(set(given))
