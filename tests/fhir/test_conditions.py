"""Conditions of constrained scopes, held against one resource: what is fulfilled, and what cannot be told."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.fhir.conditions import condition_of, holding
from proxy.fhir.definitions import definitions_of
from proxy.fhir.links import reference_of

R4 = definitions_of("4.0.1")
BASE = "https://gateway.example.org/fhir"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"


def holds(resource: object, name: str, value: str, rtype: str = "Observation") -> bool:
    condition = condition_of(rtype, (name, value), R4, BASE)
    assert condition is not None
    told = holding(resource, [condition], lambda text: reference_of(text, (BASE,)))
    return told == {(name, value)}


LAB: dict[str, Any] = {"category": [{"coding": [{"system": CATEGORY, "code": "laboratory"}]}]}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("laboratory", True),
        (f"{CATEGORY}|laboratory", True),
        (f"{CATEGORY}|", True),
        (f"{CATEGORY}/|laboratory", False),
        ("vital-signs,laboratory", True),
        ("vital-signs", False),
        ("Laboratory", False),
        ("|laboratory", False),
        ("http://other|laboratory", False),
        ("http://other|", False),
        ("lab", False),
    ],
)
def test_a_token_is_compared_by_system_and_code(value: str, expected: bool) -> None:
    assert holds(LAB, "category", value) is expected


@pytest.mark.parametrize(
    ("resource", "name", "value"),
    [
        ({"status": "final"}, "status", "final"),
        ({"code": {"coding": [{"code": "a"}, {"code": "b"}]}}, "code", "b"),
        ({"identifier": [{"system": "urn:x", "value": "1"}]}, "identifier", "urn:x|1"),
        ({"subject": {"reference": "Patient/p"}}, "subject", "Patient/p"),
        ({"subject": {"reference": f"{BASE}/Patient/p"}}, "patient", "p"),
        ({"valueCodeableConcept": {"coding": [{"code": "x"}]}}, "value-concept", "x"),
    ],
)
def test_every_kind_of_token_and_reference_element_is_read(
    resource: object, name: str, value: str
) -> None:
    assert holds(resource, name, value)
    assert not holds({}, name, value)


CONCEPT = {"coding": [{"system": "urn:s", "code": "x"}]}


@pytest.mark.parametrize(
    ("resource", "name", "value", "rtype", "expected"),
    [
        ({"active": False}, "active", "true", "Patient", False),
        ({"active": False}, "active", "false", "Patient", True),
        ({"active": True}, "active", "|true", "Patient", True),
        ({"active": False}, "active", "|false", "Patient", True),
        ({"status": "final"}, "status", "|final", "Observation", True),
        ({"status": "final"}, "status", "urn:s|final", "Observation", False),
        ({"code": {"coding": [{"code": "x"}]}}, "code", "|x", "Observation", True),
        ({"code": {"coding": [{"system": 1, "code": "x"}]}}, "code", "|x", "Observation", True),
        ({"code": CONCEPT}, "code", "urn:s|", "Observation", True),
        ({"code": CONCEPT}, "code", "|x", "Observation", False),
        ({"code": {"coding": {"code": "x"}}}, "code", "x", "Observation", False),
        ({"component": [{"code": CONCEPT}]}, "component-code", "x", "Observation", True),
        ({"component": [{"code": {}, "valueCodeableConcept": CONCEPT}]}, "component-code", "x", "Observation", False),
        ({"component": [{"coding": [{"code": "x"}]}]}, "component-code", "x", "Observation", False),
        ({"component": {"code": "x"}, "code": "x"}, "component-code", "x", "Observation", True),
        ({"participant": [{"individual": {"reference": "Practitioner/x"}}]}, "participant", "Practitioner/x", "Encounter", True),
        ({"participant": [{"reference": "Practitioner/x"}]}, "participant", "Practitioner/x", "Encounter", False),
        ({"subject": {"reference": "Patient/p"}}, "subject", f"{BASE}/Patient/p", "Observation", True),
    ],
)  # fmt: skip
def test_an_element_is_read_where_its_parameter_says_and_as_it_stands(
    resource: object, name: str, value: str, rtype: str, *, expected: bool
) -> None:
    assert holds(resource, name, value, rtype) is expected


def test_a_condition_says_of_which_type_it_is() -> None:
    condition = condition_of("Encounter", ("participant", "Practitioner/x"), R4, BASE)
    assert condition is not None
    assert (condition.rtype, condition.kind) == ("Encounter", "reference")
    assert ("participant", "individual") in condition.paths


def test_a_boolean_is_a_token() -> None:
    assert holds({"active": True}, "active", "true", "Patient")
    assert not holds({"active": "true "}, "active", "true", "Patient")


@pytest.mark.parametrize(
    ("rtype", "name", "value"),
    [
        ("Observation", "date", "2024"),
        ("Observation", "value-quantity", "5"),
        ("Patient", "name", "x"),
        ("Observation", "unheard-of", "x"),
        ("Observation", "_security", "x"),
        ("Observation", "_tag", "x"),
        ("Observation", "code", "a||b"),
        ("Observation", "code", ""),
        ("Observation", "code", r"a\,b"),
        ("Observation", "subject", "Device/../x"),
        ("Patient", "phone", "1"),
        ("Nothing", "code", "x"),
        ("Observation", "combo-code-value-concept", "x"),
    ],
)
def test_what_cannot_be_evaluated_is_no_condition(rtype: str, name: str, value: str) -> None:
    assert condition_of(rtype, (name, value), R4, BASE) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["category", "coding", "code", "system", "reference", "subject"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(json_values)
def test_any_tree_is_judged_and_what_is_broken_fulfils_nothing_by_itself(tree: object) -> None:
    for name, value in (("category", "laboratory"), ("subject", "Patient/p")):
        found = holds(tree, name, value)
        assert not found or value.rpartition("/")[2] in str(tree)


@pytest.mark.parametrize(
    ("rtype", "neighbour", "name", "value"),
    [
        ("MedicationRequest", {"status": "stopped", "statusReason": {"coding": [{"code": "active"}]}}, "status", "active"),
        ("Task", {"status": "draft", "statusReason": {"coding": [{"code": "ready"}]}}, "status", "ready"),
    ],
)  # fmt: skip
def test_an_element_whose_name_begins_alike_is_another(
    rtype: str, neighbour: dict[str, object], name: str, value: str
) -> None:
    assert not holds({"resourceType": rtype, **neighbour}, name, value, rtype)
    assert holds({"resourceType": rtype, **neighbour, "status": value}, name, value, rtype)


LABEL = {
    "extension": [
        {
            "url": "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label",
            "valueCoding": {"code": "R"},
        }
    ]
}


@pytest.mark.parametrize(
    ("resource", "name", "value"),
    [
        ({"category": [LABEL | LAB["category"][0]]}, "category", "laboratory"),
        ({"category": [{"coding": [LABEL | LAB["category"][0]["coding"][0]]}]}, "category", "laboratory"),
        ({"status": "final", "_status": LABEL}, "status", "final"),
        ({"subject": LABEL | {"reference": "Patient/1"}}, "subject", "Patient/1"),
    ],
)  # fmt: skip
def test_what_may_be_cut_out_fulfils_nothing(
    resource: dict[str, object], name: str, value: str
) -> None:
    assert not holds(resource, name, value)
