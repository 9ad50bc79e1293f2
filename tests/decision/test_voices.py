"""The truth table of decisions §2, row by row, and what each voice says."""

from dataclasses import replace

import msgspec
import pytest

from proxy.decision.case import compile_policies, open_case
from proxy.decision.model import Decision, Evidence, Reason, Verdict
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
from proxy.fhir.coding import CONFIDENTIALITY, Coding, Effect
from proxy.fhir.envelope import Envelope
from proxy.identity.principal import Principal, PrincipalKind
from proxy.identity.scopes import parse_scopes
from proxy.policy.model import Matrix, PolicySet, Rule
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
    assert paths == {"nurse": hidden | {"Extension.url"}, "doctor": set()}


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


# ---- what is told with a decision ------------------------------------------------------------------------------------

NOBODYS = Envelope(
    "Organization", "o", "1", "", frozenset({N}), frozenset({"Patient/camille"}), frozenset(), "", frozenset(),
    frozenset(),
)  # fmt: skip
"""A resource of a type about nobody that names a patient all the same."""


def judged(
    envelope: Envelope,
    who: Principal = DOCTOR_MARTIN,
    policies: PolicySet = BASELINE,
    *directives: ConsentDirective,
) -> Decision:
    closure = ActorClosure(frozenset({who.fhir_user or ""}))
    case = open_case(compile_policies(policies), who, closure, "read", PARIS)
    known = {
        one: PatientFacts(one, tuple(replace(said, patient=one) for said in directives), (TEAM,))
        for one in envelope.patients or ()
    }
    return judge(case, envelope, Facts(closure, NOW, known))


def scoped(scopes: str, patient: str | None = None) -> Principal:
    return replace(DOCTOR_MARTIN, scopes=parse_scopes(scopes), patient=patient)


BEFORE_ANY_VOICE: list[tuple[Envelope, Principal, Reason]] = [
    (
        envelope_of({"subject": {"display": "x"}}),
        DOCTOR_MARTIN,
        Reason("patient", Verdict.UNKNOWN, "Observation", "whom it is about cannot be told"),
    ),
    (
        NOBODYS,
        DOCTOR_MARTIN,
        Reason("patient", Verdict.UNKNOWN, "Organization", "a type about nobody holds a patient's data"),
    ),
    (
        envelope_of(CAMILLE),
        scoped("user/Condition.rs"),
        Reason("scope", Verdict.DENY, "Observation", "no scope of the token covers this resource"),
    ),
    (
        envelope_of(CAMILLE),
        scoped("patient/*.rs", "Patient/leo"),
        Reason("scope", Verdict.DENY, "Observation", "outside the token's patient context"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("envelope", "who", "reason"), BEFORE_ANY_VOICE)
def test_what_is_refused_before_any_voice_is_heard_says_why(
    envelope: Envelope, who: Principal, reason: Reason
) -> None:
    assert judged(envelope, who, BASELINE, PERMIT) == Decision(Effect.DENY, (reason,))


def test_a_patient_scope_opens_what_is_about_nobody() -> None:
    of_nobody = msgspec.structs.replace(NOBODYS, patients=frozenset())
    assert judged(of_nobody, scoped("patient/*.rs", "Patient/leo")).permits


def test_a_decision_tells_what_it_was_made_from() -> None:
    decision = judged(envelope_of(WRITTEN), DOCTOR_MARTIN, BASELINE, PERMIT)
    assert decision.confidentiality == "N"
    assert decision.consents == {PERMIT.reference}
    told = Evidence(
        patient="Patient/camille",
        type="Observation",
        labels=frozenset(),
        codes=frozenset(),
        relationships=frozenset({"care-team", "author"}),
        consent="permit",
    )
    assert decision.evidence == (told,)
    named = consent_of(permit(actor(MARTIN)))
    assert [one.named for one in judged(envelope_of(CAMILLE), DOCTOR_MARTIN, BASELINE, named).evidence] == [True]  # fmt: skip


def test_of_relationships_that_are_unknown_the_evidence_says_so() -> None:
    closure = ActorClosure(frozenset({MARTIN}))
    case = open_case(compile_policies(BASELINE), DOCTOR_MARTIN, closure, "read", PARIS)
    known = {"Patient/camille": PatientFacts("Patient/camille", (PERMIT,), None)}
    [told] = judge(case, envelope_of(WRITTEN), Facts(closure, NOW, known)).evidence
    assert told.relationships is None


# ---- the matrix ------------------------------------------------------------------------------------------------------

LETTER = BASELINE.terms.coding("loinc#34133-9")
PLAN = BASELINE.terms.coding("loinc#18776-5")
WITH_MATRIX = replace(
    BASELINE,
    matrix=Matrix({("physician", LETTER): True, ("nurse", LETTER): False, ("nurse", PLAN): True}),
)
SHUT = Reason("policy", Verdict.DENY, "matrix", "no cell opens this type of document to the role")


def document(*codes: Coding, rtype: str = "DocumentReference") -> Envelope:
    return msgspec.structs.replace(envelope_of(CAMILLE), type=rtype, codes=frozenset(codes))


MATRIX: list[tuple[str, Coding | None, Envelope, bool]] = [
    ("a cell that says yes", DOCTOR, document(LETTER), True),
    ("a cell that says no", NURSE, document(LETTER), False),
    ("a missing cell", DOCTOR, document(PLAN), False),
    ("one of two types open", DOCTOR, document(LETTER, PLAN), True),
    ("a document without type", DOCTOR, document(), False),
    ("a composition", NURSE, document(LETTER, rtype="Composition"), False),
    ("no document", NURSE, document(LETTER, rtype="Observation"), True),
]


@pytest.mark.parametrize(
    ("role", "envelope", "expected"), [one[1:] for one in MATRIX], ids=[one[0] for one in MATRIX]
)
def test_a_document_is_open_to_whose_role_a_cell_says_so(
    role: Coding | None, envelope: Envelope, *, expected: bool
) -> None:
    who = principal_of(MARTIN, role, "TREAT")
    assert judged(envelope, who, BASELINE, PERMIT).permits
    decision = judged(envelope, who, WITH_MATRIX, PERMIT)
    assert decision.permits is expected
    assert (SHUT in decision.reasons) is not expected


def test_the_matrix_speaks_to_professionals_only() -> None:
    patient = principal_of("Patient/camille", None, "PATRQT")
    assert judged(document(PLAN), patient, WITH_MATRIX).permits


def test_no_rule_lifts_what_the_matrix_shuts() -> None:
    lifting = Rule.model_validate_json(
        '{"id": "all", "effect": "permit", "target": {"purpose": ["TREAT"]}, '
        '"lifts": ["matrix", "consent"]}'
    )
    open_to_all = replace(BASELINE, rules=(lifting,))
    shut = replace(open_to_all, matrix=WITH_MATRIX.matrix)
    everybody = consent_of(deny())
    assert judged(document(PLAN), DOCTOR_MARTIN, open_to_all, everybody).permits
    assert not judged(document(PLAN), DOCTOR_MARTIN, shut, everybody).permits
