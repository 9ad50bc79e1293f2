"""history-instance, -type and -system: versions, each judged as it was and by what its instance is now (https://hl7.org/fhir/R4/http.html#history).

Laws (decision 0114):
- A version or a deletion shows only while the newest version of its instance leaves whole to the caller; of a deleted instance that is
  the last one before its deletion. A redacted view has no versions (T-61).
- A version is judged by its own labels and patients and by those of the newest together (T-47, T-49).
- Whom a deletion was about that last version alone says; where it cannot be had, nothing of the instance shows (T-50).
- Entries are written anew from the id, the version and the instant; an entry that names two instances names none.
"""

import itertools
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping

from msgspec import structs

from proxy.enforcement.hearing import Hearing
from proxy.enforcement.leaving import bundle, page_of, room
from proxy.enforcement.matching import source_of, target_of
from proxy.enforcement.newest import Newest
from proxy.enforcement.single import leaves_whole, standing
from proxy.fhir.bundle import NO_RESOURCE, Frame
from proxy.fhir.interaction import Answer, Interaction
from proxy.fhir.versions import Told, told_by
from proxy.obligations.disclose import Judged
from proxy.obligations.pages import Candidate, Sort, Sorted

LEAST_ASKED = 100
"""Entries that upstream is asked for at once, however few a page may hold."""
Find = Callable[[Collection[str]], Awaitable[Mapping[str, Judged]]]
"""The newest versions of instances (`Type/id`), judged; missing where nothing can be learnt."""


async def history(hearing: Hearing) -> Answer:
    """Versions of one instance, deleted or not; absent where its newest version is (T-48)."""
    newest = await standing(hearing)
    own = f"{hearing.request.type}/{hearing.request.id}"

    async def find(references: Collection[str]) -> Mapping[str, Judged]:
        return {own: newest} if own in references else {}

    return await _page(hearing, find)


async def histories(hearing: Hearing) -> Answer:
    """Versions of all instances of a type, or of all there are."""
    return await _page(hearing, Newest(hearing).of)


async def _page(hearing: Hearing, find: Find) -> Answer:
    target = target_of(hearing, hearing.request, max(room(hearing), LEAST_ASKED))
    page = await page_of(hearing, target, source_of(hearing, "history", _sorting(hearing, find)))
    whole = hearing.start is None and page.following is None
    return await bundle(hearing, "history", page, len(page.matches) if whole else None)


def _sorting(hearing: Hearing, find: Find) -> Sort:
    """Judges a page of a history."""
    bases = (hearing.house.upstream_url, hearing.house.public_url)
    numbers = itertools.count()

    async def sort(frame: Frame, body: bytes) -> Sorted:
        told = [(told_by(entry, bases), entry.resource) for entry in frame.entry]
        newest = await find({one.reference for one, _ in told if _is_asked(hearing, one)})
        over = {name: one.envelope for name, one in newest.items() if one.envelope is not None}
        held = [raw for one, raw in told if not one.is_deletion and raw is not NO_RESOURCE]
        versions = iter(await hearing.judge(held, whole=body, over=over))
        shown = {name: one for name, one in newest.items() if leaves_whole(hearing, one)}
        found = [
            _version(hearing, one, next(versions), shown)
            if not one.is_deletion and raw is not NO_RESOURCE
            else _deletion(one, newest.get(one.reference), shown, numbers)
            for one, raw in told
        ]
        for candidate in found:
            if not candidate.visible and (candidate.judged.raw or candidate.judged.envelope):
                hearing.withhold(candidate.judged)
        return found, []

    return sort


def _is_asked(hearing: Hearing, told: Told) -> bool:
    """Whether an entry is of the instance or the type that is asked for."""
    request = hearing.request
    match request.interaction:
        case Interaction.HISTORY_SYSTEM:
            return bool(told.reference)
        case Interaction.HISTORY_TYPE:
            return told.reference.startswith(f"{request.type}/")
        case _:
            return told.reference == f"{request.type}/{request.id}"


def _version(hearing: Hearing, told: Told, one: Judged, shown: Mapping[str, Judged]) -> Candidate:
    """One version: permitted as it was and as its instance is now, and both shown whole."""
    same = one.envelope is not None and one.envelope.reference == told.reference
    visible = same and told.reference in shown and leaves_whole(hearing, one)
    return Candidate(one.envelope.versioned if one.envelope else "", one, visible, told.method)


def _deletion(
    told: Told, newest: Judged | None, shown: Mapping[str, Judged], numbers: Iterator[int]
) -> Candidate:
    """An entry that holds nothing: a deletion is as visible as what was deleted; anything else tells nothing."""
    if newest is None or newest.envelope is None:
        return Candidate("", Judged(b"", None, None), False, told.method)
    envelope = structs.replace(
        newest.envelope, version=told.version, last_updated=told.modified, matter=None
    )
    key = f"{told.reference} deleted {told.version or next(numbers)}"
    visible = told.is_deletion and told.reference in shown
    return Candidate(key, Judged(b"", envelope, newest.decision), visible, told.method)
