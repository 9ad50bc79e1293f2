"""`Observation/$lastn` and `DocumentReference/$docref`, composed of searches over what is visible.

Sources: https://hl7.org/fhir/R4/observation-operation-lastn.html, US Core `$docref`; standards OP-2, threats T-33. The last of what the
caller may see is not what is left of the last of all: so upstream is never asked for the operation.
"""

from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from dataclasses import replace

from proxy.enforcement.compartments import guarded
from proxy.enforcement.hearing import Hearing
from proxy.enforcement.leaving import bundle, page_of
from proxy.enforcement.matching import CONSULTED, MOST_ASKED, matching, source_of, target_of
from proxy.errors import CallerError, Refusal
from proxy.fhir.composed import argument
from proxy.fhir.content import tree_of
from proxy.fhir.dates import interval_of
from proxy.fhir.interaction import Answer, FhirRequest, Interaction, SearchParameter
from proxy.obligations.pages import Candidate, Page, Position, visible

ASKED = 100
"""Documents that upstream is asked for at once."""


async def lastn(hearing: Hearing) -> Answer:
    """For each code the latest visible Observations, at most `max` of them; the latest of all come first."""
    request = hearing.request
    # What is grouped by and ordered by is read as if it were searched: `code` and `date` (T-7, T-18).
    search = FhirRequest(
        Interaction.SEARCH_TYPE,
        request.type,
        parameters=request.parameters,
        sort=("-date", "code"),
    )
    guarded(hearing, search)
    heard = replace(hearing, request=search)
    found = [one async for one in _all(heard)]
    most = int((argument(request, "max") or ("1",))[0])
    matches = tuple(_latest(_newest_first(heard, found), most))
    shown = {one.key for one in matches}
    for one in found:
        if one.key not in shown:
            hearing.note(one.judged, CONSULTED)
    return await bundle(hearing, "searchset", Page(matches, (), None), len(matches))


async def _all(heard: Hearing) -> AsyncGenerator[Candidate, None]:
    """Every visible match; `TOO_COSTLY` beyond `paging.max_counted`, which counts what is visible alone."""
    target = target_of(heard, replace(heard.request, sort=()), MOST_ASKED)
    source = source_of(heard, "searchset", matching(heard))
    seen = 0
    async with aclosing(visible(Position(target), source)) as found:
        async for one in found:
            seen += 1
            if seen > heard.house.paging.max_counted:
                raise CallerError(Refusal.TOO_COSTLY, "more visible matches than can be compared")
            yield one


def _newest_first(heard: Hearing, found: Iterable[Candidate]) -> list[Candidate]:
    def order(one: Candidate) -> tuple[float, str]:
        when = interval_of(taken_at(bytes(one.judged.raw)), heard.house.zone)
        return (-when.end if when else float("inf"), one.key)

    return sorted(found, key=order)


def _latest(ordered: Iterable[Candidate], most: int) -> Iterator[Candidate]:
    """The first `most` of each group; whatever shares a coding with one of a group is of that group."""
    groups: dict[tuple[str, str], int] = {}
    sizes: dict[int, int] = {}
    for one in ordered:
        names = codes_of(bytes(one.judged.raw))
        group = next((groups[name] for name in names if name in groups), len(sizes))
        groups.update(dict.fromkeys(names, group))
        sizes[group] = sizes.get(group, 0) + 1
        if sizes[group] <= most:
            yield one


def taken_at(raw: bytes) -> str:
    """When what an Observation tells was so, as written; empty where it does not say.

    Nothing else stands in for it: `issued` may be hidden where this is not, and `meta.lastUpdated` moves with what is hidden (T-61).
    """
    tree = tree_of(raw)
    period = tree.get("effectivePeriod")
    start = period.get("start") if isinstance(period, dict) else None
    told = (tree.get("effectiveDateTime"), tree.get("effectiveInstant"), start)
    return next((one for one in told if isinstance(one, str)), "")


def codes_of(raw: bytes) -> list[tuple[str, str]]:
    """What an Observation is of: its codings (system, code), or the text where there is none."""
    code = tree_of(raw).get("code")
    code = code if isinstance(code, dict) else {}
    codings = code.get("coding")
    listed = [one for one in codings if isinstance(one, dict)] if isinstance(codings, list) else []
    named = [(str(one.get("system", "")), str(one["code"])) for one in listed if "code" in one]
    return named or [("text", str(code.get("text", "")))]


async def docref(hearing: Hearing) -> Answer:
    """The current documents of a patient that exist; none is made."""
    request = hearing.request
    current = SearchParameter("status", "", ("current",))
    spans = [
        SearchParameter("period", "", (f"{prefix}{value}",))
        for name, prefix in (("start", "ge"), ("end", "le"))
        for value in argument(request, name)
    ]
    search = FhirRequest(
        Interaction.SEARCH_TYPE, request.type, parameters=(*request.parameters, current, *spans)
    )
    guarded(hearing, search)
    heard = replace(hearing, request=search)
    source = source_of(heard, "searchset", matching(heard))
    page = await page_of(hearing, target_of(heard, search, ASKED), source)
    whole = hearing.start is None and page.following is None
    return await bundle(hearing, "searchset", page, len(page.matches) if whole else None)
