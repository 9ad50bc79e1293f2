"""What an authorization server says of a token is judged as a JWT's payload is (RFC 7662; standards INT-1..6)."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import CallerError, OwnError, ProxyError, Refusal
from proxy.identity.introspection import Introspected, introspected
from proxy.identity.issuer import Issuer, profile_of

NOW = 1_700_000_000.0
ISSUER = Issuer("https://idp.example.org", "gateway", frozenset({"ES256"}), profile_of("smart"))
ACTIVE: dict[str, object] = {
    "active": True,
    "scope": "user/*.rs",
    "client_id": "app",
    "sub": "u-1",
    "iss": ISSUER.issuer,
    "aud": "gateway",
    "exp": NOW + 300,
    "jti": "t-1",
}


def read(
    changes: dict[str, object] | None = None, *, cache_s: float = 30, needs_audience: bool = True
) -> Introspected:
    said = {name: one for name, one in (ACTIVE | (changes or {})).items() if one is not None}
    body = orjson.dumps(said)
    return introspected(body, "opaque", ISSUER, NOW, cache_s=cache_s, needs_audience=needs_audience)


def test_an_active_token_says_what_its_issuer_says() -> None:
    told = read()
    claims = told.claims
    assert (claims.issuer, claims.subject, claims.token_id) == (ISSUER.issuer, "u-1", "t-1")
    assert claims.expires_at == NOW + 300


def test_it_is_believed_as_long_as_both_sides_allow() -> None:
    assert read().until == NOW + 30
    assert read(cache_s=1000).until == NOW + 300
    assert read(cache_s=0).until == NOW
    assert read({"exp": None}).until == NOW


def test_a_client_alone_is_its_own_subject_and_the_issuer_is_whom_we_asked() -> None:
    claims = read({"sub": None, "iss": None, "jti": None}).claims
    assert (claims.subject, claims.issuer) == ("app", ISSUER.issuer)
    assert len(claims.token_id) == 64


REFUSED = [
    {"active": False},
    {"active": None},
    {"active": "true"},
    {"active": 1},
    {"iss": "https://other.example.org"},
    {"aud": "another"},
    {"aud": ["gateway", "another"]},
    {"aud": None},
    {"exp": NOW - 31},
    {"exp": "soon"},
    {"nbf": NOW + 100},
    {"iat": NOW + 100},
    {"exp": NOW + 10**7},
    {"scope": None},
    {"sub": None, "client_id": None},
    {"token_type": "refresh_token"},
    {"token_type": 7},
    {"token_type": "DPoP"},
    {"token_type": "dpop", "cnf": {"x5t#S256": "c"}},
    {"typ": "Refresh"},
    {"token_use": "id"},
    {"at_hash": "x"},
]


@pytest.mark.parametrize("changes", REFUSED)
def test_anything_else_is_a_bad_token(changes: dict[str, object]) -> None:
    with pytest.raises(CallerError) as raised:
        read(changes)
    assert raised.value.refusal is Refusal.BAD_TOKEN


def test_the_operator_may_do_without_an_audience_but_not_with_a_wrong_one() -> None:
    read({"aud": None}, needs_audience=False)
    with pytest.raises(CallerError):
        read({"aud": "another"}, needs_audience=False)


@pytest.mark.parametrize("kind", ["Bearer", "bearer", "DPoP", None])
def test_access_tokens_are_of_two_types(kind: str | None) -> None:
    read({"token_type": kind, "cnf": {"jkt": "k"} if kind == "DPoP" else None})


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"true", b"<html>", b'{"active":true,"active":false}', b"\xff", b"[" * 9999],
)
def test_an_endpoint_that_answers_something_else_is_our_trouble(body: bytes) -> None:
    with pytest.raises(OwnError):
        introspected(body, "opaque", ISSUER, NOW, cache_s=30, needs_audience=True)


@given(st.dictionaries(st.sampled_from(sorted(ACTIVE)), st.none() | st.booleans() | st.text() | st.floats(allow_nan=False)))  # fmt: skip
def test_any_answer_is_read_or_refused(changes: dict[str, object]) -> None:
    try:
        assert read(changes).until <= NOW + 30
    except ProxyError as error:
        assert error.refusal in {Refusal.BAD_TOKEN, Refusal.UNAVAILABLE}  # noqa: PT017
