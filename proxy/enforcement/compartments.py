"""Compartment searches: `Patient/x/Observation` as the type searches that it stands for (https://hl7.org/fhir/R4/http.html#vsearch).

Upstream is never asked for a compartment: each parameter that makes it up is searched like any other search of the caller, with
scopes, guard and judgement, and a resource is given once. A parameter that reads what may be redacted for the caller is not used.
`Patient/x/*` is one union of all types that the caller may search. The compartment of what the caller may not see is that of what
does not exist: nothing is in it, and upstream is asked the same.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from proxy.decision.case import Case, is_universal
from proxy.enforcement.emergency import is_trusted
from proxy.enforcement.equal_cost import at_equal_cost
from proxy.enforcement.hearing import Hearing
from proxy.enforcement.matching import CONSULTED, Tie, matching, source_of, target_of
from proxy.enforcement.openness import PATIENT
from proxy.enforcement.single import current
from proxy.enforcement.supporting import is_admitted, lenient
from proxy.enforcement.unions import Leg, beginning, united
from proxy.errors import CallerError, Refusal
from proxy.fhir.bundle import Frame
from proxy.fhir.content import bears_marks, may_hide
from proxy.fhir.definitions import SearchParam
from proxy.fhir.envelope import Resource, UnreadableError, named_in
from proxy.fhir.interaction import EVERY_TYPE, FhirRequest, Interaction, SearchParameter
from proxy.fhir.membership import OWN, owner_of, searched_types, ways_into
from proxy.obligations.disclose import Judged
from proxy.obligations.guard import guard, reads_cut
from proxy.obligations.includes import references_of
from proxy.obligations.pages import Sort, Sorted, Source

AHEAD = 8
"""Searches that are asked at once where all types are searched: most hold nothing of most compartments."""


class Asked(NamedTuple):
    """Where the pages of a search begin, and where they come from."""

    first: str
    source: Source


async def asked(hearing: Hearing, request: FhirRequest, count: int, ties: tuple[Tie, ...]) -> Asked:
    """How upstream is asked for a search, inside a compartment or not. `count`: matches asked for at once."""
    source = source_of(hearing, "searchset", matching(hearing, ties))
    if not request.compartment:
        return Asked(target_of(hearing, request, count), source)
    legs = legs_of(hearing, request, count, ties)
    if not legs or not await _is_seen(hearing, request.compartment):
        return Asked("", replace(source, fetch=_nothing))
    if request.type == EVERY_TYPE:
        source = replace(source, fetch=lenient(source.fetch))
        return Asked(beginning(legs), united(source, legs, AHEAD))
    return Asked(beginning(legs), united(source, legs))


async def _is_seen(hearing: Hearing, owner: str) -> bool:
    """Whether a read would give the caller what a compartment belongs to; where it would not, it takes what it takes where there is none.

    Of a patient each member is judged; and of a type that is about nobody everyone knows which there are.
    """
    rtype, _, rid = owner.partition("/")
    if rtype == PATIENT or is_universal(hearing.case, rtype):
        return True
    read = FhirRequest(Interaction.READ, rtype, rid)
    reading = replace(hearing.as_read(), request=read, start=None, link="")
    if not is_admitted(reading, rtype):
        return False
    try:
        seen = await at_equal_cost(current, reading)
    except CallerError as error:
        if error.refusal is not Refusal.NOT_FOUND:
            raise
        return False
    hearing.note(seen, CONSULTED)
    return True


async def _nothing(_: str) -> tuple[Frame, bytes]:
    """What is found where nothing can be."""
    return Frame("Bundle", "searchset"), b""


def require_usable(hearing: Hearing) -> None:
    """Refuses a compartment search that reads what may be redacted for the caller, by its shape, before anything is looked up.

    CallerError PARAMETER for a filter that reads it in one of the types, and where no parameter that leads into the compartment is left.
    """
    if not hearing.request.compartment:
        return
    apart = _of_each_type(hearing, hearing.request)
    for one in apart:
        guarded(hearing, one)
    if not any(_open_ways(hearing, one) for one in apart):
        raise CallerError(
            Refusal.PARAMETER, "the compartment is made up of what is redacted for this caller"
        )


def _of_each_type(hearing: Hearing, request: FhirRequest) -> list[FhirRequest]:
    """The compartment search of each type that is asked for; of all types those that the caller may search."""
    if request.type != EVERY_TYPE:
        return [request]
    types = searched_types(request, hearing.house.definitions)
    return [
        replace(request, type=rtype, arguments=()) for rtype in types if is_admitted(hearing, rtype)
    ]


def legs_of(
    hearing: Hearing, request: FhirRequest, count: int, ties: tuple[Tie, ...] = ()
) -> list[Leg]:
    """The type searches that a compartment search stands for; none where the caller may use none of them.

    Of all types those are left out that scopes and policy do not cover.
    """
    apart = _of_each_type(hearing, request)
    return [leg for one in apart for leg in _legs(hearing, one, count, ties)]


def _legs(
    hearing: Hearing, request: FhirRequest, count: int, ties: tuple[Tie, ...]
) -> Iterator[Leg]:
    """The searches of one type, by one parameter each."""
    ways = _open_ways(hearing, request)
    for number, way in enumerate(ways):
        alone = _limited(request, way)
        if alone is not None:
            yield _leg(hearing, request, alone, ways[: number + 1], count, ties)


def _limited(request: FhirRequest, way: SearchParam) -> FhirRequest | None:
    """The search by one of the parameters; `None` where its filters leave out what the compartment belongs to."""
    if way.name != OWN:
        limit = SearchParameter(way.name, "", (request.compartment,))
        return replace(request, compartment="", parameters=(*request.parameters, limit))
    rid = request.compartment.partition("/")[2]
    if any(one.name == OWN and rid not in one.values for one in request.parameters):
        return None
    # One `_id` alone: servers differ in what they make of several.
    rest = tuple(one for one in request.parameters if one.name != OWN)
    limit = SearchParameter(OWN, "", (rid,))
    return replace(request, compartment="", parameters=(*rest, limit))


def _leg(
    hearing: Hearing,
    request: FhirRequest,
    alone: FhirRequest,
    ways: Sequence[SearchParam],
    count: int,
    ties: tuple[Tie, ...],
) -> Leg:
    """The search by the last of the ways, less what the others give."""
    owner, heard = request.compartment, replace(hearing, request=alone)

    def keeps(raw: Resource) -> bool:
        leads = (_leads(hearing, raw, way, owner) for way in ways[:-1])
        # Whether a parameter reads what is cut out of it is known when it is judged.
        body = bytes(raw)
        first = bears_marks(body) or may_hide(body) or not any(leads)
        return first and _leads(hearing, raw, ways[-1], owner)

    def gave(one: Judged) -> bool:
        leads = (way for way in ways[:-1] if _leads(hearing, one.raw, way, owner))
        return any(not _is_cut(hearing, one, way) for way in leads)

    name = f"{request.type}.{ways[-1].name}"
    sort = _without(matching(heard, ties), gave)
    return Leg(target_of(heard, alone, count), sort, keeps, name)


def _without(sort: Sort, gave: Callable[[Judged], bool]) -> Sort:
    """The same, less what another search gives; it keeps its place, so that places in a page stay what they are."""

    async def sorted_(frame: Frame, body: bytes) -> Sorted:
        matches, others = await sort(frame, body)
        return [
            one._replace(visible=one.visible and not gave(one.judged)) for one in matches
        ], others

    return sorted_


def _is_cut(hearing: Hearing, one: Judged, way: SearchParam) -> bool:
    """Whether a parameter reads what is cut out of this resource, so that no search by it gives it."""
    envelope, decision = one.envelope, one.decision
    if envelope is None or envelope.inline is None or decision is None:
        return False
    read = _reading(envelope.type, way)
    return reads_cut(read, envelope.type, decision, hearing.house.definitions)


def _leads(hearing: Hearing, raw: Resource, way: SearchParam, owner: str) -> bool:
    """Whether a parameter leads from a resource to the owner; one that cannot be read is left to be withheld."""
    if way.name == OWN:
        return named_in(bytes(raw)) in (owner, None)
    try:
        return owner in references_of(bytes(raw), way.paths, hearing.reader.normal)
    except UnreadableError:
        return True


def _open_ways(hearing: Hearing, request: FhirRequest) -> list[SearchParam]:
    """The parameters that read nothing that may be redacted for this caller."""
    found = []
    for way in ways_into(request.type, owner_of(request), hearing.house.definitions):
        try:
            guarded(hearing, _reading(request.type, way))
        except CallerError:
            continue
        found.append(way)
    return found


def _reading(rtype: str, way: SearchParam) -> FhirRequest:
    """A search by one parameter, whatever its value."""
    parameters = (SearchParameter(way.name, "", ()),)
    return FhirRequest(Interaction.SEARCH_TYPE, rtype, parameters=parameters)


def guarded(hearing: Hearing, request: FhirRequest) -> None:
    """Refuses a search that reads what may be redacted in any of the capacities in which the caller is judged."""
    for case in cases_of(hearing):
        guard(request, case, hearing.house.definitions)


def cases_of(hearing: Hearing) -> Iterator[Case]:
    """The caller's case, the one under grants where there are any, and that of whom it acts for."""
    case = hearing.case
    yield case
    if case.emergency is not None and (hearing.grants or is_trusted(case)):
        yield case.emergency
    if case.behind is not None:
        yield case.behind
