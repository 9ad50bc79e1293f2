"""`Patient/x/$everything`, composed of searches (https://hl7.org/fhir/R4/patient-operation-everything.html; standards OP-1, T-31).

It is the patient, what every compartment search of the same caller gives, and with each page what that page refers to outside of any
compartment: practitioners, organizations, medications. Upstream is never asked for the operation, so that it works where there is
none, and so that nothing is in the answer that a search of the caller would not give. A patient who is hidden is absent.
Types that the caller may not search are left out: scopes and policy decide that, not the data.
"""

from collections.abc import Iterable
from dataclasses import replace

from proxy.decision.inline import cuts_of
from proxy.enforcement.compartments import cases_of, guarded, legs_of
from proxy.enforcement.hearing import Hearing
from proxy.enforcement.leaving import bundle, page_of
from proxy.enforcement.matching import matching, source_of
from proxy.enforcement.single import current
from proxy.enforcement.supporting import is_admitted, lenient, supporting
from proxy.enforcement.unions import Leg, beginning, united
from proxy.errors import CallerError, Refusal
from proxy.fhir.bundle import Frame
from proxy.fhir.compartment import DATES
from proxy.fhir.composed import argument
from proxy.fhir.dates import Interval, interval_of
from proxy.fhir.interaction import Answer, FhirRequest, Interaction, SearchParameter
from proxy.obligations.disclose import Judged
from proxy.obligations.guard import redactable
from proxy.obligations.pages import Page, Sort, Sorted

PATIENT = "Patient"
ASKED = 100
"""Matches that each search asks for at once."""
NOTHING = Page((), (), None)
AHEAD = 8
"""Searches that are asked at once: most types hold nothing of most patients."""


async def everything(hearing: Hearing) -> Answer:
    """A page of it."""
    legs = _legs(hearing)
    await current(hearing)
    if not legs:
        return await bundle(hearing, "searchset", NOTHING, 0)
    source = source_of(hearing, "searchset", matching(hearing))
    source = united(replace(source, fetch=lenient(source.fetch)), legs, AHEAD)
    page = await page_of(hearing, beginning(legs), source)
    page = replace(page, included=await supporting(hearing, [one.judged for one in page.matches]))
    whole = hearing.start is None and page.following is None
    return await bundle(hearing, "searchset", page, len(page.matches) if whole else None)


def require_usable(hearing: Hearing) -> None:
    """Refuses one whose filters read what may be redacted for the caller, before anything is looked up. CallerError PARAMETER."""
    _legs(hearing)


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


def _search(hearing: Hearing, rtype: str) -> FhirRequest:
    """The compartment search of a type; `_since` is its filter on the date of change."""
    request = hearing.request
    since = (SearchParameter("_lastUpdated", "", (f"ge{request.since}",)),) if request.since else ()
    owner = f"{PATIENT}/{request.id}"
    return FhirRequest(Interaction.SEARCH_TYPE, rtype, compartment=owner, parameters=since)


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
