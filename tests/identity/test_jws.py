"""proxy.identity.jws: what is read of a token before its signature is verified (threats T-164..T-176)."""

import hashlib
import traceback
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import CallerError, Refusal
from proxy.identity.issuer import Issuer
from proxy.identity.jws import (
    MAX_KID_CHARS,
    MAX_TOKEN_CHARS,
    UnverifiedToken,
    bad_token,
    read_token,
)
from tests.identity.test_token import (
    ABSENT,
    ALGORITHMS,
    HEADER,
    IDP,
    ISSUERS,
    NOW,
    PAYLOAD,
    SECRET_IDP,
    SMART,
    US,
    changed,
    other_last_letter,
)
from tests.identity.test_token import raw_token as signed
from tests.identity.test_token import token as signed_token


def unsigned(_: bytes) -> bytes:
    """A signature of nobody: reading must neither need a true one nor fall for it."""
    return b"\x01" * 64


def raw_token(header: bytes, payload: bytes) -> str:
    return signed(header, payload, unsigned)


def token(
    payload: Mapping[str, object] | None = None, header: Mapping[str, object] | None = None
) -> str:
    return signed_token(payload, header, unsigned)


def read(text: str, now: float = NOW, issuers: Mapping[str, Issuer] = ISSUERS) -> UnverifiedToken:
    return read_token(text, issuers, now)


def refused(text: str, now: float = NOW, issuers: Mapping[str, Issuer] = ISSUERS) -> str:
    """The detail of the refusal, after the look that nothing of the token is in it."""
    with pytest.raises(CallerError) as raised:
        read(text, now, issuers)
    assert raised.value.refusal is Refusal.BAD_TOKEN
    shown = "".join(traceback.format_exception(raised.value))
    assert not [one for one in text.split(".") if len(one) > 12 and one in shown]
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    return raised.value.detail


def test_a_token_is_read_without_looking_at_its_signature() -> None:
    found = read(token())
    assert (found.issuer, found.algorithm, found.kid) == (ISSUERS[IDP], "ES256", "p256")
    assert (found.claims.subject, found.claims.token_id) == ("u-1", "t-1")


def test_a_token_without_an_id_is_known_by_what_was_signed() -> None:
    text = token({"jti": ABSENT})
    digest = hashlib.sha256(text.rpartition(".")[0].encode()).hexdigest()
    assert read(text).claims.token_id == digest


@pytest.mark.parametrize(
    ("kid", "found"), [(ABSENT, None), ("k", "k"), ("k" * MAX_KID_CHARS, "k" * MAX_KID_CHARS)]
)
def test_a_key_id_is_a_short_string_or_absent(kid: object, found: str | None) -> None:
    assert read(token(header={"kid": kid})).kid == found


@pytest.mark.parametrize("kid", ["", "k" * (MAX_KID_CHARS + 1), None, 1, ["k"], {"k": 1}])
def test_another_key_id_is_refused(kid: object) -> None:
    assert "`kid`" in refused(token(header={"kid": kid}))


@pytest.mark.parametrize(
    "alg", ["none", "None", "", "HS256", "es256", "ES256 ", "ES512", None, 1, ["ES256"], ABSENT]
)
def test_only_an_algorithm_of_the_issuer_is_read(alg: object) -> None:  # T-164
    assert "algorithm" in refused(token(header={"alg": alg}))


@pytest.mark.parametrize("alg", ["ES256", "RS256", "none"])
def test_an_issuer_with_a_secret_has_no_other_algorithm(alg: str) -> None:
    assert "algorithm" in refused(token({"iss": SECRET_IDP}, {"alg": alg}))
    assert read(token({"iss": SECRET_IDP}, {"alg": "HS256"})).algorithm == "HS256"


def test_the_key_that_a_token_names_is_not_looked_at() -> None:  # T-165
    named: dict[str, object] = {
        "jwk": {"kty": 7},
        "jku": "https://evil.example.org",
        "x5u": [],
        "x5c": None,
    }
    assert read(token(header=named)) == read(token())


def test_a_refusal_is_a_callers_and_names_no_value() -> None:
    assert (bad_token("why").refusal, bad_token("why").detail) == (Refusal.BAD_TOKEN, "why")


def test_a_token_as_long_as_may_be_is_read() -> None:
    room = MAX_TOKEN_CHARS - len(token({"x": ""}))
    longest = token({"x": "x" * (room * 3 // 4 - 2)})
    assert MAX_TOKEN_CHARS - 8 < len(longest) <= MAX_TOKEN_CHARS
    assert read(longest).claims.subject == "u-1"


@pytest.mark.parametrize(
    "iss",
    [ABSENT, None, "", "https://idp.evil", IDP + "/", IDP + ".evil.com", IDP.upper(), IDP + "#x", " " + IDP, IDP[:-1],
     [IDP], {"iss": IDP}, 1, "https://user@idp.example.org", "http://idp.example.org"],
)  # fmt: skip
def test_only_the_exact_issuer_is_trusted(iss: object) -> None:  # T-167
    assert "issuer" in refused(token({"iss": iss}))


# ------------------------------------------------------------------------------------------ T-168: for whom, what kind


@pytest.mark.parametrize(
    "aud",
    [ABSENT, None, "", US + "/", US.upper(), US[:-1], "https://proxy.example.org", "https://evil.example.org", [], [[US]],
     {US: 1}, ["https://evil.example.org", US], [US, "https://evil.example.org"], [US, 5], [US, None], True],
)  # fmt: skip
def test_only_a_token_for_us_alone_is_accepted(aud: object) -> None:
    assert "audience" in refused(token({"aud": aud}))


def test_an_audience_the_operator_knows_may_stand_beside_ours() -> None:
    known = Issuer(IDP, US, ALGORITHMS, SMART, other_audiences=frozenset({"account"}))
    both = token({"aud": ["account", US]})
    assert read(token({"aud": [US]})).claims.subject == "u-1"
    assert read(both, issuers={IDP: known}).claims.subject == "u-1"
    refused(both)
    with pytest.raises(CallerError):
        read(token({"aud": "account"}), issuers={IDP: known})


@pytest.mark.parametrize(
    "typ", [ABSENT, "JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "IUA-JWT"]
)
def test_access_tokens_by_type(typ: object) -> None:
    assert read(token(header={"typ": typ})).claims.subject == "u-1"


@pytest.mark.parametrize(
    "typ",
    [
        "logout+jwt",
        "dpop+jwt",
        "secevent+jwt",
        "rt+jwt",
        "JOSE",
        "",
        None,
        1,
        ["at+jwt"],
        "at+jwt ",
        "x/at+jwt",
    ],
)
def test_other_types_of_token_give_no_access(typ: object) -> None:
    assert "`typ`" in refused(token(header={"typ": typ}))


@pytest.mark.parametrize(
    "told",
    [{"at_hash": "x"}, {"c_hash": "x"}, {"typ": "ID"}, {"typ": "Refresh"}, {"typ": "Offline"}, {"typ": "Logout"},
     {"token_use": "id"}, {"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}],
)  # fmt: skip
def test_id_refresh_and_logout_tokens_give_no_access(told: dict[str, object]) -> None:
    refused(token(told))


def test_an_access_token_may_say_that_it_is_one() -> None:
    text = token({"typ": "Bearer", "token_use": "access", "nonce": "n"})
    assert read(text).claims.subject == "u-1"


# ------------------------------------------------------------------------------------------ T-169: time


@pytest.mark.parametrize(
    "times",
    [
        {"exp": ABSENT}, {"exp": None}, {"exp": "9999999999"}, {"exp": 1e30}, {"exp": 10**400}, {"exp": True}, {"exp": [NOW + 9]},
        {"exp": -1}, {"exp": 0}, {"exp": NOW - 30}, {"exp": NOW - 600}, {"exp": NOW + 90_000},
        {"exp": NOW + 90_000, "iat": ABSENT}, {"exp": NOW + 300, "iat": NOW - 90_000},
        {"nbf": NOW + 31}, {"nbf": NOW + 600}, {"nbf": "0"}, {"nbf": None}, {"iat": NOW + 31}, {"iat": NOW + 600},
        {"iat": "x"}, {"iat": False}, {"iat": None}, {"iat": -5}, {"iat": {}},
    ],
)  # fmt: skip
def test_a_token_out_of_its_time_or_without_one_is_refused(times: dict[str, object]) -> None:
    refused(token(times))


@pytest.mark.parametrize("literal", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"1" * 5_000])
def test_a_time_that_is_no_number_of_json_is_refused(literal: bytes) -> None:
    payload = changed(PAYLOAD, {"exp": "@"}).replace(b'"@"', literal)
    refused(raw_token(changed(HEADER, {}), payload))


@pytest.mark.parametrize(
    "times",
    [{"exp": NOW}, {"exp": NOW - 29}, {"nbf": NOW + 29}, {"iat": NOW + 29}, {"iat": ABSENT}, {"exp": NOW + 0.5}, {"nbf": NOW}],
)  # fmt: skip
def test_clocks_may_differ_by_the_skew(times: dict[str, object]) -> None:
    assert read(token(times)).claims.subject == "u-1"


@pytest.mark.parametrize("off", [-600.0, 600.0])
def test_a_clock_that_is_ten_minutes_off_refuses(off: float) -> None:
    refused(token(), NOW + off)


@pytest.mark.parametrize("name", ["iat", "jti", "scope"])
def test_an_issuer_may_require_more_claims(name: str) -> None:
    strict = {IDP: Issuer(IDP, US, ALGORITHMS, SMART, required=frozenset({"iat", "jti", "scope"}))}
    assert read(token(), issuers=strict).claims.subject == "u-1"
    with pytest.raises(CallerError, match=f"`{name}` is required"):
        read(token({name: ABSENT}), issuers=strict)


# ------------------------------------------------------------------------------------------ T-170: another reading


@pytest.mark.parametrize(
    "member",
    [{"crit": ["x"]}, {"crit": []}, {"crit": ["b64"], "b64": False}, {"b64": False}, {"b64": True}, {"cty": "JWT"},
     {"zip": "DEF"}, {"enc": "A256GCM", "alg": "RSA-OAEP"}],
)  # fmt: skip
def test_a_header_that_changes_the_reading_is_refused(member: dict[str, object]) -> None:
    assert "not accepted" in refused(token(header=member))


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "...", "a.b", "a.b.c", "a.b.c.d.e", "é.é.é", "\ud800.a.b", "a" * 2_000_000],
)
def test_what_is_no_compact_jws_is_refused(text: str) -> None:
    refused(text)


def test_a_long_token_is_refused_before_it_is_read() -> None:
    assert "longer" in refused(token({"x": "x" * MAX_TOKEN_CHARS}))


@pytest.mark.parametrize("deep", [b"[" * 9_000, b'{"a":' * 2_000, b"[" * 4_000 + b"]" * 4_000])
def test_deep_json_is_refused(deep: bytes) -> None:
    refused(raw_token(changed(HEADER, {}), deep))
    refused(raw_token(deep, changed(PAYLOAD, {})))


@pytest.mark.parametrize(
    "raw",
    [
        b"null",
        b"[]",
        b'"x"',
        b"1",
        b"{",
        b"{}{}",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b"{'a':1}",
        "{}".encode("utf-16"),
    ],
)
def test_what_is_no_json_object_is_refused(raw: bytes) -> None:
    refused(raw_token(changed(HEADER, {}), raw))
    refused(raw_token(raw, changed(PAYLOAD, {})))


# ------------------------------------------------------------------------------------------ T-171, T-172: one spelling


@pytest.mark.parametrize("name", ["sub", "iss", "exp", "scope", "s\\u0075b"])
def test_a_repeated_claim_is_refused(name: str) -> None:
    payload = changed(PAYLOAD, {})[:-1] + f', "{name}": "u-2"}}'.encode()
    refused(raw_token(changed(HEADER, {}), payload))


def test_a_repeated_header_or_nested_member_is_refused() -> None:  # T-164
    refused(raw_token(b'{"alg":"none","alg":"ES256","kid":"p256"}', changed(PAYLOAD, {})))
    nested = changed(PAYLOAD, {"extensions": "@"}).replace(b'"@"', b'{"ihe_iua":{"a":1,"a":2}}')
    refused(raw_token(changed(HEADER, {}), nested))


@pytest.mark.parametrize(
    "claims",
    [{"sub": ABSENT}, {"sub": ""}, {"sub": None}, {"sub": 1}, {"sub": ["u-1"]}, {"sub": "a\x00b"}, {"sub": "a\nb"}, {"jti": 1},
     {"jti": ""}],
)  # fmt: skip
def test_a_subject_or_token_id_that_is_no_plain_string_is_refused(
    claims: dict[str, object],
) -> None:
    refused(token(claims))


def test_a_lone_surrogate_is_refused() -> None:
    refused(
        raw_token(changed(HEADER, {}), changed(PAYLOAD, {"sub": "@"}).replace(b"@", b"\\ud800"))
    )


@pytest.mark.parametrize(
    "alias",
    [
        lambda text: text + "=", lambda text: text + "==", lambda text: text + "\n", lambda text: text + " ",
        lambda text: " " + text, lambda text: text.replace(".", "=.", 1), other_last_letter,
        lambda text: text[:-4] + "\n" + text[-4:], lambda text: text + ".", lambda text: text[:40] + "!" + text[40:],
        lambda text: text + "\u200b", lambda text: text.replace("-", "+").replace("_", "/") + "=",
    ],
)  # fmt: skip
def test_another_spelling_of_a_good_token_is_refused(alias: Callable[[str], str]) -> None:
    refused(alias(token()))


# ------------------------------------------------------------------------------------------ any bytes


@given(st.binary(max_size=300))
def test_any_bytes_as_a_token_are_a_callers_error(raw: bytes) -> None:
    refused(raw.decode("latin-1"))
    refused(raw_token(raw, changed(PAYLOAD, {})))
    refused(raw_token(changed(HEADER, {}), raw))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(
    st.sampled_from([*PAYLOAD, "nbf", "cnf", "typ"]),
    JSON,
    st.sampled_from([*HEADER, "crit", "x5u"]),
    JSON,
)
def test_any_types_of_claims_give_claims_or_a_callers_error(
    claim: str, value: object, member: str, other: object
) -> None:  # T-171
    text = token({claim: value}, {member: other})
    try:
        assert read(text).issuer.issuer == IDP
    except CallerError as error:
        assert error.refusal is Refusal.BAD_TOKEN  # noqa: PT017 - either outcome is right, no other
