"""What is told in general holds for every resource: nothing that the obligations leave would the gateway keep back."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.decision.case import Case, compile_policies, open_case
from proxy.decision.consult import (
    DENY,
    INEXPRESSIBLE,
    NO_CONSENT,
    PERMIT,
    TYPES,
    Consulted,
    consulted,
)
from proxy.decision.labels import effective_labels
from proxy.decision.model import NO_OBLIGATIONS, Decision, Verdict
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
from proxy.fhir.coding import ACT_CODE, CONFIDENTIALITY, Coding
from proxy.fhir.envelope import Envelope
from proxy.identity.principal import Principal
from proxy.policy.load import load
from proxy.policy.model import Matrix, PolicySet, Rule
from tests.facts.consents import actor, concept, data, deny, label, permit, purpose, r4, read4
from tests.situations import (
    BASELINE,
    DOCTOR,
    NURSE,
    PARIS,
    PAYER,
    consent_of,
    envelope_of,
    principal_of,
)
from tests.stage import NOW, ROOT, Json

PATIENT = "Patient/camille"
MARTIN, OTHER = "Practitioner/dr-martin", "Practitioner/dr-vernay"
COMPILED = compile_policies(BASELINE)
TEAM = Membership("care-team", Actor(reference=MARTIN), ALWAYS, "CareTeam/t")
PHYSICIAN = principal_of(MARTIN, DOCTOR, "TREAT")
N, R, V = (Coding(CONFIDENTIALITY, one) for one in "NRV")
HIV, PSY, SUD = (Coding(ACT_CODE, one) for one in ("HIV", "PSY", "SUD"))
OBSERVATIONS = {"class": [{"system": TYPES, "code": "Observation"}]}
SINCE_2022: Json = {"dataPeriod": {"start": "2022-01-01"}}
CODED: Json = {"code": [concept("http://loinc.org", "1-8")]}


def case_of(principal: Principal, policies: PolicySet = BASELINE) -> Case:
    closure = ActorClosure(frozenset({principal.fhir_user or ""}))
    compiled = COMPILED if policies is BASELINE else compile_policies(policies)
    return open_case(compiled, principal, closure, "read", PARIS)


def asked(
    *provisions: Json,
    who: Principal = PHYSICIAN,
    policies: PolicySet = BASELINE,
    types: frozenset[str] = frozenset(),
    directives: tuple[ConsentDirective, ...] | None = (),
    memberships: tuple[Membership, ...] = (TEAM,),
) -> Consulted:
    case = case_of(who, policies)
    own = (
        None
        if directives is None
        else (
            *directives,
            *(read4(r4(one, own=f"c{n}", patient=PATIENT)) for n, one in enumerate(provisions)),
        )
    )
    facts = Facts(case.closure, NOW, {PATIENT: PatientFacts(PATIENT, own, memberships)})
    return consulted(case, PATIENT, facts, types)


# ---- the table of the module's head --------------------------------------------------------------------------------


def test_a_permit_redacts_what_the_policy_keeps_from_the_caller() -> None:
    told = asked(permit())
    assert (told.word, told.only) == (PERMIT, frozenset())
    assert V in told.codes
    assert told.codes.isdisjoint({N, R, HIV})
    assert told.consents == {"Consent/c0"}
    assert {one.voice for one in told.reasons} == {"policy", "consent"}


def test_a_nurse_is_kept_from_what_is_restricted_and_what_is_redacted_is_told() -> None:
    told = asked(permit(), who=principal_of(MARTIN, NURSE, "TREAT"))
    assert told.codes >= {R, V, HIV, PSY}
    assert {one.path for one in told.obligations.redactions} >= {
        "Patient.telecom",
        "Patient.address",
    }


def test_a_label_that_a_consent_denies_is_redacted() -> None:
    assert HIV not in asked(permit()).codes
    assert HIV in asked(permit(but=(deny(label("HIV")),))).codes


def test_a_label_that_only_a_consent_speaks_of_is_redacted_too() -> None:
    own = {"securityLabel": [{"system": "http://labels.example.org", "code": "VIP"}]}
    told = asked(permit(but=(deny(own),)))
    assert Coding("http://labels.example.org", "VIP") in told.codes


def test_where_only_labelled_data_are_open_everything_else_goes() -> None:
    told = asked(permit(label("PSY")))
    assert (told.word, told.only) == (PERMIT, frozenset({PSY}))
    told = asked(permit(label("PSY"), but=(deny(label("HIV")),)))
    assert told.only == {PSY}
    assert {HIV, V} <= told.codes


def test_types_that_a_rule_or_a_consent_keeps_back_are_redacted_by_type() -> None:
    told = asked(permit())
    assert {Coding(TYPES, "Consent"), Coding(TYPES, "Provenance")} <= told.codes
    assert Coding(TYPES, "Observation") not in told.codes
    denied = asked(permit(but=(deny(OBSERVATIONS),)))
    assert Coding(TYPES, "Observation") in denied.codes


def test_the_types_of_the_matrix_are_judged_where_there_is_one() -> None:
    told = asked(permit(), policies=replace(BASELINE, matrix=Matrix({})))
    assert Coding(TYPES, "DocumentReference") in told.codes
    assert Coding(TYPES, "DocumentReference") not in asked(permit()).codes


DENIED: list[tuple[str, Consulted]] = [
    ("a Consent denies", asked(deny())),
    ("one of two denies", asked(permit(), deny(actor(MARTIN)))),
    ("a Consent permits another", asked(permit(actor(OTHER)))),
    ("a Consent permits another purpose", asked(permit(purpose("HRESCH")))),
    ("a Consent permits, no rule does", asked(permit(), memberships=())),
    ("a rule denies whatever a Consent says", asked(permit(), who=principal_of(MARTIN, PAYER, "TREAT"))),
    ("a rule denies where no Consent speaks", asked(who=principal_of(MARTIN, PAYER, "TREAT"))),
    ("the Consents could not be had", asked(directives=None)),
    ("a Consent that cannot be computed", asked(directives=(replace(consent_of(permit()), problem="odd"),))),
    ("only data of some years", asked(permit(SINCE_2022))),
    ("a code is denied", asked(permit(but=(deny(CODED),)))),
    ("some years are denied", asked(permit(but=(deny(SINCE_2022),)))),
    ("an instance is denied", asked(permit(but=(deny(data("instance", "Observation/x")),)))),
    ("an author is denied", asked(permit(but=(deny(data("authoredby", OTHER)),)))),
    ("a profile is denied", asked(permit(but=(deny({"class": [{"system": "urn:ietf:rfc:3986", "code": "http://x"}]}),)))),
]  # fmt: skip


@pytest.mark.parametrize("told", [row[1] for row in DENIED], ids=[row[0] for row in DENIED])
def test_every_doubt_denies(told: Consulted) -> None:
    assert told.word == DENY
    assert told.reasons
    assert (told.codes, told.only) == (frozenset(), frozenset())
    assert told.obligations == NO_OBLIGATIONS


def test_what_no_obligation_can_express_is_named_as_the_reason() -> None:
    told = asked(permit(but=(deny(CODED),)))
    assert told.reasons == (INEXPRESSIBLE,)
    assert told.consents == {"Consent/c0"}


def test_what_is_denied_to_somebody_else_by_code_does_not_matter() -> None:
    assert asked(permit(but=(deny(actor(OTHER), CODED),))).word == PERMIT


def test_a_consent_out_of_force_does_not_matter() -> None:
    past = replace(consent_of(permit(but=(deny(CODED),))), inert="its status is inactive")
    assert asked(permit(), directives=(past,)).word == PERMIT


def test_silence_is_no_consent() -> None:
    told = asked()
    assert (told.word, told.codes) == (NO_CONSENT, frozenset())
    assert {one.verdict for one in told.reasons} == {Verdict.NOT_APPLICABLE}


def test_what_policy_alone_permits_is_no_consent() -> None:
    policies = load(ROOT / "policies" / "ihe-pcf")
    found = {asked(policies=policies, who=who).word for who in (PHYSICIAN, principal_of(MARTIN, DOCTOR, "HRESCH"))}  # fmt: skip
    assert PERMIT not in found


# ---- types ---------------------------------------------------------------------------------------------------------


def test_only_the_types_that_are_named_are_answered() -> None:
    told = asked(permit(but=(deny(OBSERVATIONS),)), types=frozenset({"Condition"}))
    assert told.word == PERMIT
    assert not {one for one in told.codes if one.system == TYPES}
    told = asked(permit(but=(deny(OBSERVATIONS),)), types=frozenset({"Observation"}))
    assert told.word == DENY
    both = asked(permit(but=(deny(OBSERVATIONS),)), types=frozenset({"Observation", "Condition"}))
    assert (both.word, {one for one in both.codes if one.system == TYPES}) == (PERMIT, {Coding(TYPES, "Observation")})  # fmt: skip


def test_a_consent_for_one_type_says_nothing_of_all() -> None:
    assert asked(permit(OBSERVATIONS)).word == DENY
    assert asked(permit(OBSERVATIONS), types=frozenset({"Observation"})).word == PERMIT


def test_types_that_need_different_labels_are_not_open_together() -> None:
    conditions = {"class": [{"system": TYPES, "code": "Condition"}]}
    two = deny(but=(permit(label("PSY"), OBSERVATIONS), permit(label("SUD"), conditions)))
    assert asked(two, types=frozenset({"Observation"})).only == {PSY}
    assert asked(two, types=frozenset({"Observation", "Condition"})).word == DENY


def test_two_labels_that_only_together_refuse_are_both_redacted() -> None:
    rule = Rule.model_validate(
        {
            "id": "psy-above-r",
            "effect": "deny",
            "target": {"resource": {"label": ["v3-ActCode#PSY"], "confidentiality_above": "R"}},
        },
        strict=False,
    )
    kept = tuple(one for one in BASELINE.rules if one.id != "very-restricted-is-for-the-author")
    lenient = replace(BASELINE, rules=kept)
    assert asked(permit(), policies=lenient).codes.isdisjoint({PSY, V})
    assert {PSY, V} <= asked(permit(), policies=replace(BASELINE, rules=(*kept, rule))).codes


# ---- the law -------------------------------------------------------------------------------------------------------


LABELS = ["N", "R", "V", "HIV", "PSY", "SUD"]
labelled = st.lists(st.sampled_from(LABELS), max_size=2, unique=True)
exceptions = st.one_of(
    st.sampled_from(LABELS).map(lambda code: deny(label(code))),
    st.sampled_from([deny(actor(OTHER)), deny(OBSERVATIONS), deny(CODED)]),
)
provisions = st.builds(
    lambda node, codes, but: node(*([label(*codes)] if codes else []), but=tuple(but)),
    st.sampled_from([permit, permit, permit, deny]),
    labelled,
    st.lists(exceptions, max_size=2),
)
principals = st.sampled_from([PHYSICIAN, principal_of(MARTIN, NURSE, "TREAT")])
resources = st.builds(
    lambda codes, more: envelope_of(
        {
            "subject": {"reference": PATIENT},
            "meta": {"security": label(*codes)["securityLabel"] if codes else []},
            **more,
        }
    ),
    labelled,
    st.sampled_from([{}, {"code": {"coding": [{"system": "http://loinc.org", "code": "1-8"}]}}]),
)


def left_by(told: Consulted, envelope: Envelope) -> bool:
    """Whether a client that does as it is obliged keeps the resource, labelled as the gateway labels it."""
    bears = effective_labels(envelope, BASELINE).codings | {Coding(TYPES, envelope.type)}
    kept = told.word == PERMIT and bears.isdisjoint(told.codes)
    return kept and (not told.only or not bears.isdisjoint(told.only))


def consequence(
    who: Principal, written: list[Json], envelope: Envelope, types: frozenset[str] = frozenset()
) -> tuple[Consulted, bool, Decision]:
    """What is told, whether that leaves the resource, and the gateway's own decision."""
    case = case_of(who)
    own = tuple(read4(r4(one, own=f"c{n}", patient=PATIENT)) for n, one in enumerate(written))
    facts = Facts(case.closure, NOW, {PATIENT: PatientFacts(PATIENT, own, (TEAM,))})
    told = consulted(case, PATIENT, facts, types)
    return told, left_by(told, envelope), judge(case, envelope, facts)


@given(principals, st.lists(provisions, min_size=1, max_size=2), resources, st.booleans())
def test_what_the_obligations_leave_the_gateway_lets_leave(
    who: Principal, written: list[Json], envelope: Envelope, named: bool
) -> None:
    types = frozenset({"Observation"} if named else ())
    told, left, decision = consequence(who, written, envelope, types)
    if left:
        assert decision.permits
        assert decision.obligations | told.obligations == told.obligations


LEFT: list[tuple[Json, Json, bool]] = [
    (permit(), {}, True),
    (permit(), {"meta": {"security": [V._asdict()]}}, False),
    (permit(but=(deny(label("HIV")),)), {"meta": {"security": [HIV._asdict()]}}, False),
    (permit(but=(deny(label("HIV")),)), {"meta": {"security": [PSY._asdict()]}}, True),
    (permit(label("PSY")), {"meta": {"security": [PSY._asdict()]}}, True),
    (permit(label("PSY")), {}, False),
]


@pytest.mark.parametrize(("written", "more", "expected"), LEFT)
def test_the_law_speaks_of_something(written: Json, more: Json, expected: bool) -> None:
    envelope = envelope_of({"subject": {"reference": PATIENT}, **more})
    _, left, decision = consequence(PHYSICIAN, [written], envelope)
    assert (left, decision.permits) == (expected, expected)


def test_what_a_label_obliges_to_is_obliged_where_the_label_is_open() -> None:
    rule = Rule.model_validate(
        {
            "id": "hiv-warns",
            "effect": "permit",
            "target": {"resource": {"label": ["v3-ActCode#HIV"]}, "consent": ["permit"]},
            "redact": {"remove": ["Observation.note"]},
        },
        strict=False,
    )
    warned = replace(BASELINE, rules=(*BASELINE.rules, rule))
    told = asked(permit(), policies=warned)
    assert "Observation.note" in {one.path for one in told.obligations.redactions}
    told = asked(permit(but=(deny(label("HIV")),)), policies=warned)
    assert "Observation.note" not in {one.path for one in told.obligations.redactions}
