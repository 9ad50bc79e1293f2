"""Bearer tokens (RFC 6750) that are JWTs (RFC 7519): taken from the header, verified, remembered until they expire.

Laws (RFC 8725, threats T-164..T-176):

- The token chooses nothing: neither its algorithm, nor its key, nor its issuer, nor where keys come from.
- One token has one spelling: base64url without padding and in canonical form, JSON without repeated names.
- Everything cheap is refused before any cryptography; every refusal is a CallerError BAD_TOKEN whose detail names no
  value of the token.
- Keys that cannot be had are an OwnError, so that clients keep their good tokens.
- Only what was verified is remembered, and no longer than its keys and its `exp`.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import orjson
from jwt import PyJWS, PyJWTError

from proxy.errors import CallerError, Finding, Refusal, UnusableError
from proxy.identity.claims import Claims, claims_of, number_of, principal_of
from proxy.identity.issuer import SHARED_SECRET, Issuer
from proxy.identity.keys import (
    ASYMMETRIC_ALGORITHMS,
    FixedKeys,
    KeySet,
    KeySource,
    PublicKey,
)
from proxy.identity.principal import Principal

MAX_TOKEN_CHARS = 16 * 1024
MAX_KID_CHARS = 256

TOKEN_TYPES = frozenset({"jwt", "at+jwt", "iua-jwt"})
"""`typ` of tokens that may give access, `application/` taken off (RFC 9068 section 2.1; IUA's example says IUA-JWT)."""

_REFUSED_HEADERS = ("crit", "b64", "zip", "enc", "cty")
"""Members that change how a token is to be read (RFC 7515 4.1.11, RFC 7797, RFC 7516): none is needed (T-170)."""

# Claims that only other kinds of token have (OpenID Connect Core 3.1.3.6, Back-Channel Logout 2.4), and `cnf`: a token
# bound to a key or certificate whose possession nobody here can prove (T-174, T-175).
_REFUSED_CLAIMS: Mapping[str, str] = MappingProxyType(
    {
        "at_hash": "belongs to an id token",
        "c_hash": "belongs to an id token",
        "events": "belongs to a logout token or security event",
        "cnf": "binds the token to a key, and proof of possession is not supported",
    }
)
# How authorization servers name the kind of a token in its payload.
_REFUSED_VALUES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "typ": frozenset({"id", "refresh", "offline", "logout"}),
        "token_use": frozenset({"id", "refresh"}),
    }
)

_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] ([A-Za-z0-9\-._~+/]+=*)")
_JWS = PyJWS(algorithms=sorted(ASYMMETRIC_ALGORITHMS | SHARED_SECRET))
_NO_KEYS = FixedKeys(KeySet({}, {}))


def _bad(detail: str) -> CallerError:
    return CallerError(Refusal.BAD_TOKEN, detail)


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """A token that reads well and claims what it should; nothing in it is true before its signature is verified."""

    issuer: Issuer
    algorithm: str
    kid: str | None
    claims: Claims


# ------------------------------------------------------------------------------------------ where the token is


def bearer_of(headers: Mapping[str, str], repeated: frozenset[str] = frozenset()) -> str:
    """Take the token from the Authorization header, and from nowhere else (RFC 6750 section 2.1, T-176).

    Header names are lower case, `repeated` are those that came more than once. CallerError NO_TOKEN or BAD_TOKEN.
    """
    written = headers.get("authorization")
    if written is None:
        raise CallerError(Refusal.NO_TOKEN, "no authorization header")
    if "authorization" in repeated:
        raise _bad("more than one authorization header")
    matched = _BEARER.fullmatch(written)
    if matched is None:
        raise _bad("authorization header is not `Bearer` and one token")
    return matched[1]


# ------------------------------------------------------------------------------------------ what the token reads


def _unbase64(segment: bytes) -> bytes:
    """Decode strict base64url; any other spelling of the same bytes is refused (RFC 7515 section 2, T-172)."""
    try:
        raw = base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4))
    except binascii.Error:
        raise _bad("token is not base64url") from None
    if not raw or base64.urlsafe_b64encode(raw).rstrip(b"=") != segment:
        raise _bad("token is not canonical base64url")
    return raw


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("repeated name")
    return members


def _object(raw: bytes) -> dict[str, object]:
    """Read a JSON object strictly (RFC 8259): UTF-8, no repeated names, no NaN, no lone surrogates."""
    try:
        read = orjson.loads(raw)  # the strict reader, and what counts
        json.loads(raw.decode(), object_pairs_hook=_unique)  # the one that sees repeated names
    except (ValueError, RecursionError):
        raise _bad("token does not hold strict JSON") from None
    if not isinstance(read, dict):
        raise _bad("token does not hold a JSON object")
    return read


def _segments(token: str) -> list[bytes]:
    if len(token) > MAX_TOKEN_CHARS:
        raise _bad(f"token is longer than {MAX_TOKEN_CHARS} characters")
    segments = token.split(".")
    if len(segments) != 3 or not token.isascii():  # noqa: PLR2004 - JWS compact serialization
        raise _bad("token is not a compact JWS of three segments")
    return [segment.encode() for segment in segments]


def _kid_of(header: Mapping[str, object]) -> str | None:
    kid = header.get("kid")
    if "kid" not in header:
        return None
    if not isinstance(kid, str) or not 0 < len(kid) <= MAX_KID_CHARS:
        raise _bad("token header `kid` must be a short string")
    return kid


def _refuse_header(header: Mapping[str, object]) -> None:
    """Refuse another kind of token. Keys named by a token (`jwk`, `jku`, `x5u`, `x5c`) are never looked at (T-165)."""
    for name in _REFUSED_HEADERS:
        if name in header:
            raise _bad(f"token header `{name}` is not accepted")
    typ = header.get("typ", "JWT")
    if not isinstance(typ, str) or typ.lower().removeprefix("application/") not in TOKEN_TYPES:
        raise _bad("token header `typ` is not that of an access token")


def _refuse_claims(payload: Mapping[str, object]) -> None:
    """Refuse id, refresh and logout tokens, and tokens bound to a key (T-168, T-174, T-175)."""
    for name, why in _REFUSED_CLAIMS.items():
        if name in payload:
            raise _bad(f"claim `{name}` {why}")
    for name, refused in _REFUSED_VALUES.items():
        value = payload.get(name)
        if isinstance(value, str) and value.lower() in refused:
            raise _bad(f"claim `{name}` says that this is no access token")


def _issuer_of(payload: Mapping[str, object], issuers: Mapping[str, Issuer]) -> Issuer:
    named = payload.get("iss")
    issuer = issuers.get(named) if isinstance(named, str) else None
    if issuer is None:
        raise _bad("issuer is not trusted")
    return issuer


def _require_audience(payload: Mapping[str, object], issuer: Issuer) -> None:
    """Require that the token is for us, and for nobody the operator does not know (T-168)."""
    named = payload.get("aud")
    audiences = named if isinstance(named, list) else [named]
    if issuer.audience not in audiences:
        raise _bad("token is not for this audience")
    known = {issuer.audience, *issuer.other_audiences}
    if not all(isinstance(one, str) and one in known for one in audiences):
        raise _bad("token is for other audiences too")


def _require_time(payload: Mapping[str, object], exp: float, issuer: Issuer, now: float) -> None:
    """Require that now lies in the token's time, and that this time is short (T-169)."""
    latest = now + issuer.skew
    if exp <= now - issuer.skew:
        raise _bad("token has expired")
    for name in ("nbf", "iat"):
        begins = number_of(payload, name)
        if begins is not None and begins > latest:
            raise _bad(f"claim `{name}` is in the future")
    issued = number_of(payload, "iat")
    begun = latest if issued is None else issued
    if exp - begun > issuer.max_lifetime:
        raise _bad("token lives too long")


def _require_claims(payload: Mapping[str, object], issuer: Issuer) -> None:
    for name in sorted(issuer.required):
        if name not in payload:
            raise _bad(f"claim `{name}` is required")


def _algorithm_of(header: Mapping[str, object], issuer: Issuer) -> str:
    """Give the algorithm if the issuer's list has it; never `none`, never HMAC beside public keys (T-164)."""
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in issuer.algorithms:
        raise _bad("token algorithm is not one of its issuer's")
    return algorithm


def read_token(token: str, issuers: Mapping[str, Issuer], now: float) -> UnverifiedToken:
    """Read a token and judge everything but its signature; CallerError BAD_TOKEN. `issuers` by `iss`, `now` in seconds."""
    protected, body, signature = _segments(token)
    _unbase64(signature)
    header, payload = _object(_unbase64(protected)), _object(_unbase64(body))
    _refuse_header(header)
    _refuse_claims(payload)
    issuer = _issuer_of(payload, issuers)
    algorithm = _algorithm_of(header, issuer)
    # Of what was signed, not of the token: an ECDSA signature has two spellings (T-172).
    digest = hashlib.sha256(b".".join((protected, body))).hexdigest()
    claims = claims_of(payload, digest)
    _require_audience(payload, issuer)
    _require_time(payload, claims.expires_at, issuer, now)
    _require_claims(payload, issuer)
    return UnverifiedToken(issuer, algorithm, _kid_of(header), claims)


# ------------------------------------------------------------------------------------------ whether it is true


def _key_for(read: UnverifiedToken, keys: KeySet) -> PublicKey | bytes | None:
    """Give the one key of the issuer that fits, or None."""
    if read.issuer.secret is not None:
        return read.issuer.secret
    return keys.find(read.kid, read.algorithm)


def _signed(token: str, read: UnverifiedToken, key: PublicKey | bytes | None) -> Claims:
    """Give the claims if the signature is that of the key."""
    if key is None:
        raise _bad("issuer has no such key for this algorithm")
    try:
        _JWS.decode_complete(token, key, algorithms=[read.algorithm])
    except (PyJWTError, ValueError, TypeError):
        raise _bad("token signature is wrong") from None
    return read.claims


def verify(
    token: str, issuers: Mapping[str, Issuer], keys: Mapping[str, KeySet], now: float
) -> Claims:
    """Verify a token with the keys at hand, by issuer; CallerError BAD_TOKEN for anything that is not as it must be."""
    read = read_token(token, issuers, now)
    of_issuer = keys.get(read.issuer.issuer, _NO_KEYS.keys)
    return _signed(token, read, _key_for(read, of_issuer))


_PREFIX = "Bearer "


def _digest_of(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """What one token turned out to say, and the keys that said so."""

    claims: Claims
    principal: Principal
    source: KeySource
    keys: KeySet

    def is_in_force(self, now: float) -> bool:
        """Whether it has not expired and its issuer's keys are still the same and fresh."""
        return now < self.claims.expires_at and self.source.current() is self.keys


class TokenVerifier:
    """Verifies tokens and remembers at most `max_entries` of them, by SHA-256 of the whole token.

    `keys` by issuer; issuers with a shared secret need none. UnusableError if another issuer has none.
    """

    def __init__(
        self,
        issuers: Mapping[str, Issuer],
        keys: Mapping[str, KeySource],
        max_entries: int = 4096,
    ) -> None:
        secret = {name: _NO_KEYS for name, issuer in issuers.items() if issuer.secret is not None}
        self._issuers = dict(issuers)
        self._sources: dict[str, KeySource] = {**keys, **secret}
        self._max_entries = max_entries
        self._entries: dict[bytes, VerifiedToken] = {}
        findings = [
            Finding(one, 0, "no keys are given") for one in issuers if one not in self._sources
        ]
        findings += [
            Finding(name, 0, f"is listed for issuer `{issuer.issuer}`")
            for name, issuer in issuers.items()
            if name != issuer.issuer
        ]
        if findings:
            raise UnusableError(*findings)

    async def verify(self, token: str, now: float) -> Claims:
        """Give the claims of a token; CallerError BAD_TOKEN, or OwnError if its issuer's keys cannot be had."""
        return (await self._verified(token, now)).claims

    async def identify(self, token: str, now: float) -> Principal:
        """Give the principal of a token; errors as `verify`. Waits for nothing if token, key and key set are known."""
        return (await self._verified(token, now)).principal

    async def identify_caller(
        self, headers: Mapping[str, str], repeated: frozenset[str], now: float
    ) -> Principal:
        """Give the principal of a request by its Authorization header (see `bearer_of`); errors as `identify`.

        A header that was verified in every letter is known again by its digest, without reading it anew.
        """
        written = headers.get("authorization", "")
        if "authorization" not in repeated and written.startswith(_PREFIX):
            entry = self._entries.get(_digest_of(written[len(_PREFIX) :]))
            if entry is not None and entry.is_in_force(now):
                return entry.principal
        return await self.identify(bearer_of(headers, repeated), now)

    async def _verified(self, token: str, now: float) -> VerifiedToken:
        digest = _digest_of(token)
        entry = self._entries.get(digest)
        if entry is not None and entry.is_in_force(now):
            return entry
        self._entries.pop(digest, None)
        entry = await self._newly_verified(token, now)
        self._remember(digest, entry)
        return entry

    async def _newly_verified(self, token: str, now: float) -> VerifiedToken:
        read = read_token(token, self._issuers, now)
        source = self._sources[read.issuer.issuer]
        keys = source.current() or await source.renewed()
        key = _key_for(read, keys)
        if key is None:  # perhaps a new one
            keys = await source.renewed(instead_of=keys)
            key = _key_for(read, keys)
        claims = _signed(token, read, key)
        return VerifiedToken(claims, principal_of(claims, read.issuer.profile), source, keys)

    def _remember(self, digest: bytes, entry: VerifiedToken) -> None:
        """Keep an entry in place of the oldest; nobody gets in here without a valid token."""
        while len(self._entries) >= self._max_entries:
            del self._entries[next(iter(self._entries))]
        self._entries[digest] = entry
