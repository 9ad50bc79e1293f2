"""Pages of what is visible: refilled from upstream until full, so that nothing hidden shows as a gap (T-10; standards SRCH-4).

A page is full when `count` visible matches were found, and has a successor only when another visible match follows: the
first match after the page is always looked for. Work is bounded; where the bound is reached the search is refused
as too costly, never cut short silently.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple

from proxy.errors import CallerError, Refusal, UpstreamError
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


async def collect(
    start: Position, count: int, bound: int, base: str, fetch: Fetch, sort: Sort
) -> Page:
    """The page that begins at `start`. `bound`: upstream pages that may be read; `base`: upstream's base URL."""
    matches: dict[str, Candidate] = {}
    included: dict[str, Candidate] = {}
    at = start
    for _ in range(bound):
        frame, body = await fetch(at.target)
        found, others = await sort(frame, body)
        before = len(matches)
        full = _fill(matches, found, at, count)
        if len(matches) > before:
            included.update((one.key, one) for one in others if one.visible)
        if full is not None:
            return Page(tuple(matches.values()), tuple(included.values()), full)
        following = frame.next()
        if following is None:
            return Page(tuple(matches.values()), tuple(included.values()), None)
        at = Position(_inside(following, base))
    raise CallerError(
        Refusal.TOO_COSTLY, "one page would read more upstream pages than paging.max_upstream_pages"
    )


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
