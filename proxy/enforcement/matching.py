"""Matches: what upstream finds for a search, judged one by one, as far as it is a match for this caller (FHIR search)."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import NamedTuple

from proxy.enforcement.hearing import Hearing
from proxy.enforcement.references import (
    found_by_astray,
    is_delicate,
    less_absences,
    searches_references,
    settled,
)
from proxy.enforcement.rows import found_by_row, joins_rows, reads_rows
from proxy.errors import CallerError, Refusal, UpstreamError
from proxy.fhir.bundle import (
    NO_RESOURCE,
    BundleType,
    Frame,
    FrameEntry,
    FrameError,
    frame_of,
)
from proxy.fhir.interaction import FhirRequest
from proxy.fhir.search import for_upstream, relative_url
from proxy.obligations.disclose import Judged
from proxy.obligations.guard import reads_cut
from proxy.obligations.includes import references_of
from proxy.obligations.narrow import narrow
from proxy.obligations.pages import Candidate, Fetch, Position, Sort, Sorted, Source, visible

MATCH, INCLUDE, OUTCOME = "match", "include", "outcome"
CONSULTED = "consulted"
"""What became of a resource that the answer depends on without showing it: it is counted, or a chain led through it."""


MOST_ASKED = 1000
"""Matches that upstream is asked for at once where all of them are read."""


class Tie(NamedTuple):
    """What a chained parameter came to: a match refers to one of these at `paths`; without paths it is one of them."""

    paths: tuple[str, ...]
    references: frozenset[str]


def target_of(hearing: Hearing, request: FhirRequest, count: int) -> str:
    """What upstream is asked: no more than the caller's scopes cover, and nothing that is done here."""
    house = hearing.house
    here = replace(hearing, request=request)
    limited = narrow(
        less_absences(here, request), hearing.case, house.definitions, house.public_url
    )
    return relative_url(replace(for_upstream(limited, house.tie_breaker), count=count))


def source_of(hearing: Hearing, bundle_type: BundleType, sort: Sort) -> Source:
    """Where the pages of this hearing come from."""
    house = hearing.house
    fetch = _fetching(hearing, bundle_type)
    return Source(house.paging.max_upstream_pages, house.upstream_url, fetch, sort)


def _fetching(hearing: Hearing, bundle_type: BundleType) -> Fetch:
    async def fetch(at: str) -> tuple[Frame, bytes]:
        body = await hearing.ask(at)
        try:
            return frame_of(body, bundle_type), body
        except FrameError as error:
            raise UpstreamError(str(error)) from None

    return fetch


def matching(hearing: Hearing, ties: tuple[Tie, ...] = ()) -> Sort:
    """Judges a page of a searchset."""

    async def sort(frame: Frame, body: bytes) -> Sorted:
        """Every entry is judged alone; upstream's own remarks (mode `outcome`) are not ours to pass on."""
        modes = [
            (entry, _mode(entry)) for entry in frame.entry if entry.resource is not NO_RESOURCE
        ]
        told = [(entry.resource, mode) for entry, mode in modes if mode in {MATCH, INCLUDE}]
        judged = await hearing.judge([raw for raw, _ in told], whole=body)
        known = await _with_astray(hearing, judged, ties)
        found = [
            _candidate(hearing, one, mode, ties, astray=astray)
            for (one, astray), (_, mode) in zip(known, told, strict=True)
        ]
        matches = [one for one in found if one.mode == MATCH]
        others = [one for one in found if one.mode != MATCH] if len(matches) < len(found) else []
        return matches, others

    return sort


def _mode(entry: FrameEntry) -> str:
    return (entry.search.mode if entry.search else "") or MATCH


async def _with_astray(
    hearing: Hearing, judged: Sequence[Judged], ties: tuple[Tie, ...]
) -> list[tuple[Judged, bool]]:
    """Each with the references in it that lead nowhere for the caller, and whether it was found by one, as far as that may matter.

    It matters to a search by references, and of what would be withheld for them: whatever is counted, or takes a place on a page, shows.
    """
    by_references = (
        searches_references(hearing, ties) or bool(reads_rows(hearing)) or joins_rows(hearing)
    )
    looked = [one for one in judged if one.permitted and (by_references or is_delicate(one))]
    known = iter(await settled(hearing, looked) if looked else ())
    ours = {id(one) for one in looked}
    told = [(one, next(known) if id(one) in ours else None) for one in judged]
    return [
        (one, False) if other is None else (other, _is_found_astray(hearing, other, ties))
        for one, other in told
    ]


def _is_found_astray(hearing: Hearing, settled_: Judged, ties: tuple[Tie, ...]) -> bool:
    return found_by_astray(hearing, settled_, ties) or found_by_row(hearing, settled_)


def _candidate(
    hearing: Hearing, one: Judged, mode: str, ties: tuple[Tie, ...], *, astray: bool
) -> Candidate:
    visible = (
        _stands(one, hearing.request, mode)
        and not _found_by_cut(one, hearing)
        and (mode != MATCH or not astray)
        and (mode != MATCH or _is_tied(one, ties, hearing))
    )
    if not visible:
        hearing.withhold(one)
    return Candidate(one.envelope.reference if one.envelope else "", one, visible, mode)


def _stands(one: Judged, request: FhirRequest, mode: str) -> bool:
    """Whether an entry may show: permitted, identified, and a match only when it is of the type that was searched."""
    envelope, decision = one.envelope, one.decision
    if envelope is None or decision is None or not envelope.id or not decision.permits:
        return False
    return mode != MATCH or envelope.type == request.type


def _found_by_cut(one: Judged, hearing: Hearing) -> bool:
    """Whether the search reads what is cut out of this resource."""
    envelope, decision = one.envelope, one.decision
    if envelope is None or envelope.inline is None or decision is None:
        return False
    return reads_cut(hearing.request, envelope.type, decision, hearing.house.definitions)


def _is_tied(one: Judged, ties: Iterable[Tie], hearing: Hearing) -> bool:
    """Whether every chain leads to it as the caller sees it now: upstream is not believed, nor is an older page (T-13, T-23)."""
    envelope = one.envelope
    return envelope is not None and all(
        not tie.references.isdisjoint(references_of(one.raw, tie.paths, hearing.reader.normal))
        if tie.paths
        else envelope.reference in tie.references
        for tie in ties
    )


async def consulted(
    hearing: Hearing, start: Position, source: Source, most: int
) -> AsyncGenerator[Judged, None]:
    """Every visible match from `start` on, written down as consulted; `TOO_COSTLY` beyond `most` of them."""
    seen = 0
    async with aclosing(visible(start, source)) as found:
        async for one in found:
            seen += 1
            if seen > most:
                raise CallerError(
                    Refusal.TOO_COSTLY, f"more than {most} visible matches to consult"
                )
            hearing.note(one.judged, CONSULTED)
            yield one.judged
