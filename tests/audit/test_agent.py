import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.audit import balp
from proxy.audit.agent import (
    Caller,
    authorization_agents,
    observer_reference,
    plain,
    rest_agents,
    token_profiles,
    token_uri,
    uri,
)
from proxy.audit.entry import Actor
from tests.audit.balp import agent as one_agent
from tests.audit.cases import ANNA, ASSISTANT, BACKEND, OBSERVER, PAYET

READ, DELETE = balp.SHAPES["read"], balp.SHAPES["delete"]


def test_the_user_is_named_by_issuer_and_subject_with_role_purpose_and_token_id() -> None:
    user = one_agent({"agent": rest_agents(Caller(ANNA, "192.0.2.7"), READ, OBSERVER)}, "IRCP")
    assert user["requestor"] is True
    assert user["who"] == {
        "identifier": {"system": "https://idp.example.org", "value": "user-anna"},
        "reference": "Practitioner/anna",
        "display": "Anna Adams",
    }
    assert user["policy"] == ["urn:ietf:params:oauth:jti:jti-1234"]
    assert user["purposeOfUse"][0]["coding"][0]["code"] == "TREAT"
    assert user["role"][0]["coding"][0]["code"] == "DOC"
    assert "network" not in user


def test_the_organisation_of_the_user_is_an_agent_of_its_own() -> None:
    agents = rest_agents(Caller(ANNA, "192.0.2.7"), READ, OBSERVER)
    assert agents[3]["who"] == {
        "identifier": {"system": "urn:oid:1.2.3", "value": "org-7"},
        "display": "Example Hospital",
    }


def test_the_client_of_a_delete_has_its_one_type_once() -> None:
    client = rest_agents(Caller(ANNA, "192.0.2.7"), DELETE, OBSERVER)[0]
    assert [one["code"] for one in client["type"]["coding"]] == ["110150"]


@pytest.mark.parametrize(
    ("peer", "display"), [("192.0.2.7", "192.0.2.7"), ("", "unidentified client")]
)
def test_a_client_without_id_is_told_by_its_address(peer: str, display: str) -> None:
    client = rest_agents(Caller(Actor(), peer), READ, OBSERVER)[0]
    assert client["who"] == {"display": display}
    assert ("network" in client) == bool(peer)


@pytest.mark.parametrize(
    ("actor", "requestors"), [(ANNA, 1), (BACKEND, 0), (Actor(), 0), (PAYET, 1), (ASSISTANT, 1)]
)
def test_exactly_one_agent_of_a_user_requests_and_none_of_a_backend(
    actor: Actor, requestors: int
) -> None:
    caller = Caller(actor, "192.0.2.7")
    for agents in (rest_agents(caller, READ, OBSERVER), authorization_agents(caller, OBSERVER)):
        assert sum(one["requestor"] for one in agents) == requestors


def test_the_authorizer_is_the_observer() -> None:
    assert authorization_agents(Caller(ANNA, ""), OBSERVER)[-1]["who"] == observer_reference(
        OBSERVER
    )


PATTERNS = [
    (ANNA, ["OAUTHaccessTokenUse.Minimal", "OAUTHaccessTokenUse.Comprehensive"]),
    (msgspec.structs.replace(ANNA, client_id=""), ["OAUTHaccessTokenUse.Minimal"]),
    (msgspec.structs.replace(ANNA, token_id=""), []),
    (BACKEND, ["OAUTHaccessTokenUse.Comprehensive"]),
    (Actor(), []),
]


@pytest.mark.parametrize(("actor", "names"), PATTERNS)
def test_token_patterns_are_claimed_where_the_token_says_enough(
    actor: Actor, names: list[str]
) -> None:
    found = token_profiles(Caller(actor, "192.0.2.7"))
    assert [url.partition("BasicAudit.")[2] for url in found] == names


def test_no_token_id_no_policy() -> None:
    assert token_uri(Actor()) == ""
    user = rest_agents(Caller(msgspec.structs.replace(ANNA, token_id=""), ""), READ, OBSERVER)[2]
    assert "policy" not in user
    assert [one["code"] for one in user["type"]["coding"]] == ["IRCP"]


@given(st.text())
def test_strings_hold_no_control_characters_and_uris_no_space(text: str) -> None:
    assert plain(text).isprintable()
    assert plain(plain(text)) == plain(text)
    assert not any(sign.isspace() for sign in uri(text))


@pytest.mark.parametrize("text", ["urn:oid:1.2.3", "https://idp.example.org/a?b=c#d", "a%20b"])
def test_a_uri_stays_as_it_is(text: str) -> None:
    assert uri(text) == text


@pytest.mark.parametrize("delegate", [PAYET, ASSISTANT])
def test_a_delegation_has_two_agents_and_the_one_who_acts_requests(delegate: Actor) -> None:
    caller = Caller(delegate, "192.0.2.7")
    for agents in (rest_agents(caller, READ, OBSERVER), authorization_agents(caller, OBSERVER)):
        acting, other = (one_agent({"agent": agents}, code) for code in ("IRCP", "delegator"))
        assert (acting["requestor"], other["requestor"]) == (True, False)
        assert acting["who"]["identifier"]["value"] == delegate.subject
        assert acting["extension"] == [{"url": balp.ON_BEHALF_OF, "valueReference": other["who"]}]
        assert other["who"] == {
            "identifier": {"system": "https://idp.example.org", "value": "user-anna"},
            "reference": "Practitioner/anna",
            "display": "Anna Adams",
        }
        assert other["role"][0]["coding"][0]["code"] == "DOC"
        assert "role" not in acting
        assert "policy" not in other


def test_a_patient_whom_somebody_acts_for_is_named_only_where_the_patient_may_be() -> None:
    patient = Actor(issuer="i", subject="p", kind="patient", fhir_user="Patient/p", name="Pia")
    acting = msgspec.structs.replace(PAYET, on_behalf_of=patient)
    told = rest_agents(Caller(acting, "192.0.2.7", named=False), READ, OBSERVER)
    assert "Pia" not in str(told)


def test_without_a_delegation_no_agent_is_a_delegator() -> None:
    told = rest_agents(Caller(ANNA, "192.0.2.7"), READ, OBSERVER)
    assert "delegator" not in str(told)
    assert all("extension" not in one for one in told)
