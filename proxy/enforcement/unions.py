"""Unions: several searches of upstream, read one after another as if they were one (compartments, `$everything`).

Laws:
- A match belongs to one search of the union, however many find it: what is given does not depend on where a page ends.
- Where a page begins says which search it belongs to, so that a page link leads on in the middle of a union.
- What upstream finds beside what it was asked for belongs to none (T-23).
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from msgspec import structs

from proxy.errors import UpstreamError
from proxy.fhir.bundle import NO_RESOURCE, Frame, FrameEntry, Link
from proxy.fhir.envelope import Resource
from proxy.fhir.links import page_of
from proxy.obligations.pages import Sort, Sorted, Source
from proxy.obligations.places import mark_of

Keeps = Callable[[Resource], bool]

_MARK = re.compile(r"(.*)[?&]_leg=([A-Za-z0-9_.-]{1,128})", re.DOTALL)
_MATCH = "match"


class Leg(NamedTuple):
    """One search of a union. `target` is relative to upstream's base; `keeps`: whether a match is this search's to give.

    `name` tells it from the others, so that a page link leads on in the same search even where others came or went; without one
    it is known by its place.
    """

    target: str
    sort: Sort
    keeps: Keeps
    name: str = ""


def beginning(legs: Sequence[Leg]) -> str:
    """Where the first page of a union begins."""
    return _marked(legs[0].target, _names(legs)[0])


def united(source: Source, legs: Sequence[Leg], ahead: int = 1) -> Source:
    """The union as one source of pages. `ahead`: searches that are asked at once. Each search may read one page beyond the bound."""
    union = _Union(source, tuple(legs), max(1, ahead))
    return replace(
        source,
        bound=source.bound + len(legs),
        fetch=union.fetch,
        sort=union.sort,
        legs=_beginnings(legs),
        leg_of=_leg_of,
    )


def _beginnings(legs: Sequence[Leg]) -> dict[bytes, str]:
    """Where each search begins, by the mark of its name."""
    pairs = zip(legs, _names(legs), strict=True)
    return {mark_of(name): _marked(leg.target, name) for leg, name in pairs}


def _leg_of(at: str) -> bytes:
    """The search that a page belongs to, by the mark of its name; none where it says none."""
    found = _MARK.fullmatch(at)
    return mark_of(found[2]) if found else b""


@dataclass(slots=True)
class _Union:
    """A union while it is read. `at`: the search that the page read last belongs to."""

    source: Source
    legs: tuple[Leg, ...]
    ahead: int
    at: int = 0
    read: dict[str, tuple[Frame, bytes]] = field(default_factory=dict)

    async def fetch(self, at: str) -> tuple[Frame, bytes]:
        """A page of the search that is marked; its successor is the next page, or the next search."""
        target, self.at = _unmarked(at, self.legs)
        frame, body = await self._page(target)
        following = frame.next()
        if following is not None:
            name = _names(self.legs)[self.at]
            following = _marked(_inside(following, self.source.base), name)
        elif self.at + 1 < len(self.legs):
            name = _names(self.legs)[self.at + 1]
            following = _marked(self.legs[self.at + 1].target, name)
        link = () if following is None else (Link("next", _below(self.source.base, following)),)
        return structs.replace(
            frame, link=link, entry=tuple(filter(self._keeps, frame.entry))
        ), body

    async def sort(self, frame: Frame, body: bytes) -> Sorted:
        """The page read last, judged as its search wants it."""
        return await self.legs[self.at].sort(frame, body)

    def _keeps(self, entry: FrameEntry) -> bool:
        mode = (entry.search.mode if entry.search else "") or _MATCH
        if mode != _MATCH or entry.resource is NO_RESOURCE:
            return True
        return self.legs[self.at].keeps(entry.resource)

    async def _page(self, target: str) -> tuple[Frame, bytes]:
        if target not in self.read:
            begins = target == self.legs[self.at].target
            last = self.at + (self.ahead if begins else 1)
            wanted = [one.target for one in self.legs[self.at + 1 : last]]
            asked = [target, *(one for one in wanted if one not in self.read)]
            pages = await asyncio.gather(*map(self.source.fetch, asked))
            self.read.update(zip(asked, pages, strict=True))
        return self.read.pop(target)


def _names(legs: Sequence[Leg]) -> list[str]:
    return [leg.name or str(number) for number, leg in enumerate(legs)]


def _marked(target: str, name: str) -> str:
    return f"{target}{'&' if '?' in target else '?'}_leg={name}"


def _unmarked(at: str, legs: Sequence[Leg]) -> tuple[str, int]:
    """The target as upstream knows it, and the search it belongs to."""
    found = _MARK.fullmatch(at)
    names = _names(legs)
    if found is None or found[2] not in names:
        # Only what was sealed here comes here; the union may be composed otherwise by now.
        raise UpstreamError("a page link leads to no search of the union")
    return found[1].removeprefix("/"), names.index(found[2])


def _inside(url: str, base: str) -> str:
    target = page_of(url, base)
    if target is None:
        raise UpstreamError("a page link of upstream leads outside its base")
    return target


def _below(base: str, target: str) -> str:
    return f"{base}{'' if target[:1] in ('/', '?') else '/'}{target}"
