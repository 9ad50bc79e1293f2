import pytest

from proxy.decision.terminology import is_known
from proxy.errors import UnusableError
from proxy.fhir.coding import ACT_CODE, Coding
from proxy.policy.handling import BINDING, INSTRUCTIONS, instruction
from proxy.policy.labels import LabelFile
from proxy.policy.load import load
from proxy.policy.parse import parse
from tests.stage import ROOT

LABELS = "known: {systems: [act]}\nhandling:\n  - label: act#DELAU\n    source: s\n"


@pytest.mark.parametrize("code", sorted(INSTRUCTIONS))
def test_an_instruction_is_a_code_of_the_families_that_are_known(code: str) -> None:
    assert is_known(Coding(ACT_CODE, code))
    assert instruction(Coding(ACT_CODE, code)) == Coding(ACT_CODE, code)


@pytest.mark.parametrize(
    "label",
    [
        Coding(ACT_CODE, "ETH"),
        Coding(ACT_CODE, "PROCESSINLINELABEL"),
        Coding(ACT_CODE, "delau"),
        Coding("", "DELAU"),
        Coding("urn:x", "DELAU"),
    ],
)
def test_anything_else_is_no_instruction(label: Coding) -> None:
    assert instruction(label) is None


def test_a_retired_spelling_is_the_instruction_it_was() -> None:
    assert instruction(Coding(ACT_CODE, "NORDSLCD")) == Coding(ACT_CODE, "NORDSCLCD")


def test_what_tells_of_the_patients_privacy_choices_does_not_go_on_binding() -> None:
    private = {"MASK", "REDACT", "NODSCLCD", "NODSCLCDS", "NOAUTH", "NOPAT", "NOVIP", "ORCON"}
    assert BINDING.isdisjoint(private)


@pytest.mark.parametrize(
    ("fulfilled", "finding"),
    [
        ("    fulfilled_by: []\n", "labels.yaml:5: `fulfilled_by` is empty"),
        ("    fulfilled_by:\n      - {}\n", "labels.yaml:6: an entry of `fulfilled_by` is empty"),
        (
            "    fulfilled_by:\n      - {agreement: {}}\n",
            "labels.yaml:6: `agreement` names nobody",
        ),
        ("    fulfilled_by:\n      - {consent: deny}\n", "labels.yaml:6: `deny` is no known"),
    ],
)
def test_what_says_nothing_fulfils_nothing(fulfilled: str, finding: str) -> None:
    with pytest.raises(UnusableError) as raised:
        parse("labels.yaml", LABELS + fulfilled, LabelFile)
    [found] = raised.value.findings
    assert str(found).startswith(finding)


def test_an_instruction_is_a_known_label_even_where_nobody_states_it() -> None:
    labels = load(ROOT / "policies" / "baseline").labels
    assert labels.knows(Coding(ACT_CODE, "NOAUTH"))
    assert Coding(ACT_CODE, "NOAUTH") not in labels.handling
