"""Two gateways, one in front of each world, and everything that can be told from one request to either.

Each world has a gateway of its own, so that nothing that one keeps (facts, documents, cases) stands in for the other; they
share the key of page links and validators. Both know the facts before anything is compared: with cold facts the number of
look-ups of a page differs, which docs/threat-model.md states under residual risks; of an instance it does not (test_equal_cost.py).
"""

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from proxy.audit.entry import Entry
from tests.stage import CANARY, Stage, Upstream, serving, staged
from tests.worlds.callers import REDACTED
from tests.worlds.twins import (
    Heard,
    Shape,
    Thing,
    canaries,
    heard,
    loaded,
    otherwise,
    without_hidden,
)

_PAGING = "paging: {key: {file: paging.key}}"


class Told(NamedTuple):
    """What one request made known: to the caller, to upstream, and to the journal."""

    pages: Heard
    calls: list[tuple[str, str]]
    entries: list[Entry]

    @property
    def status(self) -> int:
        return self.pages[0][0]


@dataclass(frozen=True, slots=True)
class World:
    """One world: its upstream and its gateway."""

    upstream: Upstream
    stage: Stage

    async def told(self, who: Any, shape: Shape) -> Told:
        """The request, its pages to the end, and what it left behind."""
        self.upstream.calls.clear()
        self.stage.entries()
        pages = await heard(self.stage, who, shape)
        # Without queries: a decoy names nobody, and another nobody each time.
        calls = sorted((one.method, one.target.partition("?")[0]) for one in self.upstream.calls)
        return Told(pages, calls, self.stage.entries())


def _prepare(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "paging.key").write_text("one key for both worlds, long enough")


@asynccontextmanager
async def world_of(folder: Path, things: Iterable[Thing], more: str = "") -> AsyncIterator[World]:
    """A world at work."""
    _prepare(folder)
    upstream = Upstream(loaded(things))
    async with (
        serving(upstream.respond) as url,
        # Patient: a busy machine tells nothing of what is hidden.
        staged(folder, url, facts_ttl_s=3600, more=f"{_PAGING}\n{more}") as stage,
    ):
        yield World(upstream, stage)


@dataclass(slots=True)
class Worlds:
    """W1, and W0 of each caller, made when first asked for."""

    folder: Path
    things: list[Thing]
    whole: World
    open: AsyncExitStack
    without: dict[str, World] = field(default_factory=dict)
    hidden: dict[str, frozenset[str]] = field(default_factory=dict)

    async def of(self, name: str, who: Any) -> World:
        """The world in which what this caller may not see never existed."""
        if name not in self.without:
            left = await world_without(name, who, self.things, self.whole.stage)
            gone = {one.reference for one in self.things} - {one.reference for one in left}
            world = await self.open.enter_async_context(world_of(self.folder / name, left))
            await warm(world, who, left)
            self.without[name], self.hidden[name] = world, frozenset(gone)
        return self.without[name]


async def warm(world: World, who: Any, things: list[Thing]) -> None:
    """Has the gateway look up every fact, as the search for what is hidden did in the other world."""
    for one in things:
        await world.stage.ask(one.reference, who)


async def world_without(name: str, who: Any, things: list[Thing], stage: Stage) -> list[Thing]:
    """The content of W0: less what is hidden, and with other values where a redacted view is shown."""
    left = await without_hidden(things, stage, who)
    return [otherwise(one) if name in REDACTED else one for one in left]


@asynccontextmanager
async def worlds_of(folder: Path, things: list[Thing]) -> AsyncIterator[Worlds]:
    """Both worlds, as long as the block lasts."""
    async with AsyncExitStack() as opened:
        whole = await opened.enter_async_context(world_of(folder / "whole", things))
        yield Worlds(folder, things, whole, opened)


PREPARED = frozenset({400, 405, 406, 413, 415, 501})
"""Refusals that depend on the shape of a request alone: upstream never hears of it (architecture §2)."""


def require_same(one: Told, other: Told, shape: Shape) -> None:
    """Both worlds answered, asked and recorded alike, as far as the design promises it."""
    assert one.pages == other.pages
    assert [entry.outcome for entry in one.entries] == [entry.outcome for entry in other.entries]
    assert len(one.entries) == len(one.pages)
    if one.status in PREPARED:
        assert one.calls == other.calls == []
    if _asks_alike(shape) and len(one.pages) == 1:
        assert one.calls == other.calls


_READ = re.compile("[A-Z][A-Za-z]*/(?!_history)[^/?$]+(/_history(/[^/?$]+)?)?")


def _asks_alike(shape: Shape) -> bool:
    """Whether as much is asked of upstream for what is hidden as for what is absent: instances."""
    return bool(_READ.fullmatch(shape.target)) and shape.method in ("GET", "HEAD")


def require_silent(told: Told, hidden: frozenset[str], logged: str) -> None:
    """No hidden value is in an answer, in a log, or in the journal."""
    assert canaries(told.pages).isdisjoint({CANARY + one.partition("/")[2] for one in hidden})
    assert CANARY not in logged
    assert CANARY.encode() not in msgspec.json.encode(told.entries)
