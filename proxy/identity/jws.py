"""A JWT in JWS compact serialization, read and judged in everything but its signature (RFC 7515, 7519, 8725).

Laws (threats T-164..T-176):

- The token chooses nothing: neither its algorithm, nor its key, nor its issuer, nor where keys come from.
- One token has one spelling: base64url without padding and in canonical form, JSON without repeated names.
- Everything cheap is refused before any cryptography; every refusal is a CallerError BAD_TOKEN whose detail names no
  value of the token.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import orjson

from proxy.errors import CallerError, Refusal
from proxy.identity.claims import Claims, claims_of, number_of
from proxy.identity.issuer import Issuer

MAX_TOKEN_CHARS = 16 * 1024


MAX_KID_CHARS = 256


TOKEN_TYPES = frozenset({"jwt", "at+jwt", "iua-jwt"})
"""`typ` of tokens that may give access, `application/` taken off (RFC 9068 section 2.1; IUA's example says IUA-JWT)."""


_REFUSED_HEADERS = ("crit", "b64", "zip", "enc", "cty")
"""Members that change how a token is to be read (RFC 7515 4.1.11, RFC 7797, RFC 7516): none is needed (T-170)."""


# Claims that only other kinds of token have (OpenID Connect Core 3.1.3.6, Back-Channel Logout 2.4; T-174).
_REFUSED_CLAIMS: Mapping[str, str] = MappingProxyType(
    {
        "at_hash": "belongs to an id token",
        "c_hash": "belongs to an id token",
        "events": "belongs to a logout token or security event",
    }
)


# How authorization servers name the kind of a token in its payload.
_REFUSED_VALUES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "typ": frozenset({"id", "refresh", "offline", "logout"}),
        "token_use": frozenset({"id", "refresh"}),
    }
)


def bad_token(detail: str) -> CallerError:
    """The one refusal of this module; `detail` names no value of the token."""
    return CallerError(Refusal.BAD_TOKEN, detail)


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """A token that reads well and claims what it should; nothing in it is true before its signature is verified."""

    issuer: Issuer
    algorithm: str
    kid: str | None
    claims: Claims


def unbase64(segment: bytes) -> bytes:
    """Decode strict base64url; any other spelling of the same bytes is refused (RFC 7515 section 2, T-172)."""
    try:
        raw = base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
    except binascii.Error:
        raise bad_token("token is not base64url") from None
    if not raw or base64.urlsafe_b64encode(raw).rstrip(b"=") != segment:
        raise bad_token("token is not canonical base64url")
    return raw


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("repeated name")
    return members


def strict_object(raw: bytes) -> dict[str, object]:
    """Read a JSON object strictly (RFC 8259): UTF-8, no repeated names, no NaN, no lone surrogates."""
    try:
        read = orjson.loads(raw)  # the strict reader, and what counts
        json.loads(raw.decode(), object_pairs_hook=_unique)  # the one that sees repeated names
    except (ValueError, RecursionError):
        raise bad_token("token does not hold strict JSON") from None
    if not isinstance(read, dict):
        raise bad_token("token does not hold a JSON object")
    return read


def segments_of(token: str) -> list[bytes]:
    """Cut a compact JWS into its three segments; CallerError BAD_TOKEN."""
    if len(token) > MAX_TOKEN_CHARS:
        raise bad_token(f"token is longer than {MAX_TOKEN_CHARS} characters")
    segments = token.split(".")
    if len(segments) != 3 or not token.isascii():  # noqa: PLR2004 - JWS compact serialization
        raise bad_token("token is not a compact JWS of three segments")
    return [segment.encode() for segment in segments]


def _kid_of(header: Mapping[str, object]) -> str | None:
    kid = header.get("kid")
    if "kid" not in header:
        return None
    if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID_CHARS:
        raise bad_token("token header `kid` must be a short string")
    return kid


def _refuse_header(header: Mapping[str, object]) -> None:
    """Refuse another kind of token. Keys named by a token (`jwk`, `jku`, `x5u`, `x5c`) are never looked at (T-165)."""
    for name in _REFUSED_HEADERS:
        if name in header:
            raise bad_token(f"token header `{name}` is not accepted")
    typ = header.get("typ", "JWT")
    if not isinstance(typ, str) or typ.lower().removeprefix("application/") not in TOKEN_TYPES:
        raise bad_token("token header `typ` is not that of an access token")


def refuse_claims(payload: Mapping[str, object]) -> None:
    """Refuse id, refresh and logout tokens (T-168, T-174)."""
    for name, why in _REFUSED_CLAIMS.items():
        if name in payload:
            raise bad_token(f"claim `{name}` {why}")
    for name, refused in _REFUSED_VALUES.items():
        value = payload.get(name)
        if isinstance(value, str) and value.lower() in refused:
            raise bad_token(f"claim `{name}` says that this is no access token")


def _issuer_of(payload: Mapping[str, object], issuers: Mapping[str, Issuer]) -> Issuer:
    named = payload.get("iss")
    issuer = issuers.get(named) if isinstance(named, str) else None
    if issuer is None:
        raise bad_token("issuer is not trusted")
    return issuer


def require_audience(payload: Mapping[str, object], issuer: Issuer) -> None:
    """Require that the token is for us, and for nobody the operator does not know (T-168)."""
    named = payload.get("aud")
    audiences = named if isinstance(named, list) else [named]
    if issuer.audience not in audiences:
        raise bad_token("token is not for this audience")
    known = {issuer.audience, *issuer.other_audiences}
    if not all(isinstance(one, str) and one in known for one in audiences):
        raise bad_token("token is for other audiences too")


def require_time(payload: Mapping[str, object], exp: float, issuer: Issuer, now: float) -> None:
    """Require that now lies in the token's time, and that this time is short (T-169)."""
    latest = now + issuer.skew
    if exp <= now - issuer.skew:
        raise bad_token("token has expired")
    for name in ("nbf", "iat"):
        begins = number_of(payload, name)
        if begins is not None and begins > latest:
            raise bad_token(f"claim `{name}` is in the future")
    issued = number_of(payload, "iat")
    begun = latest if issued is None else issued
    if exp - begun > issuer.max_lifetime:
        raise bad_token("token lives too long")


def require_claims(payload: Mapping[str, object], issuer: Issuer) -> None:
    """Require the claims that the operator wants of every token of an issuer."""
    for name in sorted(issuer.required):
        if name not in payload:
            raise bad_token(f"claim `{name}` is required")


def _algorithm_of(header: Mapping[str, object], issuer: Issuer) -> str:
    """Give the algorithm if the issuer's list has it; never `none`, never HMAC beside public keys (T-164)."""
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in issuer.algorithms:
        raise bad_token("token algorithm is not one of its issuer's")
    return algorithm


def read_token(token: str, issuers: Mapping[str, Issuer], now: float) -> UnverifiedToken:
    """Read a token and judge everything but its signature; CallerError BAD_TOKEN. `issuers` by `iss`, `now` in seconds."""
    protected, body, signature = segments_of(token)
    unbase64(signature)
    header, payload = strict_object(unbase64(protected)), strict_object(unbase64(body))
    _refuse_header(header)
    refuse_claims(payload)
    issuer = _issuer_of(payload, issuers)
    algorithm = _algorithm_of(header, issuer)
    # Of what was signed, not of the token: an ECDSA signature has two spellings (T-172).
    digest = hashlib.sha256(b".".join((protected, body))).hexdigest()
    claims = claims_of(payload, digest)
    require_audience(payload, issuer)
    require_time(payload, claims.expires_at, issuer, now)
    require_claims(payload, issuer)
    return UnverifiedToken(issuer, algorithm, _kid_of(header), claims)
