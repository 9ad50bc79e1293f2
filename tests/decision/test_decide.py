from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.decision.case import CaseBook, compile_policies, open_case
from proxy.decision.decide import Decider, decide_request, decide_resource
from proxy.decision.model import Decision, Reason, Verdict
from proxy.decision.voices import judge
from proxy.facts.model import Actor, ActorClosure, Facts, Membership, PatientFacts, Period
from proxy.fhir.coding import CONFIDENTIALITY, Coding, Effect
from proxy.fhir.envelope import Envelope
from proxy.identity.principal import Principal, PrincipalKind
from proxy.identity.scopes import parse_scopes
from proxy.policy.model import Rule
from tests.facts.consents import Json, actor, data, deny, permit, r4, read4
from tests.situations import (
    BASELINE,
    DOCTOR,
    PAYER,
    READER,
    Situation,
    envelope_of,
    principal_of,
    principals,
    situations,
)
from tests.stage import NOW

COMPILED = compile_policies(BASELINE)
PARIS = ZoneInfo("Europe/Paris")
PERSON = Principal(
    issuer="i", subject="s", client_id="c", token_id="t", kind=PrincipalKind.PRACTITIONER, scopes=parse_scopes(""),
    expires_at=NOW + 60, fhir_user="Practitioner/dr-martin",
)  # fmt: skip


def known_of(situation: Situation, period: Period) -> dict[str, PatientFacts]:
    memberships = tuple(replace(one, period=period) for one in situation.memberships)
    return {
        patient: PatientFacts(
            patient,
            tuple(replace(one, patient=patient) for one in situation.directives),
            memberships,
        )
        for patient in situation.envelope.patients or ()
    }


periods = st.sampled_from(
    [Period(), Period(NOW, None), Period(None, NOW + 5), Period(NOW + 5, NOW + 10)]
)
instants = st.sampled_from([NOW - 1, NOW, NOW + 4, NOW + 5, NOW + 6, NOW + 10, NOW + 11])


steps = st.tuples(situations, periods, st.lists(instants, min_size=1, max_size=4))


@given(who=principals, asked=st.lists(steps, min_size=1, max_size=4))
def test_a_decision_that_was_kept_is_the_decision_made_anew(
    who: Principal, asked: list[tuple[Situation, Period, list[float]]]
) -> None:
    closure = ActorClosure(frozenset({who.fhir_user or ""}))
    case = open_case(COMPILED, who, closure, "read", PARIS)
    for situation, period, moments in asked:
        known = known_of(situation, period)
        for moment in moments:
            facts = Facts(closure, moment, known)
            anew = judge(
                open_case(COMPILED, who, closure, "read", PARIS), situation.envelope, facts
            )
            assert decide_resource(case, situation.envelope, facts) == anew
            assert Decider(case, facts)(situation.envelope) == anew


SHAPES = [
    ("user/*.rs", DOCTOR, "TREAT", "Observation", "read", True),
    ("user/Patient.rs", DOCTOR, "TREAT", "Observation", "read", False),
    ("user/Observation.s", DOCTOR, "TREAT", "Observation", "read", False),
    ("user/Observation.s", DOCTOR, "TREAT", "Observation", "search-type", True),
    ("", DOCTOR, "TREAT", "Observation", "read", False),
    ("user/*.rs", DOCTOR, "HMARKT", "Observation", "read", False),
    ("user/*.rs", DOCTOR, "HMARKT", "Practitioner", "read", True),
    ("user/*.rs", DOCTOR, "BTG", "Observation", "read", True),
    ("user/*.rs", PAYER, "TREAT", "Observation", "read", False),
    ("user/*.rs", PAYER, "TREAT", "Practitioner", "read", False),
    ("user/*.rs", None, "TREAT", "Practitioner", "read", True),
]


@pytest.mark.parametrize(("scopes", "role", "purpose", "rtype", "interaction", "admitted"), SHAPES)
def test_what_may_go_up_at_all(
    scopes: str, role: Coding | None, purpose: str, rtype: str, interaction: str, *, admitted: bool
) -> None:
    who = replace(
        PERSON,
        scopes=parse_scopes(scopes),
        roles=frozenset([role] if role else []),
        purposes=frozenset({purpose}),
    )
    case = open_case(COMPILED, who, ActorClosure(), interaction, PARIS)
    assert decide_request(case, rtype).permits is admitted
    assert decide_request(case, rtype) is decide_request(case, rtype)


REFUSED = [
    ("user/Patient.rs", "TREAT", Reason("scope", Verdict.DENY, "Observation", "no scope of the token covers this interaction")),
    ("user/*.rs", "HMARKT", Reason("policy", Verdict.NOT_APPLICABLE, "", "no rule permits this to the caller")),
]  # fmt: skip


@pytest.mark.parametrize(("scopes", "purpose", "reason"), REFUSED)
def test_a_request_that_may_not_go_up_says_why(scopes: str, purpose: str, reason: Reason) -> None:
    who = replace(principal_of("Practitioner/x", DOCTOR, purpose), scopes=parse_scopes(scopes))
    case = open_case(COMPILED, who, ActorClosure(), "read", PARIS)
    assert decide_request(case, "Observation") == Decision(Effect.DENY, (reason,))


DENIES: list[tuple[str, Json, bool]] = [
    ("a deny that the permit lifts", {"tag": "mask"}, True),
    ("a deny that it does not lift", {"tag": "other"}, False),
    ("a deny without a tag", {}, False),
    ("a deny that nothing lifts", {"absolute": True}, False),
    ("a deny of other interactions", {"target": {"interaction": ["vread"]}}, True),
    ("a deny that depends on the resource", {"target": {"resource": {"confidentiality_above": "N"}}}, True),
]  # fmt: skip


@pytest.mark.parametrize(
    ("deny", "admitted"), [one[1:] for one in DENIES], ids=[one[0] for one in DENIES]
)
def test_a_deny_that_holds_whatever_the_resource_is_shuts_the_request_out(
    deny: Json, *, admitted: bool
) -> None:
    target = {"purpose": ["TREAT"]}
    rules = (
        {"id": "yes", "effect": "permit", "target": target, "lifts": ["mask"]},
        {"id": "no", "effect": "deny", "target": target, **deny},
    )
    read = tuple(Rule.model_validate_json(orjson.dumps(rule)) for rule in rules)
    compiled = compile_policies(replace(BASELINE, rules=read))
    case = open_case(
        compiled, principal_of("Practitioner/x", DOCTOR, "TREAT"), ActorClosure(), "read", PARIS
    )
    assert decide_request(case, "Observation").permits is admitted


@pytest.mark.parametrize(("label", "expected"), [("N", True), ("V", False)])
def test_what_others_hold_is_decided_with_each_of_them(label: str, *, expected: bool) -> None:
    about = {"subject": {"reference": "Patient/camille"}}
    own = principal_of("Practitioner/dr-martin", DOCTOR, "TREAT")
    closure = ActorClosure(frozenset({"Practitioner/dr-martin"}))
    team = Membership(
        "care-team", Actor(reference="Practitioner/dr-martin"), Period(), "CareTeam/t"
    )
    agreed = replace(read4(r4(permit())), patient="Patient/camille")
    facts = Facts(
        closure, NOW, {"Patient/camille": PatientFacts("Patient/camille", (agreed,), (team,))}
    )
    case = open_case(COMPILED, own, closure, "read", PARIS)
    security = [{"system": CONFIDENTIALITY, "code": label}]
    holder = envelope_of({**about, "meta": {"security": security}})
    assert decide_resource(case, envelope_of(about), facts).permits
    assert decide_resource(case, envelope_of(about).held_by((holder,)), facts).permits is expected


@given(situation=situations)
def test_who_is_not_sure_to_be_no_insurer_is_treated_as_one(situation: Situation) -> None:
    unsure = ActorClosure(complete=False)
    case = open_case(COMPILED, situation.principal, unsure, "read", PARIS)
    assert not decide_request(case, "Observation").permits


@given(first=situations, second=situations)
def test_a_case_is_never_anothers(first: Situation, second: Situation) -> None:
    book = CaseBook(size=2)
    closures = [ActorClosure(), ActorClosure(frozenset({"Practitioner/dr-martin"}))]
    for situation in (first, second, first):
        for closure in closures:
            for interaction in ("read", "search-type"):
                case = book.open(COMPILED, situation.principal, closure, interaction, PARIS)
                assert case.principal is situation.principal
                assert (case.closure, case.interaction) == (closure, interaction)
                assert case is book.open(COMPILED, situation.principal, closure, interaction, PARIS)


# ---- one caller, one patient, one case: the same question asked again under other circumstances ------------------------

MARTIN = principal_of("Practitioner/dr-martin", DOCTOR, "TREAT")
HIMSELF = ActorClosure(frozenset({"Practitioner/dr-martin"}))
N = {"security": [{"system": CONFIDENTIALITY, "code": "N"}]}


def observed(own: str, **more: Any) -> Envelope:
    resource = {"resourceType": "Observation", "id": own, "meta": N, "subject": {"reference": "Patient/p1"}}  # fmt: skip
    return READER.wanting(frozenset(), dates=True).read(orjson.dumps({**resource, **more}))


RESOURCES = [
    observed("a", effectiveDateTime="2022"),
    observed("b", effectiveDateTime="2025"),
    observed("c", effectiveDateTime="2022", performer=[{"reference": "Practitioner/dr-martin"}]),
    observed("d", effectiveDateTime="2022", meta={"security": [{"system": CONFIDENTIALITY, "code": "V"}]}),
    observed("e", effectiveDateTime="2022", focus=[{"reference": "Patient/p2"}]),
]  # fmt: skip
SAYING: list[Json | None] = [
    permit(),
    deny(),
    permit(but=(deny({"period": {"start": "2026-11-22T10:00:05+01:00"}}),)),
    permit({"dataPeriod": {"start": "2022", "end": "2022"}}),
    permit(but=(deny(data("instance", "Observation/a")),)),
    permit(but=(deny(actor("Practitioner/dr-martin", role="AUT")),)),
    None,
]


def facts_saying(tree: Json | None, *, team: bool) -> tuple[PatientFacts, ...]:
    directives = None if tree is None else (read4(r4(tree)),)
    member = Membership("care-team", Actor("Practitioner/dr-martin"), Period(None, NOW + 8), "CareTeam/t")  # fmt: skip
    return tuple(
        PatientFacts(one, directives, (member,) if team else ())
        for one in ("Patient/p1", "Patient/p2")
    )


KNOWN = [facts_saying(tree, team=team) for tree in SAYING for team in (True, False)]
INSTANTS = [NOW, NOW + 4, NOW + 5, NOW + 6, NOW + 8, NOW + 9]
Asked = tuple[Envelope, tuple[PatientFacts, ...], float, bool]


def asked_again(known: list[tuple[PatientFacts, ...]]) -> st.SearchStrategy[list[Asked]]:
    """Questions that differ in little, so that what is kept is found again."""
    one = st.tuples(
        st.sampled_from(RESOURCES), st.sampled_from(known), st.sampled_from(INSTANTS), st.booleans()
    )
    return st.lists(one, min_size=4, max_size=12)


questions_again = st.lists(st.sampled_from(KNOWN), min_size=1, max_size=2).flatmap(asked_again)


@given(questions=questions_again)
@settings(max_examples=200)
def test_what_is_kept_never_answers_for_other_facts_another_instant_or_another_matter(
    questions: list[Asked],
) -> None:
    case = open_case(COMPILED, MARTIN, HIMSELF, "read", PARIS)
    for envelope, patients, now, whole in questions:
        known = {one.patient: one for one in patients[: 2 if whole else 1]}
        facts = Facts(HIMSELF, now, known)
        anew = judge(open_case(COMPILED, MARTIN, HIMSELF, "read", PARIS), envelope, facts)
        assert decide_resource(case, envelope, facts) == anew
        assert Decider(case, facts)(envelope) == anew


def test_the_circumstances_above_tell_decisions_apart() -> None:
    """Otherwise nothing would be proven by them."""
    case = open_case(COMPILED, MARTIN, HIMSELF, "read", PARIS)

    def permitted(resource: int, known: int, now: float) -> bool:
        facts = Facts(HIMSELF, now, {one.patient: one for one in KNOWN[known]})
        return judge(case, RESOURCES[resource], facts).permits

    assert [permitted(0, known, NOW) for known in (0, 1, 2, 4, 6, 8)] == [True, False, False, True, True, False]  # fmt: skip
    assert [permitted(0, 4, NOW + more) for more in (4, 6)] == [True, False]
    assert [permitted(0, 0, NOW + more) for more in (8, 9)] == [True, False]
    assert [permitted(resource, 6, NOW) for resource in (0, 1)] == [True, False]
    assert [permitted(resource, 8, NOW) for resource in (0, 1)] == [False, True]
    assert [permitted(resource, 0, NOW) for resource in (0, 3)] == [True, False]
