"""Compartment searches: `Patient/x/Observation` as the type searches that it stands for (https://hl7.org/fhir/R4/http.html#vsearch).

Upstream is never asked for a compartment: each parameter that makes it up is searched like any other search of the caller, with
scopes, guard and judgement, and a resource is given once. A parameter that reads what may be redacted for the caller is not used.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from proxy.decision.case import Case
from proxy.enforcement.emergency import is_trusted
from proxy.enforcement.hearing import Hearing
from proxy.enforcement.matching import Tie, matching, source_of, target_of
from proxy.enforcement.unions import Leg, beginning, united
from proxy.errors import CallerError, Refusal
from proxy.fhir.definitions import SearchParam
from proxy.fhir.envelope import Resource, UnreadableError
from proxy.fhir.interaction import FhirRequest, Interaction, SearchParameter
from proxy.fhir.membership import ways_into
from proxy.obligations.guard import guard
from proxy.obligations.includes import references_of
from proxy.obligations.pages import Source


class Asked(NamedTuple):
    """Where the pages of a search begin, and where they come from."""

    first: str
    source: Source


def asked(hearing: Hearing, request: FhirRequest, count: int, ties: tuple[Tie, ...]) -> Asked:
    """How upstream is asked for a search, inside a compartment or not. `count`: matches asked for at once."""
    source = source_of(hearing, "searchset", matching(hearing, ties))
    if not request.compartment:
        return Asked(target_of(hearing, request, count), source)
    legs = legs_of(hearing, request, count, ties)
    if not legs:
        raise CallerError(
            Refusal.PARAMETER, "the compartment is made up of what is redacted for this caller"
        )
    return Asked(beginning(legs), united(source, legs))


def legs_of(
    hearing: Hearing, request: FhirRequest, count: int, ties: tuple[Tie, ...] = ()
) -> list[Leg]:
    """The type searches that a compartment search stands for; none where the caller may use none of them."""
    ways = _open_ways(hearing, request.type)
    return [_leg(hearing, request, ways[: number + 1], count, ties) for number in range(len(ways))]


def _leg(
    hearing: Hearing,
    request: FhirRequest,
    ways: Sequence[SearchParam],
    count: int,
    ties: tuple[Tie, ...],
) -> Leg:
    """The search by the last of the ways, less what the others give."""
    patient = request.compartment
    limit = SearchParameter(ways[-1].name, "", (patient,))
    alone = replace(request, compartment="", parameters=(*request.parameters, limit))
    heard = replace(hearing, request=alone)

    def keeps(raw: Resource) -> bool:
        leads = [_leads(hearing, raw, way, patient) for way in ways]
        return leads[-1] and not any(leads[:-1])

    return Leg(target_of(heard, alone, count), matching(heard, ties), keeps)


def _leads(hearing: Hearing, raw: Resource, way: SearchParam, patient: str) -> bool:
    """Whether a parameter leads from a resource to the patient; one that cannot be read is left to be withheld."""
    try:
        return patient in references_of(bytes(raw), way.paths, hearing.reader.normal)
    except UnreadableError:
        return False


def _open_ways(hearing: Hearing, rtype: str) -> list[SearchParam]:
    """The parameters that read nothing that may be redacted for this caller."""
    found = []
    for way in ways_into(rtype, hearing.house.definitions):
        parameters = (SearchParameter(way.name, "", ()),)
        try:
            guarded(hearing, FhirRequest(Interaction.SEARCH_TYPE, rtype, parameters=parameters))
        except CallerError:
            continue
        found.append(way)
    return found


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
