"""What instances are now, or were last: their current versions in batches, and the last version before a deletion (FHIR http.html#history).

Laws:
- What a page of a history shows first of an instance is never taken for its newest version: later versions may stand on an earlier
  page, or outside `_since`. What is current is searched; what the search does not find is asked for in the instance's own history.
- Of a deleted instance nothing is left that says whom it was about but its last version; where that cannot be had it is unknown,
  and stands for what is hidden.
- What is looked up is judged like everything else, all of it at once.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from proxy.decision.decide import decide_request
from proxy.enforcement.hearing import Hearing
from proxy.enforcement.matching import MATCH, source_of
from proxy.enforcement.references import judged_whole
from proxy.errors import CallerError, OwnError, UnsupportedError, UpstreamError
from proxy.fhir.bundle import NO_RESOURCE, Frame, FrameError, frame_of
from proxy.fhir.envelope import Resource, named_in
from proxy.fhir.interaction import FhirRequest, Interaction, SearchParameter
from proxy.fhir.search import relative_url
from proxy.fhir.versions import Told, told_by
from proxy.obligations.disclose import Judged
from proxy.obligations.pages import Candidate, Position, Sorted, visible

MOST_IDS = 200
"""Ids in one search for current versions."""
AHEAD = 8
"""Searches, or histories of instances, that are asked at once."""
MOST_LOOKED_BACK = 2_000
"""Instances whose own history is asked for one answer; beyond them it fails (503), like one that reads too many pages."""

Found = TypeVar("Found")


class Last(NamedTuple):
    """The newest version that holds anything; `deletion` is what deleted the instance after it, if anything did."""

    raw: Resource
    deletion: Told | None


class Newest(NamedTuple):
    """The same, judged."""

    judged: Judged
    deletion: Told | None = None


@dataclass(slots=True)
class Looking:
    """Looks up what instances are now, as far as one answer asks; each once."""

    hearing: Hearing
    known: dict[str, Newest] = field(default_factory=dict)
    """By `Type/id`; an instance of which nothing can be learnt is missing."""
    asked: set[str] = field(default_factory=set)
    looked_back: int = 0

    async def newest(self, references: Collection[str]) -> Mapping[str, Newest]:
        """Their current or last versions."""
        missing = sorted(one for one in set(references) - self.asked if self._may_show(one))
        self.asked.update(references)
        current = await self._current(missing)
        lasts = await self._looked_back([one for one in missing if one not in current])
        bodies = [*current.values(), *(last.raw for last in lasts.values())]
        for wanted, one in zip(
            (*current, *lasts), await judged_whole(self.hearing, bodies), strict=True
        ):
            last = lasts.get(wanted)
            if _is_last(one, last):
                self.known[wanted] = Newest(one, last and last.deletion)
        return {one: self.known[one] for one in references if one in self.known}

    def _may_show(self, reference: str) -> bool:
        """Whether the caller may have any resource of its type; nothing is asked for what is withheld anyway."""
        rtype = reference.partition("/")[0]
        known = rtype in self.hearing.house.definitions.resource_types
        return known and decide_request(self.hearing.case, rtype).permits

    async def _current(self, references: Iterable[str]) -> dict[str, Resource]:
        """The current versions that searches find, by type and many at a time."""
        by_type: dict[str, list[str]] = defaultdict(list)
        for reference in references:
            rtype, _, rid = reference.partition("/")
            by_type[rtype].append(rid)
        searches = [
            (rtype, tuple(ids[at : at + MOST_IDS]))
            for rtype, ids in by_type.items()
            for at in range(0, len(ids), MOST_IDS)
        ]
        found: dict[str, Resource] = {}
        for at in range(0, len(searches), AHEAD):
            some = searches[at : at + AHEAD]
            for part in await asyncio.gather(*(_found(self.hearing, *one) for one in some)):
                found |= part
        return found

    async def _looked_back(self, references: list[str]) -> dict[str, Last]:
        """What instances that no search finds were last, by their own histories."""
        return await self._each(references, last_of)

    async def versions(self, paths: Collection[str]) -> Mapping[str, Resource]:
        """Older versions (`Type/id/_history/v`), as far as there are such."""
        return await self._each(sorted(paths), _version)

    async def _each(
        self, wanted: Sequence[str], ask: Callable[[Hearing, str], Awaitable[Found | None]]
    ) -> dict[str, Found]:
        """What is had of each, where anything is; some at a time, and no more than one answer may look back at."""
        self.looked_back += len(wanted)
        if self.looked_back > MOST_LOOKED_BACK:
            raise OwnError("a history would look back at more instances than one answer may")
        found: dict[str, Found] = {}
        for at in range(0, len(wanted), AHEAD):
            some = wanted[at : at + AHEAD]
            told = await asyncio.gather(*(ask(self.hearing, one) for one in some))
            pairs = zip(some, told, strict=True)
            found |= {name: one for name, one in pairs if one is not None}
        return found


async def _version(hearing: Hearing, path: str) -> Resource | None:
    try:
        return await hearing.ask(path)
    except (CallerError, UnsupportedError):
        return None


async def last_before_deletion(hearing: Hearing, reference: str) -> Newest | None:
    """The last version of an instance that is deleted now, judged; None where it is not, or nothing can be learnt of it."""
    try:
        last = await last_of(hearing, reference)
    except UpstreamError:
        return None
    if last is None or last.deletion is None:
        return None
    [judged] = await judged_whole(hearing, [last.raw])
    return Newest(judged, last.deletion) if _is_last(judged, last) else None


async def last_of(hearing: Hearing, reference: str) -> Last | None:
    """The newest version of an instance that holds anything, by its own history; None where that cannot be told."""
    try:
        frame = frame_of(await hearing.ask(f"{reference}/_history?_count=2"), "history")
    except (CallerError, UnsupportedError, FrameError):
        return None
    bases = (hearing.house.upstream_url, hearing.house.public_url)
    told = [(told_by(entry, bases), entry.resource) for entry in frame.entry]
    if not told or any(one.reference != reference for one, _ in told):
        return None
    newest = told[0][0]
    for one, resource in told:
        if not one.is_deletion and resource is not NO_RESOURCE:
            return Last(resource, newest if newest.is_deletion else None)
    return None


def _is_last(judged: Judged, last: Last | None) -> bool:
    """Whether it can be read, and is no version that comes after what deleted it (where versions are numbered)."""
    if judged.envelope is None:
        return False
    if last is None or last.deletion is None:
        return True
    before, after = judged.envelope.version, last.deletion.version
    numbered = before.isdecimal() and after.isdecimal()
    return not numbered or int(before) < int(after)


async def _found(hearing: Hearing, rtype: str, ids: tuple[str, ...]) -> dict[str, Resource]:
    """What a search for some ids finds, by `Type/id`; nothing where upstream does not search the type."""
    by_id = SearchParameter("_id", "", ids)
    request = FhirRequest(Interaction.SEARCH_TYPE, rtype, parameters=(by_id,), count=len(ids))
    source = source_of(hearing, "searchset", _as_found)
    found: dict[str, Resource] = {}
    try:
        async with aclosing(visible(Position(relative_url(request)), source)) as matches:
            async for one in matches:
                found[one.key] = one.judged.raw
    except (CallerError, UnsupportedError):
        return {}
    return found


async def _as_found(frame: Frame, _: bytes) -> Sorted:
    """The entries of a searchset, not judged yet."""
    held = [one.resource for one in frame.entry if one.resource is not NO_RESOURCE]
    return [
        Candidate(named_in(raw) or "", Judged(raw, None, None), True, MATCH) for raw in held
    ], []
