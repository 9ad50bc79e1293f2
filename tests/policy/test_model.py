import pytest
from pydantic import ValidationError

from proxy.fhir.coding import Effect
from proxy.policy.model import Rule

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
