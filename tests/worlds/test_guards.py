"""Each guard is needed: without it, the worlds answer differently. Guards are taken away one at a time, never the test's own eyes."""

import itertools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from proxy.decision.model import Decision
from proxy.enforcement import chained, flow, leaving, matching, several, single
from proxy.enforcement.hearing import Hearing
from proxy.fhir import negotiation
from proxy.fhir.coding import CONFIDENTIALITY, Coding, Effect
from proxy.obligations import pages
from proxy.obligations.cursor import Cursor
from proxy.obligations.disclose import Judged
from proxy.obligations.pages import Page, Position, Source
from proxy.obligations.places import Place
from tests.stage import Reply, Stage, Upstream, serving, staged
from tests.worlds.callers import ALWAYS
from tests.worlds.pair import World, world_of, world_without
from tests.worlds.twins import Shape, Thing, heard, loaded, more, samples

pytestmark = pytest.mark.asyncio(loop_scope="module")

PHYSICIAN, NURSE = "care-team-physician", "care-team-nurse"
Patch = pytest.MonkeyPatch


@dataclass(frozen=True, slots=True)
class Contents:
    """What W1 holds, and what W0 of each caller does."""

    whole: list[Thing]
    without: Mapping[str, list[Thing]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def contents(tmp_path_factory: pytest.TempPathFactory) -> Contents:
    things = [*samples(), *more()]
    async with world_of(tmp_path_factory.mktemp("contents") / "whole", things) as whole:
        without = {
            name: await world_without(name, ALWAYS[name], things, whole.stage)
            for name in (PHYSICIAN, NURSE)
        }
    return Contents(things, without)


# ---- what is taken away ----------------------------------------------------------------------------------------------


def _all_permitted(patch: Patch) -> None:
    judge = Hearing.judge

    async def judged(self: Hearing, resources: Sequence[Any], **rest: Any) -> list[Judged]:
        found = await judge(self, resources, **rest)
        return [
            one._replace(decision=replace(one.decision, effect=Effect.PERMIT))
            if one.decision
            else one
            for one in found
        ]

    patch.setattr(Hearing, "judge", judged)


def _what_was_narrowed_is_believed(patch: Patch) -> None:
    stands = matching._stands

    def believed(one: Judged, request: Any, mode: str) -> bool:
        return stands(one, request, mode) or bool(request.parameters)

    patch.setattr(matching, "_stands", believed)
    _all_permitted_where_searched(patch)


def _all_permitted_where_searched(patch: Patch) -> None:
    judge = Hearing.judge

    async def judged(self: Hearing, resources: Sequence[Any], **rest: Any) -> list[Judged]:
        found = await judge(self, resources, **rest)
        if not self.request.parameters:
            return found
        return [
            one._replace(decision=replace(one.decision, effect=Effect.PERMIT))
            if one.decision
            else one
            for one in found
        ]

    patch.setattr(Hearing, "judge", judged)


def _pages_end_where_upstreams_do(patch: Patch) -> None:
    """A page has a successor whenever upstream, rather than what is visible, goes on."""

    async def collect(start: Position, count: int, source: Source) -> Page:
        frame, body = await source.fetch(start.target)
        found, others = await source.sort(frame, body)
        begun = start.place.given
        room = found[begun : begun + count]
        left = len(found) > begun + count
        following = Position(start.target, Place(given=begun + count)) if left else None
        shown = tuple(one for one in room if one.visible)
        return Page(shown, tuple(one for one in others if one.visible), following)

    patch.setattr(leaving, "collect", collect)


def _every_include_stays(patch: Patch) -> None:
    patch.setattr(several, "related", lambda _, included, *rest: list(included))


def _upstreams_total(patch: Patch) -> None:
    async def total(hearing: Hearing, *_: Any) -> int | None:
        body = orjson.loads(await hearing.ask(f"{hearing.request.type}?_total=accurate"))
        return int(body["total"])

    patch.setattr(several, "_total", total)


def _marks_of_all_that_was_read(patch: Patch) -> None:
    """A Bundle is as confidential as what was withheld from it."""
    judge, marks = Hearing.judge, leaving.marks
    withheld: list[Judged] = []
    heard_now: list[object] = []

    async def judged(self: Hearing, resources: Sequence[Any], **rest: Any) -> list[Judged]:
        found = await judge(self, resources, **rest)
        if heard_now[-1:] != [self.record]:
            heard_now.append(self.record)
            withheld.clear()
        withheld.extend(one for one in found if not one.permitted)
        return found

    def marked(shown: Sequence[Decision]) -> frozenset[Coding]:
        return marks(shown) | ({Coding(CONFIDENTIALITY, "V")} if withheld else frozenset())

    patch.setattr(Hearing, "judge", judged)
    patch.setattr(leaving, "marks", marked)


def _tags_of_what_is_stored(patch: Patch) -> None:
    single_ = single._single

    def tagged(hearing: Hearing, judged: Judged) -> Any:
        patch.setattr(single, "view_tag", lambda *_: f'W/"{hash(bytes(judged.raw))}"')
        return single_(hearing, judged)

    patch.setattr(single, "_single", tagged)


def _links_as_long_as_they_come(patch: Patch) -> None:
    """A link holds whichever page of upstream the next match was found on, and shows how long its link is."""

    def seal(cursor: Cursor, key: bytes, nonce: bytes) -> str:
        del key, nonce
        return f"{cursor.place.hint.encode().hex()}{'A' * cursor.place.given}"

    patch.setattr(leaving, "seal", seal)
    patch.setattr(pages, "held", lambda _: 0)
    patch.setattr(several, "LEAST_ASKED", 2)


def _chains_lead_through_all(patch: Patch) -> None:
    _all_permitted_while(patch, chained, "_reached")


def _all_permitted_while(patch: Patch, module: Any, name: str) -> None:
    """Everything is permitted as long as a function of a module runs."""
    judge, inner = Hearing.judge, getattr(module, name)
    depth = itertools.count()
    inside: list[int] = []

    async def judged(self: Hearing, resources: Sequence[Any], **rest: Any) -> list[Judged]:
        found = await judge(self, resources, **rest)
        if not inside:
            return found
        return [
            one._replace(decision=replace(one.decision, effect=Effect.PERMIT))
            if one.decision
            else one
            for one in found
        ]

    async def within(*given: Any, **rest: Any) -> Any:
        inside.append(next(depth))
        try:
            return await inner(*given, **rest)
        finally:
            inside.pop()

    patch.setattr(Hearing, "judge", judged)
    patch.setattr(module, name, within)


def _old_versions_have_their_own_labels(patch: Patch) -> None:
    async def standing(hearing: Hearing) -> Judged:
        return Judged(b"", None, None)

    judge, leaves_whole = Hearing.judge, single.leaves_whole

    async def judged(self: Hearing, resources: Sequence[Any], **rest: Any) -> list[Judged]:
        return await judge(self, resources, whole=rest.get("whole"))

    def whole(hearing: Hearing, one: Judged) -> bool:
        return one.envelope is None or leaves_whole(hearing, one)

    patch.setattr(single, "standing", standing)
    patch.setattr(single, "leaves_whole", whole)
    patch.setattr(Hearing, "judge", judged)


def _nothing_is_guarded(patch: Patch) -> None:
    patch.setattr(flow, "guard", lambda *_: None)
    patch.setattr(chained, "guard", lambda *_: None, raising=False)


def _cuts_may_be_searched(patch: Patch) -> None:
    patch.setattr(matching, "reads_cut", lambda *_: False)


Removal = Callable[[Patch], None]
BEFORE = "Observation?_id=run-a0,seen-0,seen-1,seen-2&_count=1"
"""The first of what it finds is hidden."""
REMOVED: list[tuple[Removal, str, tuple[str, ...]]] = [
    (_all_permitted, PHYSICIAN, ("Observation/run-a0", "Observation?patient=noe")),
    (_what_was_narrowed_is_believed, PHYSICIAN, ("Observation?patient=noe",)),
    (_pages_end_where_upstreams_do, PHYSICIAN, (BEFORE, "Observation?_count=2")),
    (_every_include_stays, PHYSICIAN, ("Observation?_include=Observation:subject", "Observation?patient=camille,noe&_include=Observation:performer")),
    (_upstreams_total, PHYSICIAN, ("Observation?patient=camille",)),
    (_marks_of_all_that_was_read, PHYSICIAN, (BEFORE,)),
    (_tags_of_what_is_stored, NURSE, ("Patient/camille",)),
    (_links_as_long_as_they_come, PHYSICIAN, (BEFORE,)),
    (_chains_lead_through_all, PHYSICIAN, ("Patient?_has:Observation:patient:_id=run-a0", "Encounter?_has:Observation:encounter:_id=run-a0,gap-1-0")),
    (_old_versions_have_their_own_labels, PHYSICIAN, ("Observation/relabelled/_history/1",)),
    (_nothing_is_guarded, NURSE, ("Patient?address-city=Elsewhere", "Observation?subject:Patient.address-city=Elsewhere")),
    (_cuts_may_be_searched, NURSE, ("Observation?value-string=another", "Observation?patient=camille&_sort=value-string")),
]  # fmt: skip
TARGETS = {(caller, target) for _, caller, targets in REMOVED for target in targets}


async def differing(
    contents: Contents, folder: Path, caller: str, targets: Sequence[str]
) -> list[str]:
    """Which of the requests the two worlds answer differently, by gateways that know nothing yet."""
    found = []
    async with AsyncExitStack() as opened:
        enter = opened.enter_async_context
        whole: World = await enter(world_of(folder / "whole", contents.whole))
        without: World = await enter(world_of(folder / "without", contents.without[caller]))
        for target in targets:
            one = await heard(whole.stage, ALWAYS[caller], Shape(target), 3)
            other = await heard(without.stage, ALWAYS[caller], Shape(target), 3)
            if one != other:
                found.append(target)
    return found


@pytest.mark.parametrize(
    ("removal", "caller", "targets"), REMOVED, ids=lambda one: getattr(one, "__name__", None)
)
async def test_without_a_guard_the_worlds_differ(
    contents: Contents,
    tmp_path: Path,
    monkeypatch: Patch,
    removal: Removal,
    caller: str,
    targets: tuple[str, ...],
) -> None:
    removal(monkeypatch)
    assert await differing(contents, tmp_path, caller, targets)


async def test_with_every_guard_they_do_not(contents: Contents, tmp_path: Path) -> None:
    for caller in (PHYSICIAN, NURSE):
        targets = sorted(target for name, target in TARGETS if name == caller)
        assert await differing(contents, tmp_path / caller, caller, targets) == []


# ---- what both worlds would answer alike all the same ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scene:
    stage: Stage
    upstream: Upstream


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(
    tmp_path_factory: pytest.TempPathFactory, contents: Contents
) -> AsyncIterator[Scene]:
    upstream = Upstream(loaded(contents.whole))
    async with (
        serving(upstream.respond) as url,
        staged(tmp_path_factory.mktemp("scene"), url) as stage,
    ):
        yield Scene(stage, upstream)


async def _foreign_link(stage: Stage) -> tuple[Reply, Reply]:
    """What the nurse gets for a link of the physician, and for one that nobody sealed."""
    first = await stage.ask("Observation?patient=camille&_count=2", PHYSICIAN)
    assert first.next is not None
    return await stage.ask(first.next, NURSE), await stage.ask("Observation?_page=AAAA", NURSE)


async def test_a_link_of_another_caller_is_as_good_as_none(scene: Scene) -> None:
    foreign, none = await _foreign_link(scene.stage)
    assert (foreign.status, foreign.body) == (none.status, none.body) == (404, none.body)


async def test_unbound_links_would_show(scene: Scene, monkeypatch: Patch) -> None:
    for module in (flow, leaving):
        monkeypatch.setattr(module, "binding_of", lambda *_: "anybody")
    foreign, none = await _foreign_link(scene.stage)
    assert foreign.status != none.status


REFUSED = [
    (Shape("Observation/run-a0", accept="application/fhir+xml"), 406),
    (Shape("Observation/run-a0?_format=xml"), 406),
    (Shape("Observation/seen-0", headers=(("prefer", "respond-async"),)), 501),
    (Shape("Observation/seen-0", headers=(("x-http-method-override", "DELETE"),)), 400),
    (Shape("Observation/seen-0", "DELETE"), 405),
]


@pytest.mark.parametrize(("shape", "status"), REFUSED)
async def test_what_is_refused_by_its_shape_never_goes_up(
    scene: Scene, shape: Shape, status: int
) -> None:
    scene.upstream.calls.clear()
    [(given, _, _)] = await heard(scene.stage, PHYSICIAN, shape)
    assert given == status
    assert scene.upstream.calls == []


@pytest.mark.parametrize("shape", [REFUSED[0][0], REFUSED[3][0]])
async def test_unrefused_it_would(scene: Scene, monkeypatch: Patch, shape: Shape) -> None:
    monkeypatch.setattr(negotiation, "refuse_headers", lambda *_: None)
    monkeypatch.setattr(negotiation, "accepts_json", lambda *_: True)
    [(given, _, _)] = await heard(scene.stage, PHYSICIAN, shape)
    assert given in (200, 404)
