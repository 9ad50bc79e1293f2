"""proxy.identity.development: tokens for the demo verify like any other, with a key that tells on itself."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from proxy.errors import UnusableError
from proxy.identity.development import development_keys, development_token, jwks_of
from proxy.identity.issuer import Issuer, profile_of
from proxy.identity.keys import DEVELOPMENT_KEY_X, key_set_of
from proxy.identity.token import verify

NOW = 1_800_000_000.0
ISSUER = Issuer("https://idp", "https://us", frozenset({"ES256"}), profile_of("smart"))
CLAIMS: dict[str, object] = {"iss": "https://idp", "aud": "https://us", "sub": "u-1"}


@pytest.mark.parametrize("fresh", [True, False])
def test_a_token_verifies_with_the_keys_it_was_made_with(fresh: bool) -> None:
    key, jwks = development_keys(fresh=fresh)
    claims = verify(
        development_token(CLAIMS, key, NOW, 60),
        {"https://idp": ISSUER},
        {"https://idp": key_set_of(jwks)},
        NOW,
    )
    assert (claims.subject, claims.expires_at) == ("u-1", NOW + 60)
    assert len(claims.token_id) == 32
    assert jwks_of(key) == jwks


def test_without_a_key_the_published_one_signs() -> None:
    keys = {"https://idp": key_set_of(development_keys()[1])}
    assert (
        verify(development_token(CLAIMS, None, NOW), {"https://idp": ISSUER}, keys, NOW).subject
        == "u-1"
    )


def test_the_published_key_is_always_the_same_and_known_as_such() -> None:
    (jwk,) = json.loads(development_keys()[1])["keys"]
    assert jwk["x"] == DEVELOPMENT_KEY_X
    assert development_keys() == development_keys()


def test_a_fresh_key_is_nobody_elses() -> None:
    assert development_keys(fresh=True) != development_keys(fresh=True)


def test_given_claims_win_so_that_bad_tokens_can_be_made() -> None:
    keys = {"https://idp": key_set_of(development_keys()[1])}
    text = development_token({**CLAIMS, "exp": int(NOW) + 7, "jti": "mine"}, None, NOW)
    claims = verify(text, {"https://idp": ISSUER}, keys, NOW)
    assert (claims.expires_at, claims.token_id) == (NOW + 7, "mine")


def test_two_tokens_have_two_ids() -> None:
    assert development_token(CLAIMS, None, NOW) != development_token(CLAIMS, None, NOW + 0.1)


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"x",
        pem(ec.generate_private_key(ec.SECP384R1())),
        pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
    ],
)
def test_another_kind_of_key_is_unusable(key: bytes) -> None:
    with pytest.raises(UnusableError):
        development_token(CLAIMS, key, NOW)
