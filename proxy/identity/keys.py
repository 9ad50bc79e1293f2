"""JSON Web Key Sets (RFC 7517): the public keys of one issuer, and how they are kept fresh.

Rules:
- A key comes from the issuer's own set, never from a token (RFC 8725 section 3.10).
- A key verifies only the algorithms its type, curve, `use`, `key_ops` and `alg` allow (RFC 8725 section 3.1).
- A known key in a fresh set is found without waiting; everything else waits behind one lock, so that a storm of
  unknown key ids costs one fetch per cool-down (T-166).
- An issuer that cannot be reached is our trouble, not the caller's: 503, never 401 (standards INT-6).

Nothing here opens a file or a connection: the fetch is given.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWTError
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from proxy.errors import Finding, OwnError, ProxyError, UnusableError

PublicKey = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey

RSA_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
ASYMMETRIC_ALGORITHMS = RSA_ALGORITHMS | {"ES256", "ES384", "EdDSA"}

DEVELOPMENT_KEY_X = "l0wLeSbV02lwNWi_tlFx1G4M-8bUVM_Uje4zkv4CR5s"
"""`x` of the key that `identity.development` signs with when none is given: its private half is public."""

MIN_RSA_BITS = 2048
MAX_JWKS_BYTES = 256 * 1024
MAX_KEYS = 100

_READERS: Mapping[str, Callable[[dict[str, object]], object]] = MappingProxyType(
    {
        "RSA": RSAAlgorithm.from_jwk,
        "EC": ECAlgorithm.from_jwk,
        "OKP": OKPAlgorithm.from_jwk,
    }
)
_CURVES: Mapping[type, frozenset[str]] = MappingProxyType(
    {SECP256R1: frozenset({"ES256"}), SECP384R1: frozenset({"ES384"})}
)
# Members of a private RSA, EC or OKP key, and of a symmetric one (RFC 7518 section 6).
_SECRET_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


class _Jwk(msgspec.Struct):
    """The members of a JWK that say what it may be used for (RFC 7517 section 4)."""

    kty: str
    kid: str = ""
    use: str = "sig"
    alg: str = ""
    key_ops: list[str] = msgspec.field(default_factory=lambda: ["verify"])
    x: str = ""


class _Jwks(msgspec.Struct):
    keys: list[dict[str, object]]


@dataclass(frozen=True, slots=True, eq=False)
class KeySet:
    """The usable keys of one issuer, by key id and algorithm; compared by identity.

    `named[(kid, alg)]` and, for tokens without a key id, `sole[alg]`: an entry only where exactly one key fits.
    `findings` are the keys left out, and why.
    """

    named: Mapping[tuple[str, str], PublicKey]
    sole: Mapping[str, PublicKey]
    findings: tuple[Finding, ...] = ()

    def find(self, kid: str | None, algorithm: str) -> PublicKey | None:
        """Give the one key for this key id and algorithm, or None; without a key id the sole key that fits."""
        return self.sole.get(algorithm) if kid is None else self.named.get((kid, algorithm))


class _RejectedError(Exception):
    """A key of a set that is left out, and why."""


def _usable(key: object) -> tuple[PublicKey, frozenset[str]]:
    """Name the algorithms a key may verify by its type, size and curve."""
    match key:
        case RSAPublicKey() if key.key_size < MIN_RSA_BITS:
            raise _RejectedError(f"an RSA key needs at least {MIN_RSA_BITS} bits")
        case RSAPublicKey():
            return key, RSA_ALGORITHMS
        case EllipticCurvePublicKey() if type(key.curve) in _CURVES:
            return key, _CURVES[type(key.curve)]
        case Ed25519PublicKey():
            return key, frozenset({"EdDSA"})
        case _:
            raise _RejectedError("its curve is not P-256, P-384 or Ed25519")


def _public_key(members: dict[str, object], kty: str) -> object:
    """Read the key itself; refuse private and symmetric ones before any of it is used."""
    if kty == "oct" or members.keys() & _SECRET_MEMBERS:
        raise _RejectedError(
            "it is private or symmetric; publish public keys only, and replace this one"
        )
    try:
        return _READERS[kty](members)
    except (PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, KeyError) as error:
        raise _RejectedError("it is not a valid RSA, EC or OKP key") from error


def _read_key(members: dict[str, object]) -> list[tuple[str, str, PublicKey]]:
    """Read one key as rows (kid, algorithm, key); none if it is not for signatures."""
    try:
        jwk = msgspec.convert(members, _Jwk)
    except msgspec.ValidationError as error:
        raise _RejectedError("its members have the wrong types") from error
    read = _public_key(members, jwk.kty)
    if jwk.use != "sig" or "verify" not in jwk.key_ops:
        return []
    key, allowed = _usable(read)
    return [(jwk.kid, one, key) for one in allowed if jwk.alg in {"", one}]


def public_key_of(members: dict[str, object], algorithm: str) -> PublicKey | None:
    """Give the public key of one JWK if it can verify the algorithm; None for any other, private ones included."""
    try:
        rows = _read_key(members)
    except _RejectedError:
        return None
    return next((key for _, allowed, key in rows if allowed == algorithm), None)


def _warning_of(members: dict[str, object]) -> str:
    """Say what is wrong with a key that works all the same."""
    if members.get("x") == DEVELOPMENT_KEY_X:
        return "it is the published development key: anybody can sign with it; never use it with real patients"
    return ""


def _unambiguous(rows: list[tuple[str, str, PublicKey]]) -> KeySet:
    """Index the rows; a key id or algorithm that two keys share finds none."""
    named: dict[tuple[str, str], list[PublicKey]] = {}
    sole: dict[str, list[PublicKey]] = {}
    for kid, algorithm, key in rows:
        named.setdefault((kid, algorithm), []).append(key)
        sole.setdefault(algorithm, []).append(key)
    return KeySet(
        {name: keys[0] for name, keys in named.items() if len(keys) == 1 and name[0]},
        {name: keys[0] for name, keys in sole.items() if len(keys) == 1},
    )


def _members_of(jwks: bytes, source: str) -> list[dict[str, object]]:
    if len(jwks) > MAX_JWKS_BYTES:
        raise UnusableError(Finding(source, 0, f"key set is larger than {MAX_JWKS_BYTES} bytes"))
    try:
        keys = msgspec.json.decode(jwks, type=_Jwks).keys
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnusableError(Finding(source, 0, "not a JSON Web Key Set (RFC 7517)")) from error
    if len(keys) > MAX_KEYS:
        raise UnusableError(Finding(source, 0, f"key set has more than {MAX_KEYS} keys"))
    return keys


def key_set_of(jwks: bytes, source: str = "jwks") -> KeySet:
    """Read a JWKS; `source` names it in findings.

    A key that cannot be used is left out with a finding. UnusableError if it is no JWKS or no key is left.
    """
    rows: list[tuple[str, str, PublicKey]] = []
    findings: list[Finding] = []
    for number, members in enumerate(_members_of(jwks, source), start=1):
        try:
            rows += _read_key(members)
            told = _warning_of(members)
        except _RejectedError as rejected:
            told = f"it is left out: {rejected}"
        findings += [Finding(source, 0, f"key {number}: {told}")] if told else []
    if not rows:
        raise UnusableError(*findings, Finding(source, 0, "no key that can verify signatures"))
    found = _unambiguous(rows)
    return KeySet(found.named, found.sole, tuple(findings))


class KeySource(Protocol):
    """Port: the keys of one issuer, kept fresh by somebody."""

    def current(self) -> KeySet | None:
        """Give the keys in force without waiting; None: ask `renewed`."""

    async def renewed(self, instead_of: KeySet | None = None) -> KeySet:
        """Give keys in force, newer than `instead_of` if there are any; OwnError if none can be had."""


@dataclass(frozen=True, slots=True)
class FixedKeys:
    """A KeySource that never changes."""

    keys: KeySet

    def current(self) -> KeySet:
        """Give the keys."""
        return self.keys

    async def renewed(self, instead_of: KeySet | None = None) -> KeySet:
        """Give the same keys again."""
        return self.keys


@dataclass(frozen=True, slots=True)
class Freshness:
    """How long keys are believed, in seconds.

    `ttl`: then they are fetched again; `max_age`: so long the last good set serves while that fails;
    `cool_down`: pause between fetches whatever is asked; `timeout`: of one fetch.
    """

    ttl: float = 300.0
    max_age: float = 3600.0
    cool_down: float = 30.0
    timeout: float = 5.0


class RotatingKeys:
    """A KeySource over a fetch: refreshed by age and on an unknown key, one fetch at a time (T-166).

    `fetch` gives the bytes of a JWKS and raises nothing but OSError (TimeoutError is one) or ProxyError.
    `clock` gives seconds; it need not be the wall clock.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[bytes]],
        clock: Callable[[], float],
        freshness: Freshness | None = None,
        source: str = "jwks",
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._freshness = freshness or Freshness()
        self._source = source
        self._lock = asyncio.Lock()
        self._keys: KeySet | None = None
        self._digest = b""
        self._good_at = 0.0
        self._current_until = 0.0
        self._tried_at: float | None = None
        self._trouble = ""

    @property
    def trouble(self) -> str:
        """Why the last fetch failed, for readiness and the journal; empty if it did not."""
        return self._trouble

    def current(self) -> KeySet | None:
        """Give the keys in force without waiting; None if they are to be fetched first."""
        # A clock that went back makes keys stale, never young again.
        return self._keys if self._good_at <= self._clock() < self._current_until else None

    async def renewed(self, instead_of: KeySet | None = None) -> KeySet:
        """Give keys in force, fetched again if they are too old or `instead_of` lacked a key.

        OwnError: there are none, or the unknown key may be a new one and the issuer cannot be asked.
        """
        async with self._lock:
            keys = self.current()
            if (keys is None or keys is instead_of) and not self._is_cooling():
                await self._refresh()
                keys = self.current()
        if keys is None or (keys is instead_of and self._trouble):
            raise OwnError(f"signing keys from `{self._source}` cannot be had: {self._trouble}")
        return keys

    def _is_cooling(self) -> bool:
        if self._tried_at is None:
            return False
        return 0 <= self._clock() - self._tried_at < self._freshness.cool_down

    async def _refresh(self) -> None:
        now = self._tried_at = self._clock()
        try:
            async with asyncio.timeout(self._freshness.timeout):
                jwks = await self._fetch()
            self._accept(jwks, now)
        except asyncio.CancelledError:
            # The caller left; whoever waits behind it must not find us cooling down without any keys.
            self._tried_at = None if self.current() is None else now
            raise
        except (OSError, ProxyError) as error:
            self._trouble = str(error) or type(error).__name__
            last_good_until = self._good_at + self._freshness.max_age
            self._current_until = min(now + self._freshness.cool_down, last_good_until)

    def _accept(self, jwks: bytes, now: float) -> None:
        """Put a fetched set in force; the same bytes keep the same KeySet, and what was verified with it."""
        digest = hashlib.sha256(jwks).digest()
        if self._keys is None or digest != self._digest:
            self._keys = key_set_of(jwks, self._source)
            self._digest = digest
        self._good_at = now
        # Never shorter than the cool-down: in between there would be keys that nobody may fetch or use.
        self._current_until = now + max(self._freshness.ttl, self._freshness.cool_down)
        self._trouble = ""
