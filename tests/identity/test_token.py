"""proxy.identity.token: which bearer tokens are believed (threats T-164..T-176)."""

import asyncio
import base64
import hashlib
import hmac
import json
import traceback
from collections.abc import Callable, Mapping

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from jwt.utils import der_to_raw_signature, raw_to_der_signature

from proxy.errors import CallerError, OwnError, Refusal, UnusableError
from proxy.identity.issuer import Issuer, profile_of
from proxy.identity.keys import FixedKeys, KeySet, RotatingKeys, key_set_of
from proxy.identity.token import TokenVerifier, verify, written_in

NOW = 1_800_000_000.0
IDP, OTHER_IDP, SECRET_IDP = (
    "https://idp.example.org",
    "https://other.example.org",
    "https://own.example.org",
)
US = "https://proxy.example.org/fhir"
SECRET = b"0123456789abcdef0123456789abcdef"

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SMALL_RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - to be refused
P256_KEY, OTHER_KEY = (
    ec.generate_private_key(ec.SECP256R1()),
    ec.generate_private_key(ec.SECP256R1()),
)
P384_KEY, ED_KEY = ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()


def jwks(*keys: Mapping[str, object]) -> bytes:
    return json.dumps({"keys": keys}).encode()


RSA_JWK = {"kid": "rsa", **RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True)}
P256_JWK = {"kid": "p256", **ECAlgorithm.to_jwk(P256_KEY.public_key(), as_dict=True)}
OTHER_JWK = {"kid": "p256", **ECAlgorithm.to_jwk(OTHER_KEY.public_key(), as_dict=True)}
KEYS = key_set_of(
    jwks(
        RSA_JWK,
        P256_JWK,
        {"kid": "p384", **ECAlgorithm.to_jwk(P384_KEY.public_key(), as_dict=True)},
        {"kid": "ed", **OKPAlgorithm.to_jwk(ED_KEY.public_key(), as_dict=True)},
        {"kid": "small", **RSAAlgorithm.to_jwk(SMALL_RSA_KEY.public_key(), as_dict=True)},
        {**RSA_JWK, "kid": "enc", "use": "enc"},
    )
)
ALGORITHMS = frozenset({"RS256", "PS256", "ES256", "ES384", "EdDSA"})
SMART = profile_of("smart", [US])
ISSUERS = {
    IDP: Issuer(IDP, US, ALGORITHMS, SMART),
    OTHER_IDP: Issuer(OTHER_IDP, US, frozenset({"ES256"}), SMART),
    SECRET_IDP: Issuer(SECRET_IDP, US, frozenset({"HS256"}), SMART, secret=SECRET),
}
KEY_SETS = {IDP: KEYS, OTHER_IDP: key_set_of(jwks(OTHER_JWK))}

PAYLOAD: dict[str, object] = {
    "iss": IDP, "aud": US, "sub": "u-1", "client_id": "app", "jti": "t-1", "scope": "user/*.rs",
    "iat": NOW - 10, "exp": NOW + 300, "fhirUser": "Practitioner/p1",
}  # fmt: skip
HEADER: dict[str, object] = {"alg": "ES256", "typ": "at+jwt", "kid": "p256"}
ABSENT = object()

Sign = Callable[[bytes], bytes]


def encoded(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def by_p256(text: bytes, key: ec.EllipticCurvePrivateKey = P256_KEY) -> bytes:
    return ECAlgorithm(ECAlgorithm.SHA256).sign(text, key)


def raw_token(header: bytes, payload: bytes, sign: Sign = by_p256) -> str:
    text = encoded(header) + b"." + encoded(payload)
    return (text + b"." + encoded(sign(text))).decode()


def changed(members: dict[str, object], changes: Mapping[str, object]) -> bytes:
    told = {name: value for name, value in {**members, **changes}.items() if value is not ABSENT}
    return json.dumps(told).encode()


def token(
    payload: Mapping[str, object] | None = None,
    header: Mapping[str, object] | None = None,
    sign: Sign = by_p256,
) -> str:
    return raw_token(changed(HEADER, header or {}), changed(PAYLOAD, payload or {}), sign)


def refused(text: str, now: float = NOW) -> str:
    """The detail of the refusal, after the look that nothing of the token is in it."""
    with pytest.raises(CallerError) as raised:
        verify(text, ISSUERS, KEY_SETS, now)
    assert raised.value.refusal is Refusal.BAD_TOKEN
    shown = "".join(traceback.format_exception(raised.value))
    assert not [one for one in text.split(".") if len(one) > 12 and one in shown]
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__ or raised.value.__context__ is None
    return raised.value.detail


def test_a_good_token_is_believed() -> None:
    claims = verify(token(), ISSUERS, KEY_SETS, NOW)
    assert (claims.issuer, claims.subject, claims.token_id) == (IDP, "u-1", "t-1")
    assert claims.expires_at == NOW + 300
    assert claims.payload["fhirUser"] == "Practitioner/p1"


@pytest.mark.parametrize(
    ("algorithm", "kid", "key"),
    [
        ("RS256", "rsa", RSA_KEY),
        ("PS256", "rsa", RSA_KEY),
        ("ES256", "p256", P256_KEY),
        ("ES384", "p384", P384_KEY),
        ("EdDSA", "ed", ED_KEY),
    ],
)
def test_each_allowed_algorithm_verifies(
    algorithm: str, kid: str, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
) -> None:
    text = jwt.encode(PAYLOAD, key, algorithm=algorithm, headers={"kid": kid})
    assert verify(text, ISSUERS, KEY_SETS, NOW).subject == "u-1"


def test_a_shared_secret_verifies_for_its_own_issuer_only() -> None:
    text = jwt.encode({**PAYLOAD, "iss": SECRET_IDP}, SECRET, algorithm="HS256")
    assert verify(text, ISSUERS, KEY_SETS, NOW).issuer == SECRET_IDP
    assert "algorithm" in refused(jwt.encode(PAYLOAD, SECRET, algorithm="HS256"))
    assert "algorithm" in refused(token({"iss": SECRET_IDP}))


# ------------------------------------------------------------------------------------------ T-164: algorithms


def hmac_with(secret: bytes) -> Sign:
    return lambda text: hmac.digest(secret, text, "sha256")


PUBLIC = RSA_KEY.public_key()
CONFUSED_SECRETS = {
    "pem": PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    "pkcs1": PUBLIC.public_bytes(Encoding.PEM, PublicFormat.PKCS1),
    "der": PUBLIC.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    "jwk": json.dumps(RSA_JWK).encode(),
    "modulus": str(RSA_JWK["n"]).encode(),
    "empty": b"",
}


@pytest.mark.parametrize(
    "alg",
    [
        "none",
        "None",
        "nOnE",
        "NONE",
        "",
        "HS256",
        "HS512",
        "ES512",
        "RS384",
        "es256",
        "ES256 ",
        "X",
    ],
)
def test_an_algorithm_that_is_not_the_issuers_is_refused(alg: str) -> None:
    for sign in (by_p256, hmac_with(b""), lambda _: b"\x00"):
        assert "algorithm" in refused(token(header={"alg": alg}, sign=sign))


@pytest.mark.parametrize("alg", [ABSENT, None, 1, True, ["ES256"], {"ES256": 1}])
def test_an_algorithm_that_is_no_string_is_refused(alg: object) -> None:
    assert "algorithm" in refused(token(header={"alg": alg}))


@pytest.mark.parametrize("secret", CONFUSED_SECRETS.values(), ids=CONFUSED_SECRETS.keys())
@pytest.mark.parametrize("kid", ["rsa", ABSENT])
def test_a_public_key_is_no_shared_secret(secret: bytes, kid: object) -> None:
    for issuer in (IDP, SECRET_IDP):
        refused(token({"iss": issuer}, {"alg": "HS256", "kid": kid}, hmac_with(secret)))


@pytest.mark.parametrize(
    "signature", [b"", b"\x00", bytes(64), b"\xff" * 64, bytes(63) + b"\x01", bytes(65)]
)
def test_an_empty_zero_or_short_signature_is_refused(signature: bytes) -> None:
    refused(token(sign=lambda _: signature))


def test_a_token_without_its_signature_is_refused() -> None:
    body = token().rpartition(".")[0]
    refused(body)
    refused(body + ".")


def test_a_small_rsa_key_verifies_nothing() -> None:
    sign = RSAAlgorithm(RSAAlgorithm.SHA256).sign
    refused(
        token(header={"alg": "RS256", "kid": "small"}, sign=lambda text: sign(text, SMALL_RSA_KEY))
    )


@pytest.mark.parametrize(
    ("alg", "kid"),
    [("RS256", "p256"), ("ES256", "rsa"), ("ES384", "p256"), ("EdDSA", "p256"), ("RS256", "enc")],
)
def test_a_key_verifies_no_algorithm_of_another_type_or_use(alg: str, kid: str) -> None:
    assert "no such key" in refused(token(header={"alg": alg, "kid": kid}))


def test_a_changed_payload_is_refused() -> None:
    protected, _, signature = token().split(".")
    body = encoded(changed(PAYLOAD, {"sub": "u-2"})).decode()
    assert "signature" in refused(f"{protected}.{body}.{signature}")


# ------------------------------------------------------------------------------------------ T-165, T-167: whose key


EVIL_JWK = {**OTHER_JWK, "kid": "evil"}


@pytest.mark.parametrize(
    "named",
    [
        {"jwk": EVIL_JWK},
        {"jwk": EVIL_JWK, "kid": "evil"},
        {"jku": "https://evil.example.org/keys", "kid": "evil"},
        {"x5u": "https://evil.example.org/cert", "kid": "evil"},
        {"x5c": ["AAAA"], "kid": ABSENT},
    ],
)
def test_a_key_named_by_the_token_is_never_used(named: dict[str, object]) -> None:
    refused(token(header=named, sign=lambda text: by_p256(text, OTHER_KEY)))


def test_a_key_named_by_the_token_does_not_spoil_a_good_signature() -> None:
    assert verify(token(header={"jwk": EVIL_JWK}), ISSUERS, KEY_SETS, NOW).subject == "u-1"


@pytest.mark.parametrize(
    "kid",
    [
        "../../dev/null",
        "' OR 1=1",
        "",
        "k" * 300,
        "x" * 9_000,
        "P256",
        "p256 ",
        1,
        None,
        ["p256"],
        {"p256": 1},
    ],
)
def test_a_strange_key_id_finds_nothing(kid: object) -> None:
    refused(token(header={"kid": kid}))


def test_without_a_key_id_only_a_sole_key_is_tried() -> None:
    assert verify(token(header={"kid": ABSENT}), ISSUERS, KEY_SETS, NOW).subject == "u-1"
    two = {IDP: key_set_of(jwks(P256_JWK, {**OTHER_JWK, "kid": "second"}))}
    with pytest.raises(CallerError):
        verify(token(header={"kid": ABSENT}), ISSUERS, two, NOW)


def test_an_issuer_without_keys_verifies_nothing() -> None:
    with pytest.raises(CallerError):
        verify(token(), ISSUERS, {}, NOW)


@pytest.mark.parametrize("issuer", [IDP, OTHER_IDP])
@pytest.mark.parametrize("key", [P256_KEY, OTHER_KEY])
def test_keys_of_one_issuer_never_verify_for_another_with_the_same_key_id(
    issuer: str, key: ec.EllipticCurvePrivateKey
) -> None:
    text = token({"iss": issuer}, sign=lambda text: by_p256(text, key))
    if (issuer, key) in {(IDP, P256_KEY), (OTHER_IDP, OTHER_KEY)}:
        assert verify(text, ISSUERS, KEY_SETS, NOW).issuer == issuer
    else:
        refused(text)


# ------------------------------------------------------------------------------------------ T-172: one token


def test_without_a_token_id_both_spellings_of_an_ecdsa_signature_are_one_token() -> None:
    text = token({"jti": ABSENT})
    signed, _, signature = text.rpartition(".")
    r, s = decode_dss_signature(
        raw_to_der_signature(base64.urlsafe_b64decode(signature + "=="), P256_KEY.curve)
    )
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    mirrored = der_to_raw_signature(encode_dss_signature(r, order - s), P256_KEY.curve)
    twin = f"{signed}.{encoded(mirrored).decode()}"
    first, second = (verify(one, ISSUERS, KEY_SETS, NOW) for one in (text, twin))
    assert text != twin
    assert first.token_id == second.token_id == hashlib.sha256(signed.encode()).hexdigest()


# ------------------------------------------------------------------------------------------ T-176: where it travels


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_token_is_taken_from_the_authorization_header(scheme: str) -> None:
    assert written_in({"authorization": f"{scheme} abc.def.ghi"}).token == "abc.def.ghi"


@pytest.mark.parametrize(
    "headers",
    [{}, {"cookie": "access_token=abc"}, {"proxy-authorization": "Bearer abc"}, {"x-authorization": "Bearer abc"},
     {"x-forwarded-access-token": "abc"}],
)  # fmt: skip
def test_no_other_header_carries_a_token(headers: dict[str, str]) -> None:
    with pytest.raises(CallerError) as raised:
        written_in(headers)
    assert raised.value.refusal is Refusal.NO_TOKEN


@pytest.mark.parametrize(
    "written",
    ["", "Bearer", "Bearer ", "Basic dTpw", "abc", "Bearer  abc", " Bearer abc", "Bearer abc ", "Bearer a b", "Bearer a, Bearer b",
     "Bearer a,b", "Bearer\tabc", "Bearer abc\n", "Bearer =abc", "Bearer a=b", 'Bearer token="abc"', "DPoPabc", "DPoP  abc", "Bearerabc",
     "Basic dTpw, Bearer abc", "Bearer é", "Bearer a\x00b"],
)  # fmt: skip
def test_a_header_that_is_not_bearer_and_one_token_is_refused(written: str) -> None:
    with pytest.raises(CallerError) as raised:
        written_in({"authorization": written})
    assert raised.value.refusal is Refusal.BAD_TOKEN
    assert "abc" not in raised.value.detail


def test_two_authorization_headers_are_refused() -> None:
    with pytest.raises(CallerError):
        written_in({"authorization": "Bearer abc"}, frozenset({"authorization"}))


@given(st.text())
def test_any_header_gives_a_token_or_a_callers_error(written: str) -> None:
    try:
        assert written_in({"authorization": written}).token == written.split(" ")[1]
    except CallerError as error:
        assert error.refusal is Refusal.BAD_TOKEN  # noqa: PT017 - either outcome is right, no other


# ------------------------------------------------------------------------------------------ TokenVerifier


class Source:
    """A KeySource that tells how often it was asked to wait."""

    def __init__(self, keys: KeySet | None = KEYS, later: KeySet | None = None) -> None:
        self.keys, self.later, self.waits = keys, later, 0

    def current(self) -> KeySet | None:
        return self.keys

    async def renewed(self, instead_of: KeySet | None = None) -> KeySet:
        self.waits += 1
        assert instead_of is self.keys
        self.keys = self.later or self.keys
        if self.keys is None:
            raise OwnError("signing keys cannot be had")
        return self.keys


def verifier(source: Source, max_entries: int = 10) -> TokenVerifier:
    return TokenVerifier({IDP: ISSUERS[IDP]}, {IDP: source}, max_entries)


async def test_a_known_token_is_the_same_principal_again_and_waits_for_nothing() -> None:
    source = Source()
    known = verifier(source)
    first = await known.identify(token_once := token(), NOW)
    assert await known.identify(token_once, NOW + 1) is first
    assert (await known.verify(token_once, NOW + 1)).subject == first.subject == "u-1"
    assert source.waits == 0


async def test_a_known_token_dies_when_it_expires() -> None:
    known = verifier(Source())
    await known.identify(text := token({"exp": NOW + 5}), NOW)
    with pytest.raises(CallerError, match="expired"):
        await known.identify(text, NOW + 36)


async def test_a_known_token_dies_with_its_key() -> None:  # T-166
    source = Source()
    known = verifier(source)
    await known.identify(text := token(), NOW)
    source.keys = KEY_SETS[OTHER_IDP]
    with pytest.raises(CallerError, match="signature"):
        await known.identify(text, NOW)


async def test_a_known_token_waits_when_its_keys_are_too_old() -> None:
    source = Source()
    known = verifier(source)
    await known.identify(text := token(), NOW)
    source.keys = None
    with pytest.raises(OwnError):
        await known.identify(text, NOW)


async def test_an_unknown_key_is_asked_for_once_and_then_believed_or_refused() -> None:
    source = Source(key_set_of(jwks(RSA_JWK)), later=KEYS)
    assert (await verifier(source).identify(token(), NOW)).subject == "u-1"
    with pytest.raises(CallerError, match="no such key"):
        await verifier(Source()).identify(token(header={"kid": "random"}), NOW)


async def test_keys_that_cannot_be_had_are_not_the_callers_fault() -> None:  # T-166: 503, not 401
    with pytest.raises(OwnError) as raised:
        await verifier(Source(None)).identify(token(), NOW)
    assert raised.value.refusal is Refusal.UNAVAILABLE


@pytest.mark.parametrize(
    "text", ["", "a.b.c", token({"iss": "https://evil"}), token({"aud": "x"}), token({"exp": 5})]
)
async def test_a_token_that_is_bad_anyway_never_makes_anybody_fetch_keys(text: str) -> None:
    source = Source(None)
    with pytest.raises(CallerError):
        await verifier(source).identify(text, NOW)
    assert source.waits == 0


async def test_what_was_refused_is_not_remembered_and_what_is_remembered_is_bounded() -> None:
    known = verifier(Source(), max_entries=3)
    for number in range(9):
        await known.identify(token({"jti": f"t-{number}"}), NOW)
        with pytest.raises(CallerError):
            await known.identify(token({"jti": f"t-{number}"}, sign=lambda _: bytes(64)), NOW)
    assert len(known._entries) == 3


def other_last_letter(text: str) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return text[:-1] + alphabet[alphabet.index(text[-1]) ^ 1]


async def test_the_alias_of_a_known_token_is_refused() -> None:  # T-172
    known = verifier(Source())
    await known.identify(text := token(), NOW)
    for alias in (text + "=", text + "==", other_last_letter(text)):
        with pytest.raises(CallerError):
            await known.identify(alias, NOW)


async def test_a_claim_of_the_wrong_type_is_refused_each_time() -> None:
    known = verifier(Source())
    for _ in range(2):
        with pytest.raises(CallerError, match="`scope`"):
            await known.identify(token({"scope": ["user/*.rs"]}), NOW)


async def test_an_issuer_with_a_secret_needs_no_keys() -> None:
    known = TokenVerifier({SECRET_IDP: ISSUERS[SECRET_IDP]}, {})
    text = jwt.encode({**PAYLOAD, "iss": SECRET_IDP}, SECRET, algorithm="HS256")
    assert (await known.identify(text, NOW)) is (await known.identify(text, NOW))


async def test_a_thousand_tokens_with_random_key_ids_make_one_fetch() -> None:  # T-166
    fetched = []

    async def fetch() -> bytes:
        fetched.append(1)
        await asyncio.sleep(0)
        return jwks(P256_JWK)

    known = TokenVerifier({IDP: ISSUERS[IDP]}, {IDP: RotatingKeys(fetch, lambda: NOW)})
    texts = [token(header={"kid": f"random-{number}"}) for number in range(1000)]
    answers = await asyncio.gather(
        *(known.identify(one, NOW) for one in texts), return_exceptions=True
    )
    assert all(isinstance(one, CallerError) for one in answers)
    assert len(fetched) == 1
    assert (await known.identify(token(), NOW)).subject == "u-1"


# ------------------------------------------------------------------------------------------ configuration


def test_an_issuer_without_keys_or_under_another_name_refuses_to_start() -> None:
    with pytest.raises(UnusableError, match="no keys"):
        TokenVerifier({IDP: ISSUERS[IDP]}, {})
    with pytest.raises(UnusableError, match="listed for"):
        TokenVerifier({OTHER_IDP: ISSUERS[IDP]}, {OTHER_IDP: FixedKeys(KEYS)})
