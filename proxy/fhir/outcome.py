"""OperationOutcome: what a client is told of a refusal, constant for each kind (https://hl7.org/fhir/R4/operationoutcome.html).

Bytes are made once when the module is loaded: two answers of one kind cannot differ (decisions §8).
"""

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from proxy.errors import TELLS, Refusal, Tell
from proxy.fhir.interaction import Answer

CONTENT_TYPE = "application/fhir+json"
RETRY_AFTER_S = 10

# RFC 6750 §3: no error code if no token was sent. RFC 9449 §7.1: the algorithms of proofs; the same whatever was sent, because an
# answer depends on its kind alone. RFC 9110 §15.5.6: 405 names the methods, here those of the gateway.
_PROOFS = 'algs="ES256 ES384 EdDSA PS256 PS384 PS512 RS256 RS384 RS512"'
_EXTRA_HEADERS: dict[Refusal, dict[str, str]] = {
    Refusal.NO_TOKEN: {"www-authenticate": f"Bearer, DPoP {_PROOFS}"},
    Refusal.BAD_TOKEN: {
        "www-authenticate": f'Bearer error="invalid_token", DPoP error="invalid_token", {_PROOFS}'
    },
    Refusal.FORBIDDEN: {"www-authenticate": 'Bearer error="insufficient_scope"'},
    Refusal.METHOD: {"allow": "GET, HEAD, POST"},
    Refusal.UNAVAILABLE: {"retry-after": str(RETRY_AFTER_S)},
}


def _outcome_of(tell: Tell) -> bytes:
    issue = {"severity": "error", "code": tell.code, "details": {"text": tell.text}}
    return msgspec.json.encode({"resourceType": "OperationOutcome", "issue": [issue]})


def _headers_of(refusal: Refusal) -> Mapping[str, str]:
    shared = {"content-type": CONTENT_TYPE, "cache-control": "no-store"}
    return MappingProxyType(shared | _EXTRA_HEADERS.get(refusal, {}))


OUTCOMES: Mapping[Refusal, bytes] = MappingProxyType(
    {refusal: _outcome_of(tell) for refusal, tell in TELLS.items()}
)
"""The OperationOutcome of each refusal, as JSON."""

_ANSWERS = {r: Answer(TELLS[r].status, _headers_of(r), OUTCOMES[r]) for r in Refusal}
_HEAD_ANSWERS = {r: Answer(a.status, a.headers, b"") for r, a in _ANSWERS.items()}


def answer_of(refusal: Refusal, head: bool = False) -> Answer:
    """Give the one answer of a refusal; without body for HEAD."""
    return (_HEAD_ANSWERS if head else _ANSWERS)[refusal]
