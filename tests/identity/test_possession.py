"""Tokens that are bound to a key or a certificate, and tokens that are no JWT (T-174, T-175; standards INT-1..6)."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from proxy.errors import CallerError, OwnError, Refusal
from proxy.identity.binding import Request
from proxy.identity.issuer import Issuer, profile_of
from proxy.identity.keys import FixedKeys, key_set_of
from proxy.identity.token import REFUSED_S, TokenVerifier
from tests.identity.proofs import ASKED, JKT, NOW, OTHER_KEY, URL, hash_of, jwk_of, proof

SIGNING = ec.generate_private_key(ec.SECP256R1())
ISSUER = Issuer("https://idp.example.org", "gateway", frozenset({"ES256"}), profile_of("smart"))
ISSUERS = {ISSUER.issuer: ISSUER}
KEYS = key_set_of(orjson.dumps({"keys": [jwk_of(SIGNING) | {"kid": "k"}]}))


def token(changes: dict[str, object] | None = None) -> str:
    said = {
        "iss": ISSUER.issuer, "aud": "gateway", "sub": "u-1", "client_id": "app", "jti": "t-1",
        "scope": "user/*.rs", "iat": NOW - 10, "exp": NOW + 300,
    }  # fmt: skip
    return jwt.encode({**said, **(changes or {})}, SIGNING, "ES256", {"kid": "k"})


# ------------------------------------------------------------------------------------------ T-174, T-175: bound tokens


def bound(cnf: object) -> str:
    return token({"cnf": cnf})


async def presented(
    text: str,
    headers: dict[str, str],
    request: Request = ASKED,
    repeated: frozenset[str] = frozenset(),
    verifier: TokenVerifier | None = None,
) -> str:
    one = verifier or TokenVerifier(ISSUERS, {ISSUER.issuer: FixedKeys(KEYS)})
    scheme = headers.get("scheme", "DPoP" if "dpop" in headers else "Bearer")
    said = {"authorization": f"{scheme} {text}", **headers}
    return (await one.identify_caller(said, repeated, NOW, request)).subject


def proof_for(text: str, **claims: object) -> str:
    return proof({"ath": hash_of(text), "iat": NOW, **claims})


async def test_a_token_bound_to_a_key_is_good_with_a_proof_of_that_key() -> None:
    text = bound({"jkt": JKT})
    assert await presented(text, {"dpop": proof_for(text)})


BOUND_TO_KEY: dict[str, Callable[[str], dict[str, str]]] = {
    "as a bearer token": lambda text: {"scheme": "Bearer", "dpop": proof_for(text)},
    "without a proof": lambda _: {"scheme": "DPoP"},
    "with the proof of another key": lambda text: {
        "dpop": proof({"ath": hash_of(text), "iat": NOW}, key=OTHER_KEY)
    },
    "with the proof for another token": lambda _: {"dpop": proof_for("another")},
    "with the proof for another method": lambda text: {"dpop": proof_for(text, htm="POST")},
    "with an empty proof": lambda _: {"dpop": ""},
}


@pytest.mark.parametrize("how", BOUND_TO_KEY)
async def test_a_token_bound_to_a_key_is_refused(how: str) -> None:
    text = bound({"jkt": JKT})
    with pytest.raises(CallerError) as raised:
        await presented(text, BOUND_TO_KEY[how](text))
    assert raised.value.refusal is Refusal.BAD_TOKEN


async def test_two_proofs_are_none() -> None:
    text = bound({"jkt": JKT})
    with pytest.raises(CallerError, match="exactly one"):
        await presented(text, {"dpop": proof_for(text)}, repeated=frozenset({"dpop"}))


async def test_a_proof_is_needed_though_the_token_is_remembered_and_is_good_once() -> None:
    verifier = TokenVerifier(ISSUERS, {ISSUER.issuer: FixedKeys(KEYS)})
    text = bound({"jkt": JKT})
    used = proof_for(text)
    await presented(text, {"dpop": used}, verifier=verifier)
    for again in ({"dpop": used}, {"scheme": "Bearer"}, {"scheme": "DPoP"}):
        with pytest.raises(CallerError):
            await presented(text, again, verifier=verifier)
    await presented(text, {"dpop": proof_for(text, jti="p-2")}, verifier=verifier)


async def test_a_token_bound_to_nothing_needs_no_proof_and_takes_none() -> None:
    text = token()
    assert await presented(text, {})
    with pytest.raises(CallerError, match="scheme"):
        await presented(text, {"dpop": proof_for(text)})


async def test_a_token_bound_to_a_certificate_needs_that_certificate() -> None:
    text = bound({"x5t#S256": "c"})
    assert await presented(text, {}, Request("GET", URL, "c"))
    for other in ("", "d"):
        with pytest.raises(CallerError):
            await presented(text, {}, Request("GET", URL, other))


@pytest.mark.parametrize("cnf", [{}, None, {"jwk": {}}, {"kid": "x"}, {"jkt": 7}])
async def test_a_binding_that_is_not_understood_is_refused(cnf: object) -> None:
    with pytest.raises(CallerError, match="cnf"):
        await presented(bound(cnf), {})


# ------------------------------------------------------------------------------------------ INT-1..6: opaque tokens


@dataclass
class Asked:
    """An introspection endpoint that answers what it is told, and counts."""

    answers: dict[str, object]
    issuer: str = ISSUER.issuer
    cache_s: float = 30.0
    needs_audience: bool = True
    count: int = 0
    fails: bool = False

    async def ask(self, token: str) -> bytes:
        self.count += 1
        await asyncio.sleep(0)
        if self.fails:
            raise OSError("it did not answer in time")
        return orjson.dumps(self.answers.get(token, {"active": False}))


ACTIVE = {
    "active": True, "scope": "user/*.rs", "client_id": "app", "sub": "u-9", "exp": NOW + 100,
    "aud": ISSUER.audience,
}  # fmt: skip


def asking(**answers: object) -> tuple[TokenVerifier, Asked]:
    asked = Asked(answers)
    return TokenVerifier(ISSUERS, {ISSUER.issuer: FixedKeys(KEYS)}, introspect=asked), asked


async def test_what_is_no_jwt_is_asked_about_and_remembered_for_a_while() -> None:
    verifier, asked = asking(opaque=ACTIVE)
    for later in (0, 10, 29):
        assert (await verifier.identify("opaque", NOW + later)).subject == "u-9"
    assert asked.count == 1
    asked.answers["opaque"] = {"active": False}
    with pytest.raises(CallerError):
        await verifier.identify("opaque", NOW + 31)
    assert asked.count == 2


async def test_a_jwt_is_never_shown_to_the_endpoint() -> None:
    verifier, asked = asking()
    await verifier.identify(token(), NOW)
    with pytest.raises(CallerError):
        await verifier.identify("a.b.c", NOW)
    assert asked.count == 0


async def test_many_with_one_token_ask_once() -> None:
    verifier, asked = asking(opaque=ACTIVE)
    await asyncio.gather(*(verifier.identify("opaque", NOW) for _ in range(50)))
    assert asked.count == 1
    assert not verifier._asked


async def test_a_storm_of_a_bad_token_asks_once_in_a_while() -> None:
    verifier, asked = asking()
    for _ in range(50):
        with pytest.raises(CallerError):
            await verifier.identify("bad", NOW)
    assert asked.count == 1
    with pytest.raises(CallerError):
        await verifier.identify("bad", NOW + REFUSED_S)
    assert asked.count == 2


async def test_an_endpoint_that_cannot_be_asked_is_our_trouble_and_nothing_is_remembered() -> None:
    verifier, asked = asking(opaque=ACTIVE)
    asked.fails = True
    with pytest.raises(OwnError):
        await verifier.identify("opaque", NOW)
    asked.fails = False
    assert (await verifier.identify("opaque", NOW)).subject == "u-9"


async def test_without_an_expiry_each_request_asks() -> None:
    verifier, asked = asking(opaque={name: one for name, one in ACTIVE.items() if name != "exp"})
    for _ in range(3):
        await verifier.identify("opaque", NOW)
    assert asked.count == 3


async def test_an_opaque_token_may_be_bound_too() -> None:
    verifier, _ = asking(opaque={**ACTIVE, "cnf": {"jkt": JKT}, "token_type": "DPoP"})
    with pytest.raises(CallerError):
        await presented("opaque", {}, verifier=verifier)
    assert await presented("opaque", {"dpop": proof_for("opaque")}, verifier=verifier)


async def test_an_issuer_that_is_only_asked_signs_no_token() -> None:
    verifier = TokenVerifier(ISSUERS, {}, introspect=Asked({"opaque": ACTIVE}))
    await verifier.identify("opaque", NOW)
    with pytest.raises(CallerError):
        await verifier.identify(token(), NOW)


async def test_without_an_endpoint_what_is_no_jwt_is_no_token() -> None:
    verifier = TokenVerifier(ISSUERS, {ISSUER.issuer: FixedKeys(KEYS)})
    with pytest.raises(CallerError):
        await verifier.identify("opaque", NOW)
