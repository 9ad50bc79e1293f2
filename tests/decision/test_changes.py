from dataclasses import replace

import pytest
from hypothesis import given

from proxy.decision.case import Case, compile_policies, open_case
from proxy.decision.changes import Change, changes_of_request, changes_of_resource
from proxy.decision.decide import decide_request
from proxy.decision.voices import judge
from proxy.facts.model import (
    ALWAYS,
    Actor,
    ActorClosure,
    ConsentDirective,
    Facts,
    Membership,
    PatientFacts,
)
from proxy.fhir.coding import ACT_CODE, Coding
from proxy.fhir.envelope import Envelope
from proxy.identity.principal import Principal
from proxy.identity.scopes import parse_scopes
from tests.facts.consents import actor, deny, permit
from tests.situations import (
    BASELINE,
    DOCTOR,
    NURSE,
    PARIS,
    PAYER,
    Situation,
    consent_of,
    envelope_of,
    principal_of,
    situations,
)  # fmt: skip
from tests.stage import NOW

COMPILED = compile_policies(BASELINE)
CAMILLE = "Patient/camille"
MARTIN = "Practitioner/dr-martin"
OBSERVATION = envelope_of({"subject": {"reference": CAMILLE}, "meta": {}})
HIV = OBSERVATION.labelled(frozenset({Coding(ACT_CODE, "HIV")}))
AGREED = consent_of(permit())
TEAM = Membership("care-team", Actor(MARTIN), ALWAYS, "CareTeam/t")


def case_of(principal: Principal) -> Case:
    closure = ActorClosure(frozenset({principal.fhir_user or ""}))
    return open_case(COMPILED, principal, closure, "read", PARIS)


def facts_of(
    directives: tuple[ConsentDirective, ...] | None, memberships: tuple[Membership, ...] | None
) -> Facts:
    known = PatientFacts(CAMILLE, directives, memberships)
    return Facts(ActorClosure(frozenset({MARTIN})), NOW, {CAMILLE: known})


def told(changes: tuple[Change, ...]) -> list[str]:
    return [f"{one.kind}: {one.sentence}" for one in changes]


DOC, NUR = principal_of(MARTIN, DOCTOR, "TREAT"), principal_of(MARTIN, NURSE, "TREAT")
TIE = f"relationship: {MARTIN} having the relationship care-team to {CAMILLE}"
GP = f"relationship: {MARTIN} having the relationship general-practitioner to {CAMILLE}"
AGREES = f"consent: a Consent of {CAMILLE} that permits this"
NAMES = f"{AGREES} and names {MARTIN}"
NOT_HIM = consent_of(deny(actor(MARTIN)))
WITHOUT = "consent: Consent/c1 no longer in force"

CASES = [
    (DOC, OBSERVATION, facts_of((AGREED,), ()), [TIE, GP, NAMES]),
    (DOC, OBSERVATION, facts_of((), (TEAM,)), [AGREES]),
    (DOC, OBSERVATION, facts_of((), ()), [NAMES]),
    (DOC, OBSERVATION, facts_of((AGREED, NOT_HIM), (TEAM,)), [WITHOUT]),
    (DOC, OBSERVATION, facts_of(None, (TEAM,)), []),
    (DOC, OBSERVATION, facts_of((AGREED,), None), []),
    (NUR, HIV, facts_of((AGREED,), (TEAM,)), ["role: the role physician in the token"]),
    (replace(DOC, purposes=frozenset({"HRESCH"})), OBSERVATION, facts_of((AGREED,), (TEAM,)),
     ["purpose: the purpose of use ETREAT in the token", "purpose: the purpose of use TREAT in the token"]),
    (replace(DOC, scopes=parse_scopes("user/Patient.rs")), OBSERVATION, facts_of((AGREED,), (TEAM,)),
     ["scope: the scope user/Observation.r in the token"]),
    (principal_of(MARTIN, PAYER, "TREAT"), OBSERVATION, facts_of((AGREED,), (TEAM,)), []),
]  # fmt: skip


@pytest.mark.parametrize(("principal", "envelope", "facts", "expected"), CASES)
def test_what_is_told_is_each_single_fact_that_turns_the_refusal(
    principal: Principal, envelope: Envelope, facts: Facts, expected: list[str]
) -> None:
    assert not judge(case_of(principal), envelope, facts).permits
    changes = changes_of_resource(case_of(principal), envelope, facts, "Observation")
    assert told(changes) == expected


def test_nothing_is_told_of_a_caller_whom_no_resource_can_name() -> None:
    nameless = replace(DOC, fhir_user=None)
    case = open_case(COMPILED, nameless, ActorClosure(), "read", PARIS)
    changes = changes_of_resource(case, OBSERVATION, facts_of((AGREED,), ()), "Observation")
    assert changes == ()


def test_unlabelled_data_that_policy_shuts_open_by_a_label() -> None:
    shut = compile_policies(replace(BASELINE, unlabelled="deny"))
    closure = ActorClosure(frozenset({MARTIN}))
    case = open_case(shut, DOC, closure, "read", PARIS)
    changes = changes_of_resource(case, OBSERVATION, facts_of((AGREED,), (TEAM,)), "Observation")
    assert told(changes) == ["label: a confidentiality label N on the resource"]


REQUESTS = [
    (replace(DOC, scopes=parse_scopes("user/Patient.rs")), ["scope: the scope user/Observation.r in the token"]),
    (principal_of(MARTIN, PAYER, "TREAT"), []),
    (replace(DOC, scopes=parse_scopes(""), purposes=frozenset({"HMARKT"})), []),
]  # fmt: skip


@pytest.mark.parametrize(("principal", "expected"), REQUESTS)
def test_a_refused_request_is_told_what_would_let_it_go_up(
    principal: Principal, expected: list[str]
) -> None:
    case = case_of(principal)
    assert not decide_request(case, "Observation").permits
    assert told(changes_of_request(case, "Observation")) == expected


@given(situations)
def test_a_relationship_is_told_if_and_only_if_it_alone_permits(situation: Situation) -> None:
    who = situation.principal.fhir_user or ""
    case = case_of(situation.principal)
    known = {
        one: PatientFacts(
            one,
            tuple(replace(consent, patient=one) for consent in situation.directives),
            situation.memberships,
        )
        for one in situation.envelope.patients or ()
    }
    facts = Facts(case.closure, NOW, known)
    changes = {
        one.sentence
        for one in changes_of_resource(case, situation.envelope, facts, "Observation")
        if one.kind == "relationship"
    }
    expected = set()
    for patient, own in known.items():
        for kind in ("care-team", "general-practitioner", "guardian", "trusted-person"):
            tie = Membership(kind, Actor(who), ALWAYS, "x")
            closer = replace(own, memberships=(*(own.memberships or ()), tie))
            other = Facts(case.closure, NOW, {**known, patient: closer})
            admitted = decide_request(case, "Observation").permits
            if admitted and judge(case_of(situation.principal), situation.envelope, other).permits:
                expected.add(f"{who} having the relationship {kind} to {patient}")
    assert changes == expected
