"""Narrow: ask upstream for no more than the caller's patient context (SMART launch context; HAPI SearchNarrowing).

An optimisation only: every entry that comes back is judged as if nothing had been narrowed (T-23, T-24).
"""

from dataclasses import replace

from proxy.decision.case import Case
from proxy.errors import CallerError
from proxy.fhir.definitions import Definitions
from proxy.fhir.interaction import FhirRequest, Interaction, SearchParameter
from proxy.fhir.parameters import filter_of

_NAMES = ("patient", "subject")


def narrow(
    request: FhirRequest, case: Case, definitions: Definitions, public_url: str = ""
) -> FhirRequest:
    """The same search, limited to what the scopes can cover: the patient of the token, and the one constraint there is."""
    if request.interaction is not Interaction.SEARCH_TYPE:
        return request
    constrained = _constrained(request, case, definitions, public_url)
    return _in_context(constrained, case, definitions)


def _constrained(
    request: FhirRequest, case: Case, definitions: Definitions, public_url: str
) -> FhirRequest:
    """With the constraints of the only scope that covers the search at all."""
    scopes = case.principal.scopes
    if scopes.levels_for(case.interaction, request.type):
        return request
    covering = scopes.constrained_for(case.interaction, request.type)
    if len(covering) != 1:
        return request
    try:
        limits = [
            filter_of(name, value, request.type, definitions, public_url)
            for name, value in sorted(covering[0].constraints)
        ]
    except CallerError:
        return request  # nothing fulfils what cannot be evaluated: every match is withheld
    return replace(request, parameters=(*request.parameters, *limits))


def _in_context(request: FhirRequest, case: Case, definitions: Definitions) -> FhirRequest:
    """Limited to the one patient of the token where only `patient/` scopes cover the search."""
    scopes, patient = case.principal.scopes, case.principal.patient
    levels = scopes.levels_for(case.interaction, request.type) | {
        scope.level for scope in scopes.constrained_for(case.interaction, request.type)
    }
    if levels != {"patient"} or patient is None:
        return request
    limit = _limit(request.type, patient, definitions)
    if (
        limit is None
        or request.type in case.compiled.policies.universal
        or limit in request.parameters
    ):
        return request
    return replace(request, parameters=(*request.parameters, limit))


def _limit(rtype: str, patient: str, definitions: Definitions) -> SearchParameter | None:
    if rtype == "Patient":
        return SearchParameter("_id", "", (patient.removeprefix("Patient/"),))
    known = definitions.search_params.get(rtype, {})
    names = [name for name in _NAMES if name in known and "Patient" in known[name].targets]
    return SearchParameter(names[0], "", (patient,)) if names else None
