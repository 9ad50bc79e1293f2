from typing import get_args

import pytest
from pydantic import ValidationError

from proxy.fhir.interaction import COMPOSED, Interaction
from proxy.identity.principal import PrincipalKind
from proxy.policy.model import Rule
from proxy.policy.target import Target
from proxy.policy.terms import InteractionCode, KindCode

TARGET = '"target": {"purpose": ["TREAT"]}'


def rule(text: str) -> Rule:
    return Rule.model_validate_json(f'{{"id": "r", {text}}}')


def test_an_absent_field_is_no_constraint_and_values_are_frozen() -> None:
    target = Target()
    assert target.purpose == ()
    with pytest.raises(ValidationError, match="frozen"):
        target.purpose = ("TREAT",)  # type: ignore[misc]


def test_the_words_of_a_policy_are_the_words_of_the_gateway() -> None:
    own = {
        Interaction.SMART_CONFIGURATION,
        *COMPOSED,
    }  # no rule speaks of them: of their searches, it does
    assert {one.value for one in set(Interaction) - own} <= set(get_args(InteractionCode))
    assert {one.value for one in PrincipalKind} == {*get_args(KindCode), "unknown"}
