"""DPoP proofs: a signed word of the client's key for one request (RFC 9449 section 4.3).

Laws: a proof is good once, for one method, one URL, one token and a minute; the key that signed it is the one the token
is bound to. The key comes from the proof itself, which is safe here and nowhere else: its thumbprint is in the token.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from jwt import PyJWS, PyJWTError

from proxy.errors import OwnError
from proxy.identity.binding import Request, is_same, normal_url
from proxy.identity.jws import bad_token, segments_of, strict_object, unbase64
from proxy.identity.keys import ASYMMETRIC_ALGORITHMS, PublicKey, public_key_of

MAX_AGE_S = 60.0
"""How far `iat` may lie from now, to either side."""
MAX_PROOFS = 100_000
"""Proofs that are remembered at once; far more than a worker can answer in a minute."""
MAX_JTI_CHARS = 256

_MEMBERS = {"RSA": ("e", "kty", "n"), "EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x")}
_JWS = PyJWS(algorithms=sorted(ASYMMETRIC_ALGORITHMS))


@dataclass(frozen=True, slots=True)
class Proof:
    """What a proof says, once its signature is verified; `jkt` is the thumbprint of its key."""

    jkt: str
    jti: str
    method: str
    url: str
    issued: float
    token_hash: str


def proof_of(text: str) -> Proof:
    """Read a proof and verify its signature with the key it brings; CallerError BAD_TOKEN."""
    protected, body, _ = segments_of(text)
    header, claims = strict_object(unbase64(protected)), strict_object(unbase64(body))
    if header.get("typ") != "dpop+jwt" or "crit" in header:
        raise bad_token("DPoP proof is of another type")
    key, algorithm, jkt = _key_of(header)
    try:
        _JWS.decode_complete(text, key, algorithms=[algorithm])
    except (PyJWTError, ValueError, TypeError):
        raise bad_token("DPoP proof signature is wrong") from None
    return Proof(
        jkt,
        jti=_text(claims, "jti"),
        method=_text(claims, "htm"),
        url=_text(claims, "htu"),
        issued=_seconds(claims),
        token_hash=_text(claims, "ath"),
    )


def _key_of(header: Mapping[str, object]) -> tuple[PublicKey, str, str]:
    jwk, algorithm = header.get("jwk"), header.get("alg")
    if not isinstance(jwk, dict) or not isinstance(algorithm, str):
        raise bad_token("DPoP proof names no key")
    key = public_key_of(jwk, algorithm)
    if key is None:
        raise bad_token("DPoP proof key cannot verify its algorithm")
    return key, algorithm, thumbprint(jwk)


def thumbprint(jwk: Mapping[str, object]) -> str:
    """The thumbprint of a public key (RFC 7638), base64url SHA-256."""
    members = _MEMBERS[str(jwk["kty"])]
    return hashed(orjson.dumps({name: jwk[name] for name in members}))


def hashed(raw: bytes) -> str:
    """SHA-256 in base64url without padding."""
    return base64.urlsafe_b64encode(hashlib.sha256(raw).digest()).rstrip(b"=").decode()


def _text(claims: Mapping[str, object], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value or (name == "jti" and len(value) > MAX_JTI_CHARS):
        raise bad_token(f"DPoP proof claim `{name}` must be a text")
    return value


def _seconds(claims: Mapping[str, object]) -> float:
    value = claims.get("iat")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise bad_token("DPoP proof claim `iat` must be a number of seconds")
    return float(value)


def require_proof(proof: Proof, jkt: str, token: str, request: Request, now: float) -> None:
    """Require that a proof is for this request with this token, by this key, and fresh; CallerError BAD_TOKEN."""
    fitting = {
        "is signed by another key": is_same(proof.jkt, jkt),
        "is for another token": is_same(proof.token_hash, hashed(token.encode())),
        "is for another method": proof.method == request.method,
        "is for another URL": normal_url(proof.url) == normal_url(request.url) != "",
        "is not fresh": abs(now - proof.issued) <= MAX_AGE_S,
    }
    for what, fits in fitting.items():
        if not fits:
            raise bad_token(f"DPoP proof {what}")


class ProofMemory:
    """The proofs of the last minutes, each good once. One worker remembers what it has seen itself."""

    def __init__(self, most: int = MAX_PROOFS) -> None:
        self._most = most
        self._until: dict[tuple[str, str], float] = {}

    def use(self, proof: Proof, now: float) -> None:
        """Use up a proof; CallerError BAD_TOKEN if it was used before, OwnError if no more can be remembered."""
        key = (proof.jkt, proof.jti)
        if self._until.get(key, now) > now:
            raise bad_token("DPoP proof was used before")
        if len(self._until) >= self._most:
            self._until = {one: until for one, until in self._until.items() if until > now}
        if len(self._until) >= self._most:
            raise OwnError("more DPoP proofs than can be remembered")
        self._until[key] = proof.issued + 2 * MAX_AGE_S
