from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.decision.case import compile_policies, open_case
from proxy.decision.constraints import Question
from proxy.decision.decide import Decider, decide_request, decide_resource
from proxy.decision.model import Verdict
from proxy.decision.provisions import consent_verdict
from proxy.decision.residual import VOICE, forbidden, unhonoured
from proxy.decision.voices import judge
from proxy.facts.model import (
    ActorClosure,
    ConsentDirective,
    Facts,
    PatientFacts,
    Period,
    Provision,
    ProvisionDatum,
    Restriction,
)
from proxy.fhir.coding import ACT_CODE, CONFIDENTIALITY, Coding, Effect, Identifier
from proxy.fhir.envelope import UNTOLD, Envelope, Matter
from proxy.identity.principal import Principal
from proxy.policy.model import Rule
from tests.facts.consents import PARIS
from tests.situations import BASELINE, DOCTOR, consent_of, envelope_of, principal_of
from tests.stage import NOW, Json

WHO = principal_of("Practitioner/a", DOCTOR, "TREAT")
P1 = "Patient/p1"
N, R, PSY, SDV = (
    Coding(CONFIDENTIALITY, "N"),
    Coding(CONFIDENTIALITY, "R"),
    Coding(ACT_CODE, "PSY"),
    Coding(ACT_CODE, "SDV"),
)
WEIGHT = Envelope(
    "Observation", "o", "1", "", frozenset({N}), frozenset({P1}), frozenset({"Practitioner/x"}), "2024-05-01",
    frozenset(), frozenset(),
)  # fmt: skip


def forbid(*labels: Coding, period: Period | None = None, **data: str) -> Provision:
    return rule(Effect.DENY, *labels, period=period, **data)


def permit(*labels: Coding, period: Period | None = None, **data: str) -> Provision:
    return rule(Effect.PERMIT, *labels, period=period, **data)


def rule(effect: Effect, *labels: Coding, period: Period | None = None, **data: str) -> Provision:
    named = tuple(
        ProvisionDatum(meaning, reference, frozenset()) for meaning, reference in data.items()
    )
    return Provision(
        "residual[0]", effect, labels=frozenset(labels), data_period=period, data=named
    )


def asked(
    envelope: Envelope, *rules: Provision, patients: tuple[str | None, ...] = (P1,)
) -> Question:
    closure = ActorClosure(restriction=Restriction(patients, rules))
    purposes = frozenset({"TREAT"})
    return Question(closure, "access", purposes, envelope, NOW, PARIS, envelope.mentions)


def flows(envelope: Envelope, *rules: Provision, **more: tuple[str | None, ...]) -> bool:
    return not list(forbidden(WHO, P1, asked(envelope, *rules, **more)))


def labelled(*labels: Coding) -> Envelope:
    return WEIGHT.labelled(frozenset(labels))


def mentioning(*references: str) -> Envelope:
    return Envelope(
        **{name: getattr(WEIGHT, name) for name in WEIGHT.__struct_fields__}
        | {"mentions": frozenset(references)}
    )


YEAR = Period(1704063600, 1735685999)
BEFORE = Period(None, 1672527599)
CASES: list[tuple[str, Envelope, tuple[Provision, ...], bool]] = [
    ("no rule", WEIGHT, (), True),
    ("forbid everything", WEIGHT, (forbid(),), False),
    ("a permit alone takes nothing away", labelled(R), (permit(N),), True),
    ("a permit overrides a forbid", WEIGHT, (forbid(), permit(N)), True),
    ("even one that names the same", WEIGHT, (forbid(N), permit(N)), True),
    ("a permit that does not match overrides nothing", labelled(R), (forbid(), permit(N)), False),
    ("a permit of a level covers the lower ones", WEIGHT, (forbid(), permit(R)), True),
    ("a forbid of a level covers the higher ones", labelled(R), (forbid(N),), False),
    ("a forbid of a higher level says nothing", WEIGHT, (forbid(R),), True),
    ("the highest code alone counts", labelled(N, R), (forbid(), permit(N), forbid(R)), False),
    ("every sensitivity must be cleared", labelled(R, PSY, SDV), (forbid(), permit(PSY)), False),
    ("values inside a list OR", labelled(R, PSY, SDV), (forbid(), permit(PSY, SDV)), True),
    ("elements AND", WEIGHT, (forbid(N, period=BEFORE),), True),
    ("elements AND, both match", WEIGHT, (forbid(N, period=YEAR),), False),
    ("inside the time", WEIGHT, (forbid(), permit(period=YEAR)), True),
    ("outside the time", WEIGHT, (forbid(), permit(period=BEFORE)), False),
    ("this instance", WEIGHT, (forbid(instance="Observation/o"),), False),
    ("another instance", WEIGHT, (forbid(instance="Observation/p"),), True),
    ("by this author", WEIGHT, (forbid(), permit(authoredby="Practitioner/x")), True),
    ("by another author", WEIGHT, (forbid(), permit(authoredby="Practitioner/y")), False),
    ("of this encounter", mentioning("Encounter/e"), (forbid(), permit(related="Encounter/e")), True),
    ("of no encounter", mentioning(), (forbid(), permit(related="Encounter/e")), False),
    ("of no encounter, forbidden", mentioning(), (forbid(related="Encounter/e"),), True),
    ("nobody looked, permit", WEIGHT, (forbid(), permit(related="Encounter/e")), False),
    ("nobody looked, forbid", WEIGHT, (forbid(related="Encounter/e"),), False),
    ("perhaps of it, permit", mentioning(UNTOLD), (forbid(), permit(dependents="Encounter/e")), False),
    ("perhaps of it, forbid", mentioning(UNTOLD), (forbid(dependents="Encounter/e"),), False),
    ("of it for certain", mentioning(UNTOLD, "Encounter/e"), (forbid(), permit(dependents="Encounter/e")), True),
]  # fmt: skip


@pytest.mark.parametrize(
    ("envelope", "rules", "expected"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_what_residual_rules_let_flow(
    envelope: Envelope, rules: tuple[Provision, ...], *, expected: bool
) -> None:
    assert flows(envelope, *rules) is expected


RULES = st.lists(st.sampled_from([one for case in CASES for one in case[2]]), max_size=4)
ENVELOPES = st.sampled_from([case[1] for case in CASES])


@given(ENVELOPES, RULES)
def test_order_never_matters(envelope: Envelope, rules: list[Provision]) -> None:
    turned = list(reversed(rules))
    assert flows(envelope, *rules) == flows(envelope, *turned) == flows(envelope, *rules, *rules)


@given(
    ENVELOPES, RULES, st.sampled_from([forbid(), forbid(N), forbid(R, PSY), forbid(period=YEAR)])
)
def test_one_forbid_more_never_discloses_more(
    envelope: Envelope, rules: list[Provision], more: Provision
) -> None:
    assert flows(envelope, *rules) or not flows(envelope, *rules, more)


@pytest.mark.parametrize(
    ("patients", "expected"),
    [((P1,), True), ((P1, P1), True), (("Patient/p2",), False), ((P1, "Patient/p2"), False), ((None,), False), ((), True)],
)  # fmt: skip
def test_another_patients_data_never_flow(
    patients: tuple[str | None, ...], *, expected: bool
) -> None:
    assert flows(WEIGHT, patients=patients) is expected
    assert not flows(WEIGHT, forbid(), patients=patients)


UNHONOURED = [
    (WHO, Restriction((P1,), (forbid(),)), []),
    (WHO, None, []),
    (WHO, Restriction((P1,), problem="x"), ["ihe_pcf"]),
    (WHO, Restriction((None,)), ["patient"]),
    (WHO, Restriction((None,), problem="x"), ["ihe_pcf", "patient"]),
    (replace(WHO, pcf="{}"), None, ["ihe_pcf"]),
    (replace(WHO, patient_identifier=Identifier("", "1")), None, ["ihe_pcf"]),
    (replace(WHO, pcf="{}"), Restriction((P1,)), []),
]


@pytest.mark.parametrize(("who", "restriction", "sources"), UNHONOURED)
def test_a_restriction_that_cannot_be_kept_to_is_said(
    who: Principal, restriction: Restriction | None, sources: list[str]
) -> None:
    reasons = list(unhonoured(who, ActorClosure(restriction=restriction)))
    assert [reason.source for reason in reasons] == sources
    assert {reason.verdict for reason in reasons} <= {Verdict.UNKNOWN}


# ---- the token's voice among the others ------------------------------------------------------------------------------

CAMILLE = "Patient/camille"
OWN = principal_of(CAMILLE, None, "PATRQT")
RECORD: Json = {"subject": {"reference": CAMILLE}}
COMPILED = compile_policies(BASELINE)


def decided(resource: Json, restriction: Restriction | None, *directives: ConsentDirective) -> bool:
    """Whether the patient, whose own access no Consent limits, reads a resource with such a token."""
    closure = ActorClosure(frozenset({CAMILLE}), restriction=restriction)
    case = open_case(COMPILED, OWN, closure, "read", PARIS)
    known = {one: PatientFacts(one, directives, ()) for one in (CAMILLE, "Patient/leo")}
    return judge(case, envelope_of(resource), Facts(closure, NOW, known)).permits


def test_what_the_token_forbids_nothing_lifts_though_it_would_lift_a_consent() -> None:
    assert decided(RECORD, None)
    assert decided(RECORD, None, consent_of({"type": "deny"}))
    assert decided(RECORD, Restriction((CAMILLE,)))
    assert not decided(RECORD, Restriction((CAMILLE,), (forbid(),)))
    assert not decided(RECORD, Restriction((CAMILLE,), (forbid(R), permit(R), forbid(N)), "x"))


def test_no_rule_can_name_what_the_token_forbids_to_lift_it() -> None:
    lifting = Rule.model_validate_json(
        '{"id": "all", "effect": "permit", "target": {"purpose": ["PATRQT"]}, '
        f'"lifts": ["{VOICE}", "consent"]}}'
    )
    compiled = compile_policies(replace(BASELINE, rules=(lifting,)))
    for rules, expected in (((), True), ((forbid(),), False)):
        restriction = Restriction((CAMILLE,), rules)
        closure = ActorClosure(frozenset({CAMILLE}), restriction=restriction)
        case = open_case(compiled, OWN, closure, "read", PARIS)
        facts = Facts(closure, NOW, {CAMILLE: PatientFacts(CAMILLE, (), ())})
        assert judge(case, envelope_of(RECORD), facts).permits is expected


@pytest.mark.parametrize("on_resource", [N, R, Coding(CONFIDENTIALITY, "V"), PSY, SDV])
@pytest.mark.parametrize("named", [(), (N,), (R,), (PSY,), (PSY, SDV)])
@pytest.mark.parametrize("permitting", [False, True])
def test_a_consent_and_the_rules_that_are_left_of_it_give_the_same_answer(
    named: tuple[Coding, ...], on_resource: Coding, *, permitting: bool
) -> None:
    """A Consent that opens all but what is named, or nothing but that."""
    what = replace_labels(WEIGHT, on_resource)
    root = Provision("provision", Effect.PERMIT)
    inside = (permit if permitting else forbid)(*named)
    outer = replace(root, effect=Effect.DENY if permitting else Effect.PERMIT, provisions=(inside,))
    consent = replace(consent_of({"type": "permit"}), patient=P1, base=outer.effect, root=outer)
    rules = (forbid(), inside) if permitting else (inside,)
    question = replace(asked(what), closure=ActorClosure(frozenset({"Practitioner/a"})))
    by_consent = consent_verdict((consent,), question, "deny-overrides").verdict
    assert flows(what, *rules) is (by_consent is Verdict.PERMIT)


def replace_labels(envelope: Envelope, *labels: Coding) -> Envelope:
    return msgspec.structs.replace(
        envelope,
        labels=frozenset({R, *labels} if ACT_CODE in {one.system for one in labels} else labels),
    )


def test_a_token_opens_nothing_that_others_shut() -> None:
    stranger = principal_of("Practitioner/x", DOCTOR, "TREAT")
    closure = ActorClosure(
        frozenset({"Practitioner/x"}), restriction=Restriction((CAMILLE,), (permit(),))
    )
    case = open_case(COMPILED, stranger, closure, "read", PARIS)
    facts = Facts(closure, NOW, {CAMILLE: PatientFacts(CAMILLE, (), ())})
    assert not judge(case, envelope_of(RECORD), facts).permits


def test_about_two_patients_a_token_of_one_is_not_enough() -> None:
    both = RECORD | {"focus": [{"reference": "Patient/leo"}]}
    assert not decided(both, Restriction((CAMILLE,)))


@pytest.mark.parametrize(
    ("restriction", "admitted"),
    [(None, True), (Restriction((CAMILLE,), (forbid(),)), True), (Restriction((None,)), False), (Restriction((CAMILLE,), problem="x"), False)],
)  # fmt: skip
def test_a_token_that_is_not_understood_gets_nothing_not_even_the_directory(
    restriction: Restriction | None, *, admitted: bool
) -> None:
    closure = ActorClosure(frozenset({CAMILLE}), restriction=restriction)
    case = open_case(COMPILED, OWN, closure, "read", PARIS)
    practitioner = envelope_of({"resourceType": "Practitioner", "id": "x"})
    assert decide_request(case, "Practitioner").permits is admitted
    assert judge(case, practitioner, Facts(closure, NOW)).permits is admitted


@given(st.lists(st.sampled_from([case[1] for case in CASES]), min_size=1, max_size=4), RULES)
def test_a_decision_that_was_kept_is_the_decision_under_these_rules(
    envelopes: list[Envelope], rules: list[Provision]
) -> None:
    closure = ActorClosure(frozenset({P1}), restriction=Restriction((P1,), tuple(rules)))
    facts = Facts(closure, NOW, {P1: PatientFacts(P1, (), ())})
    case = open_case(COMPILED, replace(OWN, fhir_user=P1), closure, "read", PARIS)
    decide = Decider(case, facts)
    for envelope in envelopes:
        anew = judge(open_case(COMPILED, case.principal, closure, "read", PARIS), envelope, facts)
        assert decide(envelope) == decide_resource(case, envelope, facts) == anew
        assert anew.permits is flows(envelope, *rules)


def test_resources_of_one_matter_are_told_apart_by_what_the_rules_ask() -> None:
    matter = Matter("Observation", WEIGHT.labels, WEIGHT.patients, WEIGHT.authors, frozenset())
    twins = [
        msgspec.structs.replace(WEIGHT, id=date, date=date, matter=shared)
        for date in ("2024-05-01", "2022-05-01")
        for shared in (matter, None)
    ]
    closure = ActorClosure(frozenset({P1}), restriction=Restriction((P1,), (forbid(period=YEAR),)))
    facts = Facts(closure, NOW, {P1: PatientFacts(P1, (), ())})
    for envelopes in (twins, twins[::-1]):
        case = open_case(COMPILED, replace(OWN, fhir_user=P1), closure, "read", PARIS)
        decide = Decider(case, facts)
        assert {one.date for one in envelopes if decide(one).permits} == {"2022-05-01"}
        assert {one.date for one in envelopes if not decide(one).permits} == {"2024-05-01"}
