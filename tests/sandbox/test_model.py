import json

from proxy.sandbox.model import FhirError, failed, invalid
from tests.sandbox import made


def test_a_version_knows_its_headers_and_urls() -> None:
    version = made.put(made.store(), "Patient", "a")

    assert version.etag == 'W/"1"'
    assert version.last_modified == "Thu, 01 Jan 2026 00:00:00 GMT"
    assert version.local == "Patient/a"
    assert version.versioned_url("http://h/fhir") == "http://h/fhir/Patient/a/_history/1"


def test_a_failure_becomes_an_outcome() -> None:
    answer = failed(FhirError(409, "conflict", "not now"))

    assert answer.status == 409
    assert json.loads(answer.body)["issue"] == [
        {"severity": "error", "code": "conflict", "diagnostics": "not now"}
    ]
    assert (invalid("x").status, invalid("x").code) == (400, "invalid")
