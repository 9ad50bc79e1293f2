from typing import Any

import pytest

from proxy.errors import CallerError, Refusal
from proxy.identity.issuer import Issuer, profile_of
from proxy.identity.principal import PrincipalKind
from proxy.identity.supposed import LIFETIME_S, supposed_principal


def issuer(name: str, claims: str = "smart") -> Issuer:
    bases = ("https://fhir.example.org",)
    return Issuer(name, "aud", frozenset({"ES256"}), profile_of(claims, bases))


ONE = {"https://a": issuer("https://a")}
TWO = {**ONE, "https://b": issuer("https://b", "iua")}
SAID: dict[str, Any] = {"sub": "x", "fhirUser": "Practitioner/x", "scope": "user/*.rs"}


def test_claims_become_the_principal_that_their_token_would_name() -> None:
    principal = supposed_principal(SAID, ONE, 100)
    assert (principal.kind, principal.fhir_user) == (PrincipalKind.PRACTITIONER, "Practitioner/x")
    assert principal.scopes.levels_for("read", "Patient") == {"user"}
    assert (principal.issuer, principal.expires_at) == ("https://a", 100 + LIFETIME_S)


def test_what_the_claims_say_is_not_replaced() -> None:
    principal = supposed_principal({**SAID, "iss": "https://a", "exp": 7, "jti": "j"}, TWO, 100)
    assert (principal.issuer, principal.expires_at, principal.token_id) == ("https://a", 7, "j")


WRONG = [
    (SAID, TWO, "iss"),
    ({**SAID, "iss": "https://c"}, ONE, "iss"),
    ({**SAID, "iss": None}, ONE, "iss"),
    ({"scope": ""}, ONE, "sub"),
    ({**SAID, "scope": ["user/*.rs"]}, ONE, "scope"),
    ({**SAID, "iss": "https://b"}, TWO, "client_id"),
]


@pytest.mark.parametrize(("said", "issuers", "named"), WRONG)
def test_claims_that_no_token_could_hold_are_malformed_and_nobodys_token_is_bad(
    said: dict[str, Any], issuers: dict[str, Issuer], named: str
) -> None:
    with pytest.raises(CallerError) as refused:
        supposed_principal(said, issuers, 100)
    assert refused.value.refusal is Refusal.MALFORMED
    assert f"`{named}`" in refused.value.detail
