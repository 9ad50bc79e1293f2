"""Decisions under a break-glass grant: what it opens, what nothing opens, and what it never changes."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.decision.case import Case, CompiledPolicies, compile_policies, open_case
from proxy.decision.decide import decide_request, decide_resource
from proxy.decision.emergency import CEILING, DENIED, NEVER, serves
from proxy.decision.explain import explain_request
from proxy.decision.model import Decision
from proxy.decision.voices import judge
from proxy.facts.grant import Grant, by_patient, holder_of
from proxy.facts.model import ALWAYS, Actor, ActorClosure, Facts, Membership, PatientFacts
from proxy.fhir.coding import ACT_CODE, CONFIDENTIALITY, Coding, Effect
from proxy.fhir.envelope import Envelope, Inline, Part
from proxy.identity.principal import Principal
from proxy.identity.scopes import parse_scopes
from proxy.policy.load import load
from tests.facts.consents import Json, actor, deny, permit, purpose, r4, read4
from tests.policy import packs
from tests.situations import (
    BASELINE,
    DOCTOR,
    NURSE,
    PARIS,
    PAYER,
    Situation,
    principal_of,
    situations,
)
from tests.stage import NOW

COMPILED = compile_policies(BASELINE)
EXPIRES = NOW + 100
WHO = principal_of("Practitioner/dr-outis", DOCTOR, "TREAT")
OBSERVATION = Envelope(
    "Observation", "o1", "1", "", frozenset(), frozenset({"Patient/p"}), frozenset(), "", frozenset(), frozenset()
)  # fmt: skip


def grant_of(who: Principal, patient: str = "Patient/p", **changed: Any) -> Grant:
    return replace(Grant(f"g-{patient}", holder_of(who), patient, NOW - 10, EXPIRES), **changed)


def envelope(
    *labels: str, rtype: str = "Observation", about: tuple[str, ...] = ("Patient/p",)
) -> Envelope:
    systems = {code: CONFIDENTIALITY if len(code) == 1 else ACT_CODE for code in labels}
    codings = frozenset(Coding(systems[code], code) for code in labels)
    return Envelope(
        rtype, "o1", "1", "", codings, frozenset(about), frozenset(), "", frozenset(), frozenset()
    )


def case_of(
    who: Principal = WHO, compiled: CompiledPolicies = COMPILED, interaction: str = "read"
) -> Case:
    return open_case(compiled, who, closure_of(who), interaction, PARIS)


@cache
def closure_of(who: Principal) -> ActorClosure:
    return ActorClosure(frozenset({who.fhir_user or ""}))


def facts_of(
    who: Principal,
    *grants: Grant,
    consents: tuple[Json, ...] = (),
    now: float = NOW,
    patients: tuple[str, ...] = ("Patient/p", "Patient/q"),
) -> Facts:
    known = {
        one: PatientFacts(
            one, tuple(replace(read4(r4(each)), patient=one) for each in consents), ()
        )
        for one in patients
    }
    return Facts(closure_of(who), now, known, by_patient(grants))


def decided(
    who: Principal = WHO,
    what: Envelope = OBSERVATION,
    consents: tuple[Json, ...] = (),
    compiled: CompiledPolicies = COMPILED,
    **changed: Any,
) -> Decision:
    facts = facts_of(who, grant_of(who, **changed), consents=consents)
    return decide_resource(case_of(who, compiled), what, facts)


def test_a_grant_opens_what_no_consent_forbids_and_is_named_in_the_decision() -> None:
    assert not decide_resource(case_of(), OBSERVATION, facts_of(WHO)).permits
    decision = decided()
    assert decision.permits
    assert [one.id for one in decision.grants] == ["g-Patient/p"]
    assert {reason.source for reason in decision.reasons} == {"break-glass-reads"}


def test_what_bounds_a_ceremony_is_absolute() -> None:
    emergency = COMPILED.emergency
    assert emergency is not None
    assert emergency.denies
    assert all(one.absolute and one.effect is Effect.DENY for one in emergency.denies)


@pytest.mark.parametrize(
    ("purpose", "trusted", "expected"),
    [("BTG", ("i",), True), ("BTG", ("j",), False), ("BTG", (), False), ("TREAT", ("i",), False)],
)
def test_whose_word_is_enough(purpose: str, trusted: tuple[str, ...], *, expected: bool) -> None:
    emergency = COMPILED.emergency
    assert emergency is not None
    section = emergency.section.model_copy(update={"trusts_purpose_of": trusted})
    who = principal_of("Practitioner/dr-outis", DOCTOR, purpose)
    assert replace(emergency, section=section).trusts(who) is expected


def test_the_case_of_a_grant_opens_nothing_to_who_has_none_for_the_patient() -> None:
    under = case_of().emergency
    assert under is not None
    assert judge(under, OBSERVATION, facts_of(WHO, grant_of(WHO))).permits
    assert not judge(under, OBSERVATION, facts_of(WHO)).permits
    assert not judge(under, OBSERVATION, facts_of(WHO, grant_of(WHO, "Patient/q"))).permits


def test_a_grant_is_used_only_where_it_was_needed() -> None:
    decision = decided(consents=(permit(actor("Practitioner/dr-outis")),))
    assert decision.permits
    assert decision.grants == ()


SHUT: list[tuple[str, dict[str, Any], str]] = [
    ("confidentiality above the ceiling", {"what": envelope("R")}, CEILING),
    ("a sensitivity label, which is R at least", {"what": envelope("HIV")}, CEILING),
    ("what no grant opens, by label", {"what": envelope("PSYTHPN")}, f"{NEVER}[0]"),
    ("what no grant opens, by type", {"what": envelope(rtype="Consent")}, f"{NEVER}[1]"),
    ("an unknown label", {"what": envelope("CELEBRITY")}, f"{ACT_CODE}#CELEBRITY"),
    ("an opposition", {"consents": (deny(purpose("BTG")),)}, "Consent/"),
    ("a Consent that denies", {"consents": (deny(),)}, "Consent/"),
    ("a Consent that denies treatment", {"consents": (deny(purpose("TREAT")),)}, "Consent/"),
    ("the deny list", {"consents": (deny(actor("Practitioner/dr-outis")),)}, DENIED),
]  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "source"), [one[1:] for one in SHUT], ids=[one[0] for one in SHUT]
)
def test_what_a_grant_never_opens(asked: dict[str, Any], source: str) -> None:
    decision = decided(**asked)
    assert not decision.permits
    assert decision.grants == ()
    assert any(reason.source.startswith(source) for reason in decision.reasons)


@pytest.mark.parametrize(
    "changed",
    [
        {"expires": NOW},
        {"opened": NOW + 1},
        {"patient": "Patient/q"},
        {"holder": replace(holder_of(WHO), subject="another")},
        {"holder": replace(holder_of(WHO), client_id="another")},
        {"holder": replace(holder_of(WHO), issuer="another")},
    ],
    ids=str,
)
def test_a_grant_of_another_time_patient_person_or_client_opens_nothing(
    changed: dict[str, Any],
) -> None:
    assert not decided(**changed).permits


def test_a_resource_about_two_patients_needs_a_grant_for_both() -> None:
    both = envelope(about=("Patient/p", "Patient/q"))
    assert not decided(what=both).permits
    grants = grant_of(WHO), grant_of(WHO, "Patient/q")
    decision = decide_resource(case_of(), both, facts_of(WHO, *grants))
    assert decision.permits
    assert decision.grants == grants


CALLERS = [
    (principal_of("Practitioner/dr-outis", NURSE, "TREAT"), True),
    (principal_of("Practitioner/dr-outis", None, "TREAT"), False),
    (principal_of("Practitioner/dr-outis", PAYER, "TREAT"), False),
    (principal_of("Patient/q", DOCTOR, "TREAT"), False),
    (principal_of("Practitioner/dr-outis", DOCTOR, "BTG"), True),
    (principal_of("Practitioner/dr-outis", DOCTOR, "ETREAT"), True),
    (principal_of("Practitioner/dr-outis", DOCTOR, "HRESCH"), False),
    (principal_of("Practitioner/dr-outis", DOCTOR, "urn:x#emergency"), False),
    (replace(WHO, purposes=frozenset({"TREAT", "HPAYMT"})), False),
    (replace(WHO, purposes=frozenset()), True),
    (replace(WHO, scopes=parse_scopes("user/Condition.rs")), False),
    (replace(WHO, scopes=parse_scopes("patient/*.rs"), patient="Patient/q"), False),
    (replace(WHO, scopes=parse_scopes("patient/*.rs"), patient="Patient/p"), True),
    (replace(WHO, pcf="{}"), False),
]


@pytest.mark.parametrize(("who", "seen"), CALLERS, ids=range(len(CALLERS)))
def test_role_purpose_scope_and_the_tokens_own_rules_bind_under_a_grant(
    who: Principal, *, seen: bool
) -> None:
    assert decided(who).permits is seen


def test_who_cannot_be_told_is_served_by_no_grant() -> None:
    nobody = principal_of("Practitioner/dr-outis", None, "TREAT")
    closure = ActorClosure(frozenset({"Practitioner/dr-outis"}), complete=False)
    assert open_case(COMPILED, nobody, closure, "read", PARIS).emergency is None


def test_where_the_patients_facts_are_unknown_a_grant_opens_nothing() -> None:
    for known in (PatientFacts("Patient/p", None, ()), PatientFacts("Patient/p", (), None)):
        facts = Facts(closure_of(WHO), NOW, {"Patient/p": known}, by_patient([grant_of(WHO)]))
        assert not decide_resource(case_of(), OBSERVATION, facts).permits


def test_a_purpose_serves_only_treatment() -> None:
    assert serves(frozenset())
    assert serves(frozenset({"TREAT", "ETREAT", "BTG"}))
    assert not serves(frozenset({"HOPERAT"}))


LENIENT = """\
policy: ward
version: "1"
source: house rule
unlabelled: N
break_glass: {may_open: {kind: [practitioner]}, reasons: ["fr#URGENCE"], ceiling: V}
rules:
  - id: emergency
    effect: permit
    lifts: [consent, list]
    target: {principal: {relationship: [break-glass]}}
  - id: listed
    effect: deny
    tag: list
    target: {principal: {relationship: [denied]}}
"""


@pytest.fixture(scope="module")
def lenient(tmp_path_factory: pytest.TempPathFactory) -> CompiledPolicies:
    """A house whose rule lifts what it can."""
    folder: Path = packs.write(tmp_path_factory.mktemp("lenient"), policy=LENIENT)
    return compile_policies(load(folder))


@pytest.mark.parametrize(
    ("consents", "seen"),
    [
        ((deny(purpose("TREAT")),), True),
        ((deny(),), True),
        ((deny(purpose("BTG")),), False),
        ((permit(), deny(purpose("BTG"))), False),
        ((deny(actor("Practitioner/dr-outis")),), False),
        ((deny(purpose("TREAT"), but=(permit(purpose("BTG")),)),), True),
    ],
)
def test_no_rule_lifts_an_express_opposition_or_the_deny_list(
    lenient: CompiledPolicies, consents: tuple[Json, ...], *, seen: bool
) -> None:
    assert decided(consents=consents, compiled=lenient).permits is seen


def test_without_a_ceremony_in_force_a_grant_is_nothing() -> None:
    without = compile_policies(replace(BASELINE, break_glass=None))
    assert without.emergency is None
    assert not decided(compiled=without).permits


def test_nothing_decided_under_a_grant_is_given_after_it() -> None:
    case, who = case_of(), WHO
    facts = facts_of(who, grant_of(who))
    assert decide_resource(case, OBSERVATION, facts).permits
    assert decide_resource(case, OBSERVATION, replace(facts, now=EXPIRES - 1)).permits
    assert not decide_resource(case, OBSERVATION, replace(facts, now=EXPIRES)).permits
    assert not decide_resource(case, OBSERVATION, replace(facts, grants={})).permits
    again = replace(facts, grants=by_patient([grant_of(who, id="g-later")]))
    assert [one.id for one in decide_resource(case, OBSERVATION, again).grants] == ["g-later"]


def test_what_is_kept_under_a_grant_ends_with_it() -> None:
    case = case_of()
    decide_resource(case, OBSERVATION, facts_of(WHO, grant_of(WHO)))
    assert case.emergency is not None
    assert {kept.until for kept in case.emergency.kept.values()} == {EXPIRES}


# ---- admission -------------------------------------------------------------------------------------------------------


def test_a_request_that_only_a_grant_can_serve_is_admitted_for_who_holds_one() -> None:
    nurse = principal_of("Practitioner/n", NURSE, "TREAT")
    only = replace(
        BASELINE, rules=tuple(one for one in BASELINE.rules if one.id == "break-glass-reads")
    )
    case = case_of(nurse, compile_policies(only))
    assert not decide_request(case, "Observation").permits
    assert decide_request(case, "Observation", granted=True).permits
    assert explain_request(case, "Observation", granted=True).effect == "permit"
    assert explain_request(case, "Observation").effect == "deny"


def test_a_grant_admits_nothing_beyond_the_scopes() -> None:
    case = case_of(replace(WHO, scopes=parse_scopes("user/Condition.rs")))
    assert not decide_request(case, "Observation", granted=True).permits
    assert decide_request(case, "Observation", granted=True) == decide_request(case, "Observation")


def test_without_a_grant_nothing_is_admitted_otherwise() -> None:
    for rtype in ("Observation", "Consent", "Practitioner"):
        for who, _ in CALLERS:
            with_none = decide_request(case_of(who), rtype)
            without = decide_request(
                case_of(who, compile_policies(replace(BASELINE, break_glass=None))), rtype
            )
            assert with_none == without


# ---- laws ------------------------------------------------------------------------------------------------------------


def compared(
    situation: Situation, grants: Mapping[str, Grant], now: float = NOW
) -> tuple[Decision, Decision]:
    """What is decided without and with grants."""
    who = situation.principal
    known = {
        one: PatientFacts(
            one,
            tuple(replace(each, patient=one) for each in situation.directives),
            situation.memberships,
        )
        for one in situation.envelope.patients or ()
    }
    facts = Facts(closure_of(who), now, known)
    case = case_of(who)
    ordinary = decide_resource(case, situation.envelope, facts)
    return ordinary, decide_resource(case, situation.envelope, replace(facts, grants=grants))


@given(situation=situations)
def test_a_grant_for_one_patient_changes_no_decision_about_another(situation: Situation) -> None:
    ordinary, granted = compared(
        situation, by_patient([grant_of(situation.principal, "Patient/nobody-else")])
    )
    assert granted == ordinary


@given(situation=situations)
def test_an_expired_grant_equals_none(situation: Situation) -> None:
    grants = [
        grant_of(situation.principal, one, expires=NOW) for one in situation.envelope.patients or ()
    ]
    ordinary, granted = compared(situation, by_patient(grants))
    assert granted == ordinary


FORBIDDEN = st.sampled_from([("R",), ("V",), ("PSYTHPN",), ("HIV",), ("N", "PSYTHPN")])


@given(situation=situations, labels=FORBIDDEN)
def test_adding_a_grant_discloses_nothing_above_the_ceiling_or_never_opened(
    situation: Situation, labels: tuple[str, ...]
) -> None:
    what = situation.envelope.labelled(envelope(*labels).labels)
    grants = [grant_of(situation.principal, one) for one in what.patients or ()]
    ordinary, granted = compared(replace(situation, envelope=what), by_patient(grants))
    assert granted.permits is ordinary.permits


@given(situation=situations)
def test_a_grant_takes_nothing_away(situation: Situation) -> None:
    grants = [grant_of(situation.principal, one) for one in situation.envelope.patients or ()]
    ordinary, granted = compared(situation, by_patient(grants))
    if ordinary.permits:
        assert granted == ordinary


def test_memberships_are_no_grants() -> None:
    """Whatever a resource upstream calls itself, a grant is had from the journal alone."""
    tie = Membership("break-glass", Actor("Practitioner/dr-outis"), ALWAYS, "CareTeam/forged")
    facts = Facts(closure_of(WHO), NOW, {"Patient/p": PatientFacts("Patient/p", (), (tie,))})
    assert not decide_resource(case_of(), OBSERVATION, facts).permits


ELEMENTS = """\
policy: ward
version: "1"
source: house rule
unlabelled: N
break_glass: {may_open: {kind: [practitioner]}, reasons: ["fr#URGENCE"], ceiling: V}
rules:
  - id: all
    effect: permit
    target: {principal: {kind: [practitioner]}, resource: {type: [Observation]}}
  - id: not-above
    effect: deny
    tag: high
    target: {resource: {confidentiality_above: N}}
  - id: emergency
    effect: permit
    lifts: [high]
    target: {principal: {relationship: [break-glass]}}
"""


def test_one_element_that_only_a_grant_opens_is_a_use_of_it(tmp_path: Path) -> None:
    compiled = compile_policies(load(packs.write(tmp_path, policy=ELEMENTS)))
    restricted = Part(("note", 0), frozenset({Coding(CONFIDENTIALITY, "R")}))
    what = msgspec.structs.replace(OBSERVATION, inline=Inline(frozenset(), (restricted,)))
    without = decide_resource(case_of(compiled=compiled), what, facts_of(WHO))
    assert without.permits
    assert {one.operator for one in without.obligations.redactions} == {"cut"}
    decision = decided(what=what, compiled=compiled)
    assert not decision.alters
    assert [one.id for one in decision.grants] == ["g-Patient/p"]


def test_no_grant_opens_anything_in_bulk() -> None:
    who = principal_of("Practitioner/x", DOCTOR, "TREAT")
    closure = ActorClosure(roles=who.roles, complete=True)
    assert open_case(COMPILED, who, closure, "read", PARIS, NOW).emergency is not None
    assert open_case(COMPILED, who, closure, "export", PARIS, NOW).emergency is None
