import json

import pytest
from fhir.resources.R4B.operationoutcome import OperationOutcome

from proxy.errors import TELLS, Refusal
from proxy.fhir.outcome import answer_of

PROOFS = 'algs="ES256 ES384 EdDSA PS256 PS384 PS512 RS256 RS384 RS512"'


@pytest.mark.parametrize("refusal", Refusal)
def test_a_refusal_is_told_in_a_valid_operation_outcome(refusal: Refusal) -> None:
    answer = answer_of(refusal)
    issue = json.loads(answer.body)["issue"][0]

    OperationOutcome.model_validate_json(answer.body)
    assert (issue["code"], issue["details"]["text"]) == (TELLS[refusal].code, TELLS[refusal].text)
    assert answer.status == TELLS[refusal].status
    assert answer.headers["content-type"] == "application/fhir+json"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("refusal", Refusal)
def test_head_is_told_the_same_without_a_body(refusal: Refusal) -> None:
    answer = answer_of(refusal, head=True)

    assert answer.body == b""
    assert answer.status == answer_of(refusal).status
    assert answer.headers == answer_of(refusal).headers


@pytest.mark.parametrize(
    ("refusal", "name", "value"),
    [
        (Refusal.NO_TOKEN, "www-authenticate", f"Bearer, DPoP {PROOFS}"),
        (
            Refusal.BAD_TOKEN,
            "www-authenticate",
            f'Bearer error="invalid_token", DPoP error="invalid_token", {PROOFS}',
        ),
        (Refusal.FORBIDDEN, "www-authenticate", 'Bearer error="insufficient_scope"'),
        (Refusal.METHOD, "allow", "GET, HEAD, POST"),
        (Refusal.UNAVAILABLE, "retry-after", "10"),
    ],
)
def test_a_kind_that_needs_a_header_has_it(refusal: Refusal, name: str, value: str) -> None:
    assert answer_of(refusal).headers[name] == value


def test_a_missing_and_a_bad_token_differ_in_the_challenge_only() -> None:
    assert answer_of(Refusal.NO_TOKEN).body == answer_of(Refusal.BAD_TOKEN).body


def test_the_headers_of_a_kind_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        answer_of(Refusal.NOT_FOUND).headers["x"] = "y"  # type: ignore[index]
