"""proxy.identity.details: authorization details are understood whole, or the token is refused (AUTH-20)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import CallerError, Refusal
from proxy.identity.claims import claims_of, principal_of
from proxy.identity.details import overridden
from proxy.identity.issuer import Profile, profile_of
from proxy.identity.principal import Principal
from proxy.identity.scopes import parse_scopes

US, OTHER = "https://us.example.org/fhir", "https://other.example.org/fhir"
SMART = profile_of("smart", [US])
PAYLOAD: dict[str, object] = {
    "iss": "https://idp.example.org", "sub": "u-1", "client_id": "app", "jti": "t-1", "exp": 1_800_000_300,
    "scope": "user/*.rs patient/*.rs", "patient": "P1", "fhirUser": "Practitioner/a",
}  # fmt: skip


def detail(**more: object) -> dict[str, object]:
    return {"type": "smart_on_fhir", "locations": [US], **more}


def principal(details: object, profile: Profile = SMART) -> Principal:
    told = {**PAYLOAD, "authorization_details": details}
    return principal_of(claims_of(told, "digest"), profile)


def test_what_they_say_of_us_replaces_what_stands_at_the_top() -> None:
    said = principal([detail(scope="patient/Observation.rs", patient="P2"), detail(locations=[OTHER], scope="user/*.cruds", patient="P3")])  # fmt: skip
    assert said.scopes.granted == parse_scopes("patient/Observation.rs").granted
    assert said.patient == "Patient/P2"


def test_what_they_leave_out_stays() -> None:
    said = principal([detail(scope="patient/Observation.rs", fhirVersions=["4.0.1"], encounter="e", fhirContext=[])])  # fmt: skip
    assert said.patient == "Patient/P1"
    assert principal([detail(patient="P2", locations=[US + "/"])]).patient == "Patient/P2"


@pytest.mark.parametrize("details", [[], [detail(locations=[OTHER], scope="user/*.cruds")]])
def test_details_of_another_server_change_nothing(details: object) -> None:
    assert principal(details) == principal([])


@pytest.mark.parametrize(
    "details",
    [
        None, {}, "x", 1, [None], ["x"], [[]], [{}], [{"type": "smart_on_fhir"}], [{"locations": [US]}],
        [detail(type="payment")], [detail(type=1)], [detail(locations=US)], [detail(locations=[1])], [detail(locations=["us"])],
        [detail(scope=["user/*.rs"])], [detail(patient=["P1"])], [detail(patient="Patient/P1")], [detail(actions=["read"])],
        [detail(privileges=[])], [detail(), detail()], [detail(), detail(locations=[OTHER, US])], [detail(encounter=1)],
        [detail(fhirContext={})], [detail(locations=[OTHER], unknown=1)], [detail(locations=[OTHER], type="payment")],
    ],
)  # fmt: skip
def test_what_is_half_understood_is_refused(details: object) -> None:
    with pytest.raises(CallerError) as raised:
        principal(details)
    assert raised.value.refusal is Refusal.BAD_TOKEN


@pytest.mark.parametrize("profile", [profile_of({"scope": "scp"}, [US]), profile_of("pro-sante-connect", [US])])  # fmt: skip
def test_what_an_issuer_states_elsewhere_cannot_be_replaced(profile: Profile) -> None:
    with pytest.raises(CallerError, match="elsewhere"):
        principal([detail(scope="user/*.cruds", patient="P2")], profile)


@given(st.recursive(st.none() | st.integers() | st.sampled_from([US, OTHER, "smart_on_fhir"]), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "locations", "scope", "patient", "x"]), inner, max_size=4), max_leaves=8))  # fmt: skip
def test_any_details_are_understood_or_refused(details: object) -> None:
    payload = {**PAYLOAD, "authorization_details": details}
    try:
        found = overridden(payload, SMART)
    except CallerError:
        return
    assert found.keys() == payload.keys()
