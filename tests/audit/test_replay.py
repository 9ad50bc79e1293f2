"""Recorded decisions are made again from their evidence: alike under the same policies, and the differences told."""

from dataclasses import replace

import pytest
from hypothesis import given
from msgspec import structs

from proxy.audit.entry import Entry, Judged
from proxy.audit.record import Record, standing_of
from proxy.audit.replay import ADMITTED, Change, changes
from proxy.decision.case import compile_policies, open_case
from proxy.decision.decide import decide_request, decide_resource
from proxy.decision.model import Decision
from proxy.decision.supposed import grants_of
from proxy.facts.grant import holder_of
from proxy.facts.model import ALWAYS, Actor, ActorClosure, Facts, Membership, PatientFacts
from proxy.fhir.coding import CONFIDENTIALITY, Coding
from proxy.fhir.interaction import FhirRequest, Interaction, RawRequest
from proxy.policy.campaign import Dated
from proxy.policy.model import PolicySet, Rule
from tests.facts.consents import permit
from tests.situations import (
    BASELINE,
    DOCTOR,
    PARIS,
    Situation,
    consent_of,
    envelope_of,
    principal_of,
    rule_lists,
    situations,
    with_rules,
)
from tests.stage import NOW

MARTIN = "Practitioner/dr-martin"
TEAM = Membership("care-team", Actor(reference=MARTIN), ALWAYS, "CareTeam/t")
CAMILLE = {"subject": {"reference": "Patient/camille"}}


def recorded(
    situation: Situation, policies: PolicySet, *, granted: bool = False
) -> tuple[Entry, Decision, Decision]:
    """What the journal keeps of a read, with the two decisions that were made."""
    principal, envelope = situation.principal, situation.envelope
    closure = ActorClosure(frozenset({principal.fhir_user or ""}))
    case = open_case(compile_policies(policies), principal, closure, "read", PARIS)
    known = {
        patient: PatientFacts(
            patient,
            tuple(replace(one, patient=patient) for one in situation.directives),
            situation.memberships,
        )
        for patient in envelope.patients or ()
    }
    grants = grants_of(known, ["break-glass"] if granted else [], holder_of(principal), NOW)
    admission = decide_request(case, envelope.type, granted=granted)
    decision = decide_resource(case, envelope, Facts(closure, NOW, known, grants))
    raw = RawRequest("GET", "/fhir/Observation/x", {}, b"", "r")
    record = Record("e", NOW, raw, principal=principal, standing=standing_of(case))
    record.request = FhirRequest(Interaction.READ, envelope.type, "x")
    patients = tuple(sorted(envelope.patients or ()))
    if admission.permits:
        record.touch("Observation/x", "disclosed", decision, patients, ())
    else:
        record.decide(admission)
    return record.entry(200), admission, decision


def compared(entry: Entry, old: PolicySet, new: PolicySet) -> list[Change]:
    return list(changes([entry], compile_policies(old), compile_policies(new)))


NOTHING = Rule.model_validate_json(
    '{"id": "shut", "effect": "deny", "absolute": true, "target": {"interaction": ["read"]}}'
)


@given(situation=situations, rules=rule_lists)
def test_a_set_differs_from_itself_in_nothing(situation: Situation, rules: list[Rule]) -> None:
    policies = with_rules(rules)
    entry, _, _ = recorded(situation, policies)
    assert compared(entry, policies, policies) == []


@given(situation=situations, rules=rule_lists)
def test_what_is_replayed_is_what_was_decided(situation: Situation, rules: list[Rule]) -> None:
    """Against a set that permits nothing, exactly the recorded permits change, with their redactions."""
    policies = with_rules(rules)
    entry, admission, decision = recorded(situation, policies)
    found = compared(entry, policies, with_rules([NOTHING]))
    permitted = admission.permits and decision.permits
    assert [one.old.effect for one in found] == (["permit"] if permitted else [])
    for one in found:
        redacted = {(r.operator, r.path, r.argument) for r in decision.obligations.redactions}
        assert set(one.old.redacted) == redacted
        assert one.new.effect == "deny"


@given(situation=situations, rules=rule_lists, others=rule_lists)
def test_what_another_set_would_decide_is_what_is_told(
    situation: Situation, rules: list[Rule], others: list[Rule]
) -> None:
    old, new = with_rules(rules), with_rules(others)
    entry, admission, _ = recorded(situation, old)
    _, admitted, decision = recorded(situation, new)
    if admission.permits and entry.decisions[0].evidence:
        told = {one.new.effect for one in compared(entry, old, new)}
        assert told <= {"permit" if admitted.permits and decision.permits else "deny"}


DOCTOR_READS = Situation(
    principal_of(MARTIN, DOCTOR, "TREAT"), envelope_of(CAMILLE), (consent_of(permit()),), (TEAM,)
)


def without(rule_id: str) -> PolicySet:
    return with_rules([rule for rule in BASELINE.rules if rule.id != rule_id])


def test_a_campaign_is_replayed_as_it_stood_when_it_was_recorded() -> None:
    """The rule by which it was permitted holds within a campaign: the same as ever within, nothing before."""
    entry, _, decision = recorded(DOCTOR_READS, BASELINE)
    [rule] = {one.source for one in decision.reasons if one.voice == "policy"}
    dated = {"id": "autumn", "description": "d", "source": "s"}
    within = Dated.model_validate({**dated, "from": "2026-11-01", "until": "2026-11-30"})
    before = Dated.model_validate({**dated, "from": "2026-09-01", "until": "2026-09-30"})
    assert compared(entry, BASELINE, replace(BASELINE, campaigns={rule: within})) == []
    [change] = compared(entry, BASELINE, replace(BASELINE, campaigns={rule: before}))
    assert (change.old.effect, change.new.effect) == ("permit", "deny")


def test_a_change_names_the_rules_and_who_is_concerned() -> None:
    entry, _, decision = recorded(DOCTOR_READS, BASELINE)
    assert decision.permits
    rules = {one.source for one in decision.reasons if one.voice == "policy"}
    emptied = with_rules([rule for rule in BASELINE.rules if rule.id not in rules])
    [change] = compared(entry, BASELINE, emptied)
    assert (change.kind, change.interaction, change.type) == ("practitioner", "read", "Observation")
    assert change.roles == ("doctor",)
    assert change.resources == 1
    assert rules <= set(change.old.why)


@pytest.mark.parametrize("voice", ["scope", "token", "patient"])
def test_what_the_token_refused_stays_refused(voice: str) -> None:
    refused = Judged("deny", ((voice, "deny", "", ""),))
    entry = Entry(
        "e", NOW, "r", "denied", 403, "GET", "/", "read", "Observation", decisions=(refused,)
    )
    assert compared(entry, with_rules([]), BASELINE) == []


def test_a_request_that_would_go_up_is_told_as_admitted_and_no_more() -> None:
    entry, admission, _ = recorded(DOCTOR_READS, with_rules([]))
    assert not admission.permits
    [change] = compared(entry, with_rules([]), BASELINE)
    assert (change.old.effect, change.new.effect, change.resources) == ("deny", ADMITTED, 0)


def test_labels_are_judged_anew_by_the_rules_of_each_set() -> None:
    restricted = replace(
        DOCTOR_READS,
        envelope=envelope_of(
            CAMILLE | {"meta": {"security": [{"system": CONFIDENTIALITY, "code": "V"}]}}
        ),
    )
    entry, _, _ = recorded(restricted, BASELINE)
    [evidence] = entry.decisions[0].evidence
    assert Coding(*evidence.labels[0]) == Coding(CONFIDENTIALITY, "V")


def test_what_left_under_a_grant_is_replayed_under_one() -> None:
    outsider = principal_of("Practitioner/dr-outis", DOCTOR, "TREAT")
    situation = Situation(outsider, envelope_of(CAMILLE), (), ())
    entry, _, decision = recorded(situation, BASELINE, granted=True)
    assert decision.grants
    assert compared(entry, BASELINE, BASELINE) == []
    [change] = compared(entry, BASELINE, replace(BASELINE, break_glass=None))
    assert (change.old.effect, change.new.effect) == ("permit", "deny")


def test_what_leaves_together_is_replayed_part_by_part() -> None:
    """A Bundle of two types: who would lose one of them would lose the Bundle."""
    inner = tuple(
        structs.replace(DOCTOR_READS.envelope, type=rtype, id=rtype, matter=None)
        for rtype in ("Observation", "Condition")
    )
    held = structs.replace(inner[0], type="Bundle", inside=inner)
    entry, _, decision = recorded(replace(DOCTOR_READS, envelope=held), BASELINE)
    assert decision.permits
    assert {one.type for one in entry.decisions[0].evidence} == {
        "Bundle",
        "Observation",
        "Condition",
    }
    assert compared(entry, BASELINE, BASELINE) == []
    shut = Rule.model_validate_json(
        '{"id": "no-conditions", "effect": "deny", "absolute": true, "target": {"resource": {"type": ["Condition"]}}}'
    )
    [change] = compared(entry, BASELINE, with_rules([*BASELINE.rules, shut]))
    assert (change.old.effect, change.new.effect) == ("permit", "deny")
    assert "no-conditions" in change.new.why
