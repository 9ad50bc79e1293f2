"""`Patient/x/$everything`, composed of searches (https://hl7.org/fhir/R4/patient-operation-everything.html; standards OP-1, T-31).

It is the patient, what every compartment search of the same caller gives, and with each page what that page refers to outside of any
compartment: practitioners, organizations, medications. Upstream is never asked for the operation, so that it works where there is
none, and so that nothing is in the answer that a search of the caller would not give. A patient who is hidden is absent.
Types that the caller may not search are left out: scopes and policy decide that, not the data.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from proxy.decision.decide import decide_request
from proxy.decision.inline import cuts_of
from proxy.enforcement.compartments import cases_of, guarded, legs_of
from proxy.enforcement.emergency import is_trusted
from proxy.enforcement.hearing import Hearing
from proxy.enforcement.leaving import bundle, page_of
from proxy.enforcement.matching import INCLUDE, matching, source_of, target_of
from proxy.enforcement.single import current
from proxy.enforcement.unions import Leg, beginning, united
from proxy.errors import CallerError, Refusal, UpstreamError
from proxy.fhir.bundle import Frame
from proxy.fhir.compartment import DATES
from proxy.fhir.composed import argument
from proxy.fhir.content import nodes_of, tree_of
from proxy.fhir.dates import Interval, interval_of
from proxy.fhir.interaction import Answer, FhirRequest, Interaction, SearchParameter
from proxy.obligations.disclose import Judged, disclose
from proxy.obligations.guard import redactable
from proxy.obligations.pages import Candidate, Fetch, Page, Sort, Sorted

PATIENT = "Patient"
ASKED = 100
"""Matches that each search asks for at once."""
NOTHING = Page((), (), None)
AHEAD = 8
"""Searches that are asked at once: most types hold nothing of most patients."""
MOST_IDS = 200
"""Ids in one search for what a page refers to."""


async def everything(hearing: Hearing) -> Answer:
    """A page of it."""
    legs = _legs(hearing)
    await current(hearing)
    if not legs:
        return await bundle(hearing, "searchset", NOTHING, 0)
    source = source_of(hearing, "searchset", matching(hearing))
    source = united(replace(source, fetch=_lenient(source.fetch)), legs, AHEAD)
    page = await page_of(hearing, beginning(legs), source)
    page = replace(page, included=await _supporting(hearing, page))
    whole = hearing.start is None and page.following is None
    return await bundle(hearing, "searchset", page, len(page.matches) if whole else None)


def _legs(hearing: Hearing) -> list[Leg]:
    """The searches it is composed of: the patient, then each other type of the compartment."""
    request = hearing.request
    wanted = frozenset(argument(request, "_type"))
    members = hearing.house.definitions.compartment_patient
    first = sorted({PATIENT, *members}, key=lambda one: (one != PATIENT, one))
    types = [one for one in first if (not wanted or one in wanted)]
    if argument(request, "start") or argument(request, "end"):
        hearing.reader = hearing.reader.wanting(frozenset(), dates=True)
        _require_dates_shown(hearing, types)
    found: list[Leg] = []
    for rtype in types:
        if is_admitted(hearing, rtype):
            search = _search(hearing, rtype)
            guarded(hearing, search)
            found += legs_of(hearing, search, ASKED)
    return [one._replace(sort=_within(hearing, one.sort)) for one in found]


def is_admitted(hearing: Hearing, rtype: str) -> bool:
    """Whether the caller may search a type at all."""
    granted = bool(hearing.grants) or is_trusted(hearing.case)
    return decide_request(hearing.case, rtype, granted=granted).permits


def _search(hearing: Hearing, rtype: str) -> FhirRequest:
    """The compartment search of a type; `_since` is its filter on the date of change."""
    request = hearing.request
    since = (SearchParameter("_lastUpdated", "", (f"ge{request.since}",)),) if request.since else ()
    owner = f"{PATIENT}/{request.id}"
    return FhirRequest(Interaction.SEARCH_TYPE, rtype, compartment=owner, parameters=since)


def _lenient(fetch: Fetch) -> Fetch:
    """A server that does not know a type holds nothing of it; any other refusal is its failure, and nothing is left out silently."""

    async def read(at: str) -> tuple[Frame, bytes]:
        try:
            return await fetch(at)
        except CallerError as error:
            if error.refusal is not Refusal.NOT_FOUND:
                raise UpstreamError("upstream refuses a search that is part of the whole") from None
            return Frame("Bundle", "searchset"), b""

    return read


# ---- the dates of care -------------------------------------------------------------------------------------------------


def _require_dates_shown(hearing: Hearing, types: Iterable[str]) -> None:
    """Refuses `start` and `end` where the dates of some type may be redacted for the caller: what they leave out would tell them."""
    for case in cases_of(hearing):
        for rtype in types:
            heads = [path.partition(".")[0] for path in DATES.get(rtype, ())]
            hidden = tuple({steps[0] for steps in redactable(case, rtype)})
            if hidden and any(head.startswith(hidden) for head in heads):
                raise CallerError(
                    Refusal.PARAMETER, "`start` and `end` read dates that are redacted"
                )


def _within(hearing: Hearing, sort: Sort) -> Sort:
    """The same, less what lies outside `start` and `end`."""
    start, end = (_edge(hearing, argument(hearing.request, one)) for one in ("start", "end"))
    if start is None and end is None:
        return sort
    first = start.start if start else float("-inf")
    last = end.end if end else float("inf")

    async def limited(frame: Frame, body: bytes) -> Sorted:
        matches, others = await sort(frame, body)
        span = Interval(first, last)
        return [
            one._replace(visible=one.visible and _lies_in(hearing, one.judged, span))
            for one in matches
        ], others

    return limited


def _edge(hearing: Hearing, values: tuple[str, ...]) -> Interval | None:
    if not values:
        return None
    found = interval_of(values[0], hearing.house.zone)
    if found is None:
        raise CallerError(Refusal.PARAMETER, "`start` and `end` are dates")
    return found


def _lies_in(hearing: Hearing, judged: Judged, span: Interval) -> bool:
    """Whether the clinical date of a resource touches the span; what has none by its type always does."""
    envelope, decision = judged.envelope, judged.decision
    if envelope is None or decision is None or envelope.type not in DATES:
        return True
    when = interval_of(envelope.date, hearing.house.zone)
    if when is None or any(cuts_of(decision)):
        return False
    return when.start <= span.end and span.start <= when.end


# ---- what a page refers to ---------------------------------------------------------------------------------------------


async def _supporting(hearing: Hearing, page: Page) -> tuple[Candidate, ...]:
    """What the page refers to outside of any compartment, as far as the caller may see it; nothing for what does not leave."""
    named: dict[str, set[str]] = defaultdict(set)
    for reference in _references(hearing, page):
        rtype, _, rid = reference.partition("/")
        named[rtype].add(rid)
    found: list[Candidate] = []
    for rtype, ids in sorted(_outside(hearing, named).items()):
        found += await _named(hearing, rtype, sorted(ids))
    return tuple(found)


def _references(hearing: Hearing, page: Page) -> Iterator[str]:
    """Every literal reference in what leaves."""
    key = hearing.house.pseudonym_key
    for one in page.matches:
        for node in nodes_of(tree_of(bytes(disclose(one.judged, key).body))):
            text = node.get("reference")
            target = hearing.reader.normal(text) if isinstance(text, str) else None
            if target is not None:
                yield target


def _outside(hearing: Hearing, named: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Of these, the types that are in no compartment and that the caller may search."""
    tables = hearing.house.definitions
    known = tables.resource_types - tables.compartment_patient.keys()
    wanted = frozenset(argument(hearing.request, "_type"))
    known = known & wanted if wanted else known
    return {
        rtype: ids for rtype, ids in named.items() if rtype in known and is_admitted(hearing, rtype)
    }


async def _named(hearing: Hearing, rtype: str, ids: list[str]) -> list[Candidate]:
    """The resources of these ids, judged one by one."""
    found: dict[str, Candidate] = {}
    for at in range(0, len(ids), MOST_IDS):
        some = tuple(ids[at : at + MOST_IDS])
        by_id = SearchParameter("_id", "", some)
        request = FhirRequest(Interaction.SEARCH_TYPE, rtype, parameters=(by_id,))
        heard = replace(hearing, request=request)
        source = source_of(heard, "searchset", matching(heard))
        frame, body = await _lenient(source.fetch)(target_of(heard, request, len(some)))
        matches, _ = await source.sort(frame, body)
        kept = {f"{rtype}/{one}" for one in some}
        found |= {one.key: one for one in matches if one.visible and one.key in kept}
    return [found[key]._replace(mode=INCLUDE) for key in sorted(found)]
