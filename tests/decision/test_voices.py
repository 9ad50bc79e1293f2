"""The truth table of decisions §2, row by row, and what each voice says."""

from dataclasses import replace

import pytest

from proxy.decision.case import compile_policies, open_case
from proxy.decision.model import Verdict
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
from proxy.fhir.coding import CONFIDENTIALITY, Coding
from proxy.identity.principal import Principal, PrincipalKind
from proxy.identity.scopes import parse_scopes
from tests.facts.consents import actor, deny, permit
from tests.situations import BASELINE, DOCTOR, NURSE, PARIS, consent_of, envelope_of, principal_of
from tests.stage import NOW, Json

MARTIN = "Practitioner/dr-martin"
TEAM = Membership("care-team", Actor(reference=MARTIN), ALWAYS, "CareTeam/t")
GP = Membership("general-practitioner", Actor(reference=MARTIN), ALWAYS, "Patient/camille")
PERMIT, DENY = consent_of(permit()), consent_of(deny(actor(MARTIN)))
DOCTOR_MARTIN = principal_of(MARTIN, DOCTOR, "TREAT")
V, N = Coding(CONFIDENTIALITY, "V"), Coding(CONFIDENTIALITY, "N")
VIP = Coding("http://labels.example.org", "VIP")


def decided(
    resource: Json,
    directives: tuple[ConsentDirective, ...] | None = (PERMIT,),
    memberships: tuple[Membership, ...] | None = (TEAM,),
    who: Principal = DOCTOR_MARTIN,
    *labels: Coding,
) -> tuple[bool, set[tuple[str, Verdict]]]:
    envelope = envelope_of(resource)
    envelope = envelope.labelled(envelope.labels | set(labels))
    closure = ActorClosure(frozenset({who.fhir_user or ""}))
    told = None if directives is None else directives
    known = {}
    for one in envelope.patients or ():
        own = None if told is None else tuple(replace(said, patient=one) for said in told)
        known[one] = PatientFacts(one, own, memberships)
    case = open_case(compile_policies(BASELINE), who, closure, "read", PARIS)
    decision = judge(case, envelope, Facts(closure, NOW, known))
    return decision.permits, {(reason.voice, reason.verdict) for reason in decision.reasons}


CAMILLE: Json = {"subject": {"reference": "Patient/camille"}}
BOTH: Json = {**CAMILLE, "focus": [{"reference": "Patient/leo"}]}
WRITTEN: Json = {**CAMILLE, "performer": [{"reference": MARTIN}]}


def test_a_permit_and_nothing_against_it_is_a_permit() -> None:
    permits, reasons = decided(CAMILLE)
    assert permits
    assert reasons == {("policy", Verdict.PERMIT), ("consent", Verdict.PERMIT)}


def test_nothing_for_it_is_a_deny() -> None:
    assert decided(CAMILLE, (), ()) == (False, {("policy", Verdict.NOT_APPLICABLE)})


def test_one_deny_is_enough() -> None:
    permits, reasons = decided(CAMILLE, (PERMIT, DENY))
    assert not permits
    assert ("consent", Verdict.DENY) in reasons


def test_an_unknown_is_a_deny_whatever_else_is_said() -> None:
    assert decided(CAMILLE, None) == (False, decided(CAMILLE, None)[1])
    assert ("consent", Verdict.UNKNOWN) in decided(CAMILLE, None)[1]
    permits, reasons = decided(CAMILLE, (PERMIT,), (TEAM,), DOCTOR_MARTIN, VIP)
    assert not permits
    assert ("label", Verdict.UNKNOWN) in reasons


def test_a_deny_can_be_lifted_by_who_may() -> None:
    assert not decided(CAMILLE, (PERMIT,), (TEAM,), DOCTOR_MARTIN, V)[0]
    permits, reasons = decided(WRITTEN, (PERMIT,), (TEAM,), DOCTOR_MARTIN, V)
    assert permits
    assert ("policy", Verdict.DENY) in reasons


@pytest.mark.parametrize(
    "resource", [{"subject": {"reference": "Group/g"}}, {"subject": {"display": "x"}}]
)
def test_whom_it_is_about_cannot_be_told(resource: Json) -> None:
    assert decided(resource) == (False, {("patient", Verdict.UNKNOWN)})


def test_about_two_patients_both_must_permit() -> None:
    assert decided(BOTH)[0]
    closure = ActorClosure(frozenset({MARTIN}))
    case = open_case(compile_policies(BASELINE), DOCTOR_MARTIN, closure, "read", PARIS)
    one = PatientFacts("Patient/camille", (replace(PERMIT, patient="Patient/camille"),), (TEAM,))
    for other in (
        PatientFacts("Patient/leo", (), (TEAM,)),
        PatientFacts("Patient/leo", None, None),
        None,
    ):
        known = {"Patient/camille": one, **({"Patient/leo": other} if other else {})}
        assert not judge(case, envelope_of(BOTH), Facts(closure, NOW, known)).permits


CONTEXT = [
    ("patient/*.rs", "Patient/camille", True),
    ("patient/*.rs", "Patient/leo", False),
    ("patient/*.rs", None, False),
    ("patient/*.rs user/Observation.rs", "Patient/leo", True),
    ("user/Condition.rs", None, False),
]


@pytest.mark.parametrize(("scopes", "patient", "expected"), CONTEXT)
def test_scopes_are_a_ceiling(scopes: str, patient: str | None, *, expected: bool) -> None:
    who = replace(DOCTOR_MARTIN, scopes=parse_scopes(scopes), patient=patient)
    assert decided(CAMILLE, who=who)[0] is expected


def test_redactions_follow_the_rule_that_permits() -> None:
    nurse = principal_of(MARTIN, NURSE, "TREAT")
    closure = ActorClosure(frozenset({MARTIN}))
    facts = Facts(closure, NOW, {"Patient/camille": PatientFacts("Patient/camille", (replace(PERMIT, patient="Patient/camille"),), (TEAM,))})  # fmt: skip
    paths = {}
    for name, who in (("nurse", nurse), ("doctor", DOCTOR_MARTIN)):
        case = open_case(compile_policies(BASELINE), who, closure, "read", PARIS)
        decision = judge(case, envelope_of(CAMILLE), facts)
        assert decision.permits
        paths[name] = {one.path for one in decision.obligations.redactions}
    hidden = {
        f"{rtype}.{element}"
        for rtype in ("Patient", "Person")
        for element in ("telecom", "address")
    }
    assert paths == {"nurse": hidden, "doctor": set()}


HOUSE = "Organization/hopital"


def as_employee(resource: Json, *labels: Coding) -> bool:
    """Decided for a physician whose closure holds the organisation that is named as author."""
    envelope = envelope_of(resource)
    envelope = envelope.labelled(envelope.labels | set(labels))
    closure = ActorClosure(frozenset({MARTIN, HOUSE}))
    known = {"Patient/camille": PatientFacts("Patient/camille", (PERMIT,), (TEAM,))}
    case = open_case(compile_policies(BASELINE), DOCTOR_MARTIN, closure, "read", PARIS)
    return judge(case, envelope, Facts(closure, NOW, known)).permits


def test_what_an_organisation_wrote_is_not_written_by_each_of_its_people() -> None:
    by_house: Json = {**CAMILLE, "performer": [{"reference": HOUSE}]}
    assert as_employee(by_house, N)
    assert not as_employee(by_house, V)
    assert as_employee({**by_house, "performer": [{"reference": HOUSE}, {"reference": MARTIN}]}, V)


def test_a_consent_that_names_the_caller_holds_against_every_lift() -> None:
    mother = principal_of("RelatedPerson/mother", DOCTOR, "FAMRQT")
    mother = replace(mother, kind=PrincipalKind.RELATED_PERSON)
    guardian = Membership(
        "guardian", Actor(reference="RelatedPerson/mother"), ALWAYS, "RelatedPerson/mother"
    )
    others = consent_of(deny(actor("Practitioner/other")))
    narrow = {
        **deny(actor("RelatedPerson/mother")),
        "class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Observation"}],
    }
    everybody = consent_of(deny())
    assert decided(CAMILLE, (others,), (guardian,), mother)[0]
    assert decided(CAMILLE, (everybody,), (guardian,), mother)[0]
    assert not decided(CAMILLE, (consent_of(narrow),), (guardian,), mother)[0]
