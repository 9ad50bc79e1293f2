"""DPoP proofs, good ones and others: `proof({claim: value}, {header: value})` changes what a good one says; None takes away."""

import base64
import hashlib
import json
from collections.abc import Mapping

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from proxy.identity.binding import Request
from proxy.identity.dpop import thumbprint

NOW = 1_700_000_000.0
TOKEN = "opaque-token"
URL = "https://gateway.example.org/fhir/Patient/1"
ASKED = Request("GET", URL)
KEY = ec.generate_private_key(ec.SECP256R1())
OTHER_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(65537, 2048)


def jwk_of(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> dict[str, object]:
    if isinstance(key, rsa.RSAPrivateKey):
        return dict(RSAAlgorithm.to_jwk(key.public_key(), as_dict=True))
    return dict(ECAlgorithm.to_jwk(key.public_key(), as_dict=True))


JKT = thumbprint(jwk_of(KEY))


def hash_of(token: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()


def proof(
    claims: Mapping[str, object] | None = None,
    header: Mapping[str, object] | None = None,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = KEY,
    algorithm: str = "ES256",
) -> str:
    good = {"jti": "p-1", "htm": "GET", "htu": URL, "iat": NOW, "ath": hash_of(TOKEN)}
    said = {name: one for name, one in {**good, **(claims or {})}.items() if one is not None}
    heads = {"typ": "dpop+jwt", "jwk": jwk_of(key), **(header or {})}
    written = {name: one for name, one in heads.items() if one is not None}
    return jwt.encode(json.loads(json.dumps(said)), key, algorithm=algorithm, headers=written)
