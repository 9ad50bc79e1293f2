"""proxy.decision.delegation: of two decisions the stricter one, each pair once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.decision.case import Case, compile_policies, open_case
from proxy.decision.decide import decide_request
from proxy.decision.delegation import VOICE, within
from proxy.decision.model import Decision, Evidence, Obligations, Reason, Redaction, Verdict
from proxy.facts.model import ActorClosure
from proxy.fhir.coding import Effect
from proxy.identity.principal import PrincipalKind
from proxy.policy.load import load
from tests.facts.consents import PARIS
from tests.facts.test_relationship import principal
from tests.stage import BASELINE

COMPILED = compile_policies(load(BASELINE))
DOCTOR = principal(fhir_user="Practitioner/doctor")
SECRETARY = principal(
    fhir_user="Practitioner/secretary", on_behalf_of="Practitioner/doctor", delegator=DOCTOR
)
EVIDENCE = Evidence("Patient/p", "Condition", frozenset(), frozenset(), frozenset(), "permit")
MASKS, REMOVES = (
    Obligations(frozenset({Redaction(one, "Patient.name")})) for one in ("mask", "remove")
)


def case(closure: ActorClosure | None = None) -> Case:
    return open_case(COMPILED, SECRETARY, closure or ActorClosure(behind=ActorClosure()), "read", PARIS)  # fmt: skip


def decision(effect: Effect, obligations: Obligations = MASKS, consent: str = "Consent/1") -> Decision:  # fmt: skip
    reasons = (Reason("policy", Verdict(effect.value), "rule", "why"),)
    return Decision(effect, reasons, obligations, frozenset({consent}), evidence=(EVIDENCE,))


def test_where_both_permit_what_either_is_obliged_to_holds() -> None:
    own, theirs = decision(Effect.PERMIT), decision(Effect.PERMIT, REMOVES, "Consent/2")
    joined = within(case(), own, theirs)
    assert joined.permits
    assert joined.obligations.redactions == MASKS.redactions | REMOVES.redactions
    assert joined.consents == {"Consent/1", "Consent/2"}


def test_what_the_other_is_refused_the_caller_is_refused_and_no_policy_changes_that() -> None:
    refused = within(case(), decision(Effect.PERMIT), decision(Effect.DENY))
    assert not refused.permits
    assert refused.reasons[0].voice == VOICE
    assert all(one.barred for one in refused.evidence)
    assert not refused.obligations.redactions


def test_the_same_two_decisions_come_to_the_very_same_one() -> None:
    own, theirs, opened = decision(Effect.PERMIT), decision(Effect.PERMIT, REMOVES), case()
    assert within(opened, own, theirs) is within(opened, own, theirs)
    assert within(opened, decision(Effect.PERMIT), theirs) is not within(opened, own, theirs)


@given(st.lists(st.sampled_from(list(Effect)), min_size=1, max_size=20))
def test_nothing_is_opened_by_the_one_behind(effects: list[Effect]) -> None:
    opened = case()
    for effect in effects:
        assert within(opened, decision(Effect.PERMIT), decision(effect)).effect is effect


def test_the_case_of_a_delegate_has_rules_for_delegates_and_universal_types_alone() -> None:
    opened = case()
    assert {one.rule.id for one in opened.permits} == {"directory-is-open"}
    assert opened.emergency is None
    assert opened.behind is not None
    assert opened.behind.principal is DOCTOR
    assert {one.rule.id for one in opened.behind.permits} > {"directory-is-open"}


@pytest.mark.parametrize("closure", [ActorClosure()])
def test_whoever_cannot_be_told_is_behind_nothing(closure: ActorClosure) -> None:
    behind = case(closure).behind
    assert behind is not None
    assert not behind.closure.complete


def test_what_the_other_may_not_ask_the_caller_may_not_ask() -> None:
    stranger = principal(fhir_user=None, kind=PrincipalKind.UNKNOWN)
    acting = principal(fhir_user="Practitioner/secretary", delegator=stranger)
    closure = ActorClosure(behind=ActorClosure())
    assert decide_request(case(), "Practitioner").permits
    opened = open_case(COMPILED, acting, closure, "read", PARIS)
    assert not decide_request(opened, "Practitioner").permits
