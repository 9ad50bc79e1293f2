from dataclasses import replace

import pytest

from proxy.decision.case import compile_policies, is_universal, open_case, purposes_of
from proxy.facts.model import ActorClosure
from proxy.fhir.coding import Effect
from proxy.identity.principal import PrincipalKind
from tests.situations import BASELINE, DOCTOR, PARIS, principal_of

WHO = principal_of("Practitioner/dr-martin", DOCTOR, "TREAT")
COMPILED = compile_policies(BASELINE)

PURPOSES = [
    (PrincipalKind.PRACTITIONER, {"TREAT"}, {"TREAT"}),
    (PrincipalKind.PRACTITIONER, {"TREAT", "HRESCH"}, {"TREAT", "HRESCH"}),
    (PrincipalKind.PRACTITIONER, set(), {"TREAT"}),
    (PrincipalKind.PRACTITIONER, {"BTG"}, {"TREAT"}),
    (PrincipalKind.PRACTITIONER, {"BTG", "HMARKT"}, {"HMARKT"}),
    (PrincipalKind.PATIENT, set(), {"PATRQT"}),
    (PrincipalKind.SYSTEM, set(), set()),
    (PrincipalKind.UNKNOWN, set(), set()),
]


@pytest.mark.parametrize(("kind", "claimed", "counted"), PURPOSES)
def test_which_purposes_count(kind: PrincipalKind, claimed: set[str], counted: set[str]) -> None:
    who = replace(WHO, kind=kind, purposes=frozenset(claimed))
    assert purposes_of(who, BASELINE) == frozenset(counted)


def test_a_case_holds_only_the_rules_that_may_apply() -> None:
    case = open_case(COMPILED, WHO, ActorClosure(), "read", PARIS)
    ids = {one.rule.id for one in case.permits}
    assert {"care-team-reads", "directory-is-open"} <= ids
    assert ids.isdisjoint({"patient-reads-own-record", "guardian-reads", "care-team-nurse-reads"})
    assert {one.rule.effect for one in case.denies} == {Effect.DENY}
    assert "insurers-never-by-role" not in {one.rule.id for one in case.denies}


def test_what_is_universal_is_what_the_policies_name() -> None:
    case = open_case(COMPILED, WHO, ActorClosure(), "read", PARIS)
    assert is_universal(case, "Practitioner")
    assert not is_universal(case, "Observation")


def test_the_systems_of_labels_are_those_that_the_terms_explain() -> None:
    assert "http://terminology.hl7.org/CodeSystem/v3-ActCode" in COMPILED.recognised
    assert "http://labels.example.org" not in COMPILED.recognised
