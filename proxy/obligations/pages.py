"""Pages of what is visible: refilled from upstream until full, so that nothing hidden shows as a gap (T-10; standards SRCH-4).

A page is full when `count` visible matches were found, and has a successor only when another visible match follows: the
first match after the page is always looked for. What bounds an answer counts visible matches only, so that nothing hidden
moves it. How far upstream is read at most is a limit of the gateway like any other (503), far above what a bound allows.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import NamedTuple

from proxy.errors import OwnError, UpstreamError
from proxy.fhir.bundle import Frame
from proxy.fhir.links import page_of
from proxy.obligations.disclose import Judged


class Position(NamedTuple):
    """Where upstream is read on: a target relative to its base, and how many of its matches were already given."""

    target: str
    skip: int = 0


class Candidate(NamedTuple):
    """One entry of an upstream page. `key` tells it from all others of the result; `mode` is match, include or a method."""

    key: str
    judged: Judged
    visible: bool
    mode: str


@dataclass(frozen=True, slots=True)
class Page:
    """What one page discloses: visible matches, includes that may belong to them, and where the next page begins."""

    matches: tuple[Candidate, ...]
    included: tuple[Candidate, ...]
    following: Position | None


Sorted = tuple[list[Candidate], list[Candidate]]
"""Matches, and what was included with them."""
Fetch = Callable[[str], Awaitable[tuple[Frame, bytes]]]
"""Reads an upstream page: its frame, and the body that the frame's spans point into."""
Sort = Callable[[Frame, bytes], Awaitable[Sorted]]
"""Judges the entries of an upstream page."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where pages are read from. `bound`: upstream pages that may be read for one answer; `base`: upstream's base URL."""

    bound: int
    base: str
    fetch: Fetch
    sort: Sort


async def collect(start: Position, count: int, source: Source) -> Page:
    """The page that begins at `start`."""
    matches: dict[str, Candidate] = {}
    included: dict[str, Candidate] = {}
    full: Position | None = None
    async with aclosing(_pages(start, source)) as pages:
        async for at, (found, others) in pages:
            before = len(matches)
            full = _fill(matches, found, at, count)
            if len(matches) > before:
                included.update((one.key, one) for one in others if one.visible)
            if full is not None:
                break
    return Page(tuple(matches.values()), tuple(included.values()), full)


async def visible(start: Position, source: Source) -> AsyncGenerator[Candidate, None]:
    """Every visible match from `start` on, each once."""
    known: set[str] = set()
    async with aclosing(_pages(start, source)) as pages:
        async for at, (found, _) in pages:
            for one in found[at.skip :]:
                if one.visible and one.key not in known:
                    known.add(one.key)
                    yield one


async def _pages(start: Position, source: Source) -> AsyncGenerator[tuple[Position, Sorted], None]:
    """The pages of upstream, judged. INVARIANT: it ends; where upstream does not, with an error."""
    at, read = start, {start.target}
    for _ in range(source.bound):
        frame, body = await source.fetch(at.target)
        yield at, await source.sort(frame, body)
        following = frame.next()
        if following is None:
            return
        at = Position(_inside(following, source.base))
        if at.target in read:
            raise UpstreamError("the page links of upstream go round in a circle")
        read.add(at.target)
    raise OwnError("an answer would read more upstream pages than paging.max_upstream_pages")


def _fill(
    matches: dict[str, Candidate], found: list[Candidate], at: Position, count: int
) -> Position | None:
    """Adds visible matches; the position of the first one that has no room any more."""
    for index, one in enumerate(found):
        if index < at.skip or not one.visible or one.key in matches:
            continue
        if len(matches) == count:
            return Position(at.target, index)
        matches[one.key] = one
    return None


def _inside(url: str, base: str) -> str:
    target = page_of(url, base)
    if target is None:
        raise UpstreamError("a page link of upstream leads outside its base")
    return target
