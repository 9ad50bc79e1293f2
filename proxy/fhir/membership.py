"""Membership in a compartment: the search parameters that make it up (https://hl7.org/fhir/R4/compartmentdefinition.html).

`Patient/x/Observation` is every Observation that one of these parameters leads to the patient; several are searched one
after another. It says nothing about whose data a resource is, which is judged for each of them (T-26).

The resource that a compartment belongs to is in it, by its id. R4 says so (`{def}`) of Encounter, Practitioner and RelatedPerson,
R5 of Patient too; it is so here for all of them.
"""

from collections.abc import Mapping

from proxy.errors import CallerError, Refusal
from proxy.fhir.composed import argument
from proxy.fhir.definitions import Definitions, SearchParam
from proxy.fhir.interaction import EVERY_TYPE, FhirRequest

OWN = "_id"
"""The parameter by which a resource is in the compartment that belongs to it."""
_NOTHING: Mapping[str, tuple[str, ...]] = {}


def compartments_of(types: frozenset[str], definitions: Definitions) -> list[str]:
    """The compartments that can be searched where resources of these types can, by URL (CapabilityStatement.rest.compartment)."""
    head = "http://hl7.org/fhir/CompartmentDefinition/"
    owners = sorted(types & definitions.compartments.keys())
    return [f"{head}{owner[0].lower()}{owner[1:]}" for owner in owners]


def ways_into(rtype: str, owner: str, definitions: Definitions) -> tuple[SearchParam, ...]:
    """The parameters of a type that put its resources into a compartment of an owner's type; none for what is in none."""
    known = definitions.search_params.get(rtype, {})
    own = (OWN,) if rtype == owner else ()
    named = definitions.compartments.get(owner, _NOTHING).get(rtype, ())
    return tuple(known[name] for name in (*own, *named))


def owner_of(request: FhirRequest) -> str:
    """The type that the compartment of a request belongs to; empty outside of any."""
    return request.compartment.partition("/")[0]


def searched_types(request: FhirRequest, definitions: Definitions) -> tuple[str, ...]:
    """The types that a request asks for: its own, or all that its compartment holds, as far as `_type` names them."""
    if request.type != EVERY_TYPE:
        return (request.type,)
    owner = owner_of(request)
    named = argument(request, "_type")
    members = {owner, *definitions.compartments.get(owner, _NOTHING)}
    return tuple(sorted(members.intersection(named) if named else members))


def require_searchable(request: FhirRequest, definitions: Definitions) -> None:
    """Refuses a compartment search of a type that is in none, or one in an order that upstream cannot give."""
    if not request.compartment:
        return
    owner = owner_of(request)
    if request.type == EVERY_TYPE:
        members = {owner, *definitions.compartments.get(owner, _NOTHING)}
        if not members.issuperset(argument(request, "_type")):
            raise CallerError(
                Refusal.PARAMETER, "`_type` names a type that the compartment has not"
            )
    elif not ways_into(request.type, owner, definitions):
        raise CallerError(Refusal.NOT_FOUND, "the type is in no such compartment")
    if request.sort and len(_ways(request, definitions)) > 1:
        raise CallerError(
            Refusal.PARAMETER,
            "what is in the compartment by several parameters cannot be sorted; search the type by one of them",
        )


def _ways(request: FhirRequest, definitions: Definitions) -> list[SearchParam]:
    owner = owner_of(request)
    types = searched_types(request, definitions)
    return [way for rtype in types for way in ways_into(rtype, owner, definitions)]
