from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import CallerError, Refusal
from proxy.fhir.definitions import definitions_of
from proxy.fhir.interaction import FhirRequest, Interaction, RawRequest, SearchParameter
from proxy.fhir.query import encode_query, pairs_of
from proxy.fhir.search import (
    canonical_query,
    for_upstream,
    includable,
    relative_url,
    request_of,
    searchable,
    with_parameters,
)

R4 = definitions_of("4.0.1")
PUBLIC = "https://gateway.example/fhir"
FORM = {"content-type": "application/x-www-form-urlencoded"}
SEARCH = FhirRequest(Interaction.SEARCH_TYPE, "Observation")
HISTORY = FhirRequest(Interaction.HISTORY_INSTANCE, "Observation", "O1")


def get(path: str) -> FhirRequest:
    raw = RawRequest("GET", f"/fhir/{path}", {}, b"", "r1")
    return request_of(raw, "/fhir", PUBLIC, R4)


def post(path: str, form: str) -> FhirRequest:
    raw = RawRequest("POST", f"/fhir/{path}", FORM, form.encode(), "r1")
    return request_of(raw, "/fhir", PUBLIC, R4)


def refusal_of(path: str) -> Refusal:
    with pytest.raises(CallerError) as caught:
        get(path)
    return caught.value.refusal


def test_filters_and_result_parameters_are_told_apart() -> None:
    found = get(
        "Observation?patient=P1&code=a,b&code=c&_count=10&_sort=-date,code&_include=Observation:encounter"
        "&_revinclude=Provenance:target&_total=none&_summary=false&_format=json&_pretty=true"
    )

    assert found == FhirRequest(
        Interaction.SEARCH_TYPE,
        "Observation",
        parameters=(
            SearchParameter("patient", "", ("Patient/P1",)),
            SearchParameter("code", "", ("a", "b")),
            SearchParameter("code", "", ("c",)),
        ),
        includes=(
            SearchParameter("_include", "", ("Observation:encounter",)),
            SearchParameter("_revinclude", "", ("Provenance:target",)),
        ),
        count=10,
        sort=("-date", "code"),
    )


def test_url_and_form_are_one_search() -> None:
    found = post("Observation/_search?patient=P1", "patient=P2")

    assert [p.values for p in found.parameters] == [("Patient/P1",), ("Patient/P2",)]


NINE_SPELLINGS = [
    "subject=Patient/P1", "subject=Patient%2FP1", "subject:Patient=P1", "%73ubject=Patient/P1", "subject%3APatient=P1",
    f"subject={PUBLIC}/Patient/P1", "subject=HTTPS://GATEWAY.EXAMPLE:443/fhir/Patient/P1",
    "subject:Patient=Patient/P1", f"subject:Patient={PUBLIC}/Patient/P1",
]  # fmt: skip


@pytest.mark.parametrize("text", NINE_SPELLINGS)
def test_every_spelling_of_a_search_is_written_alike(text: str) -> None:
    assert relative_url(get(f"Observation?{text}")) == "Observation?subject=Patient/P1"
    assert relative_url(post("Observation/_search", text)) == "Observation?subject=Patient/P1"


REFUSED = [
    "Observation?_count=-1", "Observation?_count=x", "Observation?_count=10&_count=100000",
    "Observation?_count=1e3", "Observation?_count=%2B1", "Observation?_count=%D9%A1",
    "Observation?_sort=_score", "Observation?_sort:desc=date", "Observation?_sort=date,-date", "Observation?_sort=foo",
    "Observation?_sort=subject.birthdate", "Observation?_sort=--date", "Observation?_sort=date,", "Observation?_sort=_tag",
    "Observation?_sort=code-value-quantity", "Observation?_include=*", "Observation?_include=Observation:*",
    "Observation?_include:iterate=Observation:subject", "Observation?_include:recurse=Observation:subject",
    "Observation?_revinclude:iterate=Provenance:target", "Observation?_include=Observation:code",
    "Observation?_include=Observation:foo", "Observation?_include=Foo:subject", "Observation?_include=Patient:link",
    "Observation?_include=Observation:subject:Practitioner", "Observation?_include=Observation:subject:Foo",
    "Observation?_include=Observation:subject,Observation:encounter", "Observation?_include=Observation",
    "Observation?_include=Observation:subject:Patient:x", "Observation?_revinclude=Condition:subject",
    "Observation?_revinclude=*", "Observation?_revinclude=Provenance:target:Patient", "Observation?_since=2020-01-01T00:00:00Z",
    "Observation?_pretty=yes", "Observation?_page=abc&_count=10", "Observation?_page=abc&code=x", "Observation?_page=a&_page=b",
    "Observation?_page=a%2Fb", "Observation?_page=a&_pretty=true", "Observation?_Count=1",
    "Observation?foo=x", "Patient/P1?name=x",
    "Patient/P1?_count=1", "metadata?mode=full", "metadata?_count=1",
    "Observation/O1/_history?_at=2020", "Observation/O1/_history?_since=2020", "Observation/O1/_history?_sort=date",
    "Observation/O1/_history?_list=42", "Observation/O1/_history?_count=0",
    "Observation?_sort=date&_sort=code",
]  # fmt: skip


@pytest.mark.parametrize("path", REFUSED)
def test_what_is_not_understood_is_refused(path: str) -> None:
    assert refusal_of(path) is Refusal.PARAMETER


@pytest.mark.parametrize(
    "path", ["Patient/P1?_format=xml", "Observation?_format=application/fhir%2Bxml"]
)
def test_another_format_is_not_acceptable(path: str) -> None:
    assert refusal_of(path) is Refusal.NOT_ACCEPTABLE


def test_two_formats_are_refused() -> None:
    assert refusal_of("Observation?_format=json&_format=xml") is Refusal.PARAMETER


def test_too_many_values_are_too_large() -> None:
    assert refusal_of(f"Observation?code={'a,' * 1000}a") is Refusal.TOO_LARGE


def test_a_page_link_stands_alone_but_for_the_format() -> None:
    assert get("Observation?_page=abc-_.~&_format=json").cursor == "abc-_.~"
    assert get("Observation/O1/_history?_page=abc").cursor == "abc"


def test_a_history_takes_count_and_since() -> None:
    found = get("Observation/O1/_history?_count=5&_since=2026-01-01T00:00:00%2B01:00")

    assert (found.count, found.since) == (5, "2026-01-01T00:00:00+01:00")
    assert relative_url(found) == (
        "Observation/O1/_history?_count=5&_since=2026-01-01T00:00:00%2B01:00"
    )


@pytest.mark.parametrize("path", ["Observation/_history", "_history"])
def test_the_history_of_many_takes_what_that_of_one_takes(path: str) -> None:
    found = get(f"{path}?_count=5&_since=2026-01-01T00:00:00Z&_summary=true")
    assert (found.count, found.since, found.summary) == (5, "2026-01-01T00:00:00Z", "true")
    assert relative_url(found) == f"{path}?_count=5&_since=2026-01-01T00:00:00Z&_summary=true"
    assert get("Observation/_history?_elements=code").elements == ("code",)
    assert refusal_of("_history?_elements=code") is Refusal.PARAMETER
    for asked in (
        "_at=2020",
        "_list=1",
        "_sort=_lastUpdated",
        "_count=0",
        "_total=accurate",
        "_type=Patient",
        "_summary=count",
        "code=x",
        "_since=2020",
    ):
        assert refusal_of(f"{path}?{asked}") is Refusal.PARAMETER


@pytest.mark.parametrize(
    "path", ["Patient/P1?_format=json&_pretty=true&_summary=false", "Patient/P1"]
)
def test_a_read_drops_what_changes_nothing(path: str) -> None:
    assert relative_url(get(path)) == "Patient/P1"


def test_includes_follow_reference_parameters_to_their_targets() -> None:
    assert includable("Observation", R4)["subject"] >= {"Patient", "Group"}
    assert "code" not in includable("Observation", R4)
    found = get("Observation?_include=Observation:subject:Patient")
    assert found.includes == (SearchParameter("_include", "", ("Observation:subject:Patient",)),)


NAMES = sorted(searchable("Observation", "4.0.1"))
KEYS = st.sampled_from(
    ["_count", "_sort", "_include", "_revinclude", "_page", "_since", "_format", "_total", *NAMES]
) | st.text(max_size=10)
VALUES = st.sampled_from(
    ["1", "-date,code", "Observation:subject", "Provenance:target", "json", "none", "Patient/P1", "P1,P2",
     "ge2020-01-01", "a\\,b,c|d", "true", "5.4|u|c", "2020-01-01T00:00:00Z", "x%y&z=+ é"]
) | st.text(max_size=10)  # fmt: skip
SUFFIXES = st.sampled_from(["", ":missing", ":not", ":Patient", ":identifier", ":contains", ":x"])


@given(
    base=st.sampled_from([SEARCH, HISTORY]),
    pairs=st.lists(st.tuples(KEYS, SUFFIXES, VALUES), max_size=4),
)
def test_what_is_written_reads_as_the_same_request(
    base: FhirRequest, pairs: list[tuple[str, str, str]]
) -> None:
    try:
        text = encode_query((key + suffix, value) for key, suffix, value in pairs)
        once = with_parameters(base, pairs_of(text), R4, PUBLIC)
    except CallerError:
        return
    written = encode_query(canonical_query(once))
    assert with_parameters(base, pairs_of(written), R4, PUBLIC) == once


@given(
    code=st.lists(st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="|,\\"), min_size=1), max_size=3),
    patients=st.lists(st.from_regex("[A-Za-z0-9-]{1,20}", fullmatch=True), max_size=3),
    count=st.none() | st.integers(1, 999_999_999),
)  # fmt: skip
def test_a_plain_search_survives_the_wire(
    code: list[str], patients: list[str], count: int | None
) -> None:
    filters = [("code", value) for value in code] + [("patient", value) for value in patients]
    counted = [("_count", str(count))] if count else []
    text = encode_query(filters + counted)

    found = get(f"Observation?{text}") if text else get("Observation")

    assert get(relative_url(found)) == found
    assert len(found.parameters) == len(filters)
    assert found.count == count


@given(query=st.text(max_size=40), form=st.binary(max_size=40))
def test_any_query_and_form_are_understood_or_refused(query: str, form: bytes) -> None:
    raw = RawRequest("POST", f"/fhir/Observation/_search?{query}", FORM, form, "r1")
    with suppress(CallerError):
        assert request_of(raw, "/fhir", PUBLIC, R4).interaction is Interaction.SEARCH_TYPE


WRITTEN = [
    "Observation?code:not=a%2Cb&subject=Patient%2Fp&_include=Observation:subject&_sort=-date%2Ccode&_count=5",
    "Observation?_summary=count",
    "Observation?_elements=code%2Cvalue",
    "Observation?_total=accurate",
    "Observation?_page=abc",
    "Observation/x/_history?_since=2024-05-01T00:00:00Z",
]


@pytest.mark.parametrize("path", WRITTEN)
def test_a_request_is_written_as_it_was_asked(path: str) -> None:
    _, _, asked = path.partition("?")
    written = sorted(canonical_query(get(path)))
    assert written == sorted(pairs_of(asked))


# ---- what mutants showed -------------------------------------------------------------------------------------------------


def accepting(accept: str) -> FhirRequest:
    return request_of(
        RawRequest("GET", "/fhir/Observation", {"accept": accept}, b"", "r1"), "/fhir", PUBLIC, R4
    )


def test_the_accept_header_may_name_the_version_of_the_tables() -> None:
    accepting("application/fhir+json;fhirVersion=4.0")
    with pytest.raises(CallerError) as caught:
        accepting("application/fhir+json;fhirVersion=5.0")
    assert caught.value.refusal is Refusal.NOT_ACCEPTABLE


def test_the_parameters_of_an_export_are_read_where_it_is_performed() -> None:
    found = get("Patient/$export?_type=Observation&_since=x")
    assert found.pairs == (("_type", "Observation"), ("_since", "x"))


def test_url_and_body_of_everything_both_count() -> None:
    parameters = (
        b'{"resourceType":"Parameters","parameter":[{"name":"_type","valueCode":"Observation"}]}'
    )
    headers = {"content-type": "application/fhir+json"}
    raw = RawRequest("POST", "/fhir/Patient/p/$everything?_count=3", headers, parameters, "r1")
    found = request_of(raw, "/fhir", PUBLIC, R4)
    assert found.count == 3
    assert found.arguments == (SearchParameter("_type", "", ("Observation",)),)


def test_references_below_the_public_base_are_ours_in_chains_and_operations_too() -> None:
    chained = get(f"Observation?encounter.patient={PUBLIC}/Patient/p")
    [inner] = chained.links[0].inner
    assert inner.parameters == (SearchParameter("patient", "", ("Patient/p",)),)
    asked = get(f"Observation/$lastn?patient={PUBLIC}/Patient/p&code=a")
    assert asked.parameters[0] == SearchParameter("patient", "", ("Patient/p",))


@pytest.mark.parametrize(
    "path",
    [
        "Observation?code=" + ",".join("a" * 1000),
        "Observation?_elements=" + ",".join(f"a{at}" for at in range(50)),
        "Observation?_elements=Observation.code,status",
        "Observation?_count=0",
        "Observation?_summary=count",
        "metadata?_summary=false",
        "Observation?_summary=data&_include=Observation:subject",
        "Observation?_total=estimate",
    ],
    ids=lambda path: path[:40],
)
def test_up_to_its_bounds_a_request_is_served(path: str) -> None:
    get(path)


@pytest.mark.parametrize(
    "path",
    [
        "Observation?_elements=" + ",".join(f"a{at}" for at in range(51)),
        "Observation?_elements=Patient.name",
        "Observation?_elements=code,Patient.name",
        "Observation/o/_history?_count=0",
        "Observation/o/_history?_summary=count",
        "metadata?_summary=true",
        "Observation?_summary=text&_include=Observation:subject",
        "Observation?_summary=data&_elements=code",
    ],
    ids=lambda path: path[:40],
)
def test_beyond_them_it_is_not(path: str) -> None:
    assert refusal_of(path) is Refusal.PARAMETER


def test_upstream_is_asked_for_whole_resources_without_chains_and_counts() -> None:
    request = get(
        "Observation?patient.name=a&code=x&_sort=date&_count=3&_total=accurate&_summary=data"
    )
    plain = get("Observation?code=x&_sort=date&_count=3")
    assert for_upstream(request) == plain
    asked = for_upstream(get("Observation?code=x&_sort=date&_count=3&_elements=code"))
    assert asked == plain
    [inner] = get("Patient?_has:Observation:patient:code=x").links[0].inner
    assert inner.tie == "patient"
    assert for_upstream(inner) == get("Observation?code=x")


def test_an_include_reaches_what_its_element_can_hold() -> None:
    named = searchable("AllergyIntolerance", "4.0.1")["patient"].targets
    assert "Group" in named
    assert includable("AllergyIntolerance", R4)["patient"] == {"Patient"}
    path = "AllergyIntolerance?_include=AllergyIntolerance:patient"
    assert refusal_of(f"{path}:Group") is Refusal.PARAMETER
    assert get(f"{path}:Patient").includes


def test_whatever_order_is_asked_for_equals_stand_in_an_order_of_their_own() -> None:
    for sort, upstream in {
        "": ("_id",),
        "&_sort=date": ("date", "_id"),
        "&_sort=date,-_id": ("date", "-_id"),
        "&_sort=_id": ("_id",),
        "&_sort=-date,code": ("-date", "code", "_id"),
    }.items():
        assert for_upstream(get(f"Observation?code=x{sort}"), "_id").sort == upstream
    assert for_upstream(get("Observation?code=x&_sort=date"), "").sort == ("date",)
    assert for_upstream(get("Observation/o/_history"), "_id").sort == ()


def test_the_types_of_a_whole_compartment_are_read_and_of_one_type_are_a_filter_like_any_other() -> (
    None
):
    found = get("Patient/p/*?_type=Observation,Condition&_count=3")
    assert found.arguments == (SearchParameter("_type", "", ("Observation", "Condition")),)
    assert refusal_of("Patient/p/*?_type=Nothing") is Refusal.PARAMETER
    assert refusal_of("Patient/p/*?code=x") is Refusal.PARAMETER
    assert refusal_of("Patient/p/Observation?_type=Observation") is Refusal.PARAMETER
    assert get("Patient/p/Observation?code=x").parameters == (SearchParameter("code", "", ("x",)),)


@pytest.mark.parametrize(
    ("asked", "sorted_by"),
    [
        ("Observation?code=x", ("_id",)),
        ("Observation?_sort=-date,code", ("-date", "code", "_id")),
        ("Observation?_sort=_id,date", ("_id", "date")),
        ("Observation?_sort=date,-_id", ("date", "-_id")),
        ("Observation?patient.name=x&_include=Observation:subject&_total=accurate", ("_id",)),
        ("Patient/x/Observation", ("_id",)),
    ],
)
def test_what_goes_up_is_sorted_by_id_at_last(asked: str, sorted_by: tuple[str, ...]) -> None:
    request = get(asked)
    assert for_upstream(request, "_id").sort == sorted_by
    assert for_upstream(request).sort == request.sort
    assert relative_url(request) == relative_url(get(asked))


@pytest.mark.parametrize("asked", ["Observation/x/_history", "Observation/x"])
def test_what_is_no_search_is_not_sorted(asked: str) -> None:
    assert for_upstream(get(asked), "_id").sort == ()
