"""Bearer tokens (RFC 6750): taken from the header, verified, remembered until they expire.

Laws: keys that cannot be had are an OwnError, so that clients keep their good tokens; only what was verified is
remembered, and no longer than its keys and its `exp`. What a token must be is `jws`.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from jwt import PyJWS, PyJWTError

from proxy.errors import CallerError, Finding, Refusal, UnusableError
from proxy.identity.claims import Claims, principal_of
from proxy.identity.issuer import SHARED_SECRET, Issuer
from proxy.identity.jws import UnverifiedToken, bad_token, read_token
from proxy.identity.keys import (
    ASYMMETRIC_ALGORITHMS,
    FixedKeys,
    KeySet,
    KeySource,
    PublicKey,
)
from proxy.identity.principal import Principal

_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] ([A-Za-z0-9\-._~+/]+=*)")


_JWS = PyJWS(algorithms=sorted(ASYMMETRIC_ALGORITHMS | SHARED_SECRET))


_NO_KEYS = FixedKeys(KeySet({}, {}))


def bearer_of(headers: Mapping[str, str], repeated: frozenset[str] = frozenset()) -> str:
    """Take the token from the Authorization header, and from nowhere else (RFC 6750 section 2.1, T-176).

    Header names are lower case, `repeated` are those that came more than once. CallerError NO_TOKEN or BAD_TOKEN.
    """
    written = headers.get("authorization")
    if written is None:
        raise CallerError(Refusal.NO_TOKEN, "no authorization header")
    if "authorization" in repeated:
        raise bad_token("more than one authorization header")
    matched = _BEARER.fullmatch(written)
    if matched is None:
        raise bad_token("authorization header is not `Bearer` and one token")
    return matched[1]


def _key_for(read: UnverifiedToken, keys: KeySet) -> PublicKey | bytes | None:
    """Give the one key of the issuer that fits, or None."""
    if read.issuer.secret is not None:
        return read.issuer.secret
    return keys.find(read.kid, read.algorithm)


def _signed(token: str, read: UnverifiedToken, key: PublicKey | bytes | None) -> Claims:
    """Give the claims if the signature is that of the key."""
    if key is None:
        raise bad_token("issuer has no such key for this algorithm")
    try:
        _JWS.decode_complete(token, key, algorithms=[read.algorithm])
    except (PyJWTError, ValueError, TypeError):
        raise bad_token("token signature is wrong") from None
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
