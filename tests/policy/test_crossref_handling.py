import pytest

from proxy.policy.crossref_handling import wrong_handling
from proxy.policy.labels import LabelFile
from proxy.policy.parse import parse
from proxy.policy.terms import Terms
from tests.policy.packs import TERMS

ACT = "  act: {system: http://terminology.hl7.org/CodeSystem/v3-ActCode}\n"
READ = parse(
    "terms.yaml",
    TERMS.replace("roles:\n", ACT + "roles:\n", 1) + 'texts: {beware: "Beware."}\n',
    Terms,
).content


def findings(label: str, by: str, again: bool = False) -> list[str]:
    one = f"  - label: {label}\n    source: s\n    fulfilled_by:\n      - {by}\n"
    text = "known: {systems: [fr]}\nhandling:\n" + one * (2 if again else 1)
    return [str(one) for one in wrong_handling(parse("labels.yaml", text, LabelFile), READ)]


RIGHT = [
    ("act#DELAU", "{warn: beware}"),
    ("act#DELAU", "{warn: Delete after use.}"),
    ("act#REDACT", "{redact: {remove: [Patient.telecom]}}"),
    ("act#NOLIST", "{agreement: {client: [a], organization_type: [insurer]}}"),
    ("act#NODSCLCDS", "{consent: permit}"),
    ("act#AUDIT", "{house: the journal}"),
]
WRONG = [
    ("actt#DELAU", "{warn: beware}", "3: `actt#DELAU`: its system has no alias in terms.yaml"),
    ("fr#DELAU", "{warn: beware}", "3: `fr#DELAU` is no obligation and no refrain of v3-ActCode"),
    ("act#ETH", "{warn: beware}", "3: `act#ETH` is no obligation and no refrain of v3-ActCode"),
    ("act#NORDSLCD", "{warn: beware}", "3: `act#NORDSLCD` is no obligation and no refrain"),
    ("act#DELAU", "{warn: bewaer}", "6: `bewaer` is no name among the `texts` of terms.yaml"),
    (
        "act#DELAU",
        "{agreement: {organization_type: [bank]}}",
        "6: `bank` is no organization type of terms.yaml",
    ),
    ("act#REDACT", "{redact: {remove: [Patient.telecm]}}", "6: `Patient.telecm` names no element"),
]


@pytest.mark.parametrize(("label", "by"), RIGHT)
def test_what_is_there_can_be_named(label: str, by: str) -> None:
    assert findings(label, by) == []


@pytest.mark.parametrize(("label", "by", "finding"), WRONG)
def test_what_is_not_there_is_found_with_its_line(label: str, by: str, finding: str) -> None:
    [found] = findings(label, by)
    assert found.startswith(f"labels.yaml:{finding}")


def test_an_instruction_is_stated_once() -> None:
    [found] = findings("act#DELAU", "{warn: beware}", again=True)
    assert found == "labels.yaml:7: `act#DELAU` is stated twice"
