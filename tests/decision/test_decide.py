from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.decision.case import CaseBook, compile_policies, open_case
from proxy.decision.decide import Decider, decide_request, decide_resource
from proxy.decision.voices import judge
from proxy.facts.model import ActorClosure, Facts, PatientFacts, Period
from proxy.fhir.coding import Coding
from proxy.identity.principal import Principal, PrincipalKind
from proxy.identity.scopes import parse_scopes
from tests.situations import BASELINE, DOCTOR, PAYER, Situation, principals, situations
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
