"""proxy.identity.delegation: two principals of one token, neither with what is the other's."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import CallerError, Refusal
from proxy.identity.claims import choice_of, claims_of, principal_of
from proxy.identity.issuer import Profile, profile_of
from proxy.identity.principal import Principal, PrincipalKind

US = "https://us.example.org/fhir"
SMART, PSC = profile_of("smart", [US]), profile_of("pro-sante-connect", [US])
MAPPED = profile_of({"on_behalf_of": "obo"}, [US])
PAYLOAD: dict[str, object] = {
    "iss": "https://idp.example.org", "sub": "doctor", "client_id": "app", "jti": "t-1", "exp": 1_800_000_300,
    "scope": "user/*.rs patient/*.rs", "patient": "P1", "fhirUser": "Practitioner/doctor", "name": "Dr A",
    "extensions": {
        "ihe_iua": {
            "subject_role": ["physician"], "national_provider_identifier": "1", "subject_organization_id": "urn:oid:1.2",
            "subject_organization": "Clinic", "purpose_of_use": ["TREAT"], "person_id": "P1",
        },
        "ihe_pcf": {"residual": [{"type": "forbid"}]},
    },
}  # fmt: skip


def principal(profile: Profile = SMART, **changes: object) -> Principal:
    told = {name: one for name, one in {**PAYLOAD, **changes}.items() if one is not ...}
    return principal_of(claims_of(told, "digest"), profile)


def refused(profile: Profile = SMART, **changes: object) -> str:
    with pytest.raises(CallerError) as raised:
        principal(profile, **changes)
    assert raised.value.refusal is Refusal.BAD_TOKEN
    return raised.value.detail


def test_without_a_delegation_there_is_one() -> None:
    said = principal()
    assert (said.delegator, said.on_behalf_of) == (None, None)
    assert principal(may_act={"sub": "secretary"}) == said


def test_the_actor_is_the_caller_and_has_nothing_of_the_other() -> None:
    said, plain = principal(act={"sub": "secretary", "name": "Lucie"}), principal()
    assert (said.issuer, said.subject, said.name) == (plain.issuer, "secretary", "Lucie")
    assert (said.kind, said.fhir_user) == (PrincipalKind.UNKNOWN, None)
    assert (said.roles, said.identifiers, said.organization) == (frozenset(), frozenset(), None)
    assert said.organization_name is None
    assert said.on_behalf_of == "Practitioner/doctor"
    assert said.delegator == plain


def test_what_restricts_the_token_restricts_both() -> None:
    said, plain = principal(act={"sub": "secretary"}), principal()
    for member in ("scopes", "patient", "pcf", "patient_identifier", "purposes", "expires_at", "client_id", "token_id"):  # fmt: skip
        assert getattr(said, member) == getattr(plain, member)


@pytest.mark.parametrize(
    ("act", "kind", "fhir_user"),
    [
        ({"sub": "s", "fhirUser": "Practitioner/s"}, PrincipalKind.PRACTITIONER, "Practitioner/s"),
        ({"sub": "s", "fhirUser": f"{US}/RelatedPerson/s"}, PrincipalKind.RELATED_PERSON, "RelatedPerson/s"),
        ({"sub": "s", "fhirUser": "https://evil.example.org/Practitioner/s"}, PrincipalKind.UNKNOWN, None),
        ({"sub": "app", "fhirUser": "Person/s"}, PrincipalKind.UNKNOWN, None),
        ({"sub": "app"}, PrincipalKind.SYSTEM, None),
        ({"sub": "s"}, PrincipalKind.UNKNOWN, None),
    ],
)  # fmt: skip
def test_what_sort_of_person_acts(
    act: dict[str, object], kind: PrincipalKind, fhir_user: str | None
) -> None:
    said = principal(act=act)
    assert (said.kind, said.fhir_user) == (kind, fhir_user)


def test_an_actor_of_another_issuer_is_another() -> None:
    assert principal(act={"sub": "s", "iss": "https://b.example.org"}).issuer == "https://b.example.org"  # fmt: skip


def test_what_is_no_identity_proves_nothing_in_the_actor() -> None:
    more = {
        "scope": "system/*.cruds",
        "patient": "P9",
        "extensions": {"ihe_iua": {"subject_role": ["chief"]}},
        "exp": 1,
    }
    assert principal(act={"sub": "s", **more}) == principal(act={"sub": "s"})


@pytest.mark.parametrize(
    "act",
    [
        "s", [], None, 1, {}, {"sub": ""}, {"sub": 1}, {"sub": "s", "act": {"sub": "t"}}, {"sub": "s", "act": None}, {"name": "x"},
        {"sub": "s", "iss": 1}, {"sub": "s", "fhirUser": []}, {"sub": "s", "name": {}}, [{"sub": "s"}],
    ],
)  # fmt: skip
def test_an_actor_that_is_not_understood_makes_the_token_bad(act: object) -> None:
    assert "`act" in refused(act=act)


def test_a_mapped_claim_names_whom_the_caller_acts_for() -> None:
    said = principal(MAPPED, obo=f"{US}/Practitioner/chief")
    plain = principal(MAPPED)
    assert (said.subject, said.roles, said.fhir_user) == (plain.subject, plain.roles, plain.fhir_user)  # fmt: skip
    other = said.delegator
    assert other is not None
    assert (said.on_behalf_of, other.fhir_user) == ("Practitioner/chief", "Practitioner/chief")
    assert (other.kind, other.roles, other.identifiers) == (PrincipalKind.PRACTITIONER, frozenset(), frozenset())  # fmt: skip
    assert other.scopes == plain.scopes


@pytest.mark.parametrize("written", ["https://evil.example.org/Practitioner/chief", "chief", "Organization/o"])  # fmt: skip
def test_whoever_is_not_of_ours_is_acted_for_in_vain(written: str) -> None:
    other = principal(MAPPED, obo=written).delegator
    assert other is not None
    assert (other.kind, other.fhir_user) == (PrincipalKind.UNKNOWN, None)


def test_both_ways_at_once_are_a_chain() -> None:
    assert "chain" in refused(MAPPED, obo="Practitioner/chief", act={"sub": "s"})


def test_userinfo_and_a_delegation_are_not_understood_together() -> None:
    claims = claims_of({**PAYLOAD, "act": {"sub": "s"}}, "digest")
    with pytest.raises(CallerError, match="userinfo"):
        choice_of(claims, PSC, {"sub": "doctor"})


def _parts(said: Principal) -> Mapping[str, object]:
    return {"roles": said.roles, "identifiers": said.identifiers, "organization": said.organization}


@given(st.dictionaries(st.text(max_size=6), st.text(max_size=6) | st.integers() | st.none(), max_size=4))  # fmt: skip
def test_no_actor_has_the_others_standing(act: dict[str, object]) -> None:
    try:
        said = principal(act=act)
    except CallerError:
        return
    assert said.delegator == principal()
    assert not any(_parts(said).values())
