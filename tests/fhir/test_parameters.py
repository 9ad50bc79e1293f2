import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import CallerError, Refusal
from proxy.fhir.definitions import FHIR_VERSIONS, definitions_of
from proxy.fhir.interaction import SearchParameter
from proxy.fhir.parameters import MODIFIERS, filter_of, searchable, split_values, targets_of

R4 = definitions_of("4.0.1")
PUBLIC = "https://gateway.example/fhir"


def read(resource_type: str, key: str, value: str) -> SearchParameter:
    return filter_of(key, value, resource_type, R4, PUBLIC)


def refusal_of(resource_type: str, key: str, value: str) -> Refusal:
    with pytest.raises(CallerError) as caught:
        read(resource_type, key, value)
    return caught.value.refusal


UNDERSTOOD = [
    ("Observation", "encounter", "E1", "encounter", "", ("Encounter/E1",)),
    ("Observation", "based-on", "ServiceRequest/S1", "based-on", "", ("ServiceRequest/S1",)),
    ("Observation", "code", "http://loinc.org|1-8", "code", "", ("http://loinc.org|1-8",)),
    ("Observation", "code", "http://loinc.org|", "code", "", ("http://loinc.org|",)),
    ("Observation", "code", "|1-8,2-7", "code", "", ("|1-8", "2-7")),
    ("Observation", "code:not", "a\\,b", "code", "not", ("a\\,b",)),
    ("Observation", "code:missing", "true", "code", "missing", ("true",)),
    ("Observation", "date", "ge2020-01-01T00:00:00.5+02:00", "date", "", ("ge2020-01-01T00:00:00.5+02:00",)),
    ("Observation", "date", "2020", "date", "", ("2020",)),
    ("Observation", "date", "lt2020-12,2019-02-03", "date", "", ("lt2020-12", "2019-02-03")),
    ("Observation", "value-quantity", "gt5.40|http://unitsofmeasure.org|mg", "value-quantity", "",
     ("gt5.40|http://unitsofmeasure.org|mg",)),
    ("Observation", "value-quantity", "1e-3||mg", "value-quantity", "", ("1e-3||mg",)),
    ("Patient", "family:contains", "O'Neil \\\\ \\$", "family", "contains", ("O'Neil \\\\ \\$",)),
    ("Patient", "family:exact", "Smith", "family", "exact", ("Smith",)),
    ("Patient", "_id", "P1,P2", "_id", "", ("P1", "P2")),
    ("Patient", "_lastUpdated", "gt2026-11-22T10:00:00Z", "_lastUpdated", "", ("gt2026-11-22T10:00:00Z",)),
    ("ValueSet", "url", "http://x.example/vs", "url", "", ("http://x.example/vs",)),
    ("RiskAssessment", "probability", "ge0.5", "probability", "", ("ge0.5",)),
    # References come out in one spelling.
    ("Observation", "patient", "P1,P2", "patient", "", ("Patient/P1", "Patient/P2")),
    ("Observation", "subject", "Patient/P1,Group/G9", "subject", "", ("Patient/P1", "Group/G9")),
    ("Observation", "subject:Patient", "P1", "subject", "", ("Patient/P1",)),
    ("Observation", "subject:Patient", "Patient/P1", "subject", "", ("Patient/P1",)),
    ("Observation", "subject", f"{PUBLIC}/Patient/P1", "subject", "", ("Patient/P1",)),
    ("Observation", "subject", "HTTPS://Gateway.Example:443/fhir/Patient/P1", "subject", "", ("Patient/P1",)),
    ("Observation", "subject:identifier", "urn:s|1", "subject", "identifier", ("urn:s|1",)),
    ("Observation", "subject:missing", "false", "subject", "missing", ("false",)),
    ("AllergyIntolerance", "patient", "P1", "patient", "", ("Patient/P1",)),
    ("DeviceUseStatement", "patient", "P1", "patient", "", ("Patient/P1",)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("resource_type", "key", "value", "name", "modifier", "values"), UNDERSTOOD
)
def test_a_filter_is_understood(
    resource_type: str, key: str, value: str, name: str, modifier: str, values: tuple[str, ...]
) -> None:
    assert read(resource_type, key, value) == SearchParameter(name, modifier, values)


REFUSED_KEYS = [
    "_has", "_has:Observation:patient:code", "_HAS:Observation:patient:code", "_filter", "_content", "_text", "_query",
    "_list", "_in", "_contained", "_containedType", "_security", "_security:not", "_tag", "_profile", "_source", "_type",
    "_language", "_elements", "_at", "_since", "_method", "_charset_", "_getpages", "_includeHidden", "_explain", "__as-of",
    "_expunge", "_cascade", "ct", "_maxresults", "_graph", "apply", "PATIENT", "Patient", "patient.name", "subject.name",
    "subject:Patient.birthdate", "patient:", "subject:", "subject:Practitioner", "subject:patient", "subject:above",
    "subject:Patient:missing", "patient:identifier:missing", "code:text", "code:in", "code:not-in", "code:below",
    "code:of-type", "code:exact", "date:exact", "date:not", "value-quantity:missing:missing", "code-value-quantity",
    "combo-code-value-quantity", "_id:not", "_id:missing", "_lastUpdated:missing", "__class__", "constructor", "?patient",
    "patient\u00a0", " patient", "patient ", "code:Missing", "", ":", ".", "toString", "__proto__", "mro", "_id.__dict__",
]  # fmt: skip


@pytest.mark.parametrize("key", REFUSED_KEYS)
def test_a_name_that_is_not_on_the_list_is_refused(key: str) -> None:
    assert refusal_of("Observation", key, "1") is Refusal.PARAMETER


REFUSED_VALUES = [
    ("subject", "P1"), ("subject", "Practitioner/1"), ("subject", "Patient/P1/_history/2"), ("subject", "#p1"),
    ("subject", "https://evil.example/fhir/Patient/P1"), ("subject", "//gateway.example/fhir/Patient/P1"),
    ("subject", "urn:uuid:1"), ("subject", "Patient?name=x"), ("subject", "Patient/.."), ("subject", "patient/P1"),
    ("subject:Patient", "Group/G9"), ("subject:Device", "Patient/P1"), ("patient", "Group/G9"), ("patient", "P1\\,P2"),
    ("patient", "P1,Group/G9"), ("patient", "P1;patient=P2"), ("patient", "."), ("code", "|"), ("code", "a|b|c"),
    ("code:missing", "yes"), ("code:missing", "true,false"), ("date", "ge 2020"), ("date", "2020-13"),
    ("date", "2020-01-01T00:00:00 02:00"), ("date", "xx2020"), ("date", "today"), ("date", "2020\u0661"),
    ("value-quantity", "5.4|mg"), ("value-quantity", "NaN"), ("value-quantity", "gt"), ("_id", "Patient/P1"),
    ("_id", "a|b"), ("_id", ".."), ("_lastUpdated", "now"), ("subject:identifier", "|"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), REFUSED_VALUES)
def test_a_value_that_is_not_of_its_kind_is_refused(key: str, value: str) -> None:
    assert refusal_of("Observation", key, value) is Refusal.PARAMETER


@pytest.mark.parametrize("value", ["P1,", ",P2", "P1,,P2", ",", "a\\", "a\\b", "\\", ""])
def test_an_empty_member_or_a_broken_escape_is_malformed(value: str) -> None:
    assert refusal_of("Observation", "code", value) is Refusal.MALFORMED


def test_blanks_are_no_string() -> None:
    assert refusal_of("Patient", "family", "  ") is Refusal.PARAMETER


@pytest.mark.parametrize("version", FHIR_VERSIONS)
def test_all_that_is_searchable_can_be_judged(version: str) -> None:
    for resource_type in definitions_of(version).resource_types:
        params = searchable(resource_type, version)

        assert all(param.paths and param.kind in MODIFIERS for param in params.values())
        assert {name for name in params if name.startswith("_")} <= {"_id", "_lastUpdated"}
    assert "code" in searchable("Observation", version)


def test_an_unknown_type_has_no_parameters() -> None:
    assert not searchable("Foo", "4.0.1")


def test_targets_are_those_that_definition_and_element_share() -> None:
    param = R4.search_params["AllergyIntolerance"]["patient"]

    assert set(param.targets) == {"Patient", "Group"}
    assert targets_of("AllergyIntolerance", param, R4) == {"Patient"}


@given(st.lists(st.text(st.sampled_from("ab|$"), min_size=1), min_size=1))
def test_an_or_list_splits_at_its_commas(members: list[str]) -> None:
    assert split_values(",".join(members)) == tuple(members)
    assert split_values("\\,".join(members)) == ("\\,".join(members),)


@given(
    key=st.sampled_from(["code", "subject", "date", "_id", "value-quantity"]) | st.text(),
    value=st.text() | st.text(st.sampled_from("a1-:|,\\/.T ")),
)
def test_any_filter_is_understood_the_same_twice_or_refused(key: str, value: str) -> None:
    try:
        once = read("Observation", key, value)
    except CallerError:
        return
    written = f"{once.name}:{once.modifier}" if once.modifier else once.name
    assert read("Observation", written, ",".join(once.values)) == once
