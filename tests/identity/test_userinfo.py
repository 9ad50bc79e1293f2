"""proxy.identity.userinfo, and how the verifier asks for it: once, for no longer than it holds, and never without an answer."""

import asyncio
from typing import Any

import orjson
import pytest

from proxy.errors import CallerError, OwnError
from proxy.identity.claims import Claims
from proxy.identity.development import development_token
from proxy.identity.issuer import Issuer, profile_of
from proxy.identity.keys import FixedKeys, key_set_of
from proxy.identity.token import REFUSED_S, TokenVerifier
from proxy.identity.userinfo import asked, said_of
from tests.psc import CHU, CLAIMS, CLINIC, LONE, VIDAL, activity, exercise, userinfo
from tests.stage import ISSUER, JWKS, NOW, PEM

CLAIMED = Claims(ISSUER, "u-1", "t", NOW + 60, {})
PSC = Issuer(ISSUER, str(CLAIMS["aud"]), frozenset({"ES256"}), profile_of("pro-sante-connect"))
OTHER = Issuer(
    "https://other.example.org", str(CLAIMS["aud"]), frozenset({"ES256"}), profile_of("smart")
)


class Endpoint:
    """Userinfo that answers what a test says."""

    def __init__(self, told: object, cache_s: float = 60.0) -> None:
        self.told, self.cache_s, self.count = told, cache_s, 0

    async def ask(self, token: str) -> bytes:
        assert token.startswith("ey")
        self.count += 1
        await asyncio.sleep(0)
        if isinstance(self.told, Exception):
            raise self.told
        return orjson.dumps(self.told)


def signed(lifetime: float = 300.0, **changes: Any) -> str:
    return development_token({**CLAIMS, **changes}, PEM, NOW, lifetime)


def verifier(endpoint: Endpoint) -> TokenVerifier:
    keys = FixedKeys(key_set_of(JWKS))
    issuers = {one.issuer: one for one in (PSC, OTHER)}
    return TokenVerifier(issuers, dict.fromkeys(issuers, keys), userinfo={ISSUER: endpoint})


def headers(token: str, situation: str = f"{CHU}/10") -> dict[str, str]:
    return {"authorization": f"Bearer {token}", "x-situation": situation}


async def test_the_answer_is_that_of_the_very_person() -> None:
    assert (await asked(Endpoint({"sub": "u-1", "x": 1}), "ey", CLAIMED)) == {"sub": "u-1", "x": 1}
    for told in ({"sub": "u-2"}, {}, {"sub": None}, {"sub": ["u-1"]}):
        with pytest.raises(CallerError):
            await asked(Endpoint(told), "ey", CLAIMED)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"x", b'{"sub":"u-1","sub":"u-1"}', b'{"sub":NaN}', b'"\xff"']
)
def test_what_is_no_strict_object_is_no_answer(body: bytes) -> None:
    with pytest.raises(OwnError):
        said_of(body, CLAIMED)


async def test_a_refusal_is_the_tokens_fault_and_a_failure_is_not() -> None:
    with pytest.raises(CallerError):
        await asked(Endpoint(PermissionError("no")), "ey", CLAIMED)
    with pytest.raises(OwnError):
        await asked(Endpoint(OSError("gone")), "ey", CLAIMED)


async def test_an_answer_is_kept_for_a_while_and_its_principals_are_the_very_same() -> None:
    endpoint = Endpoint(VIDAL)
    believing, token = verifier(endpoint), signed()
    first = await believing.identify_caller(headers(token), frozenset(), NOW)
    assert await believing.identify_caller(headers(token), frozenset(), NOW + 59) is first
    assert endpoint.count == 1
    endpoint.told = userinfo(exercise(activity(CLINIC)))
    assert (await believing.identify_caller(headers(token), frozenset(), NOW + 60)).undecided
    assert endpoint.count == 2


async def test_an_answer_is_kept_no_longer_than_the_token() -> None:
    endpoint = Endpoint(LONE, cache_s=600.0)
    believing, token = verifier(endpoint), signed(lifetime=10.0)
    assert (await believing.identify(token, NOW)).subject == CLAIMS["sub"]
    with pytest.raises(CallerError):
        await believing.identify(token, NOW + 100)
    assert endpoint.count == 1


async def test_each_token_is_asked_about_once_and_only_those_of_its_issuer() -> None:
    endpoint = Endpoint(LONE)
    believing, one, other = verifier(endpoint), signed(), signed(jti="t-2")
    await asyncio.gather(*(believing.identify(token, NOW) for token in (one, other) * 20))
    assert endpoint.count == 2
    foreign = signed(iss=OTHER.issuer, fhirUser="Practitioner/a")
    found = await believing.identify_caller(headers(foreign), frozenset(), NOW)
    assert (found.fhir_user, found.situation, endpoint.count) == ("Practitioner/a", None, 2)


async def test_a_refused_token_is_not_asked_about_at_once_again() -> None:
    endpoint = Endpoint(PermissionError("no"))
    believing, token = verifier(endpoint), signed()
    for _ in range(5):
        with pytest.raises(CallerError):
            await believing.identify(token, NOW)
    assert endpoint.count == 1
    endpoint.told = LONE
    assert (await believing.identify(token, NOW + REFUSED_S)).subject == CLAIMS["sub"]


async def test_a_failure_is_not_remembered() -> None:
    endpoint = Endpoint(OSError("gone"))
    believing, token = verifier(endpoint), signed()
    with pytest.raises(OwnError):
        await believing.identify(token, NOW)
    endpoint.told = LONE
    assert (await believing.identify(token, NOW)).subject == CLAIMS["sub"]


async def test_without_userinfo_the_profile_names_nobody() -> None:
    keys = FixedKeys(key_set_of(JWKS))
    with pytest.raises(OwnError, match="userinfo"):
        await TokenVerifier({ISSUER: PSC}, {ISSUER: keys}).identify(signed(), NOW)
