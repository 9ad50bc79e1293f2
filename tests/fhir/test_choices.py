import re

import pytest
from fhir.resources import get_fhir_model_class
from fhir.resources.R4B import get_fhir_model_class as get_r4b_class

from proxy.fhir.choices import choices_of, fits
from proxy.fhir.conditions import condition_of, holding
from proxy.fhir.definitions import FHIR_VERSIONS, definitions_of
from proxy.obligations.guard import guard
from proxy.obligations.letter import Place, is_mandatory
from tests.obligations.cases import DEFINITIONS, case_of, search


@pytest.mark.parametrize(
    ("step", "name", "is_named"),
    [
        ("value", "value", True),
        ("value", "valueQuantity", True),
        ("value", "valueCodeableConcept", True),
        ("value", "valueSet", False),
        ("status", "statusReason", False),
        ("text", "textual", False),
        ("name", "nam", False),
        ("valueQuantity", "value", False),
        ("deceased", "deceasedBoolean", True),
        ("class", "classHistory", False),
        ("", "Quantity", True),
    ],
)
def test_a_step_names_an_element_and_its_choices(step: str, name: str, is_named: bool) -> None:
    assert fits(step, name) is is_named


@pytest.mark.parametrize("get", [get_r4b_class, get_fhir_model_class])
@pytest.mark.parametrize("rtype", ["Observation", "Condition", "Patient", "Goal", "Extension"])
def test_every_choice_of_the_models_is_one_here(get: object, rtype: str) -> None:
    assert callable(get)
    fields = get(rtype).model_fields
    extra = {name: field.json_schema_extra or {} for name, field in fields.items()}
    chosen = {name: one["one_of_many"] for name, one in extra.items() if one.get("one_of_many")}
    assert chosen
    for name, choice in chosen.items():
        spelled = fields[name].alias or name
        assert fits(choice, spelled), (choice, spelled)
        assert choice in choices_of(spelled)


@pytest.mark.parametrize("version", FHIR_VERSIONS)
def test_no_search_parameter_names_a_choice_unspelled(version: str) -> None:
    read = {
        path
        for params in definitions_of(version).search_params.values()
        for param in params.values()
        for path in param.paths
    }
    assert not [path for path in read if re.search(r"\[x\]", path)]


def test_who_redacts_who_searches_and_who_grants_read_the_same() -> None:
    """One spelling, three readers: the guard, the conditions of scopes, and the mandatory elements."""
    rule = {"target": {"purpose": ["TREAT"]}, "redact": {"remove": ["Observation.status"]}}
    guard(search("Observation?code=a"), case_of(rule), DEFINITIONS)
    condition = condition_of("Observation", ("status", "final"), DEFINITIONS, "https://x.example")
    assert condition is not None
    assert not holding({"statusReason": "final"}, [condition], lambda text: text)
    assert holding({"statusCode": "final"}, [condition], lambda text: text)
    assert is_mandatory(Place("Group", ("characteristic", "valueReference")))
    assert not is_mandatory(Place("Group", ("characteristic", "valueSet")))
