"""search-type and history-instance: pages of what is visible (https://hl7.org/fhir/R4/http.html#search, #history)."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

from proxy.decision.model import Decision
from proxy.enforcement.chained import Resolved, require_admitted, resolve
from proxy.enforcement.hearing import Hearing
from proxy.enforcement.matching import (
    MOST_ASKED,
    OUTCOME,
    consulted,
    matching,
    source_of,
    target_of,
)
from proxy.enforcement.single import answer, current, leaves_whole
from proxy.errors import CallerError, Refusal
from proxy.facts.grant import Grant
from proxy.fhir.bundle import (
    NO_RESOURCE,
    BundleType,
    Frame,
    FrameEntry,
    OutEntry,
    bundle_of,
    high_water_mark,
)
from proxy.fhir.coding import Coding
from proxy.fhir.interaction import Answer, path_of
from proxy.fhir.query import encode_query
from proxy.fhir.search import canonical_query
from proxy.fhir.warning import header_of, outcome_of
from proxy.obligations.cursor import UNTOLD_TOTAL, Cursor, binding_of, seal
from proxy.obligations.disclose import Judged
from proxy.obligations.includes import related
from proxy.obligations.pages import Candidate, Page, Position, Sort, Sorted, collect

LEAST_ASKED = 100
"""Matches that upstream is asked for at once, however few a page may hold: a short run of hidden matches costs no more calls."""
NOTHING = Page((), (), None)


async def search(hearing: Hearing) -> Answer:
    """Visible matches and the visible includes that belong to them; or how many there are."""
    require_admitted(hearing)
    resolved = await resolve(hearing)
    if resolved is None:
        return _bundle(hearing, "searchset", NOTHING, _total_of(hearing, 0))
    if hearing.request.only_counts:
        return _bundle(hearing, "searchset", NOTHING, await _counted(hearing, resolved))
    page = await _page(
        hearing, "searchset", _searched(hearing, resolved), matching(hearing, resolved.ties)
    )
    total = await _total(hearing, resolved, page)
    return _bundle(hearing, "searchset", _tied(hearing, page), total)


def _searched(hearing: Hearing, resolved: Resolved) -> str:
    """What upstream is asked: at once for what a page holds, or for what is counted anyway."""
    least = MOST_ASKED if hearing.request.total or hearing.request.only_counts else LEAST_ASKED
    return target_of(hearing, resolved.request, max(_count(hearing), least))


async def _counted(hearing: Hearing, resolved: Resolved) -> int:
    """The number of all visible matches (T-9); nothing is included with what does not show."""
    alone = replace(resolved.request, includes=(), sort=())
    start = Position(_searched(hearing, resolved._replace(request=alone)))
    return await _number(hearing, start, resolved, hearing.house.paging.max_counted)


async def _number(hearing: Hearing, start: Position, resolved: Resolved, most: int) -> int:
    return len([one async for one in consulted(hearing, start, resolved.ties, most)])


async def _total(hearing: Hearing, resolved: Resolved, page: Page) -> int | None:
    """The number of all visible matches, where one page holds them or it is asked for (T-8)."""
    found = len(page.matches)
    if hearing.start is not None:
        return _total_of(hearing, None)
    if page.following is None or not hearing.request.total:
        return found if page.following is None else None
    try:
        left = hearing.house.paging.max_counted - found
        return found + await _number(hearing, page.following, resolved, left)
    except CallerError as error:
        if error.refusal is Refusal.TOO_COSTLY and hearing.request.total == "estimate":
            return None
        raise


def _total_of(hearing: Hearing, first: int | None) -> int | None:
    """The total of a page: `first` of the first one, of others what was counted with the first one."""
    if hearing.start is None:
        return first
    return None if hearing.start.total == UNTOLD_TOTAL else hearing.start.total


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
            else _version(hearing, newest, next(versions), entry)
            for entry in frame.entry
        ]
        for one in found:
            if not one.visible and one.judged.raw:
                hearing.withhold(one.judged)
        return found, []

    target = target_of(hearing, hearing.request, max(_count(hearing), LEAST_ASKED))
    page = await _page(hearing, "history", target, sort)
    whole = hearing.start is None and page.following is None
    return _bundle(hearing, "history", page, len(page.matches) if whole else None)


def _deletion(newest: Judged, entry: FrameEntry, number: int) -> Candidate:
    """An entry without a resource: a deletion is as visible as the current version (it holds nothing)."""
    method = entry.request.method if entry.request else ""
    nothing = Judged(b"", None, newest.decision)
    return Candidate(f"deleted {number}", nothing, visible=method == "DELETE", mode=method)


def _version(hearing: Hearing, newest: Judged, one: Judged, entry: FrameEntry) -> Candidate:
    """One version of a history: of this resource, permitted as it was and as the current one is, and shown whole (T-61)."""
    mode = "POST" if entry.request and entry.request.method == "POST" else "PUT"
    same = bool(
        one.envelope and newest.envelope and one.envelope.reference == newest.envelope.reference
    )
    key = one.envelope.version if one.envelope else ""
    return Candidate(key, one, visible=same and leaves_whole(hearing, one), mode=mode)


def _count(hearing: Hearing) -> int:
    """How many matches the page may hold."""
    paging = hearing.house.paging
    return min(hearing.request.count or paging.default_count, paging.max_count)


async def _page(hearing: Hearing, bundle_type: BundleType, target: str, sort: Sort) -> Page:
    start = hearing.start
    at = Position(start.target, start.skip) if start else Position(target)
    return await collect(at, _count(hearing), source_of(hearing, bundle_type, sort))


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


def _bundle(hearing: Hearing, bundle_type: BundleType, page: Page, total: int | None) -> Answer:
    """The Bundle, built anew."""
    shown = (*page.matches, *page.included)
    entries = _entries(hearing, shown)
    header, remarks = _warnings(hearing, bundle_type)
    body = bundle_of(
        bundle_type,
        [*entries, *remarks],
        public_url=hearing.house.public_url,
        links=_links(hearing, page, total),
        total=total,
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


def _links(hearing: Hearing, page: Page, total: int | None) -> list[tuple[str, str]]:
    """Self and next; both name the gateway, and upstream's own page link is sealed inside."""
    public_url = hearing.house.public_url
    links = [("self", f"{public_url}/{hearing.self_target}")]
    if page.following:
        links.append(
            (
                "next",
                f"{public_url}/{path_of(hearing.request)}?_page={_sealed(hearing, page, page.following, total)}",
            )
        )
    return links


def _sealed(hearing: Hearing, page: Page, following: Position, total: int | None) -> str:
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
        total=UNTOLD_TOTAL if total is None else total,
    )
    return seal(cursor, house.cursor_key, house.nonce())


def _grants_of(page: Page) -> set[Grant]:
    """The break-glass grants without which something on the page would not show."""
    decisions = (one.judged.decision for one in (*page.matches, *page.included))
    return {grant for decision in decisions if decision for grant in decision.grants}
