import pytest

from proxy.errors import CallerError, Refusal
from proxy.fhir.definitions import FHIR_VERSIONS, definitions_of
from proxy.fhir.interaction import FhirRequest, Interaction
from proxy.fhir.membership import require_searchable, ways_into

R4 = definitions_of("4.0.1")


def search(rtype: str, *sort: str, patient: str = "Patient/P1") -> FhirRequest:
    return FhirRequest(Interaction.SEARCH_TYPE, rtype, compartment=patient, sort=sort)


def refusal_of(request: FhirRequest) -> Refusal | None:
    try:
        require_searchable(request, R4)
    except CallerError as error:
        return error.refusal
    return None


def test_an_observation_is_in_the_compartment_as_subject_and_as_performer() -> None:
    assert [way.name for way in ways_into("Observation", R4)] == ["subject", "performer"]


@pytest.mark.parametrize("version", FHIR_VERSIONS)
def test_every_way_can_be_searched_and_leads_to_patients(version: str) -> None:
    tables = definitions_of(version)
    for rtype in tables.compartment_patient:
        ways = ways_into(rtype, tables)
        assert ways
        for way in ways:
            assert way.kind == "reference"
            assert way.paths
            assert "Patient" in way.targets


ANSWERS = [
    (search("Observation"), None),
    (search("Condition"), None),
    (search("Group"), None),
    (search("Encounter", "date"), None),
    (search("Observation", "date"), Refusal.PARAMETER),
    (search("Medication"), Refusal.NOT_FOUND),
    (search("Binary"), Refusal.NOT_FOUND),
    (search("Practitioner"), Refusal.NOT_FOUND),
    (search("Medication", "code", patient=""), None),
    (search("Observation", "date", patient=""), None),
]


@pytest.mark.parametrize(("request_", "refusal"), ANSWERS)
def test_what_is_searched_in_a_compartment_is_in_it(
    request_: FhirRequest, refusal: Refusal | None
) -> None:
    assert refusal_of(request_) is refusal
