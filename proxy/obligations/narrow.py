"""Narrow: ask upstream for no more than the caller's patient context (SMART launch context; HAPI SearchNarrowing).

An optimisation only: every entry that comes back is judged as if nothing had been narrowed (T-23, T-24).
"""

from dataclasses import replace

from proxy.decision.case import Case
from proxy.fhir.definitions import Definitions
from proxy.fhir.interaction import FhirRequest, Interaction, SearchParameter

_NAMES = ("patient", "subject")


def narrow(request: FhirRequest, case: Case, definitions: Definitions) -> FhirRequest:
    """The same search, limited to the one patient of the token where only `patient/` scopes cover it."""
    levels = case.principal.scopes.levels_for(case.interaction, request.type)
    patient = case.principal.patient
    if (
        request.interaction is not Interaction.SEARCH_TYPE
        or levels != {"patient"}
        or patient is None
    ):
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
