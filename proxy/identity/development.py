"""Development tokens (ES256): for the demo, for tests and for trying things out, never for real patients.

The key used when none is given is derived from a number in this file: anybody can sign with it. A key set that holds it
says so in its findings (`identity.keys.DEVELOPMENT_KEY_X`).
"""

import hashlib
from collections.abc import Mapping

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jwt.algorithms import ECAlgorithm

from proxy.errors import Finding, UnusableError

_PUBLISHED_NUMBER = int.from_bytes(
    hashlib.sha256(b"this key is published; it protects nothing").digest()
)


def _published_key() -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(_PUBLISHED_NUMBER, ec.SECP256R1())


def _public_jwk(key: ec.EllipticCurvePrivateKey) -> dict[str, object]:
    """Give the public JWK; its `kid` is the beginning of its digest (as in RFC 7638)."""
    jwk: dict[str, object] = dict(ECAlgorithm.to_jwk(key.public_key(), as_dict=True))
    named = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    kid = hashlib.sha256(orjson.dumps(named)).hexdigest()[:16]
    return {**named, "kid": kid, "use": "sig", "alg": "ES256"}


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _read_pem(key_pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError) as error:
        raise UnusableError(
            Finding("key", 0, "is not an unencrypted private key in PEM")
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise UnusableError(Finding("key", 0, "must be an EC key on P-256, for ES256"))
    return key


def jwks_of(key_pem: bytes) -> bytes:
    """Give the JWKS with the public half of a private P-256 key in PEM; UnusableError for any other key."""
    return orjson.dumps({"keys": [_public_jwk(_read_pem(key_pem))]})


def development_keys(*, fresh: bool = False) -> tuple[bytes, bytes]:
    """Give a private key in PEM and its JWKS: the published key, or with `fresh` a new one that only the caller knows."""
    key = ec.generate_private_key(ec.SECP256R1()) if fresh else _published_key()
    return _pem(key), orjson.dumps({"keys": [_public_jwk(key)]})


def development_token(
    claims: Mapping[str, object], key_pem: bytes | None, now: float, lifetime: float = 3600.0
) -> str:
    """Sign claims as an access token that lives `lifetime` seconds from `now`; without a key with the published one.

    Claims that are given win over `iat`, `exp` and `jti`, so that bad tokens can be made too. For development only.
    UnusableError if the key is not a private P-256 key.
    """
    key = _published_key() if key_pem is None else _read_pem(key_pem)
    said = {"iat": int(now), "exp": int(now + lifetime), **claims}
    jti = hashlib.sha256(orjson.dumps([said, now])).hexdigest()[:32]
    header = {"typ": "at+jwt", "kid": str(_public_jwk(key)["kid"])}
    return jwt.encode({"jti": jti, **said}, key, algorithm="ES256", headers=header)
