from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import CallerError, Refusal
from proxy.fhir.definitions import definitions_of
from proxy.fhir.interaction import FhirRequest, Interaction, RawRequest, interaction_of, path_of

TYPES = definitions_of("4.0.1").resource_types
FORM = {"content-type": "application/x-www-form-urlencoded"}
ID_64 = "a" * 64


def raw(method: str = "GET", target: str = "/fhir/metadata", **more: object) -> RawRequest:
    fields: dict[str, object] = {"headers": {}, "body": b"", "request_id": "r1"} | more
    return RawRequest(method, target, **fields)  # type: ignore[arg-type]


def understood(request: RawRequest) -> FhirRequest:
    return interaction_of(request, "/fhir", TYPES, "4.0.1")


def refusal_of(request: RawRequest) -> Refusal:
    with pytest.raises(CallerError) as caught:
        understood(request)
    return caught.value.refusal


SERVED = [
    ("/metadata", FhirRequest(Interaction.CAPABILITIES)),
    ("/.well-known/smart-configuration", FhirRequest(Interaction.SMART_CONFIGURATION)),
    ("/Patient/P1", FhirRequest(Interaction.READ, "Patient", "P1")),
    ("/Patient/metadata", FhirRequest(Interaction.READ, "Patient", "metadata")),
    (f"/Patient/{ID_64}", FhirRequest(Interaction.READ, "Patient", ID_64)),
    ("/Patient/P9.json", FhirRequest(Interaction.READ, "Patient", "P9.json")),
    ("/Patient/P1/_history/3", FhirRequest(Interaction.VREAD, "Patient", "P1", "3")),
    ("/Patient/P1/_history", FhirRequest(Interaction.HISTORY_INSTANCE, "Patient", "P1")),
    ("/Patient/_history", FhirRequest(Interaction.HISTORY_TYPE, "Patient")),
    ("/_history", FhirRequest(Interaction.HISTORY_SYSTEM)),
    ("/Observation", FhirRequest(Interaction.SEARCH_TYPE, "Observation")),
    (
        "/Patient/P1/$everything",
        FhirRequest(Interaction.EVERYTHING, "Patient", "P1", operation="everything"),
    ),
    ("/Observation/$lastn", FhirRequest(Interaction.LASTN, "Observation", operation="lastn")),
    (
        "/DocumentReference/$docref",
        FhirRequest(Interaction.DOCREF, "DocumentReference", operation="docref"),
    ),
    (
        "/Composition/C1/$document",
        FhirRequest(Interaction.DOCUMENT, "Composition", "C1", operation="document"),
    ),
    (
        "/Composition/$document",
        FhirRequest(Interaction.DOCUMENT, "Composition", operation="document"),
    ),
    (
        "/Patient/P1/$summary",
        FhirRequest(Interaction.SUMMARY, "Patient", "P1", operation="summary"),
    ),
    ("/Patient/$summary", FhirRequest(Interaction.SUMMARY, "Patient", operation="summary")),
    (
        "/Patient/P1/Observation",
        FhirRequest(Interaction.SEARCH_TYPE, "Observation", compartment="Patient/P1"),
    ),
    ("/Patient/P1/*", FhirRequest(Interaction.SEARCH_TYPE, "*", compartment="Patient/P1")),
    *(
        (
            f"/{owner}/P1/{rtype}",
            FhirRequest(Interaction.SEARCH_TYPE, rtype, compartment=f"{owner}/P1"),
        )
        for owner in ("Device", "Encounter", "Practitioner", "RelatedPerson")
        for rtype in ("Observation", "*", owner)
    ),
    ("/Patient/P1/*", FhirRequest(Interaction.SEARCH_TYPE, "*", compartment="Patient/P1")),
    *(
        (
            f"/{owner}/P1/{rtype}",
            FhirRequest(Interaction.SEARCH_TYPE, rtype, compartment=f"{owner}/P1"),
        )
        for owner in ("Device", "Encounter", "Practitioner", "RelatedPerson")
        for rtype in ("Observation", "*", owner)
    ),
    ("/Observation?code=x", FhirRequest(Interaction.SEARCH_TYPE, "Observation")),
]


@pytest.mark.parametrize(("path", "expected"), SERVED)
def test_a_served_path_is_an_interaction(path: str, expected: FhirRequest) -> None:
    assert understood(raw(target=f"/fhir{path}")) == expected


@pytest.mark.parametrize(("path", "expected"), SERVED)
def test_head_is_the_same_interaction_without_a_body(path: str, expected: FhirRequest) -> None:
    found = understood(raw("HEAD", f"/fhir{path}"))

    assert found.head
    assert (found.interaction, found.type, found.id) == (
        expected.interaction,
        expected.type,
        expected.id,
    )


def test_a_posted_search_is_a_search() -> None:
    found = understood(raw("POST", "/fhir/Observation/_search", headers=FORM, body=b"code=x"))

    assert found == FhirRequest(Interaction.SEARCH_TYPE, "Observation")


@pytest.mark.parametrize(
    ("path", "rtype"), [("Observation/_search", "Observation"), ("_search", "*")]
)
def test_a_posted_search_in_a_compartment_is_one(path: str, rtype: str) -> None:
    found = understood(raw("POST", f"/fhir/Encounter/E1/{path}", headers=FORM, body=b"_id=x"))

    assert found == FhirRequest(Interaction.SEARCH_TYPE, rtype, compartment="Encounter/E1")


@pytest.mark.parametrize("base", ["", "/"])
def test_the_base_may_be_the_root(base: str) -> None:
    found = interaction_of(raw(target="/Patient/P1"), base, TYPES)

    assert found == FhirRequest(Interaction.READ, "Patient", "P1")


@pytest.mark.parametrize("path", [path for path, _ in SERVED if "?" not in path])
def test_the_path_of_a_request_is_the_path_it_came_by(path: str) -> None:
    assert f"/{path_of(understood(raw(target=f'/fhir{path}')))}" == path


MALFORMED_TARGETS = [
    "/fhir/Patient/%2e%2e/Observation", "/fhir/%2e%2e/admin", "/fhir/Patient/..%2f..%2fadmin",
    "/fhir/Patient/../Observation", "/fhir/../admin", "/fhir/..", "/fhir/.", "/fhir/./Patient/P9",
    "/fhir/Patient/.", "/fhir/Patient/..", "/fhir/Patient/...", "/fhir/Patient/P1/_history/..",
    "/fhir/Patient/%252e%252e/Observation", "/fhir/Patient%252FP9", "/fhir/Patient%2FP9",
    "/fhir/Patient/P1%3F_format=xml", "/fhir/Patient/P1%3F_elements=id%26x=", "/fhir/Patient/P1%23x",
    "/fhir/Patient/P1%2F_history", "/fhir//Patient/P9", "//fhir/Patient/P9", "/fhir/Patient/P9/", "/fhir/",
    "/fhir/Patient;x=1/P9", "/fhir/Patient/P9;jsessionid=1", "/fhir\\Patient\\P9", "/fhir/Patient/P9%5c..",
    "/fhir/Patient/P9%20", "/fhir/Patient/P9 ", "/fhir/Patient/P9\x00", "/fhir/Patient/P9%00", "/fhir/Patient/é",
    "/fhir/Patient/\udcff", "/fhir/%24export", "/fhir/Patient/P1/%24everything", "/fhir/%50atient/P1",
    "http://evil.example/fhir/Patient/P1", "//evil.example/fhir/Patient/P1", "fhir/Patient/P1", "*", "",
    "evil.example:443", "user@evil.example", "/fhir/Patient/P1#x", "/fhir/Patient?code=x#y", "/fhir/" + "a" * 600,
    "/fhir/Patient?code=%zz", "/fhir/Patient?code=%ff", "/fhir/Patient?code", "/fhir/Patient?code=",
    "/fhir/Patient?=x", "/fhir/Patient?&&=1", "/fhir/Patient?code=\x7f", "/fhir/Patient?co%00de=x",
    "/fhir/Patient?a=\r\nb", "/fhir/Patient/P1\n",
]  # fmt: skip


@pytest.mark.parametrize("target", MALFORMED_TARGETS)
def test_a_target_that_two_readers_could_read_differently_is_malformed(target: str) -> None:
    assert refusal_of(raw(target=target)) is Refusal.MALFORMED


NOT_FOUND = [
    "/fhir/patient/P9", "/fhir/OBSERVATION", "/fhir/Foo", "/fhir/Foo/1", "/fhir/Observation2", "/FHIR/Patient/P9",
    "/other/Patient/P9", "/fhirPatient", "/favicon.ico", "/fhir/ActorDefinition/1", "/fhir/Patient/P1/foo", "/fhir/Patient/a_b",
    f"/fhir/Patient/{ID_64}a", "/fhir/Patient/P1/_history/1/2", "/fhir/.well-known/smart-configuration/x", "/fhir/.well-known/udap",
    "/fhir/Metadata", "/fhir/__class__/mro",
]  # fmt: skip


@pytest.mark.parametrize("target", NOT_FOUND)
def test_what_cannot_exist_is_not_found(target: str) -> None:
    assert refusal_of(raw(target=target)) is Refusal.NOT_FOUND


NOT_SUPPORTED = [
    ("POST", ""), ("GET", ""), ("GET", "?_type=Patient"), ("DELETE", "?_id=1"), ("POST", "/_search"),
    ("GET", "/_search"), ("GET", "/Patient/P1/$export"),
    ("POST", "/$graphql"), ("GET", "/Patient/$everything"), ("GET", "/Encounter/P1/$everything"), ("GET", "/Group/P1/$everything"), ("GET", "/Group/P1/$summary"),
    ("GET", "/$everything"), ("POST", "/Patient/$everything"), ("GET", "/Patient/P1/_history/1/$everything"),
    ("GET", "/Observation/O1/$lastn"), ("GET", "/$lastn"), ("POST", "/Bundle/C1/$document"), ("GET", "/$document"), ("GET", "/$summary"),
    ("GET", "/$docref"), ("GET", "/DocumentReference/D1/$docref"), ("GET", "/Patient/$docref"), ("GET", "/Observation/$LASTN"),
    ("GET", "/Patient/P1/$EVERYTHING"), ("POST", "/Patient/P1/_history/2/$meta-add"),
    ("GET", "/Organization/P1/*"), ("GET", "/Group/P1/Observation"), ("POST", "/Location/P1/Observation/_search"), ("GET", "/List/$find"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), NOT_SUPPORTED)
def test_known_fhir_that_is_not_served_is_not_supported(method: str, path: str) -> None:
    assert refusal_of(raw(method, f"/fhir{path}", headers=FORM)) is Refusal.NOT_SUPPORTED


METHODS = [
    ("PUT", "/Patient/P1"), ("PATCH", "/Patient/P1"), ("DELETE", "/Patient/P1"), ("POST", "/Patient/P1"),
    ("POST", "/Patient"), ("PUT", "/Patient?_id=1"), ("DELETE", "/Patient?_id=1"), ("POST", "/metadata"),
    ("GET", "/Patient/_search"), ("POST", "/_history"), ("POST", "/Patient/_history"), ("DELETE", "/_history"), ("PUT", "/Patient/P1/_history/1"), ("OPTIONS", "/metadata"), ("TRACE", "/Patient"),
    ("QUERY", "/Observation"), ("CONNECT", "/Patient"), ("get", "/Patient"), ("", "/Patient"), ("PROPFIND", ""),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), METHODS)
def test_another_method_on_a_served_path_is_not_allowed(method: str, path: str) -> None:
    assert refusal_of(raw(method, f"/fhir{path}", headers=FORM)) is Refusal.METHOD


def test_a_body_on_get_is_malformed() -> None:
    assert refusal_of(raw(body=b"patient=P2", headers=FORM)) is Refusal.MALFORMED


def test_a_repeated_header_is_malformed() -> None:
    assert refusal_of(raw(repeated=frozenset({"authorization"}))) is Refusal.MALFORMED


@pytest.mark.parametrize("name", ["x-http-method-override", "x-http-method", "x-method-override"])
def test_a_method_override_is_malformed(name: str) -> None:
    assert refusal_of(raw(headers={name: "DELETE"})) is Refusal.MALFORMED


@pytest.mark.parametrize("format_", ["json", "application%2Ffhir%2Bjson", "application/fhir+json"])
def test_the_format_parameter_overrides_accept(format_: str) -> None:
    target = f"/fhir/metadata?_format={format_}"

    assert understood(raw(target=target, headers={"accept": "text/html"})).type == ""


def test_an_unacceptable_format_is_told() -> None:
    assert refusal_of(raw(headers={"accept": "text/html"})) is Refusal.NOT_ACCEPTABLE


def test_too_many_parameters_in_url_and_form_together_are_too_large() -> None:
    text = "&".join(["code=x"] * 60)
    request = raw("POST", f"/fhir/Observation/_search?{text}", headers=FORM, body=text.encode())

    assert refusal_of(request) is Refusal.TOO_LARGE


@given(
    method=st.sampled_from(["GET", "HEAD", "POST"]) | st.text(max_size=5),
    target=st.text(max_size=60).map(lambda text: f"/fhir/{text}") | st.text(max_size=60),
    body=st.binary(max_size=20),
    headers=st.dictionaries(
        st.sampled_from(["accept", "content-type", "prefer", "range"]), st.text(max_size=40)
    ),
)
def test_any_request_is_understood_or_refused(
    method: str, target: str, body: bytes, headers: dict[str, str]
) -> None:
    with suppress(CallerError):
        assert isinstance(understood(raw(method, target, body=body, headers=headers)), FhirRequest)


SEGMENTS = st.sampled_from(
    ["Patient", "P1", "_history", "_search", "metadata", "$everything", "*", "..", "%2e", "", "Foo"]
)


@given(segments=st.lists(SEGMENTS, max_size=5))
def test_the_accepted_paths_are_those_of_the_grammar(segments: list[str]) -> None:
    path = "".join(f"/{segment}" for segment in segments)
    try:
        found = understood(raw(target=f"/fhir{path}"))
    except CallerError:
        return
    assert f"/{path_of(found)}" == path


@pytest.mark.parametrize("name", ["break-glass", "end-break-glass"])
def test_the_ceremony_of_break_glass_is_an_operation_that_takes_a_resource(name: str) -> None:
    headers = {"content-type": "application/fhir+json"}
    asked = raw("POST", f"/fhir/${name}", headers=headers, body=b"{}")
    assert understood(asked) == FhirRequest(Interaction.OPERATION, operation=name)
    assert path_of(understood(asked)) == f"${name}"
    assert refusal_of(raw("GET", f"/fhir/${name}")) is Refusal.METHOD
    assert (
        refusal_of(raw("POST", f"/fhir/Patient/p/${name}", headers=headers, body=b"{}"))
        is Refusal.NOT_SUPPORTED
    )


def test_the_body_of_an_operation_adds_nothing_to_the_query() -> None:
    headers = {"content-type": "application/fhir+json"}
    asked = raw("POST", "/fhir/$break-glass", headers=headers, body=b"_format=xml")
    assert understood(asked).operation == "break-glass"


EXPORTS = [
    ("GET", "/$export", FhirRequest(Interaction.EXPORT, operation="export")),
    ("GET", "/Patient/$export", FhirRequest(Interaction.EXPORT, "Patient", operation="export")),
    ("GET", "/Group/g1/$export", FhirRequest(Interaction.EXPORT, "Group", "g1", operation="export")),
    ("GET", "/$export-status", FhirRequest(Interaction.EXPORT, operation="export-status")),
    ("DELETE", "/$export-status", FhirRequest(Interaction.EXPORT, operation="export-status")),
    ("GET", "/$export-file", FhirRequest(Interaction.EXPORT, operation="export-file")),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "expected"), EXPORTS)
def test_the_steps_of_an_export_are_one_interaction(
    method: str, path: str, expected: FhirRequest
) -> None:
    found = understood(raw(method, f"/fhir{path}", headers={"prefer": "x"}))
    assert found == expected
    assert path_of(found) == path.removeprefix("/")


@pytest.mark.parametrize(
    ("method", "path", "refusal"),
    [
        ("HEAD", "/$export", Refusal.METHOD),
        ("HEAD", "/$export-file", Refusal.METHOD),
        ("DELETE", "/$export-file", Refusal.METHOD),
        ("POST", "/$export-status", Refusal.METHOD),
        ("GET", "/Observation/$export", Refusal.NOT_SUPPORTED),
        ("GET", "/Group/$export", Refusal.NOT_SUPPORTED),
        ("GET", "/$Export", Refusal.NOT_SUPPORTED),
        ("GET", "/$export/", Refusal.MALFORMED),
    ],
)
def test_an_export_has_one_spelling(method: str, path: str, refusal: Refusal) -> None:
    assert refusal_of(raw(method, f"/fhir{path}")) is refusal


def test_only_a_kick_off_may_be_asynchronous() -> None:
    headers = {"prefer": "respond-async"}
    understood(raw("GET", "/fhir/$export", headers=headers))
    for path in ("/$export-status", "/$export-file", "/Observation", "/metadata"):
        assert refusal_of(raw("GET", f"/fhir{path}", headers=headers)) is Refusal.NOT_SUPPORTED


@pytest.mark.parametrize(
    ("accept", "taken"),
    [("", True), ("*/*", True), ("application/fhir+ndjson", True), ("application/ndjson;q=0.1", True),
     ("application/fhir+json", False), ("application/fhir+ndjson;charset=utf-16", False), ("text/csv", False),
     ("application/fhir+ndjson;q=0, */*", False)],
)  # fmt: skip
def test_a_file_of_an_export_is_ndjson(accept: str, *, taken: bool) -> None:
    request = raw("GET", "/fhir/$export-file", headers={"accept": accept})
    if taken:
        assert understood(request).operation == "export-file"
    else:
        assert refusal_of(request) is Refusal.NOT_ACCEPTABLE
