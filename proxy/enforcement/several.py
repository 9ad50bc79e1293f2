"""search-type: pages of what is visible (https://hl7.org/fhir/R4/http.html#search)."""

from dataclasses import replace

from proxy.enforcement.chained import Resolved, require_admitted, resolve
from proxy.enforcement.compartments import asked
from proxy.enforcement.hearing import Hearing
from proxy.enforcement.leaving import bundle, page_of, room
from proxy.enforcement.matching import MOST_ASKED, consulted
from proxy.errors import CallerError, Refusal
from proxy.fhir.interaction import Answer
from proxy.obligations.cursor import UNTOLD_TOTAL
from proxy.obligations.includes import related
from proxy.obligations.pages import Page, Position, Source

LEAST_ASKED = 100
"""Matches that upstream is asked for at once, however few a page may hold: a short run of hidden matches costs no more calls."""
NOTHING = Page((), (), None)


async def search(hearing: Hearing) -> Answer:
    """Visible matches and the visible includes that belong to them; or how many there are."""
    require_admitted(hearing)
    resolved = await resolve(hearing)
    if resolved is None:
        return await bundle(hearing, "searchset", NOTHING, _total_of(hearing, 0))
    if hearing.request.only_counts:
        return await bundle(hearing, "searchset", NOTHING, await _counted(hearing, resolved))
    most = max(room(hearing), LEAST_ASKED)
    first, source = await asked(hearing, resolved.request, most, resolved.ties)
    page = await page_of(hearing, first, source)
    total = await _total(hearing, resolved, page)
    return await bundle(hearing, "searchset", _tied(hearing, page), total)


async def _counted(hearing: Hearing, resolved: Resolved) -> int:
    """The number of all visible matches (T-9); nothing is included with what does not show."""
    alone = replace(resolved.request, includes=(), sort=())
    first, source = await asked(hearing, alone, MOST_ASKED, resolved.ties)
    return await _number(hearing, Position(first), source, hearing.house.paging.max_counted)


async def _number(hearing: Hearing, start: Position, source: Source, most: int) -> int:
    return len([one async for one in consulted(hearing, start, source, most)])


async def _total(hearing: Hearing, resolved: Resolved, page: Page) -> int | None:
    """The number of all visible matches, where one page holds them or it is asked for (T-8)."""
    found = len(page.matches)
    if hearing.start is not None:
        return _total_of(hearing, None)
    if page.following is None or not hearing.request.total:
        return found if page.following is None else None
    left = hearing.house.paging.max_counted - found
    alone = replace(resolved.request, includes=())
    first, source = await asked(hearing, alone, MOST_ASKED, resolved.ties)
    try:
        rest = source.position(first, page.following.place)
        return found + await _number(hearing, rest, source, left)
    except CallerError as error:
        if error.refusal is Refusal.TOO_COSTLY and hearing.request.total == "estimate":
            return None
        raise


def _total_of(hearing: Hearing, first: int | None) -> int | None:
    """The total of a page: `first` of the first one, of others what was counted with the first one."""
    if hearing.start is None:
        return first
    return None if hearing.start.total == UNTOLD_TOTAL else hearing.start.total


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
