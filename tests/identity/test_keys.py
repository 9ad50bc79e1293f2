"""proxy.identity.keys: which keys of a JWKS count, and how they are kept fresh."""

import asyncio
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from proxy.errors import OwnError, Refusal, UnusableError
from proxy.identity.development import development_keys
from proxy.identity.keys import (
    MAX_JWKS_BYTES,
    RSA_ALGORITHMS,
    FixedKeys,
    Freshness,
    KeySet,
    RotatingKeys,
    key_set_of,
)

Jwk = dict[str, object]

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SMALL_RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - to be refused
P256_KEY = ec.generate_private_key(ec.SECP256R1())

RSA: Jwk = {"kid": "rsa", **RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True)}
RSA.pop("key_ops")
SMALL_RSA: Jwk = {"kid": "small", **RSAAlgorithm.to_jwk(SMALL_RSA_KEY.public_key(), as_dict=True)}
P256: Jwk = {"kid": "p256", **ECAlgorithm.to_jwk(P256_KEY.public_key(), as_dict=True)}
P384: Jwk = {
    "kid": "p384",
    **ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key(), as_dict=True),
}
P521: Jwk = {
    "kid": "p521",
    **ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP521R1()).public_key(), as_dict=True),
}
ED25519: Jwk = {
    "kid": "ed",
    **OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate().public_key(), as_dict=True),
}
ED448: Jwk = {
    "kid": "ed448",
    **OKPAlgorithm.to_jwk(ed448.Ed448PrivateKey.generate().public_key(), as_dict=True),
}
PRIVATE: Jwk = {"kid": "private", **ECAlgorithm.to_jwk(P256_KEY, as_dict=True)}
SYMMETRIC: Jwk = {"kid": "oct", "kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA"}


def jwks(*keys: Jwk) -> bytes:
    return json.dumps({"keys": keys}).encode()


@pytest.mark.parametrize(
    ("key", "algorithms"),
    [
        (RSA, RSA_ALGORITHMS),
        ({**RSA, "alg": "PS256"}, {"PS256"}),
        (P256, {"ES256"}),
        ({**P256, "alg": "ES256", "use": "sig", "key_ops": ["verify"]}, {"ES256"}),
        (P384, {"ES384"}),
        (ED25519, {"EdDSA"}),
    ],
)
def test_a_key_verifies_only_what_its_type_and_alg_allow(key: Jwk, algorithms: set[str]) -> None:
    found = key_set_of(jwks(key))
    assert {alg for _, alg in found.named} == set(algorithms)
    assert set(found.sole) == set(algorithms)
    assert found.findings == ()


@pytest.mark.parametrize(
    ("key", "told"),
    [
        (PRIVATE, "private or symmetric"),
        (SYMMETRIC, "private or symmetric"),
        ({**SYMMETRIC, "kty": "RSA"}, "private or symmetric"),
        (SMALL_RSA, "2048 bits"),  # T-164
        (P521, "curve"),
        (ED448, "curve"),
        ({**P256, "x": "AAAA"}, "not a valid"),
        ({**P256, "kty": "XYZ"}, "not a valid"),
        ({**P256, "kid": 7}, "wrong types"),
        ({"kid": "none"}, "wrong types"),
        ({**RSA, "n": 5}, "not a valid"),
        ({**RSA, "e": ""}, "not a valid"),
    ],
)
def test_a_key_that_cannot_be_used_is_left_out_with_a_finding(key: Jwk, told: str) -> None:
    found = key_set_of(jwks(key, P384), "keys.json")
    assert set(found.named) == {("p384", "ES384")}
    (finding,) = found.findings
    assert finding.file == "keys.json"
    assert told in finding.message
    assert "key 1" in finding.message


@pytest.mark.parametrize(
    "key",
    [
        {**RSA, "use": "enc"},
        {**P256, "key_ops": ["encrypt"]},
        {**P256, "alg": "ES384"},
        {**RSA, "alg": "HS256"},
    ],
)
def test_a_key_for_something_else_verifies_nothing(key: Jwk) -> None:  # T-166
    assert set(key_set_of(jwks(key, P384)).named) == {("p384", "ES384")}


@pytest.mark.parametrize(
    "text",
    [b"", b"<html>", b"[]", b"{}", b'{"keys":{}}', b'{"keys":[]}', b'{"keys":[1]}', b"\xff", b"[" * 100_000,
     jwks(SYMMETRIC), jwks(PRIVATE), jwks(*[P256] * 101), b" " * MAX_JWKS_BYTES + jwks(P256)],
)  # fmt: skip
def test_what_is_no_key_set_is_unusable(text: bytes) -> None:  # T-166
    with pytest.raises(UnusableError):
        key_set_of(text)


@given(st.binary())
def test_any_bytes_are_a_key_set_or_unusable(text: bytes) -> None:
    with pytest.raises(UnusableError):
        key_set_of(text)


def test_a_private_key_never_shows_in_a_finding() -> None:
    found = key_set_of(jwks(PRIVATE, SYMMETRIC, P384))
    told = " ".join(map(str, found.findings))
    assert str(PRIVATE["d"]) not in told
    assert str(SYMMETRIC["k"]) not in told


def test_two_keys_of_one_id_and_algorithm_find_none_but_other_types_do() -> None:  # T-166
    other = {**P256, **{name: json.loads(development_keys()[1])["keys"][0][name] for name in "xy"}}
    found = key_set_of(jwks(P256, other, {**RSA, "kid": "p256"}))
    assert found.find("p256", "ES256") is None
    assert found.find("p256", "RS256") is not None


def test_without_a_key_id_only_the_sole_key_of_an_algorithm_is_found() -> None:
    found = key_set_of(jwks(RSA, P256, {**RSA, "kid": "rsa2"}))
    assert found.find(None, "ES256") is found.find("p256", "ES256") is not None
    assert found.find(None, "RS256") is None
    nameless = key_set_of(jwks({name: value for name, value in P256.items() if name != "kid"}))
    assert nameless.find(None, "ES256") is not None
    assert nameless.find("", "ES256") is None


def test_the_published_development_key_is_told_on() -> None:
    assert "development key" in str(key_set_of(development_keys()[1]).findings[0])
    assert key_set_of(development_keys(fresh=True)[1]).findings == ()


# ------------------------------------------------------------------------------------------ RotatingKeys

OLD, NEW = jwks(P256), jwks(P256, P384)
TIMES = Freshness(ttl=100, max_age=1000, cool_down=10, timeout=0.05)


class Issuer:
    """An issuer's JWKS endpoint as the fetch sees it, and the clock."""

    def __init__(self, answer: bytes | Exception = OLD) -> None:
        self.answer = answer
        self.now = 1_000.0
        self.fetched = 0
        self.hangs = False
        self.keys = RotatingKeys(self.fetch, lambda: self.now, TIMES, "the issuer")

    async def fetch(self) -> bytes:
        self.fetched += 1
        await asyncio.sleep(60 if self.hangs else 0)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_the_first_question_fetches_and_the_next_do_not_wait() -> None:
    issuer = Issuer()
    assert issuer.keys.current() is None
    keys = await issuer.keys.renewed()
    assert issuer.keys.current() is keys
    assert await issuer.keys.renewed() is keys
    assert issuer.fetched == 1


async def test_keys_are_fetched_again_after_their_time_and_a_removed_key_is_gone() -> None:  # T-166
    issuer = Issuer(NEW)
    await issuer.keys.renewed()
    issuer.answer, issuer.now = OLD, issuer.now + 100
    assert issuer.keys.current() is None
    assert (await issuer.keys.renewed()).find("p384", "ES384") is None


async def test_the_same_bytes_stay_the_same_key_set() -> None:
    issuer = Issuer()
    keys = await issuer.keys.renewed()
    issuer.now += 100
    assert await issuer.keys.renewed() is keys


async def test_a_new_key_is_found_at_once_when_nothing_was_fetched_lately() -> None:  # T-166
    issuer = Issuer()
    keys = await issuer.keys.renewed()
    issuer.answer, issuer.now = NEW, issuer.now + 11
    assert (await issuer.keys.renewed(instead_of=keys)).find("p384", "ES384") is not None


async def test_a_storm_of_unknown_keys_costs_one_fetch_per_cool_down() -> None:  # T-166
    issuer = Issuer()
    keys = await issuer.keys.renewed()
    for _ in range(3):
        issuer.now += 11
        answers = await asyncio.gather(*(issuer.keys.renewed(instead_of=keys) for _ in range(1000)))
        assert set(answers) == {keys}
    assert issuer.fetched == 4


async def test_many_first_questions_make_one_fetch() -> None:
    issuer = Issuer()
    await asyncio.gather(*(issuer.keys.renewed() for _ in range(100)))
    assert issuer.fetched == 1


OUTAGES = [
    OSError("no route"), TimeoutError(), b"<html>", b"", jwks(), b" " * MAX_JWKS_BYTES + OLD, OwnError("redirected"),
]  # fmt: skip


@pytest.mark.parametrize("outage", OUTAGES)
async def test_in_an_outage_the_last_good_keys_serve_until_they_are_too_old(
    outage: bytes | Exception,
) -> None:  # T-166
    issuer = Issuer()
    keys = await issuer.keys.renewed()
    issuer.answer = outage
    for _ in range(9):
        issuer.now += 100
        assert await issuer.keys.renewed() is keys
        assert issuer.keys.trouble
    issuer.now += 100
    assert issuer.keys.current() is None
    with pytest.raises(OwnError) as raised:
        await issuer.keys.renewed()
    assert raised.value.refusal is Refusal.UNAVAILABLE
    issuer.answer, issuer.now = OLD, issuer.now + 11
    assert isinstance(await issuer.keys.renewed(), KeySet)
    assert not issuer.keys.trouble


async def test_an_issuer_that_never_answered_is_our_trouble_and_is_asked_once_per_cool_down() -> (
    None
):
    issuer = Issuer(OSError("refused"))
    for _ in range(5):
        with pytest.raises(OwnError):
            await issuer.keys.renewed()
    assert issuer.fetched == 1


async def test_an_unknown_key_in_an_outage_may_be_a_new_one_and_is_not_called_bad() -> None:
    issuer = Issuer()
    keys = await issuer.keys.renewed()
    issuer.answer, issuer.now = OSError("down"), issuer.now + 11
    with pytest.raises(OwnError):
        await issuer.keys.renewed(instead_of=keys)
    assert issuer.keys.current() is keys


async def test_a_hanging_issuer_costs_the_timeout_and_does_not_stop_known_keys() -> None:  # T-166
    issuer = Issuer()
    keys = await issuer.keys.renewed()
    issuer.hangs, issuer.now = True, issuer.now + 11
    async with asyncio.timeout(1), asyncio.TaskGroup() as group:
        asked = group.create_task(_refused(issuer, keys))
        await asyncio.sleep(0.01)
        assert issuer.keys.current() is keys
        await asked


async def _refused(issuer: Issuer, keys: KeySet) -> None:
    with pytest.raises(OwnError):
        await issuer.keys.renewed(instead_of=keys)


async def test_one_who_gives_up_waiting_does_not_spoil_it_for_the_others() -> None:
    issuer = Issuer()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(issuer.keys.renewed())
        second = group.create_task(issuer.keys.renewed())
        await asyncio.sleep(0)
        first.cancel()
    assert isinstance(second.result(), KeySet)


async def test_a_clock_that_goes_back_makes_keys_stale_and_never_young() -> None:
    issuer = Issuer()
    await issuer.keys.renewed()
    issuer.now -= 500
    assert issuer.keys.current() is None
    await issuer.keys.renewed()
    assert issuer.fetched == 2


async def test_a_short_time_to_live_never_leaves_a_gap_before_the_next_fetch_is_allowed() -> None:
    clock = [0.0]
    keys = RotatingKeys(Issuer().fetch, lambda: clock[0], Freshness(ttl=1, cool_down=10))
    good = await keys.renewed()
    clock[0] = 5.0
    assert keys.current() is good


async def test_fixed_keys_stay() -> None:
    keys = key_set_of(OLD)
    assert FixedKeys(keys).current() is await FixedKeys(keys).renewed(keys) is keys
