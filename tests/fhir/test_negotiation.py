import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import CallerError, Refusal
from proxy.fhir.negotiation import (
    Body,
    accepts_json,
    is_json_format,
    is_resource,
    refuse_async,
    refuse_body,
    refuse_headers,
    require_async,
)

ACCEPTED = [
    "", "  ", "*/*", "application/*", "application/json", "application/fhir+json", "Application/FHIR+JSON",
    "text/html, application/fhir+json;q=0.1", "text/html,application/xhtml+xml,*/*;q=0.8",
    "application/fhir+json; charset=utf-8", 'application/fhir+json;charset="UTF-8"',
    "application/fhir+json; fhirVersion=4.0", "application/fhir+xml;q=1, */*",
    "application/json;q=0, application/fhir+json", "nonsense, application/json",
]  # fmt: skip

NOT_ACCEPTED = [
    "text/html", "application/fhir+xml", "application/fhir+ndjson", "text/*", "*/*;q=0", "*/*;q=0.000",
    "application/fhir+json;q=0, */*", "application/json;q=0", "application/fhir+json; fhirVersion=5.0",
    "application/fhir+json; fhirVersion=3.0", "application/json; charset=utf-16", "application/fhir+json;q=x",
    "application/fhir+json;q=2", "*", "json", "application/fhir+json json", "application/fhir+json;;q=1",
    "application/*;q=0, */*",
]  # fmt: skip


@pytest.mark.parametrize("accept", ACCEPTED)
def test_an_accept_header_that_allows_json(accept: str) -> None:
    assert accepts_json(accept, "4.0.1")


@pytest.mark.parametrize("accept", NOT_ACCEPTED)
def test_an_accept_header_that_does_not_allow_json(accept: str) -> None:
    assert not accepts_json(accept, "4.0.1")


@given(st.text())
def test_any_accept_header_has_an_answer(accept: str) -> None:
    assert accepts_json(accept) in (True, False)


@pytest.mark.parametrize("value", ["json", "JSON", "application/json", "application/fhir+json"])
def test_a_json_format(value: str) -> None:
    assert is_json_format(value)


@pytest.mark.parametrize("value", ["xml", "application/fhir+xml", "ttl", "html/json", "text/json"])
def test_another_format(value: str) -> None:
    assert not is_json_format(value)


@pytest.mark.parametrize(
    ("headers", "refusal"),
    [
        ({"content-encoding": "gzip"}, Refusal.MEDIA_TYPE),
        ({"content-encoding": "identity"}, Refusal.MEDIA_TYPE),
        ({"x-http-method-override": "GET"}, Refusal.MALFORMED),
        ({"transfer-encoding": "gzip, chunked"}, Refusal.MALFORMED),
        ({"transfer-encoding": ""}, Refusal.MALFORMED),
    ],
)
def test_a_header_that_changes_the_meaning_is_refused(
    headers: dict[str, str], refusal: Refusal
) -> None:
    with pytest.raises(CallerError) as caught:
        refuse_headers(headers, frozenset())

    assert caught.value.refusal is refusal


@pytest.mark.parametrize(
    "prefer",
    [
        "respond-async",
        "handling=strict, Respond-Async",
        "return=minimal; respond-async",
        "RESPOND-ASYNC,wait=1",
    ],
)
def test_an_asynchronous_request_is_one_however_it_is_spelled(prefer: str) -> None:
    with pytest.raises(CallerError) as caught:
        refuse_async({"prefer": prefer})
    assert caught.value.refusal is Refusal.NOT_SUPPORTED
    require_async({"prefer": prefer})


@pytest.mark.parametrize("prefer", ["", "handling=lenient", "respond-asynchronously"])
def test_an_export_says_that_it_is_asynchronous(prefer: str) -> None:
    with pytest.raises(CallerError) as caught:
        require_async({"prefer": prefer})
    assert caught.value.refusal is Refusal.PARAMETER
    refuse_async({"prefer": prefer})


def test_other_headers_are_let_be() -> None:
    refuse_headers({"prefer": "handling=lenient", "range": "bytes=0-1"}, frozenset())
    refuse_headers({"transfer-encoding": " Chunked"}, frozenset())


@pytest.mark.parametrize(
    "content_type",
    [
        "application/x-www-form-urlencoded", "Application/X-WWW-Form-Urlencoded; Charset=UTF-8",
        'application/x-www-form-urlencoded;charset="utf-8"',
    ],
)  # fmt: skip
def test_a_form_in_utf_8_is_taken(content_type: str) -> None:
    refuse_body("POST", {"content-type": content_type}, b"a=b")


@pytest.mark.parametrize(
    ("content_type", "taken"),
    [
        ("application/fhir+json", True),
        ("Application/FHIR+JSON; charset=utf-8", True),
        ("application/json", False),
        ("application/fhir+json; charset=utf-16", False),
        ("application/fhir+json, text/plain", False),
        ("application/x-www-form-urlencoded", False),
        ("", False),
    ],
)
def test_a_resource_is_taken_as_fhir_json_where_one_is_wanted(
    content_type: str, *, taken: bool
) -> None:
    headers = {"content-type": content_type}
    assert is_resource(headers) is taken
    if taken:
        refuse_body("POST", headers, b"{}", Body.JSON)
        return
    with pytest.raises(CallerError) as caught:
        refuse_body("POST", headers, b"{}", Body.JSON)
    assert caught.value.refusal is Refusal.MEDIA_TYPE


@pytest.mark.parametrize(
    "content_type",
    [
        "", "application/json", "application/fhir+json", "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded; charset=utf-16", "application/x-www-form-urlencoded, text/plain",
        "application/x-www-form-urlencoded; boundary=x",
    ],
)  # fmt: skip
def test_another_body_is_not_taken(content_type: str) -> None:
    with pytest.raises(CallerError) as caught:
        refuse_body("POST", {"content-type": content_type}, b"a=b")

    assert caught.value.refusal is Refusal.MEDIA_TYPE
