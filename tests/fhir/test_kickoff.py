"""What a kick-off asks for, understood or refused, and written again."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import CallerError, Refusal
from proxy.fhir.definitions import definitions_of
from proxy.fhir.kickoff import (
    MOST_ELEMENTS,
    MOST_FILTERS,
    MOST_PATIENTS,
    Wish,
    asked_of_upstream,
    posted,
    query_of,
    wish_of,
)
from proxy.fhir.query import pairs_of

R4 = definitions_of("4.0.1")
NOW = "2026-11-22T09:00:00Z"
URL = "http://gateway.example.org/fhir"

WISHES: list[tuple[list[tuple[str, str]], Wish]] = [
    ([], Wish()),
    ([("_type", "Patient")], Wish(("Patient",))),
    ([("_type", "Patient,Observation,Patient")], Wish(("Patient", "Observation"))),
    ([("_since", NOW)], Wish(since=NOW)),
    ([("_since", "2026-11-22T09:00:00 01:00")], Wish(since="2026-11-22T09:00:00+01:00")),
    ([("_until", NOW)], Wish(until=NOW)),
    (
        [("patient", "Patient/1"), ("patient", "Patient/2"), ("patient", "Patient/1")],
        Wish(patients=("Patient/1", "Patient/2")),
    ),
    ([("_elements", "id,Patient.name,id")], Wish(elements=("id", "Patient.name"))),
    ([("_outputFormat", "ndjson")], Wish()),
    ([("_outputFormat", "application/fhir ndjson")], Wish()),
]


@pytest.mark.parametrize(("pairs", "wish"), WISHES)
def test_what_an_export_asks_for(pairs: list[tuple[str, str]], wish: Wish) -> None:
    assert wish_of(tuple(pairs), R4) == wish


REFUSED = [
    ([("_type", "Unicorn")], Refusal.PARAMETER),
    ([("_type", "Patient,")], Refusal.PARAMETER),
    ([("_type", "")], Refusal.PARAMETER),
    ([("_type", "Patient"), ("_type", "Patient")], Refusal.PARAMETER),
    ([("_since", "yesterday")], Refusal.PARAMETER),
    ([("_since", "")], Refusal.PARAMETER),
    ([("_since:missing", "true")], Refusal.PARAMETER),
    ([("_until", "2026"), ], Refusal.PARAMETER),
    ([("_typeFilter", "Patient")], Refusal.PARAMETER),
    ([("_typeFilter", "Patient?")], Refusal.PARAMETER),
    ([("_typeFilter", "Unicorn?active=true")], Refusal.PARAMETER),
    ([("_typeFilter", "Patient?name=x")], Refusal.PARAMETER),
    ([("_typeFilter", "Patient?birthdate=ge1970")], Refusal.PARAMETER),
    ([("_typeFilter", "Patient?gender:not=male")], Refusal.PARAMETER),
    ([("_typeFilter", "Patient?active:missing=true")], Refusal.PARAMETER),
    ([("_typeFilter", "Patient?gender=male&_has:Observation:patient:code=x")], Refusal.PARAMETER),
    ([("_typeFilter", "Observation?patient.gender=male")], Refusal.PARAMETER),
    ([("_typeFilter", "Observation?_security=V")], Refusal.PARAMETER),
    ([("_typeFilter", "Observation?status=final&_count=1")], Refusal.PARAMETER),
    ([("_typeFilter", "Observation?status=final&unicorn=1")], Refusal.PARAMETER),
    ([("_type", "Patient"), ("_typeFilter", "Observation?status=final")], Refusal.PARAMETER),
    ([("_typeFilter", "Patient?active=true")] * (MOST_FILTERS + 1), Refusal.PARAMETER),
    ([("_elements", "")], Refusal.PARAMETER),
    ([("_elements", "name.family")], Refusal.PARAMETER),
    ([("_elements", "Unicorn.name")], Refusal.PARAMETER),
    ([("_elements", ",".join(f"a{n}" for n in range(MOST_ELEMENTS + 1)))], Refusal.PARAMETER),
    ([("patient", "1")], Refusal.PARAMETER),
    ([("patient", "Practitioner/1")], Refusal.PARAMETER),
    ([("patient", f"Patient/{n}") for n in range(MOST_PATIENTS + 1)], Refusal.PARAMETER),
    ([("includeAssociatedData", "LatestProvenanceResources")], Refusal.PARAMETER),
    ([("organizeOutputBy", "Patient")], Refusal.PARAMETER),
    ([("allowPartialManifests", "true")], Refusal.PARAMETER),
    ([("_format", "json")], Refusal.PARAMETER),
    ([("_outputFormat", "json")], Refusal.NOT_ACCEPTABLE),
    ([("_outputFormat", "")], Refusal.NOT_ACCEPTABLE),
]  # fmt: skip


@pytest.mark.parametrize(("pairs", "refusal"), REFUSED)
def test_what_cannot_be_guarded_is_refused(pairs: list[tuple[str, str]], refusal: Refusal) -> None:
    with pytest.raises(CallerError) as caught:
        wish_of(tuple(pairs), R4)
    assert caught.value.refusal is refusal


def test_what_goes_up_reads_as_what_came() -> None:
    wish = Wish(("Patient", "Observation"), "2026-11-22T09:00:00+01:00")
    assert query_of(wish) == "_type=Patient,Observation&_since=2026-11-22T09:00:00%2B01:00"
    assert query_of(Wish()) == ""


FILTERS = [
    ("Observation?code=http://loinc.org|1-2,3-4&status=final", ["Observation?code=http://loinc.org%7C1-2,3-4&status=final"]),
    ("Observation?status=final,amended,Patient?active=true", ["Observation?status=final,amended", "Patient?active=true"]),
    (f"Observation?subject={URL}/Patient/1", ["Observation?subject=Patient/1"]),
    ("Observation?_id=a,b", ["Observation?_id=a,b"]),
    ("Observation?a=b,c", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "written"), FILTERS)
def test_searches_for_types_are_read_one_by_one(text: str, written: list[str] | None) -> None:
    if written is None:
        with pytest.raises(CallerError):
            wish_of((("_typeFilter", text),), R4, URL)
        return
    wish = wish_of((("_typeFilter", text),), R4, URL)
    assert pairs_of(query_of(wish)) == tuple(("_typeFilter", one) for one in written)
    assert wish_of(pairs_of(query_of(wish)), R4, URL).filters == wish_of(tuple(("_typeFilter", one) for one in written), R4, URL).filters  # fmt: skip


def test_what_is_asked_of_a_type() -> None:
    wish = wish_of((("_elements", "id,Patient.name"), ("_typeFilter", "Patient?active=true")), R4)
    assert wish.elements_of("Patient") == ("id", "name")
    assert wish.elements_of("Observation") == ("id",)
    assert [one.rtype for one in wish.filters_of("Patient")] == ["Patient"]
    assert wish.filters_of("Observation") == ()


_WISHES = st.builds(
    Wish,
    st.lists(st.sampled_from(["Patient", "Observation", "Group"]), unique=True).map(tuple),
    st.sampled_from(["", NOW, "2026-11-22T09:00:00+01:00"]),
    st.sampled_from(["", NOW]),
    st.lists(st.from_regex(r"Patient/[A-Za-z0-9]{1,9}", fullmatch=True), unique=True, max_size=3).map(tuple),
    st.lists(st.sampled_from(["id", "Patient.name"]), unique=True).map(tuple),
)  # fmt: skip


@given(_WISHES)
def test_a_wish_that_is_written_and_read_again_is_the_same(wish: Wish) -> None:
    text = query_of(wish)
    assert wish_of(pairs_of(text) if text else (), R4) == wish


@given(_WISHES)
def test_upstream_is_posted_patients_and_asked_for_no_elements(wish: Wish) -> None:
    query, body = asked_of_upstream(wish)
    assert bool(body) is bool(wish.patients)
    assert not (query and body)
    assert "_elements" not in query + body.decode()
    if body:
        listed = orjson.loads(body)["parameter"]
        named = [one["valueReference"]["reference"] for one in listed if one["name"] == "patient"]
        assert tuple(named) == wish.patients
        assert posted(body, URL)


def test_posted_parameters_are_those_of_a_kick_off_and_no_others() -> None:
    named = {"name": "_type", "valueString": "Patient"}
    body = {"resourceType": "Parameters", "parameter": [named]}
    assert posted(orjson.dumps(body), URL) == (("_type", "Patient"),)
    several = [{"name": "patient", "valueReference": {"reference": one}} for one in (f"{URL}/Patient/1", "Patient/2")]  # fmt: skip
    searches = [{"name": "_typeFilter", "valueString": one} for one in ("a", "b")]
    assert posted(orjson.dumps({**body, "parameter": [*several, *searches]}), URL) == (
        ("patient", "Patient/1"), ("patient", "Patient/2"), ("_typeFilter", "a"), ("_typeFilter", "b"),
    )  # fmt: skip
    for wrong in (
        {**named, "valueString": 1},
        {"name": "_type", "valueCode": "x"},
        {"name": "includeAssociatedData", "valueCode": "x"},
        {
            "name": "patient",
            "valueReference": {"reference": "http://elsewhere.example.org/Patient/1"},
        },
        {"name": "patient", "valueReference": {"display": "x"}},
        {**named, "part": []},
        {"name": ["_type"], "valueString": "x"},
        "x",
    ):
        with pytest.raises(CallerError):
            posted(orjson.dumps({**body, "parameter": [wrong]}), URL)
    wholes: list[object] = [{}, [], {**body, "id": "x"}, {**body, "parameter": {}}, {**body, "resourceType": "Patient"}]  # fmt: skip
    for whole in wholes:
        with pytest.raises(CallerError):
            posted(orjson.dumps(whole), URL)
