"""Pages of what is visible: refilled from upstream until full, so that nothing hidden shows as a gap (T-10; standards SRCH-4).

A page is full when `count` visible matches were found, and has a successor only when another visible match follows: the
first match after the page is always looked for. What bounds an answer counts visible matches only, so that nothing hidden
moves it. How far upstream is read at most is a limit of the gateway like any other (503), far above what a bound allows.

Where a page begins is told by what is visible alone (`obligations/places.py`, decision 113): upstream's own page links count rows,
hidden ones too, and say only where to look first.
"""

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import NamedTuple

from proxy.errors import CallerError, OwnError, Refusal, UpstreamError
from proxy.fhir.bundle import Frame
from proxy.fhir.links import page_of, widened
from proxy.obligations.disclose import Judged
from proxy.obligations.places import Place, held, mark_of, resumed, succeeding

WIDEST = 1000
"""Matches that upstream is asked for at once at most."""
_NEAR = 2
"""Pages on which a match is looked for from where it was found: rows that were added before it push it to the next one."""
_MOVED = 1000
"""So many visible matches more than were given are passed in search of the next one, before it counts as gone."""
_LIGHT = 2_000_000
"""Bytes of a page without anything visible, up to which twice as many rows are asked for at once."""
_EXPIRED = frozenset({Refusal.NOT_FOUND, Refusal.PARAMETER})
"""How upstream answers a page link of its own that it does not know any more (404, 410; some say 400)."""


class Position(NamedTuple):
    """Where reading begins: `place` in the search that begins at `target` (relative to upstream's base); `at`: where it was a moment ago."""

    target: str
    place: Place = Place()
    at: str = ""


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


def _only(target: str) -> bytes:
    """The leg of whatever belongs to one search."""
    del target
    return b""


@dataclass(frozen=True, slots=True)
class Source:
    """Where pages are read from. `bound`: upstream pages that may be read in a row; `base`: upstream's base URL.

    Where several searches are read as one: `legs`: where each of them begins; `leg_of`: the one that a page belongs to.
    """

    bound: int
    base: str
    fetch: Fetch
    sort: Sort
    legs: Mapping[bytes, str] = field(default_factory=dict)
    leg_of: Callable[[str], bytes] = _only

    def position(self, first: str, place: Place) -> Position:
        """Where a page begins, for a request whose only or first search begins at `first`; `NOT_FOUND` if its search is no more."""
        if place.leg and place.leg not in self.legs:
            raise CallerError(Refusal.NOT_FOUND, "a page link into a search that is not made now")
        return Position(self.legs.get(place.leg, first), place)


class _Read(NamedTuple):
    """What an upstream page shows and did not show before. `before`: matches of the same leg that showed before."""

    at: str
    leg: bytes
    before: int
    shown: list[Candidate]
    others: list[Candidate]

    def less(self, count: int) -> "_Read":
        """Without the first of its matches."""
        count = min(count, len(self.shown))
        return self._replace(before=self.before + count, shown=self.shown[count:])


_Reads = AsyncGenerator[_Read, None]


async def collect(start: Position, count: int, source: Source) -> Page:
    """The page that begins at `start`."""
    matches: list[Candidate] = []
    legs: list[bytes] = []
    included: dict[str, Candidate] = {}
    following: Position | None = None
    async with aclosing(_reading(start, source)) as reads:
        async for read in reads:
            taken = read.shown[: count - len(matches)]
            matches += taken
            legs += [read.leg] * len(taken)
            if taken:
                included.update((one.key, one) for one in read.others if one.visible)
            if len(taken) < len(read.shown):
                given = [one.key for one, leg in zip(matches, legs, strict=True) if leg == read.leg]
                following = _following(start, read.less(len(taken)), given, source)
                break
    return Page(tuple(matches), tuple(included.values()), following)


async def visible(start: Position, source: Source) -> AsyncGenerator[Candidate, None]:
    """Every visible match from `start` on, each once."""
    async with aclosing(_reading(start, source)) as reads:
        async for read in reads:
            for one in read.shown:
                yield one


def _following(start: Position, read: _Read, given: Sequence[str], source: Source) -> Position:
    """Where what `read` shows begins, after these matches of the same leg were given.

    INVARIANT: whether upstream's link is kept depends on what is visible alone. It may lead to a list that upstream keeps as it was,
    while the first page of a search is always read as it is; so it is kept where, without anything hidden, this would not be on
    the first page either.
    """
    first = source.legs.get(read.leg, start.target)
    hint = read.at if read.before >= held(first) else ""
    place = succeeding(start.place, read.leg, given, read.shown[0].key)
    return Position(first, place._replace(search=mark_of(first), hint=hint), read.at)


# ---- where a place is now ----------------------------------------------------------------------------------------------


class _Look(NamedTuple):
    """Where the match that comes next is looked for: on so many pages from `target` on, past so many matches."""

    target: str
    before: int
    pages: int
    matches: int
    is_hint: bool


async def _reading(start: Position, source: Source) -> _Reads:
    """The pages of upstream from a place on; of the first ones only what lies behind it."""
    place, passed = start.place, list[bytes]()
    for look in _looks(start, source):
        async with aclosing(_pages(look.target, source, look.before)) as reads:
            found, passed = await _sought(reads, place, look)
            if found is not None:
                yield found
                async for read in reads:
                    yield read
                return
    skip = resumed(place, passed)
    async with aclosing(_pages(start.target, source, 0)) as reads:
        async for read in reads:
            yield read.less(max(0, skip - read.before)) if read.leg == place.leg else read


def _looks(start: Position, source: Source) -> list[_Look]:
    """Where to look: where the match was found, then from the beginning; nowhere for what is the beginning."""
    place = start.place
    if not place.next:
        return []
    whole = _Look(start.target, 0, source.bound, place.given + _MOVED, is_hint=False)
    is_fresh = place.search == mark_of(start.target) and source.leg_of(place.hint) == place.leg
    hint = start.at or (place.hint if is_fresh else "")
    near = _Look(hint, held(start.target), _NEAR, sys.maxsize, is_hint=True)
    return [near, whole] if hint else [whole]


async def _sought(reads: _Reads, place: Place, look: _Look) -> tuple[_Read | None, list[bytes]]:
    """What is read from the match on that comes next, if it is found; and the marks of what was passed before."""
    passed: list[bytes] = []
    pages = 0
    try:
        async for read in reads:
            if read.leg != place.leg:
                break
            # Counted match by match: how many are hidden decides how upstream's pages cut them.
            marks = [mark_of(one.key) for one in read.shown[: look.matches - len(passed)]]
            if place.next in marks:
                return read.less(marks.index(place.next)), passed
            passed += marks
            pages += 1
            if pages == look.pages or len(passed) == look.matches:
                break
    except CallerError as error:
        if not look.is_hint or error.refusal not in _EXPIRED:
            raise
    return None, passed


async def _pages(target: str, source: Source, before: int) -> _Reads:
    """The pages of upstream, judged. INVARIANT: it ends; where upstream does not, with an error."""
    at, read, known, leg = target, {target}, set[str](), source.leg_of(target)
    for _ in range(source.bound):
        frame, body = await source.fetch(at)
        found, others = await source.sort(frame, body)
        if source.leg_of(at) != leg:
            leg, before = source.leg_of(at), 0
        shown = _new(found, known)
        yield _Read(at, leg, before, shown, others)
        before += len(shown)
        following = frame.next()
        if following is None:
            return
        at = _inside(following, source.base)
        if at in read:
            raise UpstreamError("the page links of upstream go round in a circle")
        if not shown and len(body) <= _LIGHT:
            at = widened(at, WIDEST)
        read.add(at)
    raise OwnError("an answer would read more upstream pages than paging.max_upstream_pages")


def _new(found: Sequence[Candidate], known: set[str]) -> list[Candidate]:
    """The visible ones that were not known; they are now."""
    shown: list[Candidate] = []
    for one in found:
        if one.visible and one.key not in known:
            known.add(one.key)
            shown.append(one)
    return shown


def _inside(url: str, base: str) -> str:
    target = page_of(url, base)
    if target is None:
        raise UpstreamError("a page link of upstream leads outside its base")
    return target
