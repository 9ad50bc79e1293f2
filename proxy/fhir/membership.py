"""Membership in a patient compartment: the search parameters that make it up (https://hl7.org/fhir/R4/compartmentdefinition-patient.html).

`Patient/x/Observation` is every Observation that one of these parameters leads to the patient; several are searched one
after another. It says nothing about whose data a resource is, which is judged for each of them (T-26).
"""

from proxy.errors import CallerError, Refusal
from proxy.fhir.definitions import Definitions, SearchParam
from proxy.fhir.interaction import FhirRequest

COMPARTMENT = "http://hl7.org/fhir/CompartmentDefinition/patient"


def ways_into(rtype: str, definitions: Definitions) -> tuple[SearchParam, ...]:
    """The parameters of a type that put its resources into a patient's compartment; none for what is in no compartment."""
    known = definitions.search_params.get(rtype, {})
    return tuple(known[name] for name in definitions.compartment_patient.get(rtype, ()))


def require_searchable(request: FhirRequest, definitions: Definitions) -> None:
    """Refuses a compartment search of a type that is in none, or one in an order that upstream cannot give."""
    if not request.compartment:
        return
    ways = ways_into(request.type, definitions)
    if not ways:
        raise CallerError(Refusal.NOT_FOUND, "the type is in no patient's compartment")
    if len(ways) > 1 and request.sort:
        raise CallerError(
            Refusal.PARAMETER,
            "what is in the compartment by several parameters cannot be sorted; search the type by one of them",
        )
