import pytest

from proxy.wire.headers import is_json, media_type, request_id_of, understood

TYPES = {
    "application/fhir+json": True,
    "application/json": True,
    "Application/FHIR+JSON; fhirVersion=4.0": True,
    "application/fhir+json;charset=utf-8": True,
    'application/fhir+json; charset="UTF-8"': True,
    "application/fhir+json; charset=utf-16": False,
    "application/fhir+json; charset=iso-8859-1": False,
    "application/fhir+json; charset=utf-7": False,
    "application/fhir+json; charset=": False,
    "application/fhir+xml": False,
    "text/html": False,
    "text/json": False,
    "application/fhir+ndjson": False,
    "application/fhir+json, text/html": False,
    "": False,
}


@pytest.mark.parametrize("told", TYPES)
def test_only_json_in_utf8_is_json(told: str) -> None:
    assert is_json({"content-type": told}) is TYPES[told]


def test_an_answer_that_does_not_say_what_it_is_is_not_json() -> None:
    assert not is_json({})
    assert media_type({}) == ""


@pytest.mark.parametrize(
    ("text", "kept"),
    [("a-b_c.1", True), ("a" * 64, True), ("a" * 65, False), ("", False), ("a b", False), ("a\n", False), ("é", False), ("<x>", False), (None, False)],
)  # fmt: skip
def test_a_request_id_is_kept_when_it_is_well_formed(text: str | None, *, kept: bool) -> None:
    assert request_id_of(text) == (text if kept else None)


def test_headers_that_are_not_understood_do_not_exist() -> None:
    found, repeated = understood([(b"X-Forwarded-For", b"1"), (b"Cookie", b"a"), (b"ACCEPT", b"x")])
    assert found == {"accept": "x"}
    assert repeated == frozenset()


def test_a_header_that_comes_twice_is_told() -> None:
    found, repeated = understood([(b"Accept", b"a"), (b"accept", b"b"), (b"Prefer", b"\xe9")])
    assert found == {"accept": "a, b", "prefer": "é"}
    assert repeated == {"accept"}
