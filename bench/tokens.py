"""Access tokens: a new ES256 token verified, and one that is known already: `python -m bench.tokens`."""

import asyncio
import statistics
import time

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from proxy.identity.issuer import Issuer, profile_of
from proxy.identity.keys import FixedKeys, key_set_of
from proxy.identity.token import TokenVerifier

NOW = 1_790_000_000.0
ISSUER = "https://idp.example.org"
TOKENS = 2_000
KNOWN = 20_000
CLAIMS = {
    "iss": ISSUER,
    "aud": "gateway",
    "sub": "u-1",
    "client_id": "app",
    "scope": "openid fhirUser user/*.rs",
    "iat": NOW,
    "exp": NOW + 300,
    "fhirUser": "Practitioner/dr",
    "extensions": {
        "ihe_iua": {
            "subject_name": "Dr",
            "subject_role": [{"system": "urn:oid:1.2.250.1.213.1.1.5.5", "code": "10"}],
            "purpose_of_use": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason",
                    "code": "TREAT",
                }
            ],
        }
    },
}


def _signed(key: ec.EllipticCurvePrivateKey) -> list[str]:
    """Tokens that differ, as callers' do."""
    return [
        jwt.encode(CLAIMS | {"jti": str(number)}, key, "ES256", {"kid": "k"})
        for number in range(TOKENS)
    ]


async def _measured() -> tuple[float, float]:
    """Median of new tokens, mean of known ones; in microseconds."""
    key = ec.generate_private_key(ec.SECP256R1())
    jwk = {**ECAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": "k"}
    keys = FixedKeys(key_set_of(orjson.dumps({"keys": [jwk]})))
    issuer = Issuer(ISSUER, "gateway", frozenset({"ES256"}), profile_of("smart"))
    verifier = TokenVerifier({ISSUER: issuer}, {ISSUER: keys})
    tokens, took = _signed(key), []
    for token in tokens:
        started = time.perf_counter()
        await verifier.identify(token, NOW)
        took.append(time.perf_counter() - started)
    headers, none = {"authorization": f"Bearer {tokens[-1]}"}, frozenset[str]()
    started = time.perf_counter()
    for _ in range(KNOWN):
        await verifier.identify_caller(headers, none, NOW)
    return statistics.median(took) * 1e6, (time.perf_counter() - started) / KNOWN * 1e6


def main() -> None:
    """Prints both figures beside their budgets."""
    new, known = asyncio.run(_measured())
    print(f"token: new ES256 {new:.0f} us (budget 200), known {known:.1f} us (budget 5)")


if __name__ == "__main__":
    main()
