"""What apps are told of the authorization server (SMART App Launch 2.2, conformance; standards AUTH-25)."""

import orjson

from proxy.identity.well_known import smart_configuration

ISSUER = "https://idp.example.org"
STATED = {
    "token_endpoint": f"{ISSUER}/token",
    "authorization_endpoint": None,
    "grant_types_supported": ("client_credentials",),
    "capabilities": ("permission-v2",),
}


def test_the_required_members_are_there_and_plain_is_not_offered() -> None:
    told = orjson.loads(smart_configuration(ISSUER, None, STATED))
    assert told == {
        "issuer": ISSUER,
        "token_endpoint": f"{ISSUER}/token",
        "grant_types_supported": ["client_credentials"],
        "capabilities": ["permission-v2"],
        "code_challenge_methods_supported": ["S256"],
    }


def test_keys_are_named_where_there_is_a_url_for_them() -> None:
    told = orjson.loads(smart_configuration(ISSUER, f"{ISSUER}/jwks", STATED))
    assert told["jwks_uri"] == f"{ISSUER}/jwks"


def test_an_authorization_endpoint_answers_with_codes() -> None:
    stated = STATED | {"authorization_endpoint": f"{ISSUER}/authorize"}
    told = orjson.loads(smart_configuration(ISSUER, None, stated))
    assert told["response_types_supported"] == ["code"]
