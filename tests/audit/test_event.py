import json
from base64 import b64decode
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from fhir.resources.R4B.auditevent import AuditEvent
from hypothesis import given
from hypothesis import strategies as st

from proxy.audit.entry import Actor, Entry, Judged, Touched
from proxy.audit.event import events_of
from tests.audit import balp
from tests.audit.cases import (
    ALL,
    ANNA,
    BACKEND,
    CAPABILITIES,
    DENIED,
    EMPTY_SEARCH,
    FAILED,
    HISTORIES,
    HISTORY,
    NO_TOKEN,
    OBSERVER,
    POST_SEARCH,
    READ,
    SEARCH,
    changed,
)

Json = dict[str, Any]
_STRUCTURE = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."


def events(entry: Entry) -> list[Json]:
    return events_of(entry, observer=OBSERVER)


def rest(entry: Entry) -> list[Json]:
    return [event for event in events(entry) if event["type"]["code"] == "rest"]


def authorizations(entry: Entry) -> list[Json]:
    return [event for event in events(entry) if event["type"]["code"] == "110113"]


def claims(event: Json) -> list[str]:
    return [url.removeprefix(_STRUCTURE) for url in event.get("meta", {}).get("profile", ())]


def patients(event: Json) -> list[str]:
    return [one["what"]["reference"] for one in event["entity"] if one["type"]["code"] == "1"]


def raw_query(event: Json) -> str:
    (query,) = [one["query"] for one in event["entity"] if "query" in one]
    return b64decode(query).decode()


@pytest.mark.parametrize("entry", ALL.values(), ids=ALL.keys())
def test_every_event_is_valid_r4(entry: Entry) -> None:
    assert events(entry)
    for event in events(entry):
        AuditEvent.model_validate(event)


@pytest.mark.parametrize("entry", ALL.values(), ids=ALL.keys())
def test_every_event_satisfies_the_profiles_it_claims(entry: Entry) -> None:
    for event in events(entry):
        for url in event.get("meta", {}).get("profile", ()):
            assert balp.problems(event, url) == []


@pytest.mark.parametrize(
    "name",
    [
        "BasicReadServer", "BasicReadNoUser", "BasicQueryGetServer", "BasicQueryPost",
        "AuthZconsent", "AuthZconsent-deny",
    ],
)  # fmt: skip
def test_the_checker_agrees_with_the_published_examples(name: str) -> None:
    published = balp.example(name)
    assert balp.problems(published, published["meta"]["profile"][0]) == []


def test_the_checker_finds_what_is_wrong() -> None:
    (event,) = rest(READ)
    url = event["meta"]["profile"][0]
    swapped = json.loads(json.dumps(event).replace('"R"', '"E"').replace("110153", "110155"))
    found = balp.problems(swapped, url)
    assert any("action" in problem for problem in found)
    assert any("agent:server" in problem for problem in found)
    open_entity = authorizations(READ)[0]
    more = open_entity | {"entity": [*open_entity["entity"], {"type": {"code": "9"}}]}
    assert any("closed" in found for found in balp.problems(more, more["meta"]["profile"][0]))


EXAMPLES = {
    "BasicReadServer": rest(READ)[0],
    "BasicReadNoPatient": rest(ALL["no patient"])[0],
    "BasicReadNoUser": rest(changed(READ, actor=BACKEND))[0],
    "BasicReadOServer": rest(READ)[0],
    "BasicReadOServerMin": rest(READ)[0],
    "BasicQueryGetServer": rest(SEARCH)[0],
    "BasicQueryGetNoPatient": rest(EMPTY_SEARCH)[0],
    "BasicQueryPost": rest(POST_SEARCH)[0],
    "AuthZconsent": authorizations(READ)[0],
    "AuthZconsent-deny": authorizations(DENIED)[0],
}
# The published example says less (`search`, no request id, no token) than we know.
_MORE_SPECIFIC = {"search": "search-type"}
_OURS_TOO = {"XrequestId", "UserOauthAgent"}


@pytest.mark.parametrize("name", EXAMPLES)
def test_events_have_the_shape_of_the_published_examples(name: str) -> None:
    published, ours = balp.example(name), EXAMPLES[name]
    expected, found = balp.outline(published), balp.outline(ours)
    for side in (expected, found):
        side["subtype"] = {_MORE_SPECIFIC.get(code, code) for _, code in side["subtype"]}
        side["entities"] = [one for one in side["entities"] if one[0][1] not in _OURS_TOO]
    assert found == expected
    assert set(published["meta"]["profile"]) <= set(ours["meta"]["profile"])


@pytest.mark.parametrize("name", EXAMPLES)
def test_agents_are_those_of_the_published_examples(name: str) -> None:
    for published in balp.example(name)["agent"]:
        twins = [one for one in EXAMPLES[name]["agent"] if balp.kinds(published) <= balp.kinds(one)]
        assert len(twins) == 1, published["type"]
        assert twins[0]["requestor"] == published["requestor"]
        assert twins[0].get("network", {}).get("type") == published.get("network", {}).get("type")
        assert "who" in twins[0]


def test_a_read_claims_the_patient_profile_and_both_token_patterns() -> None:
    (event,) = rest(READ)
    assert claims(event) == [
        "PatientRead",
        "OAUTHaccessTokenUse.Minimal",
        "OAUTHaccessTokenUse.Comprehensive",
    ]
    assert patients(event) == ["Patient/p1"]
    assert event["entity"][0]["what"] == {"reference": "Observation/o1/_history/3"}


def test_in_a_read_the_client_is_destination_and_in_a_query_it_is_source() -> None:
    (read,), search = rest(READ), rest(SEARCH)[0]
    address = {"address": "192.0.2.7", "type": "2"}
    own = {"address": OBSERVER.public_url, "type": "5"}
    assert balp.agent(read, "110152")["network"] == address
    assert balp.agent(read, "110153")["network"] == own
    assert balp.agent(search, "110153")["network"] == address
    assert balp.agent(search, "110152")["network"] == own


def test_a_read_of_a_resource_of_two_patients_gives_an_event_for_each() -> None:
    both = changed(READ, touched=(Touched(("List/l",), "disclosed", ("Patient/p1", "Patient/p2")),))
    assert [patients(event) for event in rest(both)] == [["Patient/p1"], ["Patient/p2"]]


def test_the_event_of_one_patient_names_no_consent_of_another() -> None:
    judged = Judged(
        "permit",
        (("policy", "permit", "rule", ""),),
        ("Consent/c1", "Consent/c2"),
        ("Patient/p1", "Patient/p2"),
        (("Patient/p1", "Consent/c1"), ("Patient/p2", "Consent/c2")),
    )
    both = changed(READ, decisions=(judged,))
    events = [one for one in events_of(both, observer=OBSERVER) if one["type"]["code"] == "110113"]
    told = [
        [entity["what"].get("reference", "") for entity in event["entity"]][:2] for event in events
    ]
    assert told == [["Patient/p1", "Consent/c1"], ["Patient/p2", "Consent/c2"]]


def test_a_read_without_patient_claims_the_plain_profile() -> None:
    (event,) = rest(ALL["no patient"])
    assert claims(event)[0] == "Read"
    assert patients(event) == []


def test_a_search_gives_one_event_for_each_patient_whose_data_left() -> None:
    found = rest(SEARCH)
    assert [patients(event) for event in found] == [["Patient/p1"], ["Patient/p2"]]
    assert {claims(event)[0] for event in found} == {"PatientQuery"}
    assert {event["action"] for event in found} == {"E"}


def test_a_search_names_whose_resources_it_counted_or_led_through() -> None:
    touched = (
        Touched(("Observation/o1", "Observation/o2"), "consulted", ("Patient/p1",)),
        Touched(("Observation/o3",), "withheld", ("Patient/p2",)),
    )
    rest = [
        event
        for event in events_of(changed(SEARCH, touched=touched), observer=OBSERVER)
        if event["type"]["code"] == "rest"
    ]
    said = str(rest)
    assert len(rest) == 1
    assert ("Patient/p1" in said, "Patient/p2" in said) == (True, False)


def test_a_search_that_disclosed_nothing_gives_one_event_without_patient() -> None:
    nothing = changed(SEARCH, touched=(SEARCH.touched[2],))
    (event,) = rest(nothing)
    assert claims(event)[0] == "Query"
    assert patients(event) == []


@pytest.mark.parametrize(
    ("entry", "code"), [(HISTORY, "history-instance"), (CAPABILITIES, "capabilities")]
)
def test_interactions_without_profile_claim_none(entry: Entry, code: str) -> None:
    (event,) = rest(entry)
    assert event["subtype"][0]["code"] == code
    assert event["outcome"] == "0"
    assert "meta" not in event


def test_a_history_of_many_is_a_query_about_whom_it_disclosed() -> None:
    (event,) = rest(HISTORIES)
    assert event["subtype"][0]["code"] == "history-type"
    assert (event["action"], patients(event)) == ("E", ["Patient/p1"])
    assert [one for one in event["entity"] if "query" in one]
    assert "meta" not in event


def test_a_backend_client_is_no_user() -> None:
    (event,) = rest(changed(READ, actor=BACKEND))
    assert [one["requestor"] for one in event["agent"]] == [False, False]
    assert balp.agent(event, "110150")["policy"] == ["urn:ietf:params:oauth:jti:jti-9"]
    assert claims(event) == ["PatientRead", "OAUTHaccessTokenUse.Comprehensive"]


def test_a_request_without_principal_gives_one_event_without_user() -> None:
    (event,) = events(NO_TOKEN)
    assert all(not one["requestor"] for one in event["agent"])
    assert event["outcome"] == "4"
    assert event["outcomeDesc"] == "authentication is required"
    assert raw_query(event).startswith("GET https://gateway.example.org/fhir/x\n")


@pytest.mark.parametrize(("entry", "outcome"), [(DENIED, "4"), (FAILED, "8")])
def test_refused_requests_claim_no_profile_and_name_no_patient(entry: Entry, outcome: str) -> None:
    (event,) = rest(entry)
    assert event["outcome"] == outcome
    assert event["outcomeDesc"]
    assert "meta" not in event
    assert patients(event) == []
    assert "Consent" not in json.dumps(event)


@pytest.mark.parametrize("kind", ["patient", "related-person"])
def test_a_refused_patient_is_referenced_but_not_named(kind: str) -> None:
    actor = msgspec.structs.replace(ANNA, kind=kind, fhir_user="Patient/p1", name="Paula Poe")
    assert "Paula" not in json.dumps(events(changed(DENIED, actor=actor)))
    assert "Paula" in json.dumps(rest(changed(READ, actor=actor)))


def test_what_was_withheld_stands_only_in_the_event_of_the_denial() -> None:
    assert "p3" not in json.dumps(rest(SEARCH))
    assert "o3" not in json.dumps(events(SEARCH))
    denied = [event for event in authorizations(SEARCH) if event["outcome"] == "8"]
    assert [patients(event) for event in denied] == [["Patient/p3"]]


def test_a_decision_by_consent_names_the_consents_for_each_patient() -> None:
    (event,) = authorizations(READ)
    assert claims(event) == ["AuthZconsent"]
    assert event["outcome"] == "0"
    named = [one["what"].get("reference") for one in event["entity"]]
    assert named == ["Patient/p1", "Consent/c1", None]
    assert event["entity"][2]["what"]["identifier"]["value"] == "urn:ietf:params:oauth:jti:jti-1234"


def test_a_denial_by_consent_says_so_in_a_constant() -> None:
    (event,) = authorizations(DENIED)
    assert event["outcome"] == "8"
    assert event["outcomeDesc"] == "Consent denied access to this user"


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"actor": BACKEND}, "no user, no organisation"),
        ({"actor": msgspec.structs.replace(ANNA, organization=("", ""), organization_name="")}, "no organisation"),
        ({"peer": ""}, "no network address"),
        ({"decisions": (Judged("deny", (), (), ("Patient/p1",)),)}, "no Consent"),
    ],
)  # fmt: skip
def test_a_decision_that_cannot_conform_keeps_the_shape_but_claims_nothing(
    fields: Json, why: str
) -> None:
    (event,) = authorizations(changed(DENIED, **fields))
    assert event["subtype"][0]["code"] == "AuthZ-Role", why
    assert "meta" not in event
    assert event["agent"][-1]["who"] == event["source"]["observer"]


def test_a_permit_without_consent_is_told_by_its_restful_event_alone() -> None:
    policy_only = changed(READ, decisions=(Judged("permit", patients=("Patient/p1",)),))
    assert authorizations(policy_only) == []


REASONS = [
    ((("policy", "deny", "r", ""),), "the policy of the house denied access to this user"),
    ((("consent", "deny", "c", ""), ("policy", "permit", "r", "")), "Consent denied access to this user"),
    ((("policy", "permit", "r", ""), ("label", "unknown", "r", "")), "what the decision needs could not be known, access was denied"),
    ((("policy", "not-applicable", "r", ""),), "no rule and no Consent permits access to this user"),
]  # fmt: skip


@pytest.mark.parametrize(("reasons", "sentence"), REASONS)
def test_a_denial_is_explained_by_a_constant(
    reasons: tuple[tuple[str, str, str, str], ...], sentence: str
) -> None:
    judged = Judged("deny", reasons, ("Consent/c1",), ("Patient/p1",))
    (event,) = authorizations(changed(DENIED, decisions=(judged,)))
    assert event["outcomeDesc"] == sentence


def test_ids_are_stable_distinct_and_short() -> None:
    first, again = events(SEARCH), events(SEARCH)
    ids = [event["id"] for event in first]
    assert ids == [event["id"] for event in again]
    assert len(set(ids)) == len(ids)
    assert all(name.startswith("gw-") and len(name) <= 64 for name in ids)
    other = changed(SEARCH, id="another")
    assert not set(ids) & {event["id"] for event in events(other)}


def test_hostile_words_of_a_token_still_give_valid_events() -> None:
    actor = Actor(
        issuer="not a\nuri", subject="s\x00", client_id="c\x1b[2J", token_id="a b", name="x\ny"
    )
    for event in events(changed(READ, actor=actor, request_id="r\x00")):
        AuditEvent.model_validate(event)
        assert "\\u00" not in json.dumps(event)


ENCODED = st.sampled_from(["access_token", "Access_Token", "access%5ftoken", "%61ccess_token"])
TOKENS = st.text("abcdefghijklmnopqrstuvwxyz0123456789._-", min_size=24, max_size=60)


@given(name=ENCODED, token=TOKENS, form=st.booleans())
def test_no_token_in_a_parameter_reaches_an_event(name: str, token: str, form: bool) -> None:
    pair = f"_count=1&{name}={quote(token)}"
    words = {"form": pair, "method": "POST"} if form else {"target": f"/fhir/Observation?{pair}"}
    written = events(changed(SEARCH, **words))
    raw = [
        b64decode(one["query"]).decode()
        for e in written
        for one in e.get("entity", ())
        if "query" in one
    ]
    assert raw
    assert not any(token in text for text in [json.dumps(written), *raw])


@given(st.sampled_from(sorted(ALL)), TOKENS)
def test_every_event_names_only_disclosed_patients_unless_it_denies(
    name: str, patient: str
) -> None:
    withheld = Touched((f"Observation/{patient}",), "withheld", (f"Patient/{patient}",))
    entry = changed(ALL[name], touched=(*ALL[name].touched, withheld))
    assert patient not in json.dumps(events(entry))


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = st.sampled_from(["Patient/p1", "Patient/p2", "Patient/p3"])
LISTS = st.lists(NAMES, max_size=3).map(tuple)
TOUCHED = st.builds(
    Touched, st.just("Observation/o"), st.sampled_from(["disclosed", "redacted", "withheld"]), LISTS
)
REASON = st.tuples(
    st.sampled_from(["consent", "policy", "?"]), st.sampled_from(["deny", "unknown"]), WORDS, WORDS
)
JUDGED = st.builds(
    Judged,
    st.sampled_from(["permit", "deny"]),
    st.lists(REASON, max_size=2).map(tuple),
    st.lists(st.just("Consent/c"), max_size=2).map(tuple),
    LISTS,
)
# All that a caller can write freely, and all that a decision can say.
ENTRIES = st.builds(
    changed,
    st.sampled_from([READ, SEARCH, HISTORY, CAPABILITIES, NO_TOKEN, FAILED]),
    outcome=st.sampled_from(["permitted", "denied", "failed"]),
    interaction=st.sampled_from(
        ["read", "vread", "search-type", "create", "delete", "batch", "x", ""]
    ),
    method=WORDS,
    target=WORDS,
    form=WORDS,
    accept=WORDS,
    request_id=WORDS,
    refusal=WORDS,
    actor=st.sampled_from([ANNA, BACKEND, Actor()]),
    touched=st.lists(TOUCHED, max_size=3).map(tuple),
    decisions=st.lists(JUDGED, max_size=3).map(tuple),
)


@given(ENTRIES)
def test_whatever_is_asked_and_decided_gives_valid_events_that_keep_the_laws(entry: Entry) -> None:
    found = events(entry)
    assert found
    left = {p for one in entry.touched if one.outcome != "withheld" for p in one.patients}
    for event in found:
        AuditEvent.model_validate(event)
        assert (
            ("meta" not in event)
            or entry.outcome == "permitted"
            or event["type"]["code"] == "110113"
        )
        if event["type"]["code"] == "rest":
            assert set(patients(event) if "entity" in event else []) <= left
    if entry.outcome == "permitted" and entry.interaction != "x":
        told = {name for event in rest(entry) if "entity" in event for name in patients(event)}
        assert told == left


@given(ENTRIES)
def test_every_denied_patient_has_an_event_of_the_denial(entry: Entry) -> None:
    denied = {name for one in entry.decisions if one.effect == "deny" for name in one.patients}
    told = {
        name for one in authorizations(entry) if one["outcome"] == "8" for name in patients(one)
    }
    assert told == denied
