import json

import pytest

from proxy.errors import CallerError, Refusal
from proxy.fhir.composed import argument, pairs_in
from proxy.fhir.definitions import definitions_of
from proxy.fhir.interaction import COMPOSED, FhirRequest, Interaction, RawRequest
from proxy.fhir.query import pairs_of
from proxy.fhir.search import canonical_query, relative_url, request_of, with_parameters

BASE = "https://gateway.example.org/fhir"
R4 = definitions_of("4.0.1")


def asked(target: str) -> FhirRequest:
    raw = RawRequest("GET", f"/fhir/{target}", {}, b"", "r1")
    return request_of(raw, "/fhir", BASE, R4)


def refusal_of(target: str) -> Refusal | None:
    try:
        asked(target)
    except CallerError as error:
        return error.refusal
    return None


UNDERSTOOD = [
    "Patient/P1/$everything",
    "Patient/P1/$everything?start=2020&end=2021-05",
    "Patient/P1/$everything?_type=Observation,Condition&_count=5",
    "Patient/P1/$everything?_since=2020-01-01T00:00:00Z",
    "Observation/$lastn?patient=Patient/P1&category=laboratory",
    "Observation/$lastn?subject=Patient/P1&code=1234-5,9999-9&max=3",
    "DocumentReference/$docref?patient=Patient/P1",
    "DocumentReference/$docref?patient=Patient/P1&type=34133-9&start=2020&end=2021-01-05&_count=3",
    "Composition/C1/$document",
    "Composition/C1/$document?persist=false",
    "Composition/$document?id=C1",
    f"Composition/$document?id={BASE}/Composition/C1",
    "Patient/P1/$summary",
    "Patient/P1/$summary?profile=http://hl7.org/fhir/uv/ips/StructureDefinition/Composition-uv-ips|2.0.0",
    "Patient/$summary?identifier=urn:oid:1.2.3|42",
]


@pytest.mark.parametrize("target", UNDERSTOOD)
def test_what_is_understood_is_written_anew_and_read_again_is_the_same(target: str) -> None:
    request = asked(target)
    again = asked(relative_url(request))
    assert sorted(canonical_query(again)) == sorted(canonical_query(request))
    assert request.judged_as is COMPOSED[request.interaction]


def test_a_document_is_read_and_everything_else_is_searched() -> None:
    reads = {one for one, judged in COMPOSED.items() if judged is not Interaction.SEARCH_TYPE}
    assert reads == {Interaction.DOCUMENT}
    assert COMPOSED[Interaction.DOCUMENT] is Interaction.READ


def test_a_document_by_id_is_that_of_the_instance() -> None:
    assert relative_url(asked("Composition/$document?id=C1")) == "Composition/C1/$document"


REFUSED = [
    "Patient/P1/$everything?start=2020-13",
    "Patient/P1/$everything?start=2020-01-01T00:00:00Z",
    "Patient/P1/$everything?end=",
    "Patient/P1/$everything?start:missing=true",
    "Patient/P1/$everything?_type=observation",
    "Patient/P1/$everything?_type=*",
    "Patient/P1/$everything?patient=P2",
    "Patient/P1/$everything?max=2",
    "Patient/P1/$everything?_sort=_id",
    "Patient/P1/$everything?_total=accurate",
    "Patient/P1/$everything?_page=x&_count=1",
    "Observation/$lastn",
    "Observation/$lastn?patient=P1",
    "Observation/$lastn?category=laboratory",
    "Observation/$lastn?patient=P1,P2&category=x",
    "Observation/$lastn?patient=Group/1&category=x",
    "Observation/$lastn?patient=P1&patient=P2&category=x",
    "Observation/$lastn?patient:identifier=x&category=x",
    "Observation/$lastn?patient=P1&category=x&max=0",
    "Observation/$lastn?patient=P1&category=x&max=1000",
    "Observation/$lastn?patient=P1&category=x&_count=5",
    "Observation/$lastn?patient=P1&category=x&_include=Observation:subject",
    "Observation/$lastn?patient=P1&category=x&value-quantity=5",
    "DocumentReference/$docref",
    "DocumentReference/$docref?type=x",
    "DocumentReference/$docref?patient=P1&profile=x",
    "DocumentReference/$docref?patient=P1&_include=DocumentReference:author",
    "Composition/$document",
    "Composition/$document?persist=false",
    "Composition/$document?id=a/b",
    "Composition/$document?id=..",
    "Composition/$document?id=https://elsewhere.example.org/fhir/Composition/C1",
    "Composition/$document?id=C1&id=C2",
    "Composition/C1/$document?id=C1",
    "Composition/C1/$document?graph=http://example.org/graph",
    "Composition/C1/$document?_count=1",
    "Composition/C1/$document?_elements=title",
    "Patient/$summary",
    "Patient/$summary?identifier=x&identifier=y",
    "Patient/$summary?identifier:missing=false",
    "Patient/$summary?_id=P1",
    "Patient/P1/$summary?identifier=x",
    "Patient/P1/$summary?graph=http://example.org/graph",
    "Patient/P1/$summary?profile=http://example.org/another",
    "Patient/P1/$summary?_summary=true",
    "Patient/P1/$summary?_page=abc",
]


@pytest.mark.parametrize("target", REFUSED)
def test_what_is_not_understood_is_refused(target: str) -> None:
    assert refusal_of(target) in {Refusal.PARAMETER, Refusal.MALFORMED}


def test_no_document_is_made_that_would_be_kept() -> None:
    assert refusal_of("Composition/C1/$document?persist=true") is Refusal.NOT_SUPPORTED
    assert refusal_of("DocumentReference/$docref?patient=P1&on-demand=false") is None
    assert (
        refusal_of("DocumentReference/$docref?patient=P1&on-demand=true") is Refusal.NOT_SUPPORTED
    )


def test_types_may_stand_several_times() -> None:
    request = asked("Patient/P1/$everything?_type=Observation&_type=Condition,Observation")
    assert argument(request, "_type") == ("Observation", "Condition")


def test_a_page_link_needs_nothing_beside_it() -> None:
    request = asked("Patient/P1/$everything?_page=abc")
    continued = with_parameters(
        FhirRequest(Interaction.EVERYTHING, "Patient", "P1"), pairs_of("_count=3"), R4, BASE
    )
    assert (request.cursor, continued.count) == ("abc", 3)
    assert refusal_of("DocumentReference/$docref?_page=abc") is None


def body(*parameters: object, **more: object) -> bytes:
    found = {"resourceType": "Parameters", "parameter": list(parameters), **more}
    return json.dumps(found).encode()


def test_posted_parameters_are_pairs() -> None:
    posted = body(
        {"name": "_type", "valueCode": "Observation"},
        {"name": "_count", "valueInteger": 7},
        {"name": "start", "valueDate": "2020"},
    )
    everything, empty = Interaction.EVERYTHING, b'{"resourceType":"Parameters"}'
    assert pairs_in(posted, everything) == (
        ("_type", "Observation"),
        ("_count", "7"),
        ("start", "2020"),
    )
    assert pairs_in(empty, everything) == ()


POSTED = [
    (Interaction.DOCUMENT, {"name": "id", "valueUri": "C1"}, ("id", "C1")),
    (Interaction.DOCUMENT, {"name": "persist", "valueBoolean": False}, ("persist", "false")),
    (Interaction.DOCUMENT, {"name": "persist", "valueBoolean": True}, ("persist", "true")),
    (Interaction.SUMMARY, {"name": "identifier", "valueString": "s|1"}, ("identifier", "s|1")),
    (Interaction.SUMMARY, {"name": "profile", "valueUri": "p"}, ("profile", "p")),
    (Interaction.SUMMARY, {"name": "profile", "valueCanonical": "p"}, ("profile", "p")),
]


@pytest.mark.parametrize(("interaction", "parameter", "pair"), POSTED)
def test_each_operation_has_parameters_of_its_own(
    interaction: Interaction, parameter: dict[str, object], pair: tuple[str, str]
) -> None:
    assert pairs_in(body(parameter), interaction) == (pair,)
    with pytest.raises(CallerError):
        pairs_in(body(parameter), Interaction.EVERYTHING)


@pytest.mark.parametrize(
    "parameter",
    [
        {"name": "persist", "valueBoolean": "false"},
        {"name": "persist", "valueBoolean": 0},
        {"name": "persist", "valueString": "false"},
        {"name": "graph", "valueUri": "x"},
        {"name": "id", "valueUri": True},
        {"name": "id", "valueUri": "C1", "valueString": "C2"},
    ],
)
def test_parameters_of_another_form_are_refused(parameter: dict[str, object]) -> None:
    with pytest.raises(CallerError):
        pairs_in(body(parameter), Interaction.DOCUMENT)


NO_PARAMETERS = [
    b"", b"[]", b"{}", b'{"resourceType":"Patient"}', body(id="x"), body("x"), body({"name": "_count"}),
    body({"name": "_count", "valueInteger": True}), body({"name": "_count", "valueInteger": 1.5}),
    body({"name": "_count", "valueString": "1"}), body({"name": "patient", "valueId": "x"}),
    body({"name": "_count", "valueInteger": 1, "extension": []}), body({"valueInteger": 1}), body({"name": 1, "valueInteger": 1}),
    b'{"resourceType":"Parameters","resourceType":"Parameters"}', b'{"resourceType":"Parameters","parameter":{}}',
    body({"name": "_type", "valueCode": ["Observation"]}), b"\xff",
]  # fmt: skip


@pytest.mark.parametrize("posted", NO_PARAMETERS)
def test_anything_else_is_refused(posted: bytes) -> None:
    with pytest.raises(CallerError) as caught:
        pairs_in(posted, Interaction.EVERYTHING)
    assert caught.value.refusal in {Refusal.PARAMETER, Refusal.MALFORMED}
