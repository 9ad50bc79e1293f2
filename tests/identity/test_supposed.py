from typing import Any

import pytest

from proxy.errors import CallerError, Refusal
from proxy.fhir.coding import ACT_REASON, Identifier
from proxy.identity.issuer import Issuer, profile_of
from proxy.identity.principal import PrincipalKind
from proxy.identity.supposed import (
    LIFETIME_S,
    supposed_principal,
    with_identifiers,
    with_purposes,
)


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


PURPOSES: list[tuple[list[str], set[str]]] = [
    (["TREAT"], {"TREAT"}),
    ([f"{ACT_REASON}#TREAT", "HPAYMT"], {"TREAT", "HPAYMT"}),
    (["urn:oid:2.16.840.1.113883.5.8#TREAT"], {"TREAT"}),
    (["https://example.org/why#FooBar"], {"https://example.org/why#FooBar"}),
    ([], set()),
]


@pytest.mark.parametrize(("written", "read"), PURPOSES)
def test_purposes_are_read_as_those_of_a_token(written: list[str], read: set[str]) -> None:
    iua = {"extensions": {"ihe_iua": {"purpose_of_use": written}}}
    supposed = with_purposes(supposed_principal(SAID, ONE, 100), written)
    assert supposed.purposes == read
    assert supposed_principal({**SAID, **iua}, ONE, 100).purposes == read


@pytest.mark.parametrize("written", ["TREAT", None, 5, {}, [""], [None], [5], ["x#"], ["a\nb"], [["TREAT"]]])  # fmt: skip
def test_purposes_that_are_no_codes_are_malformed(written: object) -> None:
    with pytest.raises(CallerError) as refused:
        with_purposes(supposed_principal(SAID, ONE, 100), written)
    assert refused.value.refusal is Refusal.MALFORMED


NAMED = frozenset({Identifier("urn:x", "1")})


def test_identifiers_name_a_professional_where_nothing_else_names_anybody() -> None:
    somebody = supposed_principal({"sub": "x", "scope": "user/*.rs"}, ONE, 100)
    assert somebody.kind is PrincipalKind.UNKNOWN
    known = with_identifiers(somebody, NAMED)
    assert (known.kind, known.identifiers) == (PrincipalKind.PRACTITIONER, NAMED)
    patient = supposed_principal({**SAID, "fhirUser": "Patient/x"}, ONE, 100)
    assert with_identifiers(patient, NAMED).kind is PrincipalKind.PATIENT
