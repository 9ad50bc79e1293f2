"""A client assertion: how the gateway proves itself to a token endpoint (RFC 7523; SMART Backend Services, `private_key_jwt`)."""

from dataclasses import dataclass, field

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    EllipticCurvePrivateKey,
)
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from proxy.errors import Finding, UnusableError
from proxy.identity.keys import MIN_RSA_BITS

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LIFETIME_S = 240
"""At most five minutes (SMART Backend Services)."""

_CURVES = {"ES384": SECP384R1, "ES256": SECP256R1}


@dataclass(frozen=True, slots=True)
class AssertionKey:
    """A private key and what it signs with: `RS384`, `ES384`, `RS256` or `ES256`; `kid` as the server has it registered."""

    key: RSAPrivateKey | EllipticCurvePrivateKey = field(repr=False)
    algorithm: str
    kid: str


def assertion_key(pem: bytes, algorithm: str, kid: str) -> AssertionKey:
    """Read a private key in PEM; UnusableError, without any text of it, where it does not fit the algorithm."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        raise _unusable("is no unencrypted private key in PEM") from None
    if isinstance(key, RSAPrivateKey) and algorithm.startswith("RS"):
        if key.key_size < MIN_RSA_BITS:
            raise _unusable(f"needs at least {MIN_RSA_BITS} bits")
        return AssertionKey(key, algorithm, kid)
    if isinstance(key, EllipticCurvePrivateKey) and isinstance(
        key.curve, _CURVES.get(algorithm, ())
    ):
        return AssertionKey(key, algorithm, kid)
    raise _unusable(f"does not sign with {algorithm}")


def _unusable(what: str) -> UnusableError:
    return UnusableError(Finding("gateway.yaml", 1, f"`upstream.auth.private_key`: {what}"))


def client_assertion(
    key: AssertionKey, client_id: str, token_url: str, now: float, jti: str
) -> str:
    """Sign an assertion for one token request; `jti` is new each time, times in seconds since the epoch."""
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": token_url,
        "iat": int(now),
        "exp": int(now) + LIFETIME_S,
        "jti": jti,
    }
    return jwt.encode(
        claims, key.key, algorithm=key.algorithm, headers={"kid": key.kid, "typ": "JWT"}
    )
