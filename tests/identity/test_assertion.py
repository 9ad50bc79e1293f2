"""Client assertions: what a token endpoint needs to know us, and keys that cannot be used (SMART Backend Services)."""

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from proxy.errors import UnusableError
from proxy.identity.assertion import LIFETIME_S, assertion_key, client_assertion

NOW = 1_700_000_000.0
URL = "https://idp.example.org/token"
Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
KEYS: dict[str, Private] = {
    "P-256": ec.generate_private_key(ec.SECP256R1()),
    "P-384": ec.generate_private_key(ec.SECP384R1()),
    "RSA": rsa.generate_private_key(65537, 2048),
    "short RSA": rsa.generate_private_key(65537, 1024),  # noqa: S505  (what is refused)
    "Ed25519": ed25519.Ed25519PrivateKey.generate(),
}


def pem(name: str, locked: KeySerializationEncryption | None = None) -> bytes:
    return KEYS[name].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked or NoEncryption())


FITTING = [("P-256", "ES256"), ("P-384", "ES384"), ("RSA", "RS256"), ("RSA", "RS384")]


@pytest.mark.parametrize(("name", "algorithm"), FITTING)
def test_an_assertion_says_who_we_are_to_one_endpoint_for_a_short_time(
    name: str, algorithm: str
) -> None:
    key = assertion_key(pem(name), algorithm, "k1")
    written = client_assertion(key, "gateway", URL, NOW, "j-1")
    assert jwt.get_unverified_header(written) == {"alg": algorithm, "kid": "k1", "typ": "JWT"}
    said = jwt.decode(
        written, key.key.public_key(), [algorithm], audience=URL, options={"verify_exp": False}
    )
    assert said == {
        "iss": "gateway", "sub": "gateway", "aud": URL, "jti": "j-1",
        "iat": int(NOW), "exp": int(NOW) + LIFETIME_S,
    }  # fmt: skip
    assert LIFETIME_S <= 300


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [
        ("P-256", "ES384"), ("P-384", "ES256"), ("RSA", "ES384"), ("P-384", "RS384"),
        ("short RSA", "RS384"), ("Ed25519", "ES256"), ("P-256", "none"), ("RSA", "HS256"),
    ],
)  # fmt: skip
def test_a_key_that_does_not_fit_is_refused(name: str, algorithm: str) -> None:
    with pytest.raises(UnusableError, match="private_key"):
        assertion_key(pem(name), algorithm, "k1")


@pytest.mark.parametrize("text", [b"", b"no key", pem("RSA", BestAvailableEncryption(b"pw"))])
def test_what_is_no_open_key_is_refused_without_its_text(text: bytes) -> None:
    with pytest.raises(UnusableError, match="no unencrypted private key") as refused:
        assertion_key(text, "RS384", "k1")
    assert "no key" not in str(refused.value).replace("no unencrypted private key", "")


def test_a_key_is_never_shown() -> None:
    assert "RSAPrivateKey" not in repr(assertion_key(pem("RSA"), "RS384", "k1"))
