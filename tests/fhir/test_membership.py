import pytest

from proxy.errors import CallerError, Refusal
from proxy.fhir.definitions import FHIR_VERSIONS, definitions_of
from proxy.fhir.interaction import FhirRequest, Interaction, SearchParameter
from proxy.fhir.membership import (
    compartments_of,
    owner_of,
    require_searchable,
    searched_types,
    ways_into,
)

R4 = definitions_of("4.0.1")
OWNERS = ("Device", "Encounter", "Patient", "Practitioner", "RelatedPerson")


def search(
    rtype: str, *sort: str, owner: str = "Patient/P1", types: tuple[str, ...] = ()
) -> FhirRequest:
    arguments = (SearchParameter("_type", "", types),) if types else ()
    return FhirRequest(
        Interaction.SEARCH_TYPE, rtype, compartment=owner, sort=sort, arguments=arguments
    )


def refusal_of(request: FhirRequest) -> Refusal | None:
    try:
        require_searchable(request, R4)
    except CallerError as error:
        return error.refusal
    return None


WAYS = [
    ("Patient", "Observation", ["subject", "performer"]),
    ("Patient", "Patient", ["_id", "link"]),
    ("Encounter", "Observation", ["encounter"]),
    ("Encounter", "Encounter", ["_id"]),
    ("Practitioner", "Encounter", ["practitioner", "participant"]),
    ("RelatedPerson", "Observation", ["performer"]),
    ("Device", "Observation", ["subject", "device"]),
    ("Device", "Device", ["_id"]),
    ("Encounter", "Patient", []),
    ("Organization", "Observation", []),
]


@pytest.mark.parametrize(("owner", "rtype", "names"), WAYS)
def test_what_puts_a_type_into_a_compartment(owner: str, rtype: str, names: list[str]) -> None:
    assert [way.name for way in ways_into(rtype, owner, R4)] == names


@pytest.mark.parametrize("version", FHIR_VERSIONS)
@pytest.mark.parametrize("owner", OWNERS)
def test_every_way_can_be_searched_and_leads_to_the_owner(version: str, owner: str) -> None:
    tables = definitions_of(version)
    assert tables.compartments[owner]
    for rtype in tables.compartments[owner]:
        ways = [way for way in ways_into(rtype, owner, tables) if way.name != "_id"]
        assert ways
        for way in ways:
            assert way.kind == "reference"
            assert way.paths
            assert owner in way.targets


ANSWERS = [
    (search("Observation"), None),
    (search("Condition"), None),
    (search("Group"), None),
    (search("Encounter", "date"), None),
    (search("Observation", "date"), Refusal.PARAMETER),
    (search("Medication"), Refusal.NOT_FOUND),
    (search("Binary"), Refusal.NOT_FOUND),
    (search("Practitioner"), Refusal.NOT_FOUND),
    (search("Medication", "code", owner=""), None),
    (search("Observation", "date", owner=""), None),
    (search("Observation", "date", owner="Encounter/E1"), None),
    (search("Patient", owner="Encounter/E1"), Refusal.NOT_FOUND),
    (search("Encounter", owner="Encounter/E1"), None),
    (search("*"), None),
    (search("*", owner="Device/d"), None),
    (search("*", "_id"), Refusal.PARAMETER),
    (search("*", types=("Observation", "Patient")), None),
    (search("*", types=("Observation", "Medication")), Refusal.PARAMETER),
    (search("*", types=("Patient",), owner="Encounter/E1"), Refusal.PARAMETER),
    (search("*", "_lastUpdated", types=("Encounter",), owner="Encounter/E1"), None),
]


@pytest.mark.parametrize(("request_", "refusal"), ANSWERS)
def test_what_is_searched_in_a_compartment_is_in_it(
    request_: FhirRequest, refusal: Refusal | None
) -> None:
    assert refusal_of(request_) is refusal


def test_all_types_are_those_of_the_compartment_as_far_as_they_are_named() -> None:
    assert searched_types(search("Observation"), R4) == ("Observation",)
    every = searched_types(search("*"), R4)
    assert len(every) == 66
    assert list(every) == sorted(every)
    assert searched_types(search("*", types=("Group", "Patient")), R4) == ("Group", "Patient")
    assert "Encounter" in searched_types(search("*", owner="Encounter/E1"), R4)


def test_a_compartment_belongs_to_what_its_path_names() -> None:
    assert owner_of(search("*", owner="Encounter/E1")) == "Encounter"
    assert owner_of(search("Observation", owner="")) == ""


def test_compartments_are_told_where_what_they_belong_to_is_served() -> None:
    head = "http://hl7.org/fhir/CompartmentDefinition"
    told = compartments_of(frozenset({"RelatedPerson", "Patient", "Observation"}), R4)
    assert told == [f"{head}/patient", f"{head}/relatedPerson"]
