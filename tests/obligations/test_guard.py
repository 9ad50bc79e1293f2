from dataclasses import replace
from typing import Any

import pytest

from proxy.decision.model import Decision, Obligations, Redaction
from proxy.errors import CallerError, Refusal
from proxy.fhir.coding import ACT_CODE, Coding, Effect
from proxy.fhir.conditions import Condition, condition_of
from proxy.fhir.definitions import definitions_of
from proxy.fhir.interaction import SearchParameter
from proxy.fhir.parameters import searchable
from proxy.obligations.guard import fulfillable, guard, reads_cut, redactable
from proxy.policy.handling import Fulfilment
from proxy.policy.redact import Redact
from tests.obligations.cases import DEFINITIONS, case_of, search


def rule(*paths: str, operator: str = "remove", **target: Any) -> dict[str, Any]:
    return {"target": target or {"purpose": ["TREAT"]}, "redact": {operator: list(paths)}}


def is_refused(target: str, *rules: dict[str, Any]) -> bool:
    try:
        guard(search(target), case_of(*rules), DEFINITIONS)
    except CallerError as error:
        return error.refusal is Refusal.PARAMETER
    return False


REFUSED = [
    ("Patient?_lastUpdated=gt2020", "Patient.birthDate"),
    ("Patient?_sort=-_lastUpdated", "Patient.birthDate"),
    ("Observation?_lastUpdated=gt2020", "*.identifier"),
    ("Patient?birthdate=1970", "Patient.birthDate"),
    ("Patient?birthdate:missing=true", "Patient.birthDate"),
    ("Patient?_sort=birthdate", "Patient.birthDate"),
    ("Patient?_sort=family,-birthdate", "Patient.birthDate"),
    ("Patient?name=a", "Patient.name"),
    ("Patient?name=a", "Patient.name.family"),
    ("Patient?family:contains=a", "Patient.name"),
    ("Patient?phonetic=a", "Patient.name"),
    ("Patient?telecom=a", "Patient.telecom"),
    ("Patient?address-city=a", "Patient.address"),
    ("Patient?identifier=a", "*.identifier"),
    ("Observation?identifier=a", "*.identifier"),
    ("Observation?value-quantity=1", "Observation.value"),
    ("Observation?component-value-quantity=1", "Observation.component"),
    ("Observation?code=a", "Observation.code.text"),
    ("Observation?combo-code=a", "Observation.component.code"),
    ("Observation?subject=Patient/p", "Observation.subject"),
    ("Observation?patient=Patient/p", "Observation.subject"),
    ("Observation?_include=Observation:subject", "Observation.subject"),
    ("Patient?_revinclude=Observation:subject", "Observation.subject"),
    ("Observation?patient.birthdate=1970", "Patient.birthDate"),
    ("Observation?patient.birthdate=1970", "Observation.subject"),
    ("Observation?subject.name=a", "Location.name"),
    ("Observation?encounter.patient.name=a", "Patient.name"),
    ("Observation?encounter.patient.name=a", "Encounter.subject"),
    ("Patient?_has:Observation:patient:code=a", "Observation.code"),
    ("Patient?_has:Observation:patient:code=a", "Observation.subject"),
    ("Patient?_has:Encounter:patient:_has:Observation:encounter:code=a", "Observation.encounter"),
    ("Patient?_has:Observation:patient:performer:Practitioner.name=a", "Practitioner.name"),
    ("Observation?patient.general-practitioner:identifier=a", "Practitioner.identifier"),
    ("Patient?birthdate=1970&_summary=count", "Patient.birthDate"),
    ("Observation?patient:identifier=a", "Patient.identifier"),
    ("Observation?subject:identifier=a", "*.identifier"),
    ("Patient?_sort=-name", "Patient.name"),
    ("Patient?_include=Patient:organization:Organization", "Patient.managingOrganization"),
]  # fmt: skip


@pytest.mark.parametrize(("target", "path"), REFUSED)
def test_what_reads_a_redacted_element_is_refused(target: str, path: str) -> None:
    assert not is_refused(target)
    assert is_refused(target, rule(path))


PASSED = [
    ("Observation?patient:identifier=a", "Practitioner.identifier"),
    ("Observation?patient:identifier=a", "Patient.birthDate"),
    ("Observation?patient=Patient/p", "Patient.identifier"),
    ("Patient?_sort=-gender", "Patient.birthDate"),
    ("Observation?_include=Observation:performer:Practitioner", "Observation.subject"),
    ("Observation?value-quantity=1", "Observation.valueSet"),
    ("Patient?gender=male", "Patient.birthDate"),
    ("Patient?birthdate=1970", "Practitioner.name"),
    ("Patient?name=a", "Patient.birthDate"),
    ("Observation?code=a", "Observation.value"),
    ("Observation?status=final", "Patient.name"),
    ("Patient?_id=a", "Patient.identifier"),
    ("Patient?_count=3", "Patient.name"),
    ("Observation?_include=Observation:performer", "Observation.subject"),
    ("Observation?value-quantity=1", "Observation.component.value"),
    ("Observation?patient.name=a", "Patient.birthDate"),
    ("Observation?patient.name=a", "Practitioner.name"),
    ("Patient?_has:Observation:patient:code=a", "Observation.value"),
    ("Patient?_has:Observation:patient:code=a", "Patient.name"),
    ("Patient?_elements=name&_summary=false", "Patient.name"),
    ("Patient?birthdate=1970", "Patient.photo"),
    ("Patient?birthdate=1970", "Patient.other"),
]


@pytest.mark.parametrize(("target", "path"), PASSED)
def test_what_reads_other_elements_passes(target: str, path: str) -> None:
    assert not is_refused(target, rule(path))


@pytest.mark.parametrize("operator", ["remove", "mask", "generalise", "pseudonymise", "shift"])
def test_every_operator_hides_from_searches(operator: str) -> None:
    assert is_refused("Patient?birthdate=1970", rule("Patient.birthDate", operator=operator))


def test_one_rule_that_might_redact_is_enough() -> None:
    open_rule = {"target": {"purpose": ["TREAT"]}}
    care_team = rule("Patient.birthDate", principal={"relationship": ["care-team"]})
    assert is_refused("Patient?birthdate=1970", open_rule, care_team)


def test_a_rule_for_other_callers_counts_not() -> None:
    for_others = rule("Patient.birthDate", principal={"kind": ["patient"]})
    assert not is_refused("Patient?birthdate=1970", for_others)


def test_redactable_paths_are_those_of_the_type_and_of_all_types() -> None:
    case = case_of(rule("Patient.name.given", "*.text", "Observation.value"))
    assert redactable(case, "Patient") == {("name", "given"), ("text",)}


@pytest.mark.parametrize("version", ["4.0.1", "4.3.0", "5.0.0"])
def test_of_every_filter_that_is_understood_the_elements_are_known(version: str) -> None:
    # A filter whose paths are unknown would pass the guard unseen.
    types = definitions_of(version).resource_types
    assert not [
        (rtype, name)
        for rtype in types
        for name, param in searchable(rtype, version).items()
        if not param.paths
    ]


def test_what_a_label_may_redact_is_refused_as_a_search_key_too() -> None:
    by = Fulfilment(redact=Redact(remove=("Patient.telecom",)))
    plain = case_of()
    policies = plain.compiled.policies
    handling = {Coding(ACT_CODE, "REDACT"): (by,)}
    labels = replace(policies.labels, handling=handling)
    compiled = replace(plain.compiled, policies=replace(policies, labels=labels))
    guard(search("Patient?telecom=a"), plain, DEFINITIONS)
    with pytest.raises(CallerError):
        guard(search("Patient?telecom=a"), replace(plain, compiled=compiled), DEFINITIONS)


def test_a_key_that_is_not_known_may_read_anything() -> None:
    request = replace(search("Patient?gender=male"), sort=("-novel",))
    guard(request, case_of(rule("Observation.value")), DEFINITIONS)
    with pytest.raises(CallerError):
        guard(request, case_of(rule("Patient.photo")), DEFINITIONS)


def test_a_key_of_some_items_of_an_element_reads_the_element() -> None:
    request = replace(search("Patient"), parameters=(SearchParameter("phone", "", ("1",)),))
    guard(request, case_of(rule("Patient.name")), DEFINITIONS)
    for path in ("Patient.telecom", "Patient.telecom.value"):
        with pytest.raises(CallerError):
            guard(request, case_of(rule(path)), DEFINITIONS)


CUTS = [
    ("Observation?value-quantity=1", "Observation.valueQuantity", True),
    ("Observation?component-value-quantity=1", "Observation.component[1].valueQuantity", True),
    ("Observation?component-value-quantity=1", "Observation.component[1]", True),
    ("Observation?code=a", "Observation.code.coding[0]", True),
    ("Observation?_sort=-date", "Observation.effectiveDateTime", True),
    ("Observation?_lastUpdated=gt2020", "Observation.note[0]", True),
    ("Observation?subject=Patient/p", "Observation.subject", True),
    ("Observation?_include=Observation:performer", "Observation.performer[0]", True),
    ("Observation?code=a", "Observation.valueQuantity", False),
    ("Observation?status=final", "Observation.note[0]", False),
    ("Patient?_revinclude=Observation:subject", "Observation.note[0]", False),
    ("Observation?_id=a", "Observation.code", False),
]


@pytest.mark.parametrize(("target", "cut", "read"), CUTS)
def test_a_search_that_reads_what_is_cut_out_of_a_resource_does_not_find_it(
    target: str, cut: str, *, read: bool
) -> None:
    def decision(*paths: str) -> Decision:
        redactions = frozenset(Redaction("cut", path) for path in paths)
        return Decision(Effect.PERMIT, obligations=Obligations(redactions))

    request = search(target)
    assert reads_cut(request, "Observation", decision(cut), DEFINITIONS) is read
    assert (
        reads_cut(request, "Observation", decision("Observation.meta.tag[0]", cut), DEFINITIONS)
        is read
    )
    assert not reads_cut(request, "Observation", decision(), DEFINITIONS)
    assert not reads_cut(request, "Condition", decision(cut), DEFINITIONS)


def test_a_cut_is_read_by_a_parameter_that_names_the_choice() -> None:
    known = DEFINITIONS.search_params["Observation"]
    unspelled = known["value-quantity"]._replace(paths=("component.value",))
    params = {**DEFINITIONS.search_params, "Observation": {**known, "value-quantity": unspelled}}
    definitions = replace(DEFINITIONS, search_params=params)
    request = search("Observation?value-quantity=1")
    for place, read in {"valueQuantity": True, "valued": False, "note[0]": False}.items():
        cut = frozenset({Redaction("cut", f"Observation.component[0].{place}")})
        decision = Decision(Effect.PERMIT, obligations=Obligations(cut))
        assert reads_cut(request, "Observation", decision, definitions) is read


PERFORMER = ("performer", "Practitioner/p")


def condition(name: str, value: str) -> Condition:
    found = condition_of("Observation", (name, value), DEFINITIONS, "")
    assert found is not None
    return found


def test_a_condition_that_reads_what_may_be_redacted_is_fulfilled_by_nothing() -> None:
    shown, hidden, deep = condition("status", "final"), condition(*PERFORMER), condition("component-code", "x")  # fmt: skip
    every = (shown, hidden, deep)
    assert fulfillable(every, case_of()) == frozenset(every)
    assert fulfillable(every, case_of(rule("Observation.performer"))) == {shown, deep}
    assert fulfillable(every, case_of(rule("*.performer"))) == {shown, deep}
    assert fulfillable(every, case_of(rule("Patient.performer"))) == frozenset(every)
    assert fulfillable(every, case_of(rule("Observation.component.code"))) == {shown, hidden}
    assert fulfillable(every, case_of(rule("Observation.component"))) == {shown, hidden}


def test_every_capacity_of_the_caller_counts_for_a_condition() -> None:
    hidden = condition(*PERFORMER)
    other = case_of(rule("Observation.performer"))
    for case in (replace(case_of(), emergency=other), replace(case_of(), behind=other)):
        assert fulfillable([hidden], case) == frozenset()
