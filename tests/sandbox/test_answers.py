import pytest

from proxy.sandbox import answers
from proxy.sandbox.model import FhirError, Version
from tests.sandbox import made


@pytest.fixture
def version() -> Version:
    return made.put(made.store(), "Patient", "a")


def test_content_names_its_version(version: Version) -> None:
    answer = answers.content(made.ask("GET", "Patient/a"), version)

    assert (answer.status, answer.body) == (200, version.body)
    assert answer.headers == {
        "ETag": 'W/"1"',
        "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
        "Content-Location": "http://here/fhir/Patient/a/_history/1",
    }


def test_what_the_client_has_is_not_sent_again(version: Version) -> None:
    answer = answers.content(made.ask("GET", "Patient/a", if_none_match='W/"1"'), version)

    assert (answer.status, answer.body) == (304, b"")


@pytest.mark.parametrize(
    ("prefer", "begins"),
    [
        ("", b'{"resourceType":"Patient"'),
        ("return=representation", b'{"resourceType":"Patient"'),
        ("return=OperationOutcome", b'{"resourceType":"OperationOutcome"'),
    ],
)
def test_a_write_answers_what_is_preferred(version: Version, prefer: str, begins: bytes) -> None:
    answer = answers.written(made.ask("PUT", "Patient/a", prefer=prefer), 201, version)

    assert answer.body.startswith(begins)
    assert answer.headers["Location"] == "http://here/fhir/Patient/a/_history/1"


def test_a_minimal_answer_is_empty(version: Version) -> None:
    answer = answers.written(made.ask("PUT", "Patient/a", prefer="return=minimal"), 201, version)

    assert answer.body == b""


@pytest.mark.parametrize("tag", ['W/"1"', '"1"', "1"])
def test_if_match_takes_every_spelling_of_the_tag(version: Version, tag: str) -> None:
    answers.require_match(made.ask("PUT", "Patient/a", if_match=tag), version)


def test_if_match_of_another_version_is_a_conflict(version: Version) -> None:
    with pytest.raises(FhirError) as refused:
        answers.require_match(made.ask("PUT", "Patient/a", if_match='W/"2"'), version)
    assert refused.value.status == 409


def test_a_delete_says_what_it_did(version: Version) -> None:
    assert b"deleted Patient/a" in answers.deleted(version).body
    assert b"nothing to delete" in answers.deleted(None).body
