from typing import get_args

import pytest
from pydantic import ValidationError

from proxy.fhir.coding import Effect
from proxy.fhir.interaction import Interaction
from proxy.identity.principal import PrincipalKind
from proxy.policy.model import OPERATORS, Redact, Rule, Target
from proxy.policy.terms import InteractionCode, KindCode

TARGET = '"target": {"purpose": ["TREAT"]}'


def rule(text: str) -> Rule:
    return Rule.model_validate_json(f'{{"id": "r", {text}}}')


GOOD = [
    f'"effect": "permit", {TARGET}',
    f'"effect": "permit", {TARGET}, "lifts": ["mask"], "notify": ["patient"], "redact": {{"remove": ["*.text"]}}',
    '"effect": "deny", "target": {}, "absolute": true',
    f'"effect": "deny", {TARGET}, "tag": "mask"',
    '"effect": "permit", "target": {"resource": {"confidentiality_above": "N"}}',
]


@pytest.mark.parametrize("text", GOOD)
def test_a_rule_that_makes_sense_is_read(text: str) -> None:
    assert rule(text).effect in Effect


BAD = [
    ('"effect": "permit"', "Field required"),
    ('"effect": "permit", "target": {}', "permit everything"),
    ('"effect": "allow", "target": {}', "'permit' or 'deny'"),
    (f'"effect": "permit", {TARGET}, "tag": "x"', "`tag` has no meaning"),
    (f'"effect": "permit", {TARGET}, "absolute": false', "`absolute` has no meaning"),
    (f'"effect": "deny", {TARGET}, "lifts": ["x"]', "`lifts` has no meaning"),
    (f'"effect": "deny", {TARGET}, "redact": {{"remove": ["*.text"]}}', "`redact` has no meaning"),
    (f'"effect": "deny", {TARGET}, "tag": "consent"', "choose another tag"),
    ('"effect": "permit", "target": {"purpose": []}', "at least 1 item"),
    ('"effect": "permit", "target": {"purpose": ["CURIOSITY"]}', "Input should be"),
    ('"effect": "permit", "target": {"principal": {}}', "`principal` is empty"),
    (
        '"effect": "permit", "target": {"principal": {"relationship": ["friend"]}}',
        "Input should be",
    ),
    ('"effect": "permit", "target": {"resource": {"label": ["MASQUE_PS"]}}', "pattern"),
    ('"effect": "permit", "target": {"purpose": "TREAT"}', "valid array"),
    ('"efect": "permit", "target": {}', "Extra inputs"),
    ('"effect": "deny", "target": {}, "absolute": "true"', "valid boolean"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_a_rule_that_makes_no_sense_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        rule(text)


PATHS = [
    ("Patient.telecom", True),
    ("Observation.component.value", True),
    ("*.text", True),
    ("*.text.div", False),
    ("Patient", False),
    ("patient.name", False),
    ("Patient.name[0]", False),
    ("Patient.name.where(use='old')", False),
    ("Patient.name | Patient.telecom", False),
    ("Patient.", False),
    ("%resource.id", False),
    ("Patient.name\n", False),
]


@pytest.mark.parametrize(("path", "good"), PATHS)
def test_a_path_is_element_steps_only(path: str, good: bool) -> None:
    if good:
        assert Redact(remove=(path,)).entries() == (("remove", path, ""),)
    else:
        with pytest.raises(ValidationError):
            Redact(remove=(path,))


def test_redactions_are_listed_by_operator_and_can_be_narrowed_to_a_type() -> None:
    redact = Redact(
        mask=("Patient.name",),
        remove=("*.text", "Observation.note"),
        replace={"Patient.gender": "other"},
    )
    assert redact.entries_for("Patient") == (
        ("mask", "Patient.name", ""),
        ("remove", "*.text", ""),
        ("replace", "Patient.gender", "other"),
    )
    assert {operator for operator, _, _ in redact.entries()} <= set(OPERATORS)
    assert set(OPERATORS) == set(Redact.model_fields)


def test_an_absent_field_is_no_constraint_and_values_are_frozen() -> None:
    target = Target()
    assert target.purpose == ()
    with pytest.raises(ValidationError, match="frozen"):
        target.purpose = ("TREAT",)  # type: ignore[misc]


def test_the_words_of_a_policy_are_the_words_of_the_gateway() -> None:
    assert {one.value for one in Interaction} <= set(get_args(InteractionCode))
    assert {one.value for one in PrincipalKind} == {*get_args(KindCode), "unknown"}
