"""DPoP proofs: good once, for one request, one token, one key and a minute (RFC 9449 section 4.3; T-174)."""

import base64

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm

from proxy.errors import CallerError, OwnError, Refusal
from proxy.identity.binding import Request
from proxy.identity.dpop import MAX_AGE_S, ProofMemory, proof_of, require_proof, thumbprint
from tests.identity.proofs import (
    ASKED,
    JKT,
    KEY,
    NOW,
    OTHER_KEY,
    RSA_KEY,
    TOKEN,
    URL,
    hash_of,
    jwk_of,
    proof,
)


def judged(text: str, request: Request = ASKED, token: str = TOKEN, jkt: str = JKT) -> None:
    require_proof(proof_of(text), jkt, token, request, NOW)


def refused(text: str, request: Request = ASKED, token: str = TOKEN) -> str:
    with pytest.raises(CallerError) as raised:
        judged(text, request, token)
    assert raised.value.refusal is Refusal.BAD_TOKEN
    return raised.value.detail


def test_a_good_proof_is_good() -> None:
    judged(proof())


def test_an_rsa_key_may_prove_too() -> None:
    text = proof(key=RSA_KEY, algorithm="PS256")
    judged(text, jkt=thumbprint(jwk_of(RSA_KEY)))


def test_the_thumbprint_is_that_of_rfc_7638() -> None:
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs"
        "tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1"
        "n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    jwk = {"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"}
    assert thumbprint(jwk) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


CHANGED = [
    ({"htm": "POST"}, "another method"),
    ({"htm": "get"}, "another method"),
    ({"htu": f"{URL}1"}, "another URL"),
    ({"htu": "http://gateway.example.org/fhir/Patient/1"}, "another URL"),
    ({"htu": "https://gateway.example.org.evil.test/fhir/Patient/1"}, "another URL"),
    ({"htu": "https://x@gateway.example.org/fhir/Patient/1"}, "another URL"),
    ({"htu": "https://gateway.example.org:8443/fhir/Patient/1"}, "another URL"),
    ({"htu": "no url"}, "another URL"),
    ({"ath": hash_of("another")}, "another token"),
    ({"ath": "é"}, "another token"),
    ({"iat": NOW - MAX_AGE_S - 1}, "not fresh"),
    ({"iat": NOW + MAX_AGE_S + 1}, "not fresh"),
    ({"iat": "now"}, "`iat`"),
    ({"iat": True}, "`iat`"),
    ({"iat": None}, "`iat`"),
    ({"jti": None}, "`jti`"),
    ({"jti": ""}, "`jti`"),
    ({"jti": "x" * 300}, "`jti`"),
    ({"htm": None}, "`htm`"),
    ({"htu": None}, "`htu`"),
    ({"ath": None}, "`ath`"),
    ({"ath": 7}, "`ath`"),
]


@pytest.mark.parametrize(("claims", "told"), CHANGED)
def test_a_proof_for_anything_else_is_refused(claims: dict[str, object], told: str) -> None:
    assert told in refused(proof(claims))


def private_jwk() -> dict[str, object]:
    return dict(ECAlgorithm.to_jwk(KEY, as_dict=True))


HEADERS = [
    {"typ": "JWT"},
    {"typ": None},
    {"typ": "at+jwt"},
    {"crit": ["x"]},
    {"jwk": None},
    {"jwk": {}},
    {"jwk": "key"},
    {"jwk": {"kty": "oct", "k": "AAAA"}},
    {"jwk": private_jwk()},
    {"jwk": jwk_of(OTHER_KEY)},
    {"jwk": {**jwk_of(KEY), "use": "enc"}},
    {"jwk": {**jwk_of(KEY), "alg": "ES384"}},
]


@pytest.mark.parametrize("header", HEADERS)
def test_a_proof_with_another_head_is_refused(header: dict[str, object]) -> None:
    assert refused(proof(header=header))


def test_a_proof_of_another_key_is_refused() -> None:
    assert "another key" in refused(proof(key=OTHER_KEY))


@pytest.mark.parametrize(("key", "algorithm"), [("s" * 32, "HS256"), ("", "none")])
def test_a_secret_is_no_key(key: str, algorithm: str) -> None:
    head = {"typ": "dpop+jwt", "jwk": jwk_of(KEY)}
    assert refused(jwt.encode({"jti": "x"}, key, algorithm, head))


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a.b.c", "x" * 20_000, proof() + ".", f"{proof()}, {proof()}"]
)
def test_what_is_no_proof_is_refused(text: str) -> None:
    assert refused(text)


@given(st.integers(0, 2), st.data())
def test_a_proof_changed_in_one_letter_is_refused(part: int, data: st.DataObject) -> None:
    segments = proof().split(".")
    place = data.draw(st.integers(0, len(segments[part]) - 1))
    old = segments[part][place]
    segments[part] = (
        segments[part][:place] + ("A" if old != "A" else "B") + segments[part][place + 1 :]
    )
    assert refused(".".join(segments))


@pytest.mark.parametrize(
    "url",
    [URL, f"{URL}?_count=3", f"{URL}#x", "HTTPS://Gateway.Example.org/fhir/Patient/1",
     "https://gateway.example.org:443/fhir/Patient/1"],
)  # fmt: skip
def test_one_url_has_several_spellings(url: str) -> None:
    judged(proof({"htu": url}))


def test_a_proof_is_good_once_and_may_be_forgotten_when_it_is_old() -> None:
    memory, used = ProofMemory(), proof_of(proof())
    memory.use(used, NOW)
    for later in (NOW, NOW + 1, NOW + MAX_AGE_S):
        with pytest.raises(CallerError, match="used before"):
            memory.use(used, later)
    memory.use(proof_of(proof({"jti": "p-2"})), NOW)
    memory.use(proof_of(proof(key=OTHER_KEY)), NOW)


def test_what_cannot_be_remembered_is_not_let_in() -> None:
    memory = ProofMemory(most=2)
    for name in ("a", "b"):
        memory.use(proof_of(proof({"jti": name})), NOW)
    with pytest.raises(OwnError):
        memory.use(proof_of(proof({"jti": "c"})), NOW)
    memory.use(proof_of(proof({"jti": "c", "iat": NOW + 500})), NOW + 500)


def test_a_signature_has_one_spelling() -> None:
    head, body, signature = proof().split(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    twin = r.to_bytes(32, "big") + (order - s).to_bytes(32, "big")
    other = base64.urlsafe_b64encode(twin).rstrip(b"=").decode()
    memory = ProofMemory()
    memory.use(proof_of(f"{head}.{body}.{signature}"), NOW)
    with pytest.raises(CallerError, match="used before"):  # by key and `jti`, not by its bytes
        memory.use(proof_of(f"{head}.{body}.{other}"), NOW)
