from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import CallerError, Refusal
from proxy.fhir.chains import (
    MAX_DEPTH,
    MAX_SEARCHES,
    MOST_TYPES,
    Reading,
    is_chain,
    joining,
    link_of,
    searches_of,
)
from proxy.fhir.definitions import definitions_of
from proxy.fhir.interaction import FhirRequest, Interaction, Link, SearchParameter
from proxy.fhir.search import with_parameters

R4 = definitions_of("4.0.1")
PUBLIC = "https://gateway.example/fhir"
READING = Reading(R4, PUBLIC)


def search(rtype: str, *parameters: SearchParameter, tie: str = "") -> FhirRequest:
    return FhirRequest(Interaction.SEARCH_TYPE, rtype, parameters=parameters, tie=tie)


def read(key: str, rtype: str = "Observation", value: str = "x") -> Link:
    return link_of(key, value, rtype, READING)


def refusal_of(key: str, rtype: str = "Observation", value: str = "x") -> Refusal:
    with pytest.raises(CallerError) as caught:
        read(key, rtype, value)
    return caught.value.refusal


def test_a_chain_is_a_search_of_the_type_it_leads_to() -> None:
    expected = search("Patient", SearchParameter("family", "exact", ("Martin", "Petit")))
    assert read("patient.family:exact", value="Martin,Petit") == Link(
        "patient.family:exact", "Martin,Petit", "patient", (expected,)
    )


def test_a_reverse_chain_is_a_search_of_the_type_that_points_here() -> None:
    expected = search("Observation", SearchParameter("code", "", ("x",)), tie="patient")
    key = "_has:Observation:patient:code"
    assert read(key, "Patient") == Link(key, "x", "patient", (expected,), reverse=True)


def test_a_chain_that_names_no_type_leads_to_every_type_that_has_the_parameter() -> None:
    assert [one.type for one in read("subject.name").inner] == ["Location", "Patient"]
    assert [one.type for one in read("subject:Patient.name").inner] == ["Patient"]


def test_values_inside_a_chain_are_read_like_any() -> None:
    [inner] = read("encounter.patient", value=f"{PUBLIC}/Patient/1,2").inner
    assert inner.parameters[0].values == ("Patient/1", "Patient/2")


def test_links_stand_inside_each_other() -> None:
    link = read("_has:Observation:patient:encounter.location.name", "Patient")
    [observation] = link.inner
    [encounter] = observation.links[0].inner
    [location] = encounter.links[0].inner
    assert observation.tie == "patient"
    assert (encounter.type, encounter.tie) == ("Encounter", "")
    assert location == search("Location", SearchParameter("name", "", ("x",)))
    whole = FhirRequest(Interaction.SEARCH_TYPE, "Patient", links=(link,))
    assert [one.type for one in searches_of(whole)] == [
        "Patient", "Observation", "Encounter", "Location",
    ]  # fmt: skip


REFUSED = [
    "code.text", "value-quantity.x", "patient.nonsense", "nonsense.name", "patient:Practitioner.name", "patient:.name",
    "patient:patient.name", "patient.", ".name", "patient..name", "patient.name.family", "patient._tag", "patient._security",
    "patient._has", "patient.name:in", "focus.identifier", "patient:missing.name", "Patient.name", "patient.Name",
    "_has:Observation:has-member", "_has:Observation:has-member:", "_has:Observation:code:code", "_has:Nothing:patient:code",
    "_has::patient:code", "_has:Observation::code", "_has:Provenance:target:nonsense", "_has:Patient:link:name",
    "_has:Provenance:target:_profile", "_HAS:Observation:has-member:code", "_has.code",
]  # fmt: skip


@pytest.mark.parametrize("key", REFUSED)
def test_what_cannot_be_read_whole_is_refused(key: str) -> None:
    with pytest.raises(CallerError) as caught:
        read(key)
    assert caught.value.refusal in {Refusal.PARAMETER, Refusal.MALFORMED}


def test_empty_values_are_malformed() -> None:
    assert refusal_of("patient.name", value="a,,b") is Refusal.MALFORMED


def test_a_chain_has_so_many_links_and_no_more() -> None:
    assert read(".".join(["part-of"] * MAX_DEPTH) + ".status", "Encounter").inner
    too_long = ".".join(["part-of"] * (MAX_DEPTH + 1)) + ".status"
    assert refusal_of(too_long, "Encounter") is Refusal.PARAMETER
    nested = "_has:Encounter:part-of:" * (MAX_DEPTH + 1) + "status"
    assert refusal_of(nested, "Encounter") is Refusal.PARAMETER


def test_a_link_without_a_type_leads_to_few_types_only() -> None:
    reached = R4.references["Provenance"]["target"]
    assert len(reached) > MOST_TYPES
    assert refusal_of("target.identifier", "Provenance") is Refusal.PARAMETER
    assert read("target:Observation.identifier", "Provenance").inner


def test_a_request_has_so_many_searches_inside_and_no_more() -> None:
    request = FhirRequest(Interaction.SEARCH_TYPE, "Observation")
    few = (("patient.name", "x"),) * MAX_SEARCHES
    assert len(with_parameters(request, few, R4, PUBLIC).links) == MAX_SEARCHES
    with pytest.raises(CallerError):
        with_parameters(request, (*few, ("patient.name", "x")), R4, PUBLIC)


@pytest.mark.parametrize("rtype", sorted(R4.resource_types))
def test_only_reference_elements_are_followed(rtype: str) -> None:
    for name in R4.search_params[rtype]:
        param = joining(rtype, name, R4)
        if param is not None:
            assert param.kind == "reference"
            assert set(param.paths) <= set(R4.references[rtype])
            assert not param.filtered


@given(st.text("_has:Observationpatient.code", max_size=60))
def test_any_key_is_read_or_refused(key: str) -> None:
    if is_chain(key):
        with suppress(CallerError):
            assert read(key).inner
