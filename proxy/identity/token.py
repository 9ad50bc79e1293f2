"""Access tokens (RFC 6750, RFC 9449): taken from the header, verified, remembered until they expire.

Laws: keys that cannot be had are an OwnError, so that clients keep their good tokens; only what was verified is
remembered, and no longer than its keys, its `exp` and its userinfo. What a token must be is `jws`; what is no JWT goes to the
one issuer that is asked by introspection. What a token is bound to is proven on every request, remembered or not.
"""

import asyncio
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from types import MappingProxyType
from typing import NamedTuple, Protocol

from jwt import PyJWS, PyJWTError

from proxy.errors import CallerError, Finding, OwnError, Refusal, UnusableError
from proxy.identity.binding import NO_REQUEST, Binding, Request, binding_of, require_certificate
from proxy.identity.choice import Choice
from proxy.identity.claims import Claims, choice_of
from proxy.identity.dpop import ProofMemory, proof_of, require_proof
from proxy.identity.introspection import introspected
from proxy.identity.issuer import SHARED_SECRET, Issuer
from proxy.identity.jws import MAX_TOKEN_CHARS, UnverifiedToken, bad_token, read_token, unbase64
from proxy.identity.keys import (
    ASYMMETRIC_ALGORITHMS,
    FixedKeys,
    KeySet,
    KeySource,
    PublicKey,
)
from proxy.identity.principal import Principal
from proxy.identity.userinfo import Userinfo, asked

_AUTHORIZATION = re.compile(r"(Bearer|DPoP) ([A-Za-z0-9\-._~+/]+=*)", re.IGNORECASE | re.ASCII)


_JWS = PyJWS(algorithms=sorted(ASYMMETRIC_ALGORITHMS | SHARED_SECRET))


_NO_KEYS = FixedKeys(KeySet({}, {}))


class Written(NamedTuple):
    """A token as the headers present it: whether with the scheme `DPoP`, and the one proof beside it, or empty."""

    token: str
    is_dpop: bool
    proof: str


def written_in(headers: Mapping[str, str], repeated: frozenset[str] = frozenset()) -> Written:
    """Take the token from the Authorization header, and from nowhere else (RFC 6750 section 2.1, T-176).

    Header names are lower case, `repeated` are those that came more than once. CallerError NO_TOKEN or BAD_TOKEN.
    """
    written = headers.get("authorization")
    if written is None:
        raise CallerError(Refusal.NO_TOKEN, "no authorization header")
    if "authorization" in repeated:
        raise bad_token("more than one authorization header")
    matched = _AUTHORIZATION.fullmatch(written)
    if matched is None:
        raise bad_token("authorization header is not `Bearer` or `DPoP` and one token")
    proof = "" if "dpop" in repeated else headers.get("dpop", "")
    return Written(matched[2], matched[1].lower() == "dpop", proof)


def _key_for(read: UnverifiedToken, keys: KeySet) -> PublicKey | bytes | None:
    """Give the one key of the issuer that fits, or None."""
    if read.issuer.secret is not None:
        return read.issuer.secret
    return keys.find(read.kid, read.algorithm)


def _signed(token: str, read: UnverifiedToken, key: PublicKey | bytes | None) -> Claims:
    """Give the claims if the signature is that of the key."""
    if key is None:
        raise bad_token("issuer has no such key for this algorithm")
    signed, _, signature = token.rpartition(".")
    try:
        # The segments are read and judged already (`read_token`); PyJWT would read them all once more.
        is_right = _JWS.get_algorithm_by_name(read.algorithm).verify(
            signed.encode(), key, unbase64(signature.encode())
        )
    except (PyJWTError, ValueError, TypeError):
        is_right = False
    if not is_right:
        raise bad_token("token signature is wrong")
    return read.claims


def verify(
    token: str, issuers: Mapping[str, Issuer], keys: Mapping[str, KeySet], now: float
) -> Claims:
    """Verify a token with the keys at hand, by issuer; CallerError BAD_TOKEN for anything that is not as it must be."""
    read = read_token(token, issuers, now)
    of_issuer = keys.get(read.issuer.issuer, _NO_KEYS.keys)
    return _signed(token, read, _key_for(read, of_issuer))


_PREFIX = "Bearer "
_DOTS_OF_A_JWS = 2

REFUSED_S = 5.0
"""How long a token that introspection refused is not asked about again."""


def _digest_of(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


class Introspect(Protocol):
    """Port: how one issuer is asked about tokens that are no JWT."""

    @property
    def issuer(self) -> str:
        """The issuer whose words the answers are."""
        ...

    @property
    def cache_s(self) -> float:
        """How long an answer is believed, in seconds."""
        ...

    @property
    def needs_audience(self) -> bool:
        """Whether an answer must name its audience."""
        ...

    async def ask(self, token: str) -> bytes:
        """The body of the answer; OSError where there is none."""
        ...


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """What one token turned out to say, until when that holds, and the keys that said so (none for introspection)."""

    claims: Claims
    choice: Choice
    binding: Binding | None
    until: float
    source: KeySource
    keys: KeySet

    def is_in_force(self, now: float) -> bool:
        """Whether it has not expired and its issuer's keys are still the same and fresh."""
        return now < self.until and self.source.current() is self.keys


class _Told(NamedTuple):
    """Whom a token names, and until when that may be believed."""

    choice: Choice
    until: float


_NO_USERINFO: Mapping[str, Userinfo] = MappingProxyType({})


def _is_opaque(token: str) -> bool:
    return token.count(".") != _DOTS_OF_A_JWS


class TokenVerifier:
    """Verifies tokens and remembers at most `max_entries` of them, by SHA-256 of the whole token.

    `keys` and `userinfo` by issuer; issuers with a shared secret, or that are only asked, need none. UnusableError if another has none.
    """

    def __init__(
        self,
        issuers: Mapping[str, Issuer],
        keys: Mapping[str, KeySource],
        max_entries: int = 4096,
        introspect: Introspect | None = None,
        userinfo: Mapping[str, Userinfo] = _NO_USERINFO,
    ) -> None:
        keyless = {name for name, issuer in issuers.items() if issuer.secret is not None}
        keyless |= {introspect.issuer} - keys.keys() if introspect is not None else set()
        self._issuers = dict(issuers)
        self._sources: dict[str, KeySource] = {**dict.fromkeys(keyless, _NO_KEYS), **keys}
        self._max_entries = max_entries
        self._introspect = introspect
        self._userinfo = userinfo
        self._proofs = ProofMemory()
        self._entries: dict[bytes, VerifiedToken] = {}
        self._asked: dict[bytes, asyncio.Lock] = {}
        self._refused: dict[bytes, float] = {}
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
        """Give the principal of a token, whatever it is bound to; errors as `verify`."""
        return (await self._verified(token, now)).choice.plain

    async def identify_caller(
        self,
        headers: Mapping[str, str],
        repeated: frozenset[str],
        now: float,
        request: Request = NO_REQUEST,
    ) -> Principal:
        """Give the principal of a request by its Authorization header (see `written_in`); errors as `identify`.

        A header that was verified in every letter is known again by its digest, without reading it anew.
        """
        written = headers.get("authorization", "")
        if "authorization" not in repeated and written.startswith(_PREFIX):
            entry = self._entries.get(_digest_of(written[len(_PREFIX) :]))
            if entry is not None and entry.binding is None and entry.is_in_force(now):
                return entry.choice.made(headers, repeated)
        presented = written_in(headers, repeated)
        entry = await self._verified(presented.token, now)
        self._require_possession(entry.binding, presented, request, now)
        return entry.choice.made(headers, repeated)

    def _require_possession(
        self, binding: Binding | None, presented: Written, request: Request, now: float
    ) -> None:
        """Require every proof that the token asks for, and that it asks for the one that is given (T-174, T-175)."""
        bound_to_key = binding is not None and bool(binding.jkt)
        if bound_to_key != presented.is_dpop:
            raise bad_token("the scheme of the authorization header is not that of the token")
        if binding is None:
            return
        require_certificate(binding, request)
        if bound_to_key:
            if not presented.proof:
                raise bad_token("there is not exactly one DPoP proof")
            proof = proof_of(presented.proof)
            require_proof(proof, binding.jkt, presented.token, request, now)
            self._proofs.use(proof, now)

    async def _verified(self, token: str, now: float) -> VerifiedToken:
        digest = _digest_of(token)
        entry = self._entries.get(digest)
        if entry is not None and entry.is_in_force(now):
            return entry
        self._entries.pop(digest, None)
        if self._userinfo or (self._introspect is not None and _is_opaque(token)):
            return await self._asked_once(token, digest, now)
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
        told = await self._told(token, claims, read.issuer, now)
        until = min(claims.expires_at, told.until)
        return VerifiedToken(claims, told.choice, binding_of(claims.payload), until, source, keys)

    async def _asked_once(self, token: str, digest: bytes, now: float) -> VerifiedToken:
        """Ask about a token; who comes with the same one meanwhile waits for the same answer."""
        lock = self._asked.setdefault(digest, asyncio.Lock())
        try:
            async with lock:
                if self._refused.get(digest, now) > now:
                    raise bad_token("token was refused a moment ago")
                entry = self._entries.get(digest)
                if entry is None or not entry.is_in_force(now):
                    entry = await self._anew(token, now)
                    self._remember(digest, entry)
                return entry
        except CallerError:
            self._remember_refusal(digest, now)
            raise
        finally:
            if not lock.locked():
                self._asked.pop(digest, None)

    def _remember_refusal(self, digest: bytes, now: float) -> None:
        """A storm of one bad token costs one question in a while (standards INT-3)."""
        if len(self._refused) >= self._max_entries:
            self._refused = {one: until for one, until in self._refused.items() if until > now}
        if len(self._refused) < self._max_entries:
            until = self._refused.get(digest, now)
            self._refused[digest] = until if until > now else now + REFUSED_S

    async def _anew(self, token: str, now: float) -> VerifiedToken:
        """Verify a token by the one way there is for its form."""
        if self._introspect is not None and _is_opaque(token):
            return await self._newly_asked(self._introspect, token, now)
        return await self._newly_verified(token, now)

    async def _newly_asked(self, introspect: Introspect, token: str, now: float) -> VerifiedToken:
        if len(token) > MAX_TOKEN_CHARS:
            raise bad_token(f"token is longer than {MAX_TOKEN_CHARS} characters")
        try:
            body = await introspect.ask(token)
        except OSError as error:
            raise OwnError(f"the introspection endpoint cannot be asked ({error})") from None
        issuer = self._issuers[introspect.issuer]
        told = introspected(
            body,
            token,
            issuer,
            now,
            cache_s=introspect.cache_s,
            needs_audience=introspect.needs_audience,
        )
        named = await self._told(token, told.claims, issuer, now)
        until = min(told.until, named.until)
        binding = binding_of(told.claims.payload)
        return VerifiedToken(told.claims, named.choice, binding, until, _NO_KEYS, _NO_KEYS.keys)

    async def _told(self, token: str, claims: Claims, issuer: Issuer, now: float) -> "_Told":
        """Whom verified claims name, with userinfo where the issuer says it there."""
        source = self._userinfo.get(issuer.issuer)
        if source is None:
            return _Told(choice_of(claims, issuer.profile), inf)
        said = await asked(source, token, claims)
        return _Told(choice_of(claims, issuer.profile, said), now + source.cache_s)

    def _remember(self, digest: bytes, entry: VerifiedToken) -> None:
        """Keep an entry in place of the oldest; nobody gets in here without a valid token."""
        while len(self._entries) >= self._max_entries:
            del self._entries[next(iter(self._entries))]
        self._entries[digest] = entry
