"""Where an issuer's keys are, as its own metadata says (RFC 8414; standards AUTH-11, AUTH-12)."""

import orjson
import pytest

from proxy.identity.metadata import jwks_uri_of

ISSUER = "https://idp.example.org/tenant"
AT = f"{ISSUER}/.well-known/oauth-authorization-server"
KEYS = f"{ISSUER}/keys?v=1"


def told(document: object, address: str = AT) -> str:
    body = document if isinstance(document, bytes) else orjson.dumps(document)
    return jwks_uri_of(body, ISSUER, address)


def test_the_issuers_own_metadata_says_where_its_keys_are() -> None:
    assert told({"issuer": ISSUER, "jwks_uri": KEYS, "more": [1]}) == KEYS


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 9999,
        {},
        {"issuer": ISSUER},
        {"jwks_uri": KEYS},
        {"issuer": 7, "jwks_uri": KEYS},
        {"issuer": "https://idp.example.org/other", "jwks_uri": KEYS},
        {"issuer": f"{ISSUER}/", "jwks_uri": KEYS},
        {"issuer": ISSUER, "jwks_uri": "file:///etc/passwd"},
        {"issuer": ISSUER, "jwks_uri": "//idp.example.org/keys"},
        {"issuer": ISSUER, "jwks_uri": "https://user@idp.example.org/keys"},
        {"issuer": ISSUER, "jwks_uri": "https://idp.example.org/a b"},
        {"issuer": ISSUER, "jwks_uri": "http://idp.example.org/keys"},
    ],
)
def test_anything_else_says_nothing_and_is_not_quoted(document: object) -> None:
    with pytest.raises(OSError, match="metadata") as refused:
        told(document)
    assert "example.org" not in str(refused.value)


def test_without_tls_the_keys_may_be_without_it_too() -> None:
    plain = {"issuer": ISSUER, "jwks_uri": "http://127.0.0.1:9/keys"}
    assert told(plain, "http://127.0.0.1:9/metadata") == "http://127.0.0.1:9/keys"
