"""search-type and history-instance: pages of what is visible (https://hl7.org/fhir/R4/http.html#search, #history)."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

from proxy.decision.model import Decision
from proxy.enforcement.hearing import Hearing
from proxy.enforcement.single import answer, current
from proxy.errors import UpstreamError
from proxy.facts.grant import Grant
from proxy.fhir.bundle import (
    NO_RESOURCE,
    BundleType,
    Frame,
    FrameEntry,
    FrameError,
    OutEntry,
    bundle_of,
    frame_of,
    high_water_mark,
)  # fmt: skip
from proxy.fhir.coding import Coding
from proxy.fhir.interaction import Answer, FhirRequest, path_of
from proxy.fhir.query import encode_query
from proxy.fhir.search import canonical_query, relative_url
from proxy.fhir.warning import header_of, outcome_of
from proxy.obligations.cursor import Cursor, binding_of, seal
from proxy.obligations.disclose import Judged
from proxy.obligations.guard import reads_cut
from proxy.obligations.includes import related
from proxy.obligations.narrow import narrow
from proxy.obligations.pages import Candidate, Page, Position, Sort, Sorted, collect

MATCH, INCLUDE, OUTCOME = "match", "include", "outcome"
LEAST_ASKED = 100
"""Matches that upstream is asked for at once, however few a page may hold. Were it the client's `_count`, a short run of
hidden matches would use up `paging.max_upstream_pages` and so show itself as a refusal (T-10)."""


async def search(hearing: Hearing) -> Answer:
    """Visible matches and the visible includes that belong to them."""
    limited = narrow(
        _asked(hearing), hearing.case, hearing.house.definitions, hearing.house.public_url
    )

    async def sort(frame: Frame, body: bytes) -> Sorted:
        """Every entry is judged alone; upstream's own remarks (mode `outcome`) are not ours to pass on."""
        modes = [
            (entry, _mode(entry)) for entry in frame.entry if entry.resource is not NO_RESOURCE
        ]
        told = [(entry.resource, mode) for entry, mode in modes if mode in {MATCH, INCLUDE}]
        judged = await hearing.judge([raw for raw, _ in told], whole=body)
        found = [
            _candidate(hearing, one, mode) for one, (_, mode) in zip(judged, told, strict=True)
        ]
        matches = [one for one in found if one.mode == MATCH]
        return matches, [one for one in found if one.mode != MATCH] if len(matches) < len(
            found
        ) else []

    page = await _page(hearing, "searchset", relative_url(limited), sort)
    return _bundle(hearing, "searchset", _tied(hearing, page))


async def history(hearing: Hearing) -> Answer:
    """Versions of an instance whose current version is visible, each judged by both (T-47, T-48)."""
    newest = await current(hearing)
    number = itertools.count()

    async def sort(frame: Frame, body: bytes) -> Sorted:
        bodies = [entry.resource for entry in frame.entry if entry.resource is not NO_RESOURCE]
        versions = iter(await hearing.judge(bodies, whole=body, over=newest.envelope))
        found = [
            _deletion(newest, entry, next(number))
            if entry.resource is NO_RESOURCE
            else _version(newest, next(versions), entry)
            for entry in frame.entry
        ]
        for one in found:
            if not one.visible and one.judged.raw:
                hearing.withhold(one.judged)
        return found, []

    page = await _page(hearing, "history", relative_url(_asked(hearing)), sort)
    return _bundle(hearing, "history", page)


def _mode(entry: FrameEntry) -> str:
    return (entry.search.mode if entry.search else "") or MATCH


def _candidate(hearing: Hearing, one: Judged, mode: str) -> Candidate:
    visible = _stands(one, hearing.request, mode) and not _found_by_cut(one, hearing)
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


def _deletion(newest: Judged, entry: FrameEntry, number: int) -> Candidate:
    """An entry without a resource: a deletion is as visible as the current version (it holds nothing)."""
    method = entry.request.method if entry.request else ""
    nothing = Judged(b"", None, newest.decision)
    return Candidate(f"deleted {number}", nothing, visible=method == "DELETE", mode=method)


def _version(newest: Judged, one: Judged, entry: FrameEntry) -> Candidate:
    """One version of a history: of this resource, and permitted as it was and as the current one is."""
    mode = "POST" if entry.request and entry.request.method == "POST" else "PUT"
    same = bool(
        one.envelope and newest.envelope and one.envelope.reference == newest.envelope.reference
    )
    key = one.envelope.version if one.envelope else ""
    return Candidate(key, one, visible=one.permitted and same, mode=mode)


def _count(hearing: Hearing) -> int:
    """How many matches the page may hold."""
    paging = hearing.house.paging
    return min(hearing.request.count or paging.default_count, paging.max_count)


def _asked(hearing: Hearing) -> FhirRequest:
    """The request as upstream is asked."""
    return replace(hearing.request, count=max(_count(hearing), LEAST_ASKED))


async def _page(hearing: Hearing, bundle_type: BundleType, target: str, sort: Sort) -> Page:
    house = hearing.house
    start = (
        Position(hearing.start.target, hearing.start.skip) if hearing.start else Position(target)
    )

    async def fetch(at: str) -> tuple[Frame, bytes]:
        body = await hearing.ask(at)
        try:
            return frame_of(body, bundle_type), body
        except FrameError as error:
            raise UpstreamError(str(error)) from None

    return await collect(
        start, _count(hearing), house.paging.max_upstream_pages, house.upstream_url, fetch, sort
    )


def _tied(hearing: Hearing, page: Page) -> Page:
    """The page with only those includes that belong to a match on it."""
    if not page.included:
        return page
    kept = related(
        [one.judged for one in page.matches],
        [one.judged for one in page.included],
        hearing.request.includes,
        hearing.house.definitions,
        hearing.reader.normal,
    )
    ours = {id(judged) for judged in kept}
    matched = {one.key for one in page.matches}
    included = (one for one in page.included if id(one.judged) in ours and one.key not in matched)
    # Upstream's order is that in which its matches, hidden ones too, lead to them.
    return replace(page, included=tuple(sorted(included, key=lambda one: one.key)))


def _bundle(hearing: Hearing, bundle_type: BundleType, page: Page) -> Answer:
    """The Bundle, built anew. `total` only where one page holds everything that is visible."""
    shown = (*page.matches, *page.included)
    whole = hearing.start is None and page.following is None
    entries = _entries(hearing, shown)
    header, remarks = _warnings(hearing, bundle_type)
    body = bundle_of(
        bundle_type,
        [*entries, *remarks],
        public_url=hearing.house.public_url,
        links=_links(hearing, page),
        total=len(page.matches) if whole else None,
        labels=_marks([one.judged.decision for one in shown if one.judged.decision]),
    )
    return answer(body, {"x-intermediary": hearing.house.public_url, **header})


def _marks(decisions: Sequence[Decision]) -> frozenset[Coding]:
    """The labels of what holds these resources: the highest confidentiality, and what goes on binding the recipient."""
    highest = high_water_mark(one.confidentiality for one in decisions)
    return frozenset(highest).union(*(one.obligations.binds for one in decisions))


def _warnings(
    hearing: Hearing, bundle_type: BundleType
) -> tuple[Mapping[str, str], tuple[OutEntry, ...]]:
    """What warns with the resources that leave: an entry of a searchset; elsewhere a header (bdl-2: a history has no `search`)."""
    warned = hearing.record.warned
    if not warned or bundle_type != "searchset":
        return header_of(warned), ()
    return {}, (OutEntry("", outcome_of(warned), OUTCOME),)


def _entries(hearing: Hearing, shown: Sequence[Candidate]) -> list[OutEntry]:
    """What leaves of each candidate; a deletion holds nothing to disclose."""
    here = f"{hearing.request.type}/{hearing.request.id}"
    kept = [one for one in shown if one.judged.envelope is not None]
    bodies = iter(hearing.disclose_all([one.judged for one in kept]))
    return [
        OutEntry(envelope.reference, next(bodies), one.mode, envelope.version)
        if (envelope := one.judged.envelope) is not None
        else OutEntry(here, b"", deleted=True)
        for one in shown
    ]


def _links(hearing: Hearing, page: Page) -> list[tuple[str, str]]:
    """Self and next; both name the gateway, and upstream's own page link is sealed inside."""
    public_url = hearing.house.public_url
    links = [("self", f"{public_url}/{hearing.self_target}")]
    if page.following:
        links.append(
            (
                "next",
                f"{public_url}/{path_of(hearing.request)}?_page={_sealed(hearing, page, page.following)}",
            )
        )
    return links


def _sealed(hearing: Hearing, page: Page, following: Position) -> str:
    """The link to what follows. INVARIANT: it does not outlive a break-glass grant that a page so far needed."""
    house, request = hearing.house, hearing.request
    held = {grant.id for grant in _grants_of(page) if not grant.trusted}
    cursor = Cursor(
        binding=binding_of(hearing.case.principal, hearing.case.compiled.policies.digest),
        expires=hearing.now + house.paging.ttl_s,
        target=following.target,
        skip=following.skip,
        path=path_of(request),
        query=encode_query(canonical_query(request)),
        grants=tuple(sorted(held.union(hearing.start.grants if hearing.start else ()))),
    )
    return seal(cursor, house.cursor_key, house.nonce())


def _grants_of(page: Page) -> set[Grant]:
    """The break-glass grants without which something on the page would not show."""
    decisions = (one.judged.decision for one in (*page.matches, *page.included))
    return {grant for decision in decisions if decision for grant in decision.grants}
