import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.fhir.definitions import definitions_of
from proxy.sandbox.model import FhirError
from proxy.sandbox.query import MAX_COUNT, Criterion, Include, Query, query_of, split, unescaped

R4 = definitions_of("4.0.1")

CRITERIA = [
    ("name", "x", Criterion("name", "", "", ("x",))),
    ("name:exact", "x,y", Criterion("name", "exact", "", ("x", "y"))),
    ("name", r"a\,b,c", Criterion("name", "", "", (r"a\,b", "c"))),
    ("subject:Patient.name:exact", "x", Criterion("subject", "Patient", "name:exact", ("x",))),
    ("patient.organization.name", "x", Criterion("patient", "", "organization.name", ("x",))),
    ("_has:Observation:patient:code", "x", Criterion("_has", "", "Observation:patient:code", ("x",))),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "criterion"), CRITERIA)
def test_a_filter_is_taken_apart(name: str, value: str, criterion: Criterion) -> None:
    assert query_of("Observation", ((name, value),), R4).criteria == (criterion,)


def test_result_parameters_are_no_filters() -> None:
    pairs = (
        ("_count", "5"), ("_sort", "-date,code"), ("_summary", "text"), ("_total", "none"), ("_format", "json"),
        ("_elements", "status,Observation.code"), ("_include", "Observation:subject:Patient"),
        ("_revinclude:iterate", "Provenance:target"),
    )  # fmt: skip

    assert query_of("Observation", pairs, R4) == Query(
        "Observation",
        sort=(("date", True), ("code", False)),
        includes=(
            Include("Observation", "subject", "Patient", reverse=False, iterate=False),
            Include("Provenance", "target", "", reverse=True, iterate=True),
        ),
        count=5,
        summary="text",
        elements=("status", "code"),
        total="none",
    )


def test_a_count_has_a_limit_and_zero_counts() -> None:
    assert query_of("Patient", (("_count", "999999"),), R4).count == MAX_COUNT
    assert query_of("Patient", (("_count", "0"),), R4).summary == "count"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("_count", "-1"), ("_count", "x"), ("_sort", "unicorn"), ("_summary", "maybe"), ("_total", "maybe"),
        ("_include", "Observation:unicorn"), ("_include", "Unicorn:subject"), ("_include", "Observation:code"),
    ],
)  # fmt: skip
def test_malformed_result_parameters_are_refused(name: str, value: str) -> None:
    with pytest.raises(FhirError):
        query_of("Observation", ((name, value),), R4)


def test_empty_values_are_no_filters() -> None:
    assert query_of("Patient", (("name", ""),), R4).criteria == ()


@given(st.lists(st.text(), min_size=1))
def test_what_is_escaped_comes_apart_again(values: list[str]) -> None:
    escaped = [value.replace("\\", "\\\\").replace(",", "\\,") for value in values]

    assert [unescaped(part) for part in split(",".join(escaped), ",")] == values
